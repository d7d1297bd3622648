"""Patients over HTTP: registered once, read by those who may, never another laboratory's."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest

from lims_api.core.clock import business_day, utc_now
from lims_api.core.db import SystemCaller, transaction
from lims_api.core.ids import uuid7
from lims_api.core.permissions import Permission
from lims_api.patients import service
from lims_api.patients.errors import PatientUnknown
from lims_api.patients.schemas import PatientIn
from tests.conftest import Environment
from tests.factories import staff

from .conftest import Desk

WHOLE: dict[str, Any] = {
    "uhid": "MRN/0042",
    "name": "  लक्ष्मी   शर्मा ",
    "phone": "098200 12345",
    "sex": "female",
    "birth_on": "1984-03-09",
    "birth_precision": "day",
}


def count(environment: Environment, desk: Desk, table: str) -> int:
    with environment.connect("lims_system") as connection:
        row = connection.execute(
            f"select count(*) from lims.{table} where organization_id = %s", (desk.organization_id,)
        ).fetchone()
    assert row is not None
    assert isinstance(row[0], int)
    return row[0]


def test_a_registered_person_is_read_as_they_were_registered(desk: Desk) -> None:
    answer = desk.register(**WHOLE)

    assert answer.status_code == 201
    assert answer.json().keys() == {"id"}
    card = desk.read(answer.json()["id"])
    assert card.status_code == 200
    assert card.json() == {
        "id": answer.json()["id"],
        "uhid": "MRN/0042",
        "name": "लक्ष्मी शर्मा",
        "phone": "+919820012345",
        "sex": "female",
        "birth_on": "1984-03-09",
        "birth_precision": "day",
        "status": "active",
    }


def test_without_a_uhid_the_next_of_the_year_is_given_and_numbers_brought_along_are_passed_over(desk: Desk) -> None:
    year = business_day(utc_now()).year % 100
    desk.register(uhid=f"p{year}-000002")

    given = [desk.read(desk.register().json()["id"]).json()["uhid"] for _ in range(2)]

    assert given == [f"P{year}-000001", f"P{year}-000003"]


def test_a_uhid_belongs_to_one_patient(desk: Desk, another_desk: Desk) -> None:
    desk.register(uhid="A-1")

    repeated = desk.register(uhid="a-1", name="Ravi Kumar", sex="male")

    assert repeated.status_code == 409
    assert repeated.json()["type"].endswith("/patient-number-taken")
    assert "Ravi" not in repeated.text
    assert "a-1" not in repeated.text
    assert another_desk.register(uhid="A-1").status_code == 201


def test_two_desks_that_register_one_uhid_at_once_make_one_patient(environment: Environment, desk: Desk) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: desk.register(uhid="A-1").status_code, range(8)))

    assert sorted(answers) == [201] + [409] * 7
    assert count(environment, desk, "patients") == 1


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"phone": "12345"}, "phone"),
        ({"phone": "Lakshmi"}, "phone"),
        ({"name": ""}, "name"),
        ({"name": "..."}, "name"),
        ({"name": "Lakshmi\u202eSharma"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"sex": "f"}, "sex"),
        ({"uhid": "A 1"}, "uhid"),
        ({"birth_on": "1984-03-09"}, ""),
        ({"birth_on": "1984-13-09", "birth_precision": "day"}, "birth_on"),
        ({"aadhaar": "2"}, "aadhaar"),
    ],
)
def test_what_is_not_of_the_documented_shape_is_refused_without_being_repeated(
    environment: Environment, desk: Desk, wrong: dict[str, str], field: str
) -> None:
    answer = desk.register(**wrong)

    assert answer.status_code == 422
    assert answer.json()["fields"][0]["field"] == field
    assert "Lakshmi" not in answer.text
    assert "1984" not in answer.text
    assert count(environment, desk, "patients") == 0


def test_a_wrong_phone_is_refused_with_the_form_shown(desk: Desk) -> None:
    assert "98xxx xxxxx" in desk.register(phone="12345").json()["fields"][0]["problem"]


@pytest.mark.parametrize(("born", "precision"), [("2190-01-01", "day"), ("1850-01-01", "year")])
def test_nobody_was_born_tomorrow(desk: Desk, born: str, precision: str) -> None:
    answer = desk.register(birth_on=born, birth_precision=precision)

    assert answer.status_code == 422
    assert answer.json()["type"].endswith("/birth-date-impossible")


def test_a_permission_missing_is_named(environment: Environment, desk: Desk) -> None:
    reader = Desk(
        desk.client, desk.organization_id, staff(environment, desk.organization_id, [Permission.PATIENT_READ])
    )
    stranger = Desk(
        desk.client, desk.organization_id, staff(environment, desk.organization_id, [Permission.ORDER_READ])
    )

    refused = [reader.register(), stranger.search(name="Lakshmi"), stranger.read(uuid7())]

    assert [answer.status_code for answer in refused] == [403, 403, 403]
    assert [answer.json()["permission"] for answer in refused] == ["patient:register", "patient:read", "patient:read"]
    assert Desk(desk.client, desk.organization_id, "unknown").register().status_code == 401
    assert count(environment, desk, "patients") == 0


def test_another_laboratorys_patient_does_not_exist(environment: Environment, desk: Desk, another_desk: Desk) -> None:
    patient_id = desk.register(uhid="A-1", phone="98200 12345").json()["id"]

    answer = another_desk.read(patient_id)

    assert answer.status_code == 404
    assert answer.json() == another_desk.read(uuid7()).json() | {"instance": f"/v1/patients/{patient_id}"}
    assert another_desk.found(uhid="A-1") == []
    assert another_desk.found(phone="98200 12345") == []
    assert another_desk.found(name="Lakshmi") == []
    caller = SystemCaller(database=environment.app, organization_id=another_desk.organization_id)
    with transaction(caller) as session, pytest.raises(PatientUnknown):
        service.get(session, UUID(patient_id))


def test_a_repeat_of_a_registration_gets_the_same_reply_and_makes_nobody(environment: Environment, desk: Desk) -> None:
    key = str(uuid4())

    first, second = desk.register(key=key), desk.register(key=key)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert second.headers["idempotent-replay"] == "true"
    assert count(environment, desk, "patients") == 1
    another_person = desk.register(key=key, name="Ravi Kumar")
    assert another_person.status_code == 409
    assert another_person.json()["type"].endswith("/idempotency-key-reused")


def test_one_key_sent_by_many_at_once_makes_one_patient(environment: Environment, desk: Desk) -> None:
    key = str(uuid4())

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: desk.register(key=key), range(8)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert count(environment, desk, "patients") == 1
    assert count(environment, desk, "patient_numbers") == 1


def test_a_registration_needs_a_key(desk: Desk) -> None:
    answer = desk.client.post("/v1/patients", json={"name": "Lakshmi", "sex": "female"}, headers=desk.headers)

    assert answer.status_code == 400
    assert answer.json()["type"].endswith("/idempotency-key-missing")


def test_a_refused_registration_gives_its_number_back(environment: Environment, desk: Desk) -> None:
    caller = SystemCaller(database=environment.app, organization_id=desk.organization_id)
    person = PatientIn.model_validate({"name": "Ravi Kumar", "sex": "male"})

    def register_and_fail() -> None:
        with transaction(caller) as session:
            service.register(session, person)
            raise RuntimeError("the connection is lost")

    with pytest.raises(RuntimeError):
        register_and_fail()

    assert desk.read(desk.register().json()["id"]).json()["uhid"].endswith("-000001")
    assert count(environment, desk, "patient_numbers") == 1


def test_registrations_at_once_get_consecutive_numbers(desk: Desk) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = [answer.json()["id"] for answer in pool.map(lambda _: desk.register(), range(16))]

    numbers = sorted(int(desk.read(patient_id).json()["uhid"].rsplit("-")[-1]) for patient_id in ids)
    assert numbers == list(range(1, 17))


def test_reading_is_logged_with_who_and_whom(environment: Environment, desk: Desk) -> None:
    patient_id = desk.register().json()["id"]

    desk.read(patient_id)
    desk.search(name="Lakshmi")
    desk.search(name="Nobody")

    with environment.connect("lims_system") as connection:
        rows = connection.execute(
            "select action, patient_id, actor_id is not null, request_id is not null from lims.access_log"
            " where organization_id = %s order by read_at",
            (desk.organization_id,),
        ).fetchall()
    assert rows == [
        ("patient.read", UUID(patient_id), True, True),
        ("patient.search", UUID(patient_id), True, True),
    ]


def test_a_registration_is_told_by_id_alone(environment: Environment, desk: Desk) -> None:
    patient_id = desk.register().json()["id"]

    with environment.connect("lims_system") as connection:
        rows = connection.execute(
            "select name, subject_id, payload from lims.outbox where organization_id = %s", (desk.organization_id,)
        ).fetchall()
    assert rows == [("patient.registered", UUID(patient_id), "{}")]


def test_identities_are_opened_together_for_those_who_ask(environment: Environment, desk: Desk) -> None:
    ids = [UUID(desk.register(name=name).json()["id"]) for name in ("Asha Rao", "Ravi Kumar")]

    with transaction(SystemCaller(database=environment.app, organization_id=desk.organization_id)) as session:
        opened = service.open_identity(session, [service.get(session, patient_id) for patient_id in ids])

    assert {patient_id: identity.name for patient_id, identity in opened.items()} == dict(
        zip(ids, ("Asha Rao", "Ravi Kumar"), strict=True)
    )
    assert "Asha" not in repr(opened)
