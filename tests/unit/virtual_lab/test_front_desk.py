from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from ingest.virtual_lab import front_desk
from ingest.virtual_lab.front_desk import (
    CoreUnreachable,
    FrontDesk,
    RequestRefused,
    UnexpectedAnswer,
    attend,
    collected_specimens,
)
from ingest.virtual_lab.patients import Person
from tests.unit.virtual_lab.servers import Core

AT = datetime(2026, 11, 24, 4, 45, tzinfo=UTC)
LATER = datetime(2026, 11, 24, 5, 15, tzinfo=UTC)
PERSON = Person(
    uhid="VL1",
    name="Sunita Rao",
    phone="+91 98765 43210",
    sex="female",
    birth_on=date(1969, 1, 1),
    birth_precision="year",
)


def _sign_in(desk: FrontDesk, *, typed: str = "secret") -> None:
    desk.sign_in(organization="lab", username="desk", password=typed)


def _attend(desk: FrontDesk, person: Person = PERSON) -> front_desk.Attended:
    return attend(
        desk, person, site_id="s", priority="urgent", tests=("GLU", "K"), collected_at=AT, received_at=lambda: LATER
    )


def test_a_new_patient_is_registered_and_the_specimen_brought_to_the_bench() -> None:
    with Core().running() as core, FrontDesk(core.url) as desk:
        _sign_in(desk)
        attended = _attend(desk)

    assert attended.registered_now
    assert core.patients["VL1"] == {
        "uhid": "VL1", "name": "Sunita Rao", "phone": "+91 98765 43210", "sex": "female",
        "birth_on": "1969-01-01", "birth_precision": "year",
    }  # fmt: skip
    (order,) = core.orders
    assert (order["patient_id"], order["site_id"], order["priority"]) == ("p-VL1", "s", "urgent")
    assert (order["tests"], order["placed_at"] < AT.isoformat()) == (["GLU", "K"], True)
    assert order["language"] == PERSON.report_language
    (specimen,) = attended.specimens
    assert specimen.tests == ("GLU", "K")
    kept = core.specimens[specimen.accession_number]
    assert (kept["status"], kept["collected_at"], kept["received_at"]) == (
        "received",
        AT.isoformat(),
        LATER.isoformat(),
    )


def test_a_patient_who_comes_again_is_found_by_number() -> None:
    with Core().running() as core, FrontDesk(core.url) as desk:
        _sign_in(desk)
        _attend(desk)
        again = _attend(desk)

    assert not again.registered_now
    assert len(core.patients) == 1
    assert again.order.order_number == "O2"


def test_every_container_of_an_order_is_collected_and_received() -> None:
    with Core(specimens_by_test={"GLU": "fluoride"}).running() as core, FrontDesk(core.url) as desk:
        _sign_in(desk)
        attended = _attend(desk)

    assert {specimen.tests for specimen in attended.specimens} == {("GLU",), ("K",)}
    assert {kept["status"] for kept in core.specimens.values()} == {"received"}


def test_a_write_is_tried_again_under_the_same_key_while_the_core_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_desk, "PAUSE_SECONDS", 0.01)
    with Core().running() as core, FrontDesk(core.url) as desk:
        _sign_in(desk)
        core.busy_for = 2
        patient_id = desk.register_patient(PERSON)

    assert patient_id == "p-VL1"
    assert len(core.replies) == 2


def test_a_wrong_password_is_refused() -> None:
    with Core().running() as core, FrontDesk(core.url) as desk, pytest.raises(RequestRefused) as refusal:
        _sign_in(desk, typed="wrong")

    assert (refusal.value.status, refusal.value.kind) == (401, "wrong-password")


def test_a_refusal_names_the_problem_and_nothing_personal() -> None:
    with Core().running() as core, FrontDesk(core.url) as desk:
        _sign_in(desk)
        desk.register_patient(PERSON)
        with pytest.raises(RequestRefused) as taken:
            desk.register_patient(replace(PERSON, name="Geeta Rao"))
        with pytest.raises(RequestRefused) as unknown:
            desk.receive("2699999999", at=AT)

    assert str(taken.value) == "POST /v1/patients: 409 uhid-taken It is uhid-taken."
    assert str(unknown.value) == "POST /v1/specimens/…/receive: 404 not-found It is not-found."


def test_a_core_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_desk, "PAUSE_SECONDS", 0.01)
    with Core().running() as core:
        url = core.url

    with FrontDesk(url) as desk, pytest.raises(CoreUnreachable):
        _sign_in(desk)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"specimens": []},
        {"specimens": [{"accession_number": "1"}, {"accession_number": "2"}]},
        {"specimens": [{"id": "1"}]},
    ],
)
def test_an_answer_that_does_not_say_what_was_drawn_is_not_guessed(answer: object) -> None:
    with pytest.raises(UnexpectedAnswer):
        collected_specimens(answer, ("K",))


def test_a_single_container_holds_all_tests_of_the_order() -> None:
    (found,) = collected_specimens({"specimens": [{"accession_number": "1"}]}, ("K", "NA"))

    assert found.tests == ("K", "NA")
