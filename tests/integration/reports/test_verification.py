"""Whoever holds a report learns by its code whether it is ours and still stands, and nothing about the person."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.integration.laboratory import Answer, Laboratory, Measured
from tests.integration.reports.test_reports import correct, reports

STANDS, REPLACED, IN_QUESTION, UNKNOWN = "its newest version", "Replaced", "looking at a result", "Report not found"


def scan(lab: Laboratory, order_id: UUID, version: int = 1) -> Answer:
    """What a phone without a session gets for the code of a version."""
    ((code,),) = lab.rows(
        "select verification_code from lims.reports where order_id = %s and version = %s", order_id, version
    )
    answer: Answer = lab.client.get(f"/verify/{code}")
    return answer


def released(lab: Laboratory) -> Measured:
    measured = lab.measure()
    lab.settle()
    return measured


def test_a_report_that_stands_is_confirmed_with_what_is_printed_on_it(lab: Laboratory) -> None:
    measured = released(lab)
    (report,) = reports(lab, measured.drawn.order_id)
    ((number,),) = lab.rows("select order_number from lims.orders where id = %s", measured.drawn.order_id)

    answer = scan(lab, measured.drawn.order_id)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert STANDS in answer.text
    assert f"{number}/1" in answer.text
    assert report["sha256"] in answer.text
    assert "EXAMPLE" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_it_tells_neither_the_person_nor_a_result(lab: Laboratory) -> None:
    measured = released(lab)
    person, line = measured.drawn.person, measured.line()

    page = scan(lab, measured.drawn.order_id).text

    told = [person.name, *person.name.split(), person.uhid, str(person.id), line["id"], "GLU", "Glucose", "mg/dL"]
    assert [word for word in told if word in page] == []


def test_a_correction_puts_the_report_in_question_and_then_replaces_it(lab: Laboratory) -> None:
    measured = released(lab)
    order_id = measured.drawn.order_id
    body = {"value_text": "91", "reason": "dilution_error"}
    corrected = lab.post(f"/v1/results/{measured.line()['id']}/correct", body, by="technician")

    waiting = scan(lab, order_id).text
    lab.post("/v1/results/authorise", {"result_ids": [corrected["id"]]})
    before_the_amended_report = scan(lab, order_id).text
    lab.settle()

    for page in (waiting, before_the_amended_report):
        assert IN_QUESTION in page
        assert STANDS not in page
    first, second = scan(lab, order_id).text, scan(lab, order_id, 2).text
    assert REPLACED in first
    assert STANDS not in first
    assert STANDS in second


def test_a_correction_back_again_leaves_only_the_last_version_standing(lab: Laboratory) -> None:
    measured = released(lab)
    for value in ("91", "85"):
        correct(lab, measured, value)
        lab.settle()

    pages = [scan(lab, measured.drawn.order_id, version).text for version in (1, 2, 3)]

    assert [STANDS in page for page in pages] == [False, False, True]


def test_a_correction_to_the_same_value_leaves_one_version_standing(lab: Laboratory) -> None:
    measured = released(lab)
    correct(lab, measured, "85")
    lab.settle()

    versions = range(1, 1 + len(reports(lab, measured.drawn.order_id)))

    assert [STANDS in scan(lab, measured.drawn.order_id, version).text for version in versions][-1]


@pytest.mark.parametrize(
    "code", ["AAAAAAAAAAAAAAAA", "x", "a" * 400, "%00", "' or '1'='1", "<script>alert(1)", "%25%25%25%25"]
)
def test_another_code_is_no_report_of_ours_and_is_not_repeated_on_the_page(lab: Laboratory, code: str) -> None:
    answer = lab.client.get(f"/verify/{code}")

    assert answer.status_code == 404
    assert "script" not in answer.text


def test_an_unknown_code_says_what_to_do(lab: Laboratory) -> None:
    answer = lab.client.get("/verify/AAAAAAAAAAAAAAAA")

    assert UNKNOWN in answer.text
    assert "ask the laboratory" in answer.text
