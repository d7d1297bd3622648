"""Orders: placed under the definitions in force, numbered without gaps, complete when every test is authorised."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from lims_api.catalogue import service as catalogue
from lims_api.core.clock import utc_now
from lims_api.core.ids import uuid7
from lims_api.orders import service
from lims_api.patients import service as patients
from lims_api.patients.models import PatientStatus
from tests.integration.laboratory import Answer, Laboratory, Measured, message


def place(lab: Laboratory, *tests: str, by: str = "reception", **changed: Any) -> Answer:
    body = {"site_id": str(lab.site_id), "tests": list(tests or ("GLU",))} | changed
    if "patient_id" not in body:
        body["patient_id"] = str(lab.person().id)
    return lab.call("POST", "/v1/orders", body, by=by)


def slug(answer: Answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]


def test_an_order_is_due_when_its_slowest_test_is(lab: Laboratory) -> None:
    now = utc_now()
    slow = lab.definitions["GLU"].model_copy(update={"code": "SLOW", "turnaround_minutes": 2880})
    with lab.session("pathologist") as session:
        catalogue.add_version(session, slow)

    answer = place(lab, "GLU", "SLOW", placed_at=now.isoformat())

    assert answer.status_code == 201
    assert datetime.fromisoformat(answer.json()["due_at"]) == now + timedelta(days=2)
    assert re.fullmatch(r"\d\d-\d{7}", answer.json()["order_number"])
    due = dict(lab.rows("select test_code, due_at from lims.order_tests where order_id = %s", answer.json()["id"]))
    assert due == {"GLU": now + timedelta(minutes=240), "SLOW": now + timedelta(days=2)}


def test_a_test_named_twice_is_ordered_once(lab: Laboratory) -> None:
    order_id = place(lab, "GLU", "K", "GLU").json()["id"]

    rows = lab.rows("select test_code, status from lims.order_tests where order_id = %s order by 1", order_id)
    assert rows == [("GLU", "ordered"), ("K", "ordered")]


def test_orders_at_once_are_numbered_without_gaps(lab: Laboratory) -> None:
    patient_id = str(lab.person().id)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: place(lab, patient_id=patient_id), range(12)))

    numbers = sorted(int(answer.json()["order_number"].split("-")[1]) for answer in answers)
    assert numbers == list(range(numbers[0], numbers[0] + 12))


def test_the_year_of_a_number_is_the_laboratorys(lab: Laboratory) -> None:
    """Half past ten at night on New Year's Eve in Greenwich is the new year in India."""
    answers = [place(lab, placed_at=f"2020-12-31T{hour}:30:00Z") for hour in ("17", "22")]

    assert [answer.json()["order_number"] for answer in answers] == ["20-0000001", "21-0000001"]


def test_an_order_keeps_the_definition_it_was_placed_under(lab: Laboratory) -> None:
    plain = lab.definitions["GLU"].model_copy(update={"code": "KEEPS"})
    with lab.session("pathologist") as session:
        first = catalogue.add_version(session, plain).id
    order_id = place(lab, "KEEPS").json()["id"]
    with lab.session("pathologist") as session:
        second = catalogue.add_version(session, plain).id

    later = place(lab, "KEEPS").json()["id"]

    kept = [
        lab.rows("select definition_id from lims.order_tests where order_id = %s", each)[0][0]
        for each in (order_id, later)
    ]
    assert kept == [first, second]


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"tests": []}, (422, "invalid-request")),
        ({"tests": ["NONE"]}, (404, "unknown-test")),
        ({"tests": ["GLU", "glu"]}, (404, "unknown-test")),
        ({"patient_id": str(uuid4())}, (404, "patient-unknown")),
        ({"site_id": str(uuid4())}, (404, "not-found")),
        ({"priority": "yesterday"}, (422, "invalid-request")),
        ({"placed_at": "2026-01-05T10:00:00"}, (422, "invalid-request")),
    ],
)
def test_what_cannot_be_ordered(lab: Laboratory, changed: dict[str, Any], refusal: tuple[int, str]) -> None:
    before = lab.rows("select count(*) from lims.orders where organization_id = %s", lab.organization_id)

    assert slug(place(lab, **changed)) == refusal

    assert lab.rows("select count(*) from lims.orders where organization_id = %s", lab.organization_id) == before


def test_an_order_for_someone_who_was_erased_is_refused(lab: Laboratory) -> None:
    person = lab.person()
    with lab.session() as session:
        patients.get(session, person.id).status = PatientStatus.ERASED

    assert slug(place(lab, patient_id=str(person.id))) == (409, "patient-is-erased")


def test_an_order_is_complete_when_its_last_test_is_authorised_and_not_before(lab: Laboratory) -> None:
    drawn = lab.draw("GLU", "CREA", "K")
    measured = Measured(lab, drawn)
    states = []
    for code in ("GLU", "CREA", "K"):
        lab.deliver(message(drawn.accession, [lab.observation(code, flags=("A",))], drawn.person.stated()))
        lab.post("/v1/results/authorise", {"result_ids": [measured.line(code)["id"]]})
        states.append(lab.get(f"/v1/orders/{drawn.order_id}")["status"])

    assert states == ["placed", "placed", "completed"]
    told = lab.rows(
        "select count(*) from lims.outbox where name = 'order.completed' and subject_id = %s", drawn.order_id
    )
    assert told == [(1,)]
    assert lab.get(f"/v1/orders/{drawn.order_id}")["completed_at"] is not None


def test_an_order_is_completed_once(lab: Laboratory) -> None:
    measured = lab.measure()

    with lab.session() as session:
        again = service.complete_where_all_authorised(session, [measured.drawn.order_id], utc_now())

    assert again == []


def test_an_order_shows_its_patient_to_who_may_read_results(lab: Laboratory) -> None:
    drawn = lab.draw()

    view = lab.get(f"/v1/orders/{drawn.order_id}", by="technician")

    assert (view["patient_name"], view["sex"], view["patient_id"]) == (drawn.person.name, "male", str(drawn.person.id))
    assert view["results"] == []
    assert lab.call("GET", f"/v1/orders/{drawn.order_id}", by="reception").json()["permission"] == "result:read"


def test_an_order_is_told_by_ids(lab: Laboratory) -> None:
    patient_id = str(lab.person().id)

    order_id = place(lab, patient_id=patient_id).json()["id"]

    ((name, payload),) = lab.rows("select name, payload::jsonb from lims.outbox where subject_id = %s", order_id)
    assert name == "order.placed"
    assert payload.keys() == {"patient_id", "site_id", "placed_at"}
    assert payload["patient_id"] == patient_id


# ids that a client made


@pytest.mark.req("0.5")
def test_the_id_that_a_client_made_is_the_orders(lab: Laboratory) -> None:
    made = str(uuid7())

    answer = place(lab, id=made)

    assert (answer.status_code, answer.json()["id"]) == (201, made)


@pytest.mark.req("0.5")
def test_a_used_id_is_refused_and_takes_no_number(lab: Laboratory) -> None:
    made = str(uuid7())
    first = place(lab, id=made).json()["order_number"]

    refused = place(lab, "K", id=made)
    after = place(lab).json()["order_number"]

    assert slug(refused) == (409, "id-taken")
    assert int(after.split("-")[1]) == int(first.split("-")[1]) + 1
    assert lab.rows("select test_code from lims.order_tests where order_id = %s", made) == [("GLU",)]


def test_two_orders_at_once_under_one_id_are_one(lab: Laboratory) -> None:
    made, patient_id = str(uuid7()), str(lab.person().id)

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda test: place(lab, test, id=made, patient_id=patient_id), ("GLU", "K", "NA")))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]


def test_an_order_id_of_another_version_is_refused(lab: Laboratory) -> None:
    assert slug(place(lab, id=str(uuid4()))) == (422, "invalid-request")
