"""Critical values: what waits for a call, and the call that is on record."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from lims_api.core.clock import utc_now
from lims_api.core.ids import uuid7
from lims_api.core.permissions import Permission
from lims_api.results import calls
from lims_api.results.models import CriticalCall
from tests.factories import organization, staff
from tests.integration.laboratory import RESTRICTED, Answer, Laboratory

WHO = "Dr Example Vasudha Wardone"
INFORMED: dict[str, Any] = {"outcome": "informed", "informed": WHO, "read_back": True}
NOT_REACHED: dict[str, Any] = {"outcome": "not_reached"}


def critical(lab: Laboratory, *, test: str = "GLU", **more: Any) -> str:
    """The id of a new critical result."""
    return str(lab.measure(test, values={test: "30"}, **more).line(test)["id"])


def call(lab: Laboratory, result_id: str, wanted: dict[str, Any], *, by: str = "technician", **more: Any) -> Answer:
    body = {"result_id": result_id, "called_at": utc_now().isoformat()} | wanted | more
    return lab.call("POST", "/v1/critical-calls", body, by=by)


def waiting(lab: Laboratory, *, by: str = "pathologist") -> list[str]:
    page = lab.get("/v1/critical-calls/waiting", by=by)
    found = [item["id"] for item in page["items"]]
    while page["next"]:
        page = lab.get(f"/v1/critical-calls/waiting?after={page['next']}", by=by)
        found += [item["id"] for item in page["items"]]
    return found


def slug(answer: Answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]


@pytest.mark.req("3.4.4")
def test_a_critical_value_waits_until_somebody_was_told(lab: Laboratory) -> None:
    first, second = critical(lab), critical(lab)
    usual = lab.measure().line()["id"]
    before = waiting(lab)

    tried = call(lab, first, NOT_REACHED)
    still = waiting(lab)
    told = call(lab, first, INFORMED)

    assert (tried.status_code, told.status_code) == (201, 201)
    assert [one for one in before if one in (first, second, usual)] == [first, second]
    assert first in still
    assert first not in waiting(lab)
    assert second in waiting(lab)


@pytest.mark.req("3.4.4")
def test_a_call_is_on_record_with_who_made_it(lab: Laboratory) -> None:
    result_id, call_id = critical(lab), str(uuid7())

    answer = call(lab, result_id, INFORMED, id=call_id)

    assert answer.json() == {"id": call_id}
    ((by, outcome, read_back, result),) = lab.rows(
        "select called_by_id, outcome, read_back, result_id from lims.critical_calls where id = %s", call_id
    )
    assert (by, outcome, read_back, str(result)) == (lab.users["technician"], "informed", True, result_id)
    ((name,),) = lab.rows("select name from lims.outbox where subject_id = %s", call_id)
    assert name == "critical.called"


@pytest.mark.req("4.4.1")
def test_who_was_told_opens_under_the_patients_key_and_stands_nowhere_in_clear(lab: Laboratory) -> None:
    result_id = critical(lab)
    call_id = call(lab, result_id, INFORMED).json()["id"]

    with lab.session() as session:
        row = session.get_one(CriticalCall, (lab.organization_id, call_id))
        opened = calls.opened(session, [row])

    assert opened == {row.id: WHO}
    everything = lab.rows(
        "select body from lims.ledger where row_id = %s union all select payload from lims.outbox where subject_id = %s"
        " union all select reply from lims.idempotency_keys union all select critical_calls::text"
        " from lims.critical_calls where id = %s", call_id, call_id, call_id,
    )  # fmt: skip
    told = [str(text) for (text,) in everything]
    assert len(told) >= 4
    assert not [text for text in told if "Vasudha" in text]
    assert b"Vasudha" not in bytes(row.informed_sealed or b"")


@pytest.mark.parametrize(
    "wanted",
    [
        {"outcome": "informed", "informed": WHO},
        {"outcome": "informed", "read_back": True},
        {"outcome": "informed", "informed": "  ", "read_back": True},
        {"outcome": "informed", "informed": "two\x00lines", "read_back": True},
        {"outcome": "not_reached", "informed": WHO},
        {"outcome": "not_reached", "read_back": True},
        {"outcome": "left_a_note"},
        INFORMED | {"called_at": "2026-11-24T10:00:00"},
        INFORMED | {"id": "0b0f5f0e-6f0a-4a0e-9d3c-1c2d3e4f5a6b"},
        INFORMED | {"informed": "x" * 201},
    ],
)
def test_whoever_was_told_read_it_back_and_nobody_else_is_named(lab: Laboratory, wanted: dict[str, Any]) -> None:
    result_id = critical(lab)

    answer = call(lab, result_id, wanted)

    assert slug(answer) == (422, "invalid-request")
    assert "Vasudha" not in answer.text
    assert result_id in waiting(lab)


def test_only_a_critical_value_is_called(lab: Laboratory) -> None:
    answer = call(lab, lab.measure().line()["id"], INFORMED)

    assert slug(answer) == (409, "not-critical")


def test_the_id_of_another_call_is_refused_and_another_laboratorys_is_free(lab: Laboratory) -> None:
    result_id, call_id = critical(lab), str(uuid7())
    call(lab, result_id, NOT_REACHED, id=call_id)

    answer = call(lab, result_id, INFORMED, id=call_id)

    assert slug(answer) == (409, "id-taken")
    assert result_id in waiting(lab)


def test_a_corrected_value_that_is_critical_waits_for_a_call_of_its_own(lab: Laboratory) -> None:
    first = critical(lab)
    call(lab, first, INFORMED)

    body = {"value_text": "28", "reason": "dilution_error"}
    second = lab.post(f"/v1/results/{first}/correct", body, by="technician")["id"]

    assert second in waiting(lab)
    assert first not in waiting(lab)


def test_what_was_rejected_waits_for_nobody(lab: Laboratory) -> None:
    result_id = critical(lab)

    lab.post(f"/v1/results/{result_id}/reject")

    assert result_id not in waiting(lab)
    assert call(lab, result_id, INFORMED).status_code == 201  # that it was told of stays a fact


@pytest.mark.req("12.4", "3.13.1")
def test_a_restricted_or_another_laboratorys_value_is_neither_listed_nor_called(lab: Laboratory) -> None:
    hidden, plain = critical(lab, test=RESTRICTED), critical(lab)
    stranger = staff(lab.environment, organization(lab.environment), tuple(Permission))

    assert hidden in waiting(lab)
    assert hidden not in waiting(lab, by="technician")
    assert plain in waiting(lab, by="technician")
    assert waiting(lab, by=stranger) == []
    assert slug(call(lab, hidden, INFORMED)) == (404, "unknown-result")
    assert slug(call(lab, plain, INFORMED, by=stranger)) == (404, "unknown-result")
    assert {hidden, plain} <= set(waiting(lab))


def test_no_role_changes_or_deletes_a_call(lab: Laboratory) -> None:
    call_id = call(lab, critical(lab), NOT_REACHED).json()["id"]

    for statement in ("update lims.critical_calls set read_back = true", "delete from lims.critical_calls"):
        for role in ("lims_app", "lims_system", "lims_importer"):
            with lab.environment.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())

    assert lab.rows("select read_back from lims.critical_calls where id = %s", call_id) == [(False,)]


def test_who_looks_at_the_list_is_logged(lab: Laboratory) -> None:
    result_id = critical(lab)

    waiting(lab, by="technician")

    rows = lab.rows(
        "select actor_id from lims.access_log a join lims.results r on r.patient_id = a.patient_id"
        " where r.id = %s and action = 'result.list'", result_id,
    )  # fmt: skip
    assert (lab.users["technician"],) in rows
