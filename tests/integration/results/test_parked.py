"""Parked observations: a person sets them aside with a reason, once, and they stay on record."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from lims_api.core.permissions import Permission
from tests.factories import organization, staff
from tests.integration.laboratory import Answer, Laboratory, message


def parked(lab: Laboratory) -> str:
    """The id of a new observation of a specimen that nobody knows."""
    control_id = uuid4().hex
    lab.deliver(message("NOBODY", [lab.observation("GLU")], control_id=control_id))
    ((found,),) = lab.rows(
        "select p.id from lims.parked_observations p join lims.instrument_messages m on m.id = p.message_id"
        " where m.control_id = %s", control_id,
    )  # fmt: skip
    return str(found)


def set_aside(lab: Laboratory, parked_id: str, reason: str = "not_ours", *, by: str = "technician") -> Answer:
    return lab.call("POST", f"/v1/parked/{parked_id}/set-aside", {"reason": reason}, by=by)


def slug(answer: Answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]


def listed(lab: Laboratory) -> set[str]:
    return {item["id"] for item in lab.parked()}


@pytest.mark.req("0.5")
def test_what_is_set_aside_leaves_the_list_and_stays_on_record(lab: Laboratory) -> None:
    parked_id = parked(lab)
    before = listed(lab)

    answer = set_aside(lab, parked_id, "wrong_barcode")

    assert answer.status_code == 200
    assert (answer.json()["id"], answer.json()["resolution"]) == (parked_id, "wrong_barcode")
    assert parked_id in before
    assert parked_id not in listed(lab)
    first, second = lab.ledger("parked_observations", parked_id)
    assert (first[0], second[0], second[3]) == ("I", "U", lab.users["technician"])
    assert second[1]["resolved_by_id"] == str(lab.users["technician"])
    assert second[1]["observation_sealed"] == first[1]["observation_sealed"]
    told = lab.rows("select name, payload from lims.outbox where subject_id = %s", parked_id)
    assert [(name, json.loads(payload)) for name, payload in told] == [
        ("observation.set_aside", {"resolution": "wrong_barcode"})
    ]


def test_twice_is_a_conflict_and_the_first_word_stands(lab: Laboratory) -> None:
    parked_id = parked(lab)
    set_aside(lab, parked_id, "duplicate")

    answer = set_aside(lab, parked_id, "not_ours")

    assert slug(answer) == (409, "already-set-aside")
    assert answer.json()["resolution"] == "duplicate"
    assert lab.rows("select resolution from lims.parked_observations where id = %s", parked_id) == [("duplicate",)]


def test_two_at_once_set_it_aside_once(lab: Laboratory) -> None:
    parked_id = parked(lab)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda reason: set_aside(lab, parked_id, reason), ("duplicate", "not_ours")))

    assert sorted(answer.status_code for answer in answers) == [200, 409]


@pytest.mark.parametrize("reason", ["", "Mr Sharma said so", "none"])
def test_a_reason_is_one_of_the_codes(lab: Laboratory, reason: str) -> None:
    parked_id = parked(lab)

    assert slug(set_aside(lab, parked_id, reason)) == (422, "invalid-request")
    assert parked_id in listed(lab)


@pytest.mark.req("3.13.1")
def test_another_laboratorys_does_not_exist(lab: Laboratory) -> None:
    parked_id = parked(lab)
    stranger = staff(lab.environment, organization(lab.environment), tuple(Permission))

    assert slug(set_aside(lab, parked_id, by=stranger)) == (404, "unknown-parked-observation")
    assert slug(set_aside(lab, str(uuid4()))) == (404, "unknown-parked-observation")
    assert parked_id in listed(lab)
