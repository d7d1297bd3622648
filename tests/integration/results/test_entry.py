"""Values that people type, and the technical validation of results."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from lims_api.catalogue import service as catalogue
from lims_api.catalogue.schemas import DefinitionIn
from lims_api.cli.seeding import ROLES
from lims_api.core.clock import utc_now
from lims_api.core.permissions import Permission
from lims_api.results.autoverification import Reason
from lims_api.specimens import service as specimens
from lims_api.specimens.models import RejectionReason
from tests.factories import organization, staff
from tests.integration.laboratory import RESTRICTED, UNAPPROVED, Answer, Drawn, Laboratory, message

NS1, SMEAR = "NS1E", "SMEARE"
BENCH = (*ROLES["technician"][1], Permission.RESULT_AUTHORISE)


@pytest.fixture(scope="module")
def second(lab: Laboratory) -> str:
    """The token of another technician."""
    return lab.someone(*ROLES["technician"][1])


@pytest.fixture(scope="module")
def words(lab: Laboratory) -> None:
    """A coded and a text test, approved."""
    like = lab.definitions["GLU"].model_dump() | {
        "unit": "", "intervals": [], "reportable_low": None, "reportable_high": None, "delta_limit_percent": None,
        "delta_window_days": None, "decimals": 0,
    }  # fmt: skip
    coded = like | {"code": NS1, "kind": "coded", "allowed_values": ["Negative", "Positive"]}
    tests = [DefinitionIn.model_validate(each) for each in (coded, like | {"code": SMEAR, "kind": "text"})]
    with lab.session("pathologist") as session:
        catalogue.approve_all(session, catalogue.add_versions(session, tests))


def ordered(lab: Laboratory, drawn: Drawn) -> dict[str, str]:
    rows = lab.rows("select test_code, id from lims.order_tests where order_id = %s", drawn.order_id)
    return {code: str(found) for code, found in rows}


def enter(lab: Laboratory, values: dict[str, str], *, by: str = "technician", ahead: timedelta | None = None) -> Answer:
    at = utc_now() - timedelta(minutes=1) + (ahead or timedelta())
    typed = [{"order_test_id": test, "value_text": text} for test, text in values.items()]
    return lab.call("POST", "/v1/results", {"values": typed, "measured_at": at.isoformat()}, by=by)


def entered(lab: Laboratory, value: str = "85", test: str = "GLU", **more: Any) -> tuple[Drawn, str]:
    """A drawn specimen and the id of the result that a technician typed for it."""
    drawn = lab.draw(test, **more)
    answer = enter(lab, {ordered(lab, drawn)[test]: value})
    assert answer.status_code == 201, answer.text
    return drawn, answer.json()["results"][0]["id"]


def verify(lab: Laboratory, *result_ids: str, by: str) -> Answer:
    return lab.call("POST", "/v1/results/verify", {"result_ids": list(result_ids)}, by=by)


def authorise(lab: Laboratory, *result_ids: str, by: str = "pathologist") -> Answer:
    return lab.call("POST", "/v1/results/authorise", {"result_ids": list(result_ids)}, by=by)


def slug(answer: Answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]


def line(lab: Laboratory, drawn: Drawn, code: str = "GLU") -> dict[str, Any]:
    return lab.lines(drawn.order_id)[code][-1]


# entering


@pytest.mark.req("3.4.7")
def test_a_typed_value_is_held_flagged_and_judged_by_the_intervals_of_its_person(lab: Laboratory) -> None:
    drawn = lab.draw("GLU", "K")
    measured = lab.measure("GLU", values={"GLU": "120"}, person=drawn.person)
    tests = ordered(lab, drawn)

    answer = enter(lab, {tests["K"]: "4.2", tests["GLU"]: " 120 "})

    assert answer.status_code == 201
    assert [(one["status"], one["version"]) for one in answer.json()["results"]] == [("held", 1)] * 2
    found, instrument = line(lab, drawn), measured.line()
    same = ("value", "unit", "flag", "reference_low", "reference_high", "loinc")
    assert {name: found[name] for name in same} == {name: instrument[name] for name in same}
    assert (found["value_text"], found["flag"]) == ("120", "H")
    assert found["reasons"] == [Reason.MANUAL_ENTRY, Reason.OUTSIDE_REFERENCE_INTERVAL]
    assert line(lab, drawn, "K")["id"] == answer.json()["results"][0]["id"]
    assert line(lab, drawn, "K")["reasons"] == [Reason.MANUAL_ENTRY]
    ((entry, by, analyser, age, sex),) = lab.rows(
        "select entry, entered_by_id, analyser_id, age_days, sex from lims.results where id = %s", found["id"]
    )
    assert (entry, by, analyser, sex) == ("manual", lab.users["technician"], None, "male")
    assert age > 41 * 365


@pytest.mark.req("3.4.7")
def test_the_pathologist_authorises_what_another_typed_and_the_order_ends(lab: Laboratory) -> None:
    drawn, result_id = entered(lab)
    resulted = lab.rows("select status from lims.order_tests where order_id = %s", drawn.order_id)

    answer = authorise(lab, result_id)

    assert answer.status_code == 200
    assert resulted == [("resulted",)]
    assert lab.get(f"/v1/orders/{drawn.order_id}")["status"] == "completed"


@pytest.mark.req("3.4.7", "3.12.6")
def test_who_typed_a_value_neither_verifies_nor_authorises_it(lab: Laboratory) -> None:
    both = lab.someone(*BENCH)
    drawn = lab.draw()
    result_id = enter(lab, {ordered(lab, drawn)["GLU"]: "85"}, by=both).json()["results"][0]["id"]

    answers = [verify(lab, result_id, by=both), authorise(lab, result_id, by=both)]

    assert [slug(answer) for answer in answers] == [(403, "own-entry")] * 2
    assert (line(lab, drawn)["status"], line(lab, drawn)["verified_at"]) == ("held", None)


@pytest.mark.parametrize(
    ("typed", "comparator", "value", "flag"),
    [("<0.5", "<", "0.5", "LL"), (">= 900", ">=", "900", "HH"), ("-1.5", None, "-1.5", "LL"), ("+90", None, "90", "N")],
)
def test_a_number_may_bear_a_comparator_as_analysers_send_it(
    lab: Laboratory, typed: str, comparator: str | None, value: str, flag: str
) -> None:
    drawn, result_id = entered(lab, typed)

    found = line(lab, drawn)

    assert (found["comparator"], found["value"], found["value_text"], found["flag"]) == (comparator, value, typed, flag)
    told = lab.rows("select name from lims.outbox where subject_id = %s", result_id)
    assert told == ([("result.critical",)] if flag in ("LL", "HH") else [])
    assert (Reason.CENSORED in found["reasons"]) == (comparator is not None)


@pytest.mark.parametrize(
    "typed",
    ["high", "NaN", "1e5", "1_000", "5,4", "5.4 mg/dL", "=5", "<<5", "< <5", "<", "9" * 20, "\x00", "٥٫٤"],  # noqa: RUF001
)
def test_what_is_not_a_number_is_refused_and_nothing_of_it_is_kept(lab: Laboratory, typed: str) -> None:
    drawn = lab.draw("GLU", "K")
    tests = ordered(lab, drawn)

    answer = enter(lab, {tests["K"]: "4.2", tests["GLU"]: typed})

    assert slug(answer) == (422, "not-a-number")
    assert lab.lines(drawn.order_id) == {}


def test_a_word_is_one_of_the_tests_values(lab: Laboratory, words: None) -> None:
    drawn = lab.draw(NS1)
    test = ordered(lab, drawn)[NS1]

    refused = enter(lab, {test: "positive"})
    taken = enter(lab, {test: "Positive"})

    assert slug(refused) == (422, "value-not-allowed")
    assert taken.status_code == 201
    assert (line(lab, drawn, NS1)["value_text"], line(lab, drawn, NS1)["value"]) == ("Positive", None)
    assert authorise(lab, taken.json()["results"][0]["id"]).status_code == 200


def test_a_text_is_not_typed_for_it_may_name_somebody(lab: Laboratory, words: None) -> None:
    drawn = lab.draw(SMEAR)

    answer = enter(lab, {ordered(lab, drawn)[SMEAR]: "Normocytic"})

    assert slug(answer) == (422, "value-not-allowed")
    assert lab.lines(drawn.order_id) == {}


def test_a_value_far_from_the_last_one_says_so(lab: Laboratory) -> None:
    before = lab.measure("CREA", values={"CREA": "0.9"})
    drawn = lab.draw("CREA", person=before.drawn.person)

    enter(lab, {ordered(lab, drawn)["CREA"]: "2.9"})

    assert before.line("CREA")["status"] == "authorised"
    assert Reason.DELTA_CHECK in line(lab, drawn, "CREA")["reasons"]
    ((evidence,),) = lab.rows("select evidence from lims.results where order_id = %s", drawn.order_id)
    assert json.loads(evidence)["delta_percent"] > 30


def test_a_time_that_is_still_to_come_is_told(lab: Laboratory) -> None:
    drawn = lab.draw()

    enter(lab, {ordered(lab, drawn)["GLU"]: "85"}, ahead=timedelta(hours=2))

    assert line(lab, drawn)["reasons"] == [Reason.MANUAL_ENTRY, Reason.CLOCK_OFFSET]


def test_an_unapproved_test_is_entered_and_stays_held(lab: Laboratory) -> None:
    drawn, result_id = entered(lab, "85", UNAPPROVED)

    assert Reason.UNAPPROVED_DEFINITION in line(lab, drawn, UNAPPROVED)["reasons"]
    assert slug(authorise(lab, result_id)) == (409, "not-authorisable")


def test_only_what_was_received_takes_a_result(lab: Laboratory) -> None:
    waiting, rejected = lab.draw(receive=False), lab.draw()
    with lab.session("technician") as session:
        specimens.reject(session, rejected.accession, reason=RejectionReason.CLOTTED, rejected_at=utc_now())

    answers = [enter(lab, {ordered(lab, drawn)["GLU"]: "85"}) for drawn in (waiting, rejected)]

    assert [slug(answer) for answer in answers] == [(409, "result-not-enterable")] * 2
    assert lab.lines(waiting.order_id) == lab.lines(rejected.order_id) == {}


def test_a_test_that_has_a_result_is_corrected_not_entered(lab: Laboratory) -> None:
    held, released = lab.measure(flags=("A",)), lab.measure()

    answers = [enter(lab, {ordered(lab, each.drawn)["GLU"]: "85"}) for each in (held, released)]

    assert [slug(answer) for answer in answers] == [(409, "result-exists")] * 2
    assert len(lab.lines(held.drawn.order_id)["GLU"]) == 1


def test_after_a_rejected_result_another_is_entered_as_its_next_version(lab: Laboratory) -> None:
    held = lab.measure(flags=("A",))
    lab.post(f"/v1/results/{held.line()['id']}/reject")

    answer = enter(lab, {ordered(lab, held.drawn)["GLU"]: "86"})

    assert answer.json()["results"][0]["version"] == 2
    assert Reason.REPEAT_MEASUREMENT in held.line()["reasons"]


def test_an_analysers_value_after_a_typed_one_is_a_repeat(lab: Laboratory) -> None:
    drawn, _ = entered(lab)

    lab.deliver(message(drawn.accession, [lab.observation("GLU", "86")], drawn.person.stated()))

    found = lab.lines(drawn.order_id)["GLU"]
    assert [(each["version"], each["status"]) for each in found] == [(1, "held"), (2, "held")]
    assert Reason.REPEAT_MEASUREMENT in found[1]["reasons"]


def test_two_who_type_one_value_at_once_make_one_result(lab: Laboratory, second: str) -> None:
    drawn = lab.draw()
    test = ordered(lab, drawn)["GLU"]

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda by: enter(lab, {test: "85"}, by=by), ("technician", second)))

    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert len(lab.lines(drawn.order_id)["GLU"]) == 1


@pytest.mark.req("12.4")
def test_a_restricted_test_takes_no_value_of_who_may_not_see_it(lab: Laboratory) -> None:
    drawn = lab.draw(RESTRICTED, "GLU")
    tests = ordered(lab, drawn)
    unknown = str(uuid4())

    answers = [enter(lab, {tests["GLU"]: "85", other: "85"}) for other in (tests[RESTRICTED], unknown)]

    assert [slug(answer) for answer in answers] == [(404, "unknown-order-test")] * 2
    assert answers[0].json()["detail"] == answers[1].json()["detail"]
    assert lab.lines(drawn.order_id) == {}
    seeing = lab.someone(Permission.RESULT_ENTER, Permission.RESTRICTED_READ)
    assert enter(lab, {tests[RESTRICTED]: "85"}, by=seeing).status_code == 201
    assert Reason.RESTRICTED_TEST in line(lab, drawn, RESTRICTED)["reasons"]


@pytest.mark.parametrize(
    "body",
    [
        {"values": [], "measured_at": "2026-11-24T10:00:00+05:30"},
        {"values": [{"order_test_id": "x", "value_text": "1"}], "measured_at": "2026-11-24T10:00:00+05:30"},
        {"values": [{"order_test_id": str(uuid4()), "value_text": ""}], "measured_at": "2026-11-24T10:00:00+05:30"},
        {"values": [{"order_test_id": str(uuid4()), "value_text": "1"}], "measured_at": "2026-11-24T10:00:00"},
        {"values": [{"order_test_id": str(UUID(int=7)), "value_text": "1"}] * 2,
         "measured_at": "2026-11-24T10:00:00+05:30"},
    ],
    ids=["none", "no id", "no value", "no offset", "one twice"],
)  # fmt: skip
def test_a_body_of_another_shape_is_refused(lab: Laboratory, body: dict[str, Any]) -> None:
    assert slug(lab.call("POST", "/v1/results", body, by="technician")) == (422, "invalid-request")


# verifying


@pytest.mark.req("3.4.7")
def test_another_person_verifies_and_it_stands_on_the_result(lab: Laboratory, second: str) -> None:
    drawn, result_id = entered(lab)

    answer = verify(lab, result_id, by="pathologist")

    assert answer.json() == {"results": [{"id": result_id, "status": "held", "version": 1}]}
    found = line(lab, drawn)
    assert (found["verified_by_id"], found["verified_at"] is not None) == (str(lab.users["pathologist"]), True)
    detail = lab.get(f"/v1/results/{result_id}")["result"]
    assert detail["verified_by_id"] == str(lab.users["pathologist"])
    told = lab.rows("select payload from lims.outbox where name = 'result.verified' and subject_id = %s", result_id)
    assert [json.loads(row[0]) for row in told] == [{"order_id": str(drawn.order_id), "test_code": "GLU"}]
    assert slug(verify(lab, result_id, by=second)) == (409, "not-verifiable")
    assert authorise(lab, result_id).status_code == 200


def test_all_are_verified_or_none(lab: Laboratory) -> None:
    held, released = lab.measure(flags=("A",)), lab.measure()

    answer = verify(lab, held.line()["id"], released.line()["id"], by="technician")

    assert slug(answer) == (409, "result-not-held")
    assert held.line()["verified_at"] is None
    assert slug(verify(lab, held.line()["id"], str(uuid4()), by="technician")) == (404, "unknown-result")
    assert held.line()["verified_at"] is None


def test_two_who_verify_at_once_verify_once(lab: Laboratory, second: str) -> None:
    result_id = lab.measure(flags=("A",)).line()["id"]

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda by: verify(lab, result_id, by=by), ("technician", second)))

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    told = lab.rows("select count(*) from lims.outbox where name = 'result.verified' and subject_id = %s", result_id)
    assert told == [(1,)]


def test_a_correction_starts_unverified(lab: Laboratory) -> None:
    held = lab.measure(flags=("A",))
    verify(lab, held.line()["id"], by="technician")

    body = {"value_text": "91", "reason": "dilution_error"}
    lab.post(f"/v1/results/{held.line()['id']}/correct", body, by="technician")

    assert (held.line()["version"], held.line()["verified_at"]) == (2, None)


def test_a_result_of_a_rejected_specimen_is_not_verified(lab: Laboratory) -> None:
    held = lab.measure(flags=("A",))
    with lab.session("technician") as session:
        specimens.reject(session, held.drawn.accession, reason=RejectionReason.CLOTTED, rejected_at=utc_now())

    assert slug(verify(lab, held.line()["id"], by="technician")) == (409, "not-verifiable")


@pytest.mark.req("12.4", "3.13.1")
def test_a_restricted_or_another_laboratorys_result_is_verified_by_nobody_who_may_not_see_it(lab: Laboratory) -> None:
    held = lab.measure(RESTRICTED, flags=("A",))
    stranger = staff(lab.environment, organization(lab.environment), tuple(Permission))

    answers = [verify(lab, held.line(RESTRICTED)["id"], by=by) for by in ("technician", stranger)]

    assert [slug(answer) for answer in answers] == [(404, "unknown-result")] * 2
    assert held.line(RESTRICTED)["verified_at"] is None
