"""A message is complete before a provider sees it, and does not show whom it is for."""

from typing import Any
from uuid import UUID

import pytest

from lims_api.notifications.ports import DeliveryFailed, Message

WELL_FORMED: dict[str, Any] = {
    "id": UUID(int=7), "to": "+919000000001", "template": "report_ready", "language": "hi", "values": {"name": "Asha"},
}  # fmt: skip


def test_a_message_keeps_its_id_for_every_attempt_and_hides_the_person() -> None:
    message = Message(**WELL_FORMED)

    assert message.id == UUID(int=7)
    assert "919000000001" not in repr(message)
    assert "Asha" not in repr(message)


@pytest.mark.parametrize(
    "wrong",
    [{"to": "9000000001"}, {"to": "+91 90000 00001"}, {"to": ""}, {"language": "Hindi"}, {"template": ""}],
    ids=["no country", "spaces", "nobody", "a name of a language", "free text"],
)
def test_an_incomplete_message_is_refused_without_quoting_it(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError) as refused:
        Message(**{**WELL_FORMED, **wrong})

    assert "90000" not in str(refused.value)


@pytest.mark.parametrize("permanent", [True, False])
def test_a_failure_says_whether_to_try_again(permanent: bool) -> None:
    assert DeliveryFailed("unknown number", permanent=permanent).permanent is permanent
