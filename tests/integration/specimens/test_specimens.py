"""Specimens: drawn once an order, received once, rejected with a reason and drawn again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from lims_api.catalogue import service as catalogue
from lims_api.core.clock import business_day, utc_now
from tests.integration.laboratory import Answer, Laboratory, Measured, message


def order(lab: Laboratory, *tests: str) -> str:
    body = {"patient_id": str(lab.person().id), "site_id": str(lab.site_id), "tests": list(tests or ("GLU",))}
    order_id: str = lab.post("/v1/orders", body, by="reception")["id"]
    return order_id


def collect(lab: Laboratory, order_id: str, *, key: str | None = None, **labels: str) -> Answer:
    body: dict[str, Any] = {"order_id": order_id, "collected_at": utc_now().isoformat()}
    names = {"serum": "SST 5 mL", "blood": "EDTA 3 mL"}
    body["labels"] = [{"container": names[name], "accession_number": number} for name, number in labels.items()]
    return lab.call("POST", "/v1/specimens", body, by="reception", key=key)


def drawn(lab: Laboratory, *tests: str) -> str:
    """The accession number of a specimen that was drawn and not received."""
    accession: str = collect(lab, order(lab, *tests)).json()["specimens"][0]["accession_number"]
    return accession


def receive(lab: Laboratory, accession: str) -> Answer:
    body = {"received_at": utc_now().isoformat()}
    return lab.call("POST", f"/v1/specimens/{accession}/receive", body, by="reception")


def reject(lab: Laboratory, accession: str, reason: str = "haemolysed") -> Answer:
    body = {"rejected_at": utc_now().isoformat(), "reason": reason}
    return lab.call("POST", f"/v1/specimens/{accession}/reject", body, by="technician")


def slug(answer: Answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]


def test_one_container_is_drawn_for_each_kind_that_is_needed(lab: Laboratory) -> None:
    blood = {"code": "HBA1C", "container": "EDTA 3 mL", "specimen_type": "Whole blood"}
    with lab.session("pathologist") as session:
        catalogue.add_version(session, lab.definitions["GLU"].model_copy(update=blood))

    specimens = collect(lab, order(lab, "GLU", "K", "HBA1C")).json()["specimens"]

    told = [(each["specimen_type"], each["container"], each["tests"], each["status"]) for each in specimens]
    assert sorted(told) == [
        ("Serum", "SST 5 mL", ["GLU", "K"], "collected"),
        ("Whole blood", "EDTA 3 mL", ["HBA1C"], "collected"),
    ]
    year = f"{business_day(utc_now()).year % 100:02d}"
    assert all(each["accession_number"].startswith(year) and len(each["accession_number"]) == 10 for each in specimens)


@pytest.mark.req("3.2.1")
def test_a_barcode_that_was_printed_before_is_the_accession_number(lab: Laboratory) -> None:
    (specimen,) = collect(lab, order(lab), serum="OLD-1").json()["specimens"]

    assert specimen["accession_number"] == "OLD-1"
    assert receive(lab, "OLD-1").status_code == 200


@pytest.mark.req("3.2.1")
def test_a_barcode_that_another_specimen_bears_is_refused_and_nothing_is_drawn(lab: Laboratory) -> None:
    collect(lab, order(lab), serum="OLD-2")
    second = order(lab)

    assert slug(collect(lab, second, serum="OLD-2")) == (409, "accession-number-taken")
    assert collect(lab, second, serum="OLD-3").status_code == 201


def test_one_of_two_concurrent_drawings_gets_the_barcode(lab: Laboratory) -> None:
    orders = [order(lab) for _ in range(2)]

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda each: collect(lab, each, serum="OLD-4"), orders))

    assert sorted(answer.status_code for answer in answers) == [201, 409]


def test_a_label_for_a_container_that_is_not_needed_or_unreadable_is_refused(lab: Laboratory) -> None:
    assert slug(collect(lab, order(lab), blood="OLD-5")) == (409, "label-not-needed")
    assert collect(lab, order(lab), serum="a/b").status_code == 422


def test_the_laboratorys_own_numbers_pass_over_a_barcode_printed_before(lab: Laboratory) -> None:
    own = drawn(lab)
    taken = f"{int(own) + 1:010d}"
    collect(lab, order(lab), serum=taken)

    assert drawn(lab) == f"{int(own) + 2:010d}"


def test_an_order_is_drawn_once(lab: Laboratory) -> None:
    order_id = order(lab)

    first, second = collect(lab, order_id), collect(lab, order_id)

    assert first.status_code == 201
    assert slug(second) == (409, "nothing-to-collect")
    assert slug(collect(lab, str(uuid4()))) == (404, "unknown-order")


def test_two_that_draw_at_once_draw_one_container(lab: Laboratory) -> None:
    order_id = order(lab)

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: collect(lab, order_id), range(3)))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    assert lab.rows("select count(*) from lims.specimens where order_id = %s", order_id) == [(1,)]


def test_accession_numbers_follow_each_other(lab: Laboratory) -> None:
    orders = [order(lab) for _ in range(8)]

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda order_id: collect(lab, order_id), orders))

    numbers = sorted(int(answer.json()["specimens"][0]["accession_number"]) for answer in answers)
    assert numbers == list(range(numbers[0], numbers[0] + 8))


def test_a_specimen_is_received_once(lab: Laboratory) -> None:
    accession = drawn(lab)

    first, second = receive(lab, accession), receive(lab, accession)

    assert (first.status_code, first.json()["status"]) == (200, "received")
    assert slug(second) == (409, "specimen-not-receivable")
    assert second.json()["status_now"] == "received"
    assert lab.get(f"/v1/specimens/{accession}", by="technician")["status"] == "received"


def test_two_that_receive_at_once_receive_once(lab: Laboratory) -> None:
    accession = drawn(lab)

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: receive(lab, accession), range(3)))

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]


@pytest.mark.parametrize("received", [False, True])
def test_a_rejected_specimen_is_both_under_another_number(lab: Laboratory, received: bool) -> None:
    order_id = order(lab)
    accession = collect(lab, order_id).json()["specimens"][0]["accession_number"]
    if received:
        receive(lab, accession)

    rejected = reject(lab, accession)
    again = collect(lab, order_id)

    assert (rejected.status_code, rejected.json()["status"]) == (200, "rejected")
    assert again.status_code == 201
    assert again.json()["specimens"][0]["accession_number"] != accession
    assert slug(reject(lab, accession)) == (409, "specimen-not-rejectable")
    assert slug(receive(lab, accession)) == (409, "specimen-not-receivable")


def test_why_a_specimen_was_rejected_is_on_record(lab: Laboratory) -> None:
    accession = drawn(lab)

    specimen_id = reject(lab, accession, "clotted").json()["id"]

    _, change = lab.ledger("specimens", specimen_id)
    assert (change[1]["rejection_reason"], change[1]["status"], change[3]) == (
        "clotted", "rejected", lab.users["technician"],
    )  # fmt: skip
    told = lab.rows(
        "select payload::jsonb->>'rejection_reason' from lims.outbox where subject_id = %s order by seq", specimen_id
    )
    assert told[-1] == ("clotted",)
    assert slug(reject(lab, drawn(lab), "smelt odd")) == (422, "invalid-request")


def test_a_rejected_specimens_authorised_tests_stay_and_the_others_are_both(lab: Laboratory) -> None:
    both = lab.draw("GLU", "CREA")
    observed = [lab.observation("GLU", flags=("A",))]
    lab.deliver(message(both.accession, observed, both.person.stated()))
    held = Measured(lab, both)
    lab.post("/v1/results/authorise", {"result_ids": [held.line()["id"]]})

    assert reject(lab, both.accession).status_code == 200

    again = collect(lab, str(both.order_id)).json()["specimens"]
    assert [each["tests"] for each in again] == [["CREA"]]
    states = dict(lab.rows("select test_code, status from lims.order_tests where order_id = %s", both.order_id))
    assert states == {"GLU": "authorised", "CREA": "ordered"}


def test_what_was_measured_and_held_is_measured_again_on_the_next_specimen(lab: Laboratory) -> None:
    held = lab.measure(flags=("A",))
    reject(lab, held.drawn.accession)
    accession = collect(lab, str(held.drawn.order_id)).json()["specimens"][0]["accession_number"]
    receive(lab, accession)

    lab.deliver(message(accession, [lab.observation("GLU", "86")], held.drawn.person.stated()))

    lines = lab.lines(held.drawn.order_id)["GLU"]
    assert [(line["value"], line["status"]) for line in lines] == [("85", "held"), ("86", "authorised")]
    assert lab.get(f"/v1/orders/{held.drawn.order_id}")["status"] == "completed"


@pytest.mark.parametrize("accession", ["9900000000", "x", "26%2000000001", "%2E%2E"])
def test_a_specimen_that_is_not_there(lab: Laboratory, accession: str) -> None:
    assert lab.call("GET", f"/v1/specimens/{accession}", by="technician").status_code == 404


def test_times_are_kept_as_they_were_told(lab: Laboratory) -> None:
    told = utc_now() - timedelta(hours=3)
    body: dict[str, Any] = {"order_id": order(lab), "collected_at": told.isoformat()}

    specimen = lab.post("/v1/specimens", body, by="reception")["specimens"][0]

    ((collected_at, recorded_at),) = lab.rows(
        "select collected_at, recorded_at from lims.specimens where id = %s", specimen["id"]
    )
    assert collected_at == told
    assert recorded_at > told + timedelta(hours=2)
