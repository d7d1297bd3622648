"""What people do with results: authorise, set aside, correct; and what each of it means for the order."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from lims_api.catalogue import service as catalogue
from lims_api.cli.seeding import ROLES
from lims_api.core.clock import utc_now
from lims_api.core.permissions import Permission
from lims_api.equipment import service as equipment
from lims_api.orders import service as orders
from lims_api.orders.schemas import OrderIn
from lims_api.results import service
from lims_api.results.autoverification import RULES_VERSION, Reason
from lims_api.specimens import service as specimens
from lims_api.specimens.models import RejectionReason
from tests.integration.laboratory import RESTRICTED, UNAPPROVED, Answer, Drawn, Laboratory, Measured, message

SMALL = ("GLU", "CREA", "K")
FLAGGED: dict[str, Any] = {"flags": ("A",)}
"""A reason to hold that a person may overrule."""


@pytest.fixture(scope="module")
def second(lab: Laboratory) -> str:
    """The token of another pathologist."""
    return lab.someone(*ROLES["pathologist"][1], full_name="Dr Second Example")


def authorise(lab: Laboratory, *result_ids: str, by: str = "pathologist") -> Answer:
    return lab.call("POST", "/v1/results/authorise", {"result_ids": list(result_ids)}, by=by)


def correct(lab: Laboratory, result_id: str, value: str = "90", *, by: str = "technician", **more: Any) -> Answer:
    body = {"value_text": value, "reason": "dilution_error"} | more
    return lab.call("POST", f"/v1/results/{result_id}/correct", body, by=by)


def reject(lab: Laboratory, result_id: str, *, by: str = "pathologist") -> Answer:
    return lab.call("POST", f"/v1/results/{result_id}/reject", by=by)


def slug(answer: Answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]


def of_order(lab: Laboratory, measured: Measured) -> tuple[str, dict[str, str]]:
    """The order's state and its tests'."""
    rows = lab.rows("select test_code, status from lims.order_tests where order_id = %s", measured.drawn.order_id)
    return lab.get(f"/v1/orders/{measured.drawn.order_id}")["status"], dict(rows)


def again(lab: Laboratory, measured: Measured, value: str = "88", **changed: Any) -> dict[str, Any]:
    """Another measurement of the specimen's glucose; its line."""
    observed = lab.observation("GLU", value, observed_at=utc_now(), **changed)
    lab.deliver(message(measured.drawn.accession, [observed], measured.drawn.person.stated()))
    return measured.line()


# authorising


def test_a_pathologist_authorises_what_was_held(lab: Laboratory) -> None:
    held = lab.measure(**FLAGGED)
    result_id = held.line()["id"]
    before = of_order(lab, held)

    answer = authorise(lab, result_id)

    assert answer.status_code == 200
    assert answer.json() == {"results": [{"id": result_id, "status": "authorised", "version": 1}]}
    line = held.line()
    assert (line["status"], line["is_automatic"], line["reasons"]) == ("authorised", False, [Reason.INSTRUMENT_FLAG])
    assert before == ("placed", {"GLU": "resulted"})
    assert of_order(lab, held) == ("completed", {"GLU": "authorised"})
    _, change = lab.ledger("results", result_id)
    assert (change[0], change[2]["status"], change[3]) == ("U", "held", lab.users["pathologist"])
    assert change[1]["signatory_id"] == change[1]["authorised_by_id"] == str(lab.users["pathologist"])
    told = lab.rows("select name from lims.outbox where subject_id in (%s, %s) order by seq", result_id,
                    held.drawn.order_id)  # fmt: skip
    assert [name for (name,) in told] == ["order.placed", "result.authorised", "order.completed"]


def test_all_are_authorised_or_none(lab: Laboratory) -> None:
    held, released = lab.measure(**FLAGGED), lab.measure()

    answer = authorise(lab, held.line()["id"], released.line()["id"])

    assert slug(answer) == (409, "result-not-held")
    assert answer.json()["status_now"] == "authorised"
    assert held.line()["status"] == "held"
    assert of_order(lab, held) == ("placed", {"GLU": "resulted"})


def test_an_unknown_one_among_them_authorises_none(lab: Laboratory) -> None:
    held = lab.measure(**FLAGGED)

    answer = authorise(lab, held.line()["id"], str(uuid4()))

    assert slug(answer) == (404, "unknown-result")
    assert held.line()["status"] == "held"


@pytest.mark.parametrize(
    "wrong",
    [{"value_text": "HAEMOLYSED", "value": None}, {"unit": "mmol/L"}, {"unit": None}],
    ids=["no number", "another unit", "no unit"],
)
def test_what_has_no_number_or_another_unit_is_corrected_first(lab: Laboratory, wrong: dict[str, Any]) -> None:
    held = lab.measure(**wrong)
    first = held.line()["id"]

    assert slug(authorise(lab, first)) == (409, "not-authorisable")
    assert held.line()["status"] == "held"

    corrected = correct(lab, first, "91").json()["id"]
    assert authorise(lab, corrected).status_code == 200
    assert (held.line()["value"], held.line()["unit"], held.line()["status"]) == ("91", "mg/dL", "authorised")


@pytest.mark.req("3.12.6")
def test_who_entered_a_value_may_not_authorise_it(lab: Laboratory, second: str) -> None:
    held = lab.measure(**FLAGGED)
    entered = correct(lab, held.line()["id"], by="pathologist").json()["id"]

    own = authorise(lab, entered, by="pathologist")
    another = authorise(lab, entered, by=second)

    assert slug(own) == (403, "own-entry")
    assert another.status_code == 200


@pytest.mark.req("3.12.6")
def test_nor_among_others(lab: Laboratory, second: str) -> None:
    own, others = lab.measure(**FLAGGED), lab.measure(**FLAGGED)
    entered = correct(lab, own.line()["id"], by="pathologist").json()["id"]

    assert slug(authorise(lab, others.line()["id"], entered, by="pathologist")) == (403, "own-entry")

    assert others.line()["status"] == "held"
    assert authorise(lab, others.line()["id"], entered, by=second).status_code == 200


def test_two_pathologists_at_once_authorise_once(lab: Laboratory, second: str) -> None:
    result_id = lab.measure(**FLAGGED).line()["id"]

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda by: authorise(lab, result_id, by=by), ("pathologist", second)))

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    told = lab.rows("select count(*) from lims.outbox where name = 'result.authorised' and subject_id = %s", result_id)
    assert told == [(1,)]


def test_two_that_authorise_the_last_two_tests_of_an_order_at_once_complete_it(lab: Laboratory) -> None:
    """Of two specimens, so that nothing but the order is shared: each would see the other's test as open."""
    drawn = _in_two_containers(lab)
    ids = {code: lines[0]["id"] for code, lines in lab.lines(drawn[0].order_id).items()}
    with ThreadPoolExecutor(1) as pool:
        with lab.session("pathologist") as first:
            service.authorise(first, [UUID(ids["GLU"])])
            later = pool.submit(authorise, lab, ids["FPG"])
            waited = _waits(lab)
        answer = later.result(timeout=30)

    assert waited
    assert answer.status_code == 200
    assert lab.get(f"/v1/orders/{drawn[0].order_id}")["status"] == "completed"


def _in_two_containers(lab: Laboratory) -> list[Drawn]:
    """One order of two tests that need different tubes, both measured and held."""
    fluoride = lab.definitions["GLU"].model_copy(update={"code": "FPG", "container": "Fluoride 2 mL"})
    person, now = lab.person(), utc_now()
    with lab.session("pathologist") as session:
        catalogue.add_version(session, fluoride)
        catalogue.approve(session, "FPG")
        equipment.map_code(session, lab.analyser, "FPG", test_code="FPG", unit_sent=fluoride.unit)
        wanted = OrderIn(patient_id=person.id, site_id=lab.site_id, tests=["GLU", "FPG"])
        order = orders.place(session, wanted)
        session.flush()
        drawn = []
        for specimen, tests in specimens.collect(session, order.id, collected_at=now - timedelta(minutes=20)):
            specimens.receive(session, specimen.accession_number, received_at=now)
            drawn.append(Drawn(order.id, person, specimen.accession_number, tuple(tests)))
    for each in drawn:
        observed = [lab.observation(code, "85", flags=("A",)) for code in each.tests]
        lab.deliver(message(each.accession, observed, person.stated()))
    assert len(drawn) == 2
    return drawn


def _waits(lab: Laboratory) -> bool:
    """Until some session waits for a lock; False after five seconds."""
    for _ in range(250):
        waiting = lab.rows(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        )
        if waiting[0][0]:
            return True
        time.sleep(0.02)
    return False


def test_authorising_again_under_one_key_is_the_same_reply(lab: Laboratory) -> None:
    body = {"result_ids": [lab.measure(**FLAGGED).line()["id"]]}
    key = str(uuid4())

    first, second = (lab.call("POST", "/v1/results/authorise", body, key=key) for _ in range(2))

    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert second.headers["idempotent-replay"] == "true"


# setting aside


def test_a_result_set_aside_stays_on_record_and_its_test_waits_for_another(lab: Laboratory) -> None:
    held = lab.measure(**FLAGGED)
    result_id = held.line()["id"]

    answer = reject(lab, result_id)

    assert answer.json() == {"id": result_id, "status": "rejected", "version": 1}
    assert of_order(lab, held) == ("placed", {"GLU": "ordered"})
    assert slug(reject(lab, result_id)) == (409, "result-not-held")
    assert slug(authorise(lab, result_id)) == (409, "result-not-held")
    second = again(lab, held)
    assert (second["version"], second["status"]) == (2, "held")
    assert authorise(lab, second["id"]).status_code == 200
    assert of_order(lab, held) == ("completed", {"GLU": "authorised"})


def test_a_repeat_set_aside_leaves_the_first_valid_and_lets_the_order_end(lab: Laboratory) -> None:
    measured = lab.measure(*SMALL)
    repeat = again(lab, measured)
    waiting = of_order(lab, measured)

    assert reject(lab, repeat["id"]).status_code == 200

    assert waiting[1]["GLU"] == "resulted"
    assert of_order(lab, measured)[1] == dict.fromkeys(SMALL, "authorised")
    assert of_order(lab, measured)[0] == "completed"
    assert [line["status"] for line in lab.lines(measured.drawn.order_id)["GLU"]] == ["authorised", "rejected"]


def test_an_order_ends_when_the_repeat_that_it_waited_for_is_set_aside(lab: Laboratory) -> None:
    drawn = lab.draw("GLU", "CREA")
    measured = Measured(lab, drawn)
    lab.deliver(message(drawn.accession, [lab.observation("GLU")], drawn.person.stated()))
    repeat = again(lab, measured)
    lab.deliver(message(drawn.accession, [lab.observation("CREA", flags=("A",))], drawn.person.stated()))
    authorise(lab, measured.line("CREA")["id"])
    before = of_order(lab, measured)

    reject(lab, repeat["id"])

    assert before == ("placed", {"GLU": "resulted", "CREA": "authorised"})
    assert of_order(lab, measured)[0] == "completed"


def test_of_two_measurements_one_is_chosen(lab: Laboratory) -> None:
    drawn = lab.draw()
    twice = [lab.observation("GLU", value, run=value) for value in ("85", "88")]
    lab.deliver(message(drawn.accession, twice, drawn.person.stated()))
    measured = Measured(lab, drawn)
    first, second = lab.lines(drawn.order_id)["GLU"]

    reject(lab, first["id"])
    authorise(lab, second["id"])

    assert [line["status"] for line in lab.lines(drawn.order_id)["GLU"]] == ["rejected", "authorised"]
    assert of_order(lab, measured) == ("completed", {"GLU": "authorised"})


def test_of_two_measurements_both_authorised_the_later_version_is_current(lab: Laboratory) -> None:
    drawn = lab.draw()
    twice = [lab.observation("GLU", value, run=value) for value in ("85", "88")]
    lab.deliver(message(drawn.accession, twice, drawn.person.stated()))
    first, second = lab.lines(drawn.order_id)["GLU"]

    authorise(lab, first["id"])
    authorise(lab, second["id"])

    assert [(line["value"], line["status"]) for line in lab.lines(drawn.order_id)["GLU"]] == [("88", "authorised")]


# correcting


@pytest.mark.req("12.6")
def test_a_correction_is_a_new_version_and_the_old_is_valid_until_it_is_authorised(lab: Laboratory) -> None:
    measured = lab.measure()
    old = measured.line()["id"]

    answer = correct(lab, old, "92", comment="Dilution was entered twice")
    between = [(line["value"], line["status"]) for line in lab.lines(measured.drawn.order_id)["GLU"]]
    authorise(lab, answer.json()["id"])

    assert answer.status_code == 201
    assert answer.json() == {"id": answer.json()["id"], "status": "held", "version": 2}
    assert between == [("85", "authorised"), ("92", "held")]
    assert [(line["value"], line["status"]) for line in lab.lines(measured.drawn.order_id)["GLU"]] == [
        ("92", "authorised")
    ]
    rows = lab.rows(
        "select version, value, status, corrects_id, entry, entered_by_id, correction_reason, is_automatic"
        " from lims.results where order_id = %s order by version",
        measured.drawn.order_id,
    )
    assert [row[:3] for row in rows] == [(1, 85, "superseded"), (2, 92, "authorised")]
    assert rows[1][3:] == (UUID(old), "manual", lab.users["technician"], "dilution_error", False)


def test_the_ledger_tells_the_whole_story_of_a_correction(lab: Laboratory) -> None:
    measured = lab.measure()
    old = measured.line()["id"]
    new = correct(lab, old, "92", comment="Dilution was entered twice").json()["id"]
    authorise(lab, new)

    of_old, of_new = lab.ledger("results", old), lab.ledger("results", new)

    assert [(op, after["status"], actor) for op, after, _, actor in of_old] == [
        ("I", "authorised", lab.users["gateway"]),
        ("U", "superseded", lab.users["pathologist"]),
    ]
    assert [(op, after["status"], after["value"], actor) for op, after, _, actor in of_new] == [
        ("I", "held", 92, lab.users["technician"]),
        ("U", "authorised", 92, lab.users["pathologist"]),
    ]
    assert of_new[0][1]["comment_sealed"].startswith("\\x01")
    told = lab.rows("select payload from lims.outbox where name = 'result.corrected' and subject_id = %s", new)
    assert [json.loads(row[0])["replaces_id"] for row in told] == [old]


def test_a_correction_keeps_what_the_first_was_judged_by(lab: Laboratory) -> None:
    measured = lab.measure()

    authorise(lab, correct(lab, measured.line()["id"], "30").json()["id"])

    line = measured.line()
    assert (line["flag"], line["reference_low"], line["reference_high"], line["unit"]) == ("LL", "70", "100", "mg/dL")


def test_a_correction_of_what_was_held_takes_its_place_at_once(lab: Laboratory) -> None:
    held = lab.measure(**FLAGGED)

    correct(lab, held.line()["id"], "92")

    assert [(line["value"], line["status"]) for line in lab.lines(held.drawn.order_id)["GLU"]] == [("92", "held")]


def test_a_correction_that_was_set_aside_leaves_the_old_and_may_be_made_again(lab: Laboratory) -> None:
    measured = lab.measure()
    first = measured.line()["id"]

    reject(lab, correct(lab, first, "92").json()["id"])
    answer = correct(lab, first, "93")
    authorise(lab, answer.json()["id"])

    assert answer.json()["version"] == 3
    assert [(line["value"], line["status"]) for line in lab.lines(measured.drawn.order_id)["GLU"]] == [
        ("92", "rejected"),
        ("93", "authorised"),
    ]
    assert of_order(lab, measured) == ("completed", {"GLU": "authorised"})


def test_only_the_newest_version_is_corrected(lab: Laboratory) -> None:
    measured = lab.measure()
    old = measured.line()["id"]
    new = correct(lab, old, "92").json()["id"]

    waiting = correct(lab, old, "93")
    authorise(lab, new)
    superseded = correct(lab, old, "93")

    assert slug(waiting) == slug(superseded) == (409, "result-not-correctable")
    assert correct(lab, new, "93").status_code == 201


def test_two_corrections_at_once_are_one(lab: Laboratory) -> None:
    old = lab.measure().line()["id"]

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda value: correct(lab, old, value), ("92", "93")))

    assert sorted(answer.status_code for answer in answers) == [201, 409]


@pytest.mark.parametrize(
    "typed",
    ["", "high", "NaN", "Infinity", "1e999", "1E5", "1_000", "5,4", "<5", "٥٫٤", "9" * 20, "5.4 mg/dL", "\x00"],  # noqa: RUF001
)
def test_a_corrected_value_is_a_plain_number(lab: Laboratory, typed: str) -> None:
    measured = lab.measure()

    answer = correct(lab, measured.line()["id"], typed)

    assert answer.status_code == 422
    assert slug(answer)[1] in ("not-a-number", "invalid-request")
    assert len(lab.lines(measured.drawn.order_id)["GLU"]) == 1


@pytest.mark.parametrize("reason", ["", "typing error", "Mr Sharma called", "x" * 41])
def test_a_reason_is_a_code(lab: Laboratory, reason: str) -> None:
    assert slug(correct(lab, lab.measure().line()["id"], reason=reason)) == (422, "invalid-request")


def test_a_result_of_a_specimen_that_was_rejected_is_not_authorised(lab: Laboratory) -> None:
    held = lab.measure(**FLAGGED)
    with lab.session("technician") as session:
        specimens.reject(session, held.drawn.accession, reason=RejectionReason.HAEMOLYSED, rejected_at=utc_now())

    assert slug(authorise(lab, held.line()["id"])) == (409, "not-authorisable")
    assert reject(lab, held.line()["id"]).status_code == 200
    assert of_order(lab, held) == ("placed", {"GLU": "ordered"})


# restricted tests


@pytest.mark.req("12.4")
def test_a_restricted_result_does_not_exist_for_who_may_not_see_it(lab: Laboratory) -> None:
    """By every route that shows or touches a result: the order, the worklist, the detail, and each act on it."""
    mere = {"pathologist": ROLES["pathologist"][1] - {Permission.RESTRICTED_READ}}
    unprivileged = lab.someone(*mere["pathologist"])
    held = lab.measure(RESTRICTED, "GLU", **FLAGGED)
    hidden, plain = held.line(RESTRICTED)["id"], held.line()["id"]
    unknown = str(uuid4())

    seen = lab.lines(held.drawn.order_id, by=unprivileged)
    detail = lab.call("GET", f"/v1/results/{hidden}", by=unprivileged)
    acts = [
        authorise(lab, hidden, by=unprivileged),
        authorise(lab, plain, hidden, by=unprivileged),
        reject(lab, hidden, by=unprivileged),
        correct(lab, hidden, by=unprivileged),
        correct(lab, hidden, by="technician"),
    ]

    assert list(seen) == ["GLU"]
    assert hidden not in _held_ids(lab, unprivileged)
    assert {hidden, plain} <= _held_ids(lab, "pathologist")
    assert detail.json() | {"instance": ""} == lab.call("GET", f"/v1/results/{unknown}", by=unprivileged).json() | {
        "instance": ""
    }
    assert [slug(each) for each in acts] == [(404, "unknown-result")] * 5
    assert held.line(RESTRICTED)["status"] == held.line()["status"] == "held"
    assert lab.call("GET", f"/v1/results/{hidden}").status_code == 200
    assert authorise(lab, hidden).status_code == 200


def _held_ids(lab: Laboratory, by: str) -> set[str]:
    page = lab.get("/v1/results/held", by=by)
    ids = {item["id"] for item in page["items"]}
    while page["next"]:
        page = lab.get(f"/v1/results/held?after={page['next']}", by=by)
        ids |= {item["id"] for item in page["items"]}
    return ids


@pytest.mark.req("12.4")
def test_nobody_signs_for_automatic_release_of_a_restricted_test(lab: Laboratory) -> None:
    body = {
        "rules_version": RULES_VERSION, "model_version": "7", "test_codes": ["GLU", RESTRICTED],
        "valid_to": (utc_now() + timedelta(days=1)).isoformat(),
    }  # fmt: skip

    answer = lab.call("POST", "/v1/standing-authorisations", body)

    assert slug(answer) == (422, "authorisation-refused")
    assert answer.json()["test"] == RESTRICTED


# signing, looking


@pytest.mark.req("12.1")
@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"rules_version": "0"}, (422, "authorisation-refused")),
        ({"valid_to": (utc_now() - timedelta(seconds=1)).isoformat()}, (422, "authorisation-refused")),
        ({"test_codes": ["NONE"]}, (404, "unknown-test")),
        ({"test_codes": []}, (422, "invalid-request")),
        ({"valid_to": "2027-01-01T00:00:00"}, (422, "invalid-request")),
    ],
)
def test_what_cannot_be_signed(lab: Laboratory, changed: dict[str, Any], refusal: tuple[int, str]) -> None:
    body = {
        "rules_version": RULES_VERSION, "model_version": "7", "test_codes": ["GLU"],
        "valid_to": (utc_now() + timedelta(days=1)).isoformat(),
    } | changed  # fmt: skip

    assert slug(lab.call("POST", "/v1/standing-authorisations", body)) == refusal


@pytest.mark.req("12.1")
def test_a_signature_is_its_signatorys_act_on_record(lab: Laboratory) -> None:
    body = {
        "rules_version": RULES_VERSION, "model_version": "to be", "test_codes": ["K", "GLU", "K"],
        "valid_to": (utc_now() + timedelta(days=1)).isoformat(),
    }  # fmt: skip

    signed = lab.post("/v1/standing-authorisations", body)

    assert signed["signatory_id"] == str(lab.users["pathologist"])
    ((op, after, _, actor),) = lab.ledger("standing_authorisations", signed["id"])
    assert (op, actor, after["test_codes"]) == ("I", lab.users["pathologist"], ["GLU", "K"])
    assert after["signed_at"] is not None
    assert lab.call("POST", "/v1/standing-authorisations", body, by="technician").json()["permission"] == (
        "authorisation:sign"
    )


def test_the_worklist_holds_what_waits_oldest_first_page_by_page(lab: Laboratory) -> None:
    drawn = lab.draw()
    runs = [lab.observation("GLU", run=str(place)) for place in range(120)]
    lab.deliver(message(drawn.accession, runs, drawn.person.stated()))

    first = lab.get("/v1/results/held")
    second = lab.get(f"/v1/results/held?after={first['next']}")

    ids = [item["id"] for item in first["items"] + second["items"]]
    assert len(first["items"]) == 100
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids) >= 120


@pytest.mark.req("12.6")
def test_who_looks_at_results_is_logged(lab: Laboratory) -> None:
    held = lab.measure(**FLAGGED)
    result_id = held.line()["id"]

    lab.get(f"/v1/results/{result_id}")
    lab.get(f"/v1/orders/{held.drawn.order_id}", by="technician")

    rows = lab.rows(
        "select action, subject_id, actor_id from lims.access_log where patient_id = %s", held.drawn.person.id
    )
    assert ("result.read", UUID(result_id), lab.users["pathologist"]) in rows
    assert ("order.read", held.drawn.order_id, lab.users["technician"]) in rows


def test_reading_a_result_waits_for_nobody(lab: Laboratory) -> None:
    """While someone authorises it."""
    held = lab.measure(**FLAGGED)
    result_id = held.line()["id"]
    with lab.session("pathologist") as session:
        service.authorise(session, [UUID(result_id)])

        assert lab.get(f"/v1/results/{result_id}")["result"]["id"] == result_id


def test_an_unapproved_definition_is_corrected_by_nobody_into_approval(lab: Laboratory, second: str) -> None:
    held = lab.measure(UNAPPROVED)

    corrected = correct(lab, held.line(UNAPPROVED)["id"], "90").json()["id"]

    assert slug(authorise(lab, corrected, by=second)) == (409, "not-authorisable")


def test_who_corrects_and_who_authorises_one_specimen_at_once_do_not_block_each_other(lab: Laboratory) -> None:
    """The first version is corrected while a later repeat of it is authorised, which supersedes it."""
    for _ in range(5):
        measured = lab.measure()
        first = measured.line()["id"]
        reject(lab, again(lab, measured, "88")["id"])
        repeat = again(lab, measured, "89")["id"]

        with ThreadPoolExecutor(2) as pool:
            corrected = pool.submit(correct, lab, first)
            authorised = pool.submit(authorise, lab, repeat)

        assert authorised.result().status_code == 200
        assert corrected.result().status_code in (201, 409)
        versions = [line["version"] for line in lab.lines(measured.drawn.order_id)["GLU"]]
        assert len(set(versions)) == len(versions)
        current = [line for line in lab.lines(measured.drawn.order_id)["GLU"] if line["status"] == "authorised"]
        assert [line["value"] for line in current] == ["89"]


def test_an_erased_patients_order_shows_no_name_while_their_key_is_still_in_memory(lab: Laboratory) -> None:
    """Another process has marked the patient; this one has opened the name a moment ago."""
    measured = lab.measure()
    path = f"/v1/orders/{measured.drawn.order_id}"
    before = lab.get(path)
    with psycopg.connect(lab.environment.superuser_dsn) as connection:
        connection.execute("select set_config('lims.actor_id', %s, true)", [str(uuid4())])
        connection.execute("update lims.patients set status = 'erased' where id = %s", [before["patient_id"]])

    after = lab.get(path)

    assert before["patient_name"]
    assert after["patient_name"] is None
