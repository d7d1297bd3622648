"""A complete order becomes a report, once; a correction becomes the next version, and the earlier is kept."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pypdf
import pytest
from sqlalchemy.orm import Session

from lims_api.core.db import SystemCaller, transaction
from lims_api.core.errors import LimsError
from lims_api.core.jobs import SUBSCRIBERS, Subscriber
from lims_api.core.ledger import BEGINNING
from lims_api.core.permissions import Permission
from lims_api.core.relay import relay
from lims_api.files import service as files
from lims_api.orders import service as orders
from lims_api.reports import service
from lims_api.reports.errors import OrderNotComplete
from lims_api.reports.gathering import gather
from tests.factories import organization, staff
from tests.integration.laboratory import RESTRICTED, Laboratory, Measured, message, run_jobs


@pytest.fixture(scope="module", autouse=True)
def _only_our_jobs(lab: Laboratory) -> None:
    """Forget the reports that the orders of other tests asked for: hundreds, each of which would be rendered."""
    relay(lab.work())
    with psycopg.connect(lab.environment.superuser_dsn) as connection:
        connection.execute("set search_path = jobs")
        connection.execute("delete from procrastinate_jobs where queue_name = 'reports' and status = 'todo'")


def reports(lab: Laboratory, order_id: UUID, *, by: str = "pathologist") -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = lab.get(f"/v1/orders/{order_id}/reports", by=by)
    return listed


def pdf(lab: Laboratory, report_id: str) -> bytes:
    answer = lab.call("GET", f"/v1/reports/{report_id}/pdf")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    return answer.content


def text_of(content: bytes) -> str:
    """The pages' words, in one line."""
    pages = pypdf.PdfReader(io.BytesIO(content)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def correct(lab: Laboratory, measured: Measured, value: str, code: str = "GLU") -> None:
    """By a technician, authorised by the pathologist."""
    current = [line for line in lab.lines(measured.drawn.order_id)[code] if line["status"] == "authorised"]
    body = {"value_text": value, "reason": "dilution_error"}
    corrected = lab.post(f"/v1/results/{current[0]['id']}/correct", body, by="technician")
    lab.post("/v1/results/authorise", {"result_ids": [corrected["id"]]})


def jobs(lab: Laboratory, order_id: UUID) -> list[str]:
    """The states of the jobs that were asked for an order's report."""
    rows = lab.rows(
        "select status::text from jobs.procrastinate_jobs where args->>'order_id' = %s order by id", str(order_id)
    )
    return [row[0] for row in rows]


def system(lab: Laboratory) -> SystemCaller:
    return lab.work().caller(lab.organization_id)


# released


def test_a_complete_order_is_reported(lab: Laboratory) -> None:
    measured = lab.measure()
    before = reports(lab, measured.drawn.order_id)

    lab.settle()

    (report,) = reports(lab, measured.drawn.order_id)
    assert before == []
    assert (report["version"], report["status"], report["supersedes_id"]) == (1, "final", None)
    content = pdf(lab, report["id"])
    assert content.startswith(b"%PDF-")
    assert sha256(content).hexdigest() == report["sha256"]
    told = lab.rows("select payload from lims.outbox where name = 'report.released' and subject_id = %s", report["id"])
    assert [json.loads(row[0])["order_id"] for row in told] == [str(measured.drawn.order_id)]


def test_the_document_lies_sealed_on_the_disk(lab: Laboratory) -> None:
    measured = lab.measure()
    lab.settle()
    (report,) = reports(lab, measured.drawn.order_id)

    ((file_id,),) = lab.rows("select file_id from lims.reports where id = %s", report["id"])
    lies = files.path_of(lab.services.files_folder, lab.organization_id, file_id).read_bytes()

    assert b"%PDF" not in lies
    assert measured.drawn.person.name.encode() not in lies
    assert lies != pdf(lab, report["id"])


@pytest.mark.req("12.1", "12.3")
def test_the_report_says_who_answers_for_it_and_that_its_intervals_are_examples(lab: Laboratory) -> None:
    released, held = lab.measure(), lab.measure(flags=("A",))
    lab.post("/v1/results/authorise", {"result_ids": [held.line()["id"]]})
    lab.settle()

    automatic, examined = (
        text_of(pdf(lab, reports(lab, each.drawn.order_id)[0]["id"])) for each in (released, held)
    )  # fmt: skip

    assert released.drawn.person.name in automatic
    assert released.drawn.person.uhid in automatic
    for words in (automatic, examined):
        assert "Dr Example Pathologist" in words
        assert "EXAMPLE" in words
    assert "automatic" in automatic.lower()
    assert "automatic" not in examined.lower()


def test_an_order_that_is_not_complete_has_no_report(lab: Laboratory) -> None:
    measured = lab.measure(flags=("A",))
    lab.settle()

    assert reports(lab, measured.drawn.order_id) == []
    with pytest.raises(OrderNotComplete), transaction(system(lab)) as session:
        service.release(session, measured.drawn.order_id)


# once


def test_a_relay_that_reads_an_event_again_asks_for_nothing_again(lab: Laboratory) -> None:
    """What a relay leaves that was killed after its receipts and before its position: the same events once more."""
    measured = lab.measure()
    relay(lab.work())
    with psycopg.connect(lab.environment.superuser_dsn) as connection:
        connection.execute("update lims.reader_positions set snapshot = %s where reader = 'relay'", [BEGINNING])

    ran = relay(lab.work())

    assert ran == 0
    assert jobs(lab, measured.drawn.order_id) == ["todo"]


def test_relays_at_once_carry_each_event_once(lab: Laboratory) -> None:
    ordered = [lab.measure().drawn.order_id for _ in range(3)]

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: relay(lab.work()), range(4)))
    relay(lab.work())

    assert [jobs(lab, order_id) for order_id in ordered] == [["todo"]] * 3


def test_a_reaction_that_fails_holds_up_no_other_and_is_tried_again(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One order's event is a poison for a while; the reports of the orders behind it follow all the same."""
    poison, healthy = lab.measure().drawn.order_id, lab.measure().drawn.order_id
    (subscriber,) = SUBSCRIBERS["order.completed"]
    cured = False

    def reaction(session: Session, subject_id: UUID, payload: dict[str, Any]) -> None:
        if subject_id == poison and not cured:
            raise ValueError("nothing of the database's")
        subscriber.reaction(session, subject_id, payload)

    monkeypatch.setitem(SUBSCRIBERS, "order.completed", [Subscriber(subscriber.name, reaction)])
    relay(lab.work())
    while_ill = jobs(lab, poison), jobs(lab, healthy)
    cured = True
    relay(lab.work())

    assert while_ill == ([], ["todo"])
    assert (jobs(lab, poison), jobs(lab, healthy)) == (["todo"], ["todo"])


def test_a_job_that_runs_twice_makes_one_report(lab: Laboratory) -> None:
    measured = lab.measure()
    lab.settle()
    before = reports(lab, measured.drawn.order_id)

    with transaction(system(lab)) as session:
        again = service.release(session, measured.drawn.order_id)

    assert str(again.id) == before[0]["id"]
    assert reports(lab, measured.drawn.order_id) == before
    lies = _files_of(lab, measured.drawn.person.id)
    assert len(lies) == 1


def _files_of(lab: Laboratory, patient_id: UUID) -> list[Path]:
    rows = lab.rows("select id from lims.files where patient_id = %s", patient_id)
    return [files.path_of(lab.services.files_folder, lab.organization_id, row[0]) for row in rows]


def test_jobs_at_once_make_one_report(lab: Laboratory) -> None:
    measured = lab.measure()

    def release(_: int) -> UUID:
        with transaction(system(lab)) as session:
            return service.release(session, measured.drawn.order_id).id

    with ThreadPoolExecutor(3) as pool:
        made = set(pool.map(release, range(3)))

    assert [report["id"] for report in reports(lab, measured.drawn.order_id)] == [str(each) for each in made]


def test_a_job_that_was_asked_for_runs_after_a_restart_of_the_worker(lab: Laboratory) -> None:
    measured = lab.measure()
    relay(lab.work())
    before = jobs(lab, measured.drawn.order_id)

    run_jobs(lab.work(), lab.environment)

    assert (before, jobs(lab, measured.drawn.order_id)) == (["todo"], ["succeeded"])
    assert len(reports(lab, measured.drawn.order_id)) == 1


# amended


def test_a_correction_amends_the_report_and_keeps_the_earlier(lab: Laboratory) -> None:
    measured = lab.measure()
    lab.settle()
    (first,) = reports(lab, measured.drawn.order_id)
    was = pdf(lab, first["id"])

    correct(lab, measured, "92")
    lab.settle()

    listed = reports(lab, measured.drawn.order_id)
    assert [(each["version"], each["status"], each["supersedes_id"]) for each in listed] == [
        (1, "final", None),
        (2, "amended", first["id"]),
    ]
    assert listed[0] == first
    assert pdf(lab, first["id"]) == was
    words = text_of(pdf(lab, listed[1]["id"]))
    assert "92" in words
    assert "85" in words, "what it was before"
    assert "dilution error" in words
    changes = [op for op, *_ in lab.ledger("reports", first["id"])]
    assert changes == ["I"], "the earlier version was never touched"


def test_a_correction_that_waits_for_its_authorisation_amends_nothing(lab: Laboratory) -> None:
    measured = lab.measure()
    lab.settle()

    lab.post(
        f"/v1/results/{measured.line()['id']}/correct", {"value_text": "92", "reason": "typing_error"}, by="technician"
    )
    lab.settle()

    assert len(reports(lab, measured.drawn.order_id)) == 1


def test_a_repeat_that_is_set_aside_amends_nothing(lab: Laboratory) -> None:
    measured = lab.measure()
    lab.settle()
    repeat = lab.observation("GLU", "88")
    lab.deliver(message(measured.drawn.accession, [repeat], measured.drawn.person.stated()))

    lab.post(f"/v1/results/{measured.line()['id']}/reject")
    lab.settle()

    assert len(reports(lab, measured.drawn.order_id)) == 1


def test_corrected_there_and_back_and_again_each_time_is_a_version(lab: Laboratory) -> None:
    """The fourth version says exactly what the second said."""
    measured = lab.measure()
    lab.settle()

    for value in ("92", "85", "92", "85"):
        correct(lab, measured, value)
        lab.settle()

    listed = reports(lab, measured.drawn.order_id)
    assert [each["version"] for each in listed] == [1, 2, 3, 4, 5]
    assert [each["supersedes_id"] for each in listed] == [None, *(each["id"] for each in listed[:-1])]


# for whom


@pytest.mark.req("12.4")
def test_a_report_with_a_restricted_test_needs_that_permission(lab: Laboratory) -> None:
    measured = lab.measure(RESTRICTED, "GLU", flags=("A",))
    ids = [measured.line(code)["id"] for code in (RESTRICTED, "GLU")]
    lab.post("/v1/results/authorise", {"result_ids": ids})
    lab.settle()
    (report,) = reports(lab, measured.drawn.order_id, by="reception")

    refused = lab.call("GET", f"/v1/reports/{report['id']}/pdf", by="reception")

    assert (refused.status_code, refused.json()["permission"]) == (403, Permission.RESTRICTED_READ)
    assert pdf(lab, report["id"]).startswith(b"%PDF-")
    rows = lab.rows("select distinct actor_id from lims.access_log where subject_id = %s", report["id"])
    assert rows == [(lab.users["pathologist"],)]


@pytest.mark.req("12.4")
def test_an_earlier_restricted_value_is_not_on_the_next_report(lab: Laboratory) -> None:
    person = lab.person()
    first, second = (lab.measure(RESTRICTED, "GLU", person=person, flags=("A",)) for _ in range(2))
    for measured in (first, second):
        ids = [measured.line(code)["id"] for code in (RESTRICTED, "GLU")]
        lab.post("/v1/results/authorise", {"result_ids": ids})

    with transaction(system(lab)) as session:
        found = gather(session, orders.get(session, second.drawn.order_id))

    assert set(found.previous) == {"GLU"}


@pytest.mark.req("12.6")
def test_who_opens_a_report_is_logged(lab: Laboratory) -> None:
    measured = lab.measure()
    lab.settle()
    (report,) = reports(lab, measured.drawn.order_id)

    assert lab.call("GET", f"/v1/reports/{report['id']}/pdf", by="reception").status_code == 200

    rows = lab.rows("select action, actor_id from lims.access_log where subject_id = %s", report["id"])
    assert rows == [("report.read", lab.users["reception"])]


def test_a_report_is_not_found_by_another_laboratory_nor_opened_without_the_permission(lab: Laboratory) -> None:
    measured = lab.measure()
    lab.settle()
    (report,) = reports(lab, measured.drawn.order_id)
    stranger = staff(lab.environment, organization(lab.environment), [Permission.REPORT_READ])

    answers = [
        lab.call("GET", f"/v1/reports/{report['id']}/pdf", by=stranger),
        lab.call("GET", f"/v1/orders/{measured.drawn.order_id}/reports", by=stranger),
        lab.call("GET", f"/v1/reports/{uuid4()}/pdf"),
        lab.call("GET", f"/v1/reports/{report['id']}/pdf", by="technician"),
        lab.call("GET", f"/v1/orders/{measured.drawn.order_id}/reports", by="technician"),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404, 403, 403]
    assert {answer.json()["permission"] for answer in answers[3:]} == {Permission.REPORT_READ}


def test_a_document_that_was_altered_on_the_disk_is_not_handed_out(lab: Laboratory) -> None:
    measured = lab.measure()
    lab.settle()
    (report,) = reports(lab, measured.drawn.order_id)
    (lies,) = _files_of(lab, measured.drawn.person.id)
    lies.write_bytes(lies.read_bytes()[:-1] + b"\x00\x01")

    answer = lab.call("GET", f"/v1/reports/{report['id']}/pdf")

    assert answer.status_code == 500
    assert answer.json()["type"].endswith("/file-altered")


def test_a_refused_release_leaves_no_report(lab: Laboratory) -> None:
    with pytest.raises(LimsError), transaction(system(lab)) as session:
        service.release(session, uuid4())
