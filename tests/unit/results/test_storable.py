"""What PostgreSQL cannot hold of a message is replaced, everything else stays as it is."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from ingest.contract import Control, Message, Observation, RecordGroup, StatedIdentity
from lims_api.results.storable import storable

MOMENT = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def message(text: str, raw: bytes = b"\x00PID|\x00") -> Message:
    """One with the text in every place that holds one."""
    observation = Observation(
        sequence=1, code=text, text=text, value_text=text, value=Decimal("5.40"), unit=text, flags=(text, "A"),
        status=text, observed_at=MOMENT, run=text,
    )  # fmt: skip
    group = RecordGroup(
        specimen=text, identity=StatedIdentity(patient_number=text, name=text, sex=text),
        control=Control(material=text, lot=text, level=1), observations=(observation,), raw=b64encode(raw),
    )  # fmt: skip
    return Message(
        channel=text, control_id=text, body_sha256="0" * 64, received_at=MOMENT, format=text, type=text,
        envelope=b64encode(raw), groups=(group,), error=text,
    )  # fmt: skip


@given(texts)
def test_no_nul_is_left_and_nothing_else_is_changed(text: str) -> None:
    assert storable(message(text)) == message(text.replace("\x00", "\ufffd"))


@given(texts.filter(lambda text: "\x00" not in text))
def test_a_message_without_a_nul_is_the_same_object(text: str) -> None:
    sent = message(text)

    assert storable(sent) is sent


@given(st.binary(max_size=64))
def test_the_bytes_stay_as_they_came(raw: bytes) -> None:
    kept = storable(message("\x00", raw))

    assert (kept.envelope, kept.groups[0].raw) == (raw, raw)
