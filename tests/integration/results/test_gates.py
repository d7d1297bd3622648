"""From an analyser's message to a release, or to a hold with its reason: each gate with and without its cause."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from lims_api.adapters import ml_scores
from lims_api.adapters.ml_scores import NAME, ModelFolder
from lims_api.catalogue import service as catalogue
from lims_api.core.clock import utc_now
from lims_api.core.ids import uuid7
from lims_api.equipment import service as equipment
from lims_api.identity.models import User
from lims_api.results.autoverification import RULES_VERSION, Reason
from lims_api.results.models import StandingAuthorisation
from ml.autoverification import serve
from tests.integration.laboratory import (
    MODEL_VERSION,
    RESTRICTED,
    UNAPPROVED,
    USUAL,
    Laboratory,
    export_model,
    message,
    sign,
)

SMALL = ("GLU", "CREA", "K")
TEN = [code for code in USUAL if code not in (RESTRICTED, UNAPPROVED)]
ABOUT_THE_VALUE = {Reason.OUTSIDE_REFERENCE_INTERVAL, Reason.MODEL_RISK, Reason.OUTSIDE_REPORTABLE_RANGE}
"""What an extreme value brings along besides the reason that a test is about."""


def test_a_panel_that_nothing_is_wrong_with_is_released(lab: Laboratory) -> None:
    measured = lab.measure(*TEN)

    assert {code: measured.reasons(code) for code in TEN} == {code: [] for code in TEN}
    assert {measured.line(code)["flag"] for code in TEN} == {"N"}
    assert lab.get(f"/v1/orders/{measured.drawn.order_id}")["status"] == "completed"


@pytest.mark.req("12.1")
def test_a_release_carries_what_it_was_released_by(lab: Laboratory) -> None:
    line = lab.measure().line()

    ((version, rules, signatory, by, automatic, authorisation),) = lab.rows(
        "select model_version, rules_version, signatory_id, authorised_by_id, is_automatic, authorisation_id"
        " from lims.results where id = %s",
        line["id"],
    )
    assert (version, rules, automatic) == (MODEL_VERSION, RULES_VERSION, True)
    assert signatory == by == lab.users["pathologist"]
    assert lab.rows("select signatory_id from lims.standing_authorisations where id = %s", authorisation) == [(by,)]


# the message

OF_THE_MESSAGE: dict[str, tuple[Reason, dict[str, Any]]] = {
    "an instrument flag": (Reason.INSTRUMENT_FLAG, {"flags": ("A",)}),
    "an instrument flag beside a plain one": (Reason.INSTRUMENT_FLAG, {"flags": ("H", "W")}),
    "a preliminary value": (Reason.NOT_FINAL, {"status": "P"}),
    "a value that could not be obtained": (Reason.NOT_FINAL, {"status": "X"}),
    "a word": (Reason.NOT_NUMERIC, {"value_text": "HAEMOLYSED", "value": None}),
    "no value": (Reason.NOT_NUMERIC, {"value_text": "", "value": None}),
    "below what was measured": (Reason.CENSORED, {"value_text": "<85", "comparator": "<"}),
    "above what was measured": (Reason.CENSORED, {"value_text": ">85", "comparator": ">"}),
    "another unit": (Reason.UNKNOWN_UNIT, {"unit": "mmol/L"}),
    "a unit in another case": (Reason.UNKNOWN_UNIT, {"unit": "MG/DL"}),
    "no unit": (Reason.UNKNOWN_UNIT, {"unit": None}),
    "a time in the future": (Reason.CLOCK_OFFSET, {"observed_at": utc_now() + timedelta(hours=2)}),
}


@pytest.mark.req("12.7")
@pytest.mark.parametrize("cause", OF_THE_MESSAGE)
def test_what_the_analyser_says_of_a_value_holds_it(lab: Laboratory, cause: str) -> None:
    reason, wrong = OF_THE_MESSAGE[cause]

    held = lab.measure(**wrong).reasons()

    assert reason in held
    assert set(held) <= {reason, *ABOUT_THE_VALUE}


@pytest.mark.parametrize("harmless", [{"flags": ("N",)}, {"flags": ("H",)}, {"status": "C"}, {"run": "2"}])
def test_what_says_nothing_against_a_value_does_not_hold_it(lab: Laboratory, harmless: dict[str, Any]) -> None:
    assert lab.measure(**harmless).reasons() == []


@pytest.mark.req("12.7")
@pytest.mark.parametrize(
    ("delivery", "holds"),
    [
        ({"sent_at": timedelta(seconds=-70), "clock_offset_ms": None}, True),
        ({"sent_at": timedelta(seconds=-50), "clock_offset_ms": None}, False),
        ({"sent_at": timedelta(seconds=70)}, True),
        ({"clock_offset_ms": 60_001}, True),
        ({"clock_offset_ms": -60_001}, True),
        ({"clock_offset_ms": 59_000}, False),
        ({"sent_at": timedelta(minutes=-5)}, False),
        ({"clock_offset_ms": None}, False),
    ],
)
def test_a_gateway_whose_clock_is_off_by_more_than_a_minute_releases_nothing(
    lab: Laboratory, delivery: dict[str, Any], holds: bool
) -> None:
    """A batch that waited in an outage has an old `sent_at`, and a measured offset that says the clock is right."""
    if "sent_at" in delivery:
        delivery = delivery | {"sent_at": utc_now() + delivery["sent_at"]}

    assert lab.measure(batch=delivery).reasons() == ([Reason.CLOCK_OFFSET] if holds else [])


# the value


@pytest.mark.parametrize(
    ("code", "value", "flag", "reason"),
    [
        ("GLU", "44", "LL", Reason.CRITICAL_VALUE),
        ("GLU", "451", "HH", Reason.CRITICAL_VALUE),
        ("K", "6.3", "HH", Reason.CRITICAL_VALUE),
        ("ALP", "2501", "H", Reason.OUTSIDE_REPORTABLE_RANGE),
        ("GLU", "101", "H", Reason.OUTSIDE_REFERENCE_INTERVAL),
        ("GLU", "69", "L", Reason.OUTSIDE_REFERENCE_INTERVAL),
        ("NA", "-140", "LL", Reason.OUTSIDE_REPORTABLE_RANGE),
        ("GLU", "0", "LL", Reason.OUTSIDE_REPORTABLE_RANGE),
    ],
)
def test_a_value_beyond_a_limit_is_held_and_flagged(
    lab: Laboratory, code: str, value: str, flag: str, reason: Reason
) -> None:
    measured = lab.measure(*_with(code), values={code: value})

    assert reason in measured.reasons(code)
    assert set(measured.reasons(code)) <= {reason, Reason.CRITICAL_VALUE, *ABOUT_THE_VALUE}
    assert measured.line(code)["flag"] == flag
    assert lab.measure(*_with(code)).reasons(code) == []


def _with(code: str) -> list[str]:
    """A test beside others, as it is ordered; alone the model finds some odd."""
    return [code] if code == "GLU" else TEN


@pytest.mark.parametrize(("code", "value"), [("GLU", "71"), ("GLU", "99"), ("NA", "137"), ("K", "4.9")])
def test_a_value_near_its_limits_is_released(lab: Laboratory, code: str, value: str) -> None:
    assert Reason.OUTSIDE_REFERENCE_INTERVAL not in lab.measure(*_with(code), values={code: value}).reasons(code)


def test_a_critical_value_is_told_by_ids(lab: Laboratory) -> None:
    measured = lab.measure(values={"GLU": "30"})

    told = lab.rows(
        "select payload from lims.outbox where name = 'result.critical' and subject_id = %s", measured.line()["id"]
    )
    assert [json.loads(row[0]) for row in told] == [{"order_id": str(measured.drawn.order_id), "test_code": "GLU"}]


def test_a_change_since_the_last_visit_holds(lab: Laboratory) -> None:
    person = lab.person()
    lab.measure(*SMALL, values={"K": "3.7"}, person=person)

    held = lab.measure(*SMALL, values={"K": "4.9"}, person=person)

    assert Reason.DELTA_CHECK in held.reasons("K")
    assert set(held.reasons("K")) <= {Reason.DELTA_CHECK, Reason.MODEL_RISK}
    assert json.loads(held.detail("K")["result"]["evidence"])["delta_percent"] == 32.4
    assert Reason.DELTA_CHECK not in lab.measure(*SMALL, values={"K": "4.9"}).reasons("K")


def test_four_later_values_that_nobody_authorised_do_not_hide_the_last_that_counts(lab: Laboratory) -> None:
    person = lab.person()
    lab.measure(*SMALL, values={"K": "3.7"}, person=person)
    for _ in range(4):
        assert lab.measure(*SMALL, person=person, flags=("A",)).reasons("K") != []

    assert Reason.DELTA_CHECK in lab.measure(*SMALL, values={"K": "4.9"}, person=person).reasons("K")


@pytest.mark.parametrize(("first", "then"), [({"NA": "136"}, {"NA": "144"}), ({"CREA": "0.75"}, {"CREA": "1.02"})])
def test_the_model_holds_what_every_rule_would_release(
    lab: Laboratory, first: dict[str, str], then: dict[str, str]
) -> None:
    person = lab.person()
    before = lab.measure(*TEN, values=first, person=person)

    after = lab.measure(*TEN, values=then, person=person)

    ((code, _),) = then.items()
    assert all(before.reasons(each) == [] for each in TEN)
    assert after.reasons(code) == [Reason.MODEL_RISK]
    assert lab.measure(*TEN, values=then).reasons(code) == []
    evidence = json.loads(after.detail(code)["result"]["evidence"])["model"]
    assert evidence[0]["test"] == code
    assert after.detail(code)["result"]["risk"] > 0


# the person


@pytest.mark.req("12.2")
@pytest.mark.parametrize(
    ("field", "stated"),
    [
        ("patient_number", "P99-999999"),
        ("name", "Ramesh Kulkarni"),
        ("sex", "female"),
        ("birth_on", date(1984, 3, 10)),
    ],
)
def test_an_identity_that_differs_holds_and_shows_both_values(lab: Laboratory, field: str, stated: object) -> None:
    person = lab.person()

    held = lab.measure(person=person, stated={field: stated})

    assert held.reasons() == [Reason.IDENTITY_MISMATCH]
    known = {"patient_number": person.uhid, "name": person.name, "sex": "male", "birth_on": "1984-03-09"}
    assert held.detail()["identity"] == [{"field": field, "stated": str(stated), "registered": known[field]}]
    assert lab.call("GET", f"/v1/results/{held.line()['id']}", by="reception").status_code == 403
    assert lab.measure(person=person).reasons() == []


@pytest.mark.req("12.2")
def test_a_name_in_another_order_and_spelling_is_the_same_person(lab: Laboratory) -> None:
    person = lab.person(name="Lakshmi Narayanan Iyer", sex="female")

    measured = lab.measure(person=person, stated={"name": "IYER LAKSHMI NARAYANAN"})

    assert measured.reasons() == []
    assert measured.detail()["identity"] == []


@pytest.mark.req("12.2")
def test_only_what_differs_is_shown_as_different(lab: Laboratory) -> None:
    person = lab.person(name="Lakshmi Narayanan Iyer", sex="female", birth_precision="year")

    held = lab.measure(person=person, stated={"name": "IYER LAKSHMI N", "sex": "male", "birth_on": date(1984, 7, 1)})

    assert held.reasons() == [Reason.IDENTITY_MISMATCH]
    assert [each["field"] for each in held.detail()["identity"]] == ["sex"]


@pytest.mark.req("12.2")
def test_each_group_of_a_specimen_is_compared(lab: Laboratory) -> None:
    """Two groups of one message name one specimen and different people: the one at fault is held, and shown."""
    drawn = lab.draw(*SMALL)
    right, wrong = drawn.person.stated(), drawn.person.stated(sex="female")
    first = message(drawn.accession, [lab.observation("GLU"), lab.observation("CREA")], right).groups
    second = message(drawn.accession, [lab.observation("K")], wrong).groups

    lab.deliver(message(None, [], groups=first + second))

    lines = lab.lines(drawn.order_id)
    assert lines["GLU"][0]["reasons"] == []
    assert lines["K"][0]["reasons"] == [Reason.IDENTITY_MISMATCH]
    shown = lab.get(f"/v1/results/{lines['K'][0]['id']}")["identity"]
    assert shown == [{"field": "sex", "stated": "female", "registered": "male"}]


@pytest.mark.req("12.2")
@pytest.mark.parametrize("stated", [{"patient_number": None, "name": None}, {"patient_number": None, "name": None,
                                    "sex": None, "birth_on": None}])  # fmt: skip
def test_a_message_that_names_nobody_is_held(lab: Laboratory, stated: dict[str, Any]) -> None:
    assert lab.measure(stated=stated).reasons() == [Reason.IDENTITY_NOT_STATED]


@pytest.mark.req("12.2")
def test_a_message_without_any_identity_is_held(lab: Laboratory) -> None:
    drawn = lab.draw()

    lab.deliver(message(drawn.accession, lab.observations(drawn), None))

    assert lab.lines(drawn.order_id)["GLU"][0]["reasons"] == [Reason.IDENTITY_NOT_STATED]


@pytest.mark.req("12.2")
@pytest.mark.parametrize("alone", ["patient_number", "name"])
def test_a_number_or_a_name_alone_is_enough(lab: Laboratory, alone: str) -> None:
    silent = {name: None for name in ("patient_number", "name", "sex", "birth_on") if name != alone}

    assert lab.measure(stated=silent).reasons() == []


@pytest.mark.req("12.2")
def test_who_is_not_named_but_of_another_sex_is_a_mismatch(lab: Laboratory) -> None:
    held = lab.measure(stated={"patient_number": None, "name": None, "sex": "female"})

    assert held.reasons() == [Reason.IDENTITY_MISMATCH]


@pytest.mark.parametrize(
    "unknown",
    [{"birth_on": None, "birth_precision": None}, {"sex": "unknown"}, {"sex": "other"}],
)
@pytest.mark.parametrize("code", ["GLU", "CREA"])
def test_without_age_or_sex_no_interval_is_taken(lab: Laboratory, unknown: dict[str, Any], code: str) -> None:
    """GLU has one interval for all, CREA has others by sex and age: neither is released."""
    held = lab.measure(*_with(code), person=lab.person(**unknown))

    assert Reason.MISSING_AGE_OR_SEX in held.reasons(code)
    assert set(held.reasons(code)) <= {Reason.MISSING_AGE_OR_SEX, *ABOUT_THE_VALUE}
    if code == "CREA":
        assert (held.line(code)["flag"], held.line(code)["reference_high"]) == (None, None)
    assert lab.measure(*_with(code)).reasons(code) == []


# the specimen's other measurements


def test_two_measurements_in_one_message_are_both_held(lab: Laboratory) -> None:
    drawn = lab.draw()
    twice = [lab.observation("GLU", value, sequence=place, run=str(place)) for place, value in ((1, "85"), (2, "88"))]

    lab.deliver(message(drawn.accession, twice, drawn.person.stated()))

    lines = lab.lines(drawn.order_id)["GLU"]
    assert [line["value"] for line in lines] == ["85", "88"]
    assert [line["version"] for line in lines] == [1, 2]
    assert [line["reasons"] for line in lines] == [[Reason.REPEAT_MEASUREMENT]] * 2


def test_a_later_measurement_is_held_and_the_first_stays(lab: Laboratory) -> None:
    measured = lab.measure()
    first = measured.line()

    again = lab.observation("GLU", "88", observed_at=utc_now())
    lab.deliver(message(measured.drawn.accession, [again], measured.drawn.person.stated()))

    lines = lab.lines(measured.drawn.order_id)["GLU"]
    assert lines[0] == first
    assert (lines[1]["status"], lines[1]["version"], lines[1]["reasons"]) == ("held", 2, [Reason.REPEAT_MEASUREMENT])


# the test


@pytest.mark.req("12.3")
def test_a_definition_that_nobody_approved_releases_nothing(lab: Laboratory) -> None:
    held = lab.measure(UNAPPROVED)

    assert set(held.reasons(UNAPPROVED)) == {Reason.UNAPPROVED_DEFINITION, Reason.MODEL_UNUSABLE}
    refused = lab.call("POST", "/v1/results/authorise", {"result_ids": [held.line(UNAPPROVED)["id"]]})
    assert (refused.status_code, refused.json()["type"].rsplit("/")[-1]) == (409, "not-authorisable")


@pytest.mark.req("12.4")
def test_a_restricted_test_is_never_released_by_itself(lab: Laboratory) -> None:
    """Not even under an authorisation that someone wrote for it into the database."""
    now = utc_now()
    with lab.session("pathologist") as session:
        session.add(
            StandingAuthorisation(
                organization_id=lab.organization_id, signatory_id=lab.users["pathologist"], rules_version=RULES_VERSION,
                model_version=MODEL_VERSION, test_codes=[RESTRICTED], signed_at=now, valid_from=now,
                valid_to=now + timedelta(days=1),
            )
        )  # fmt: skip

    assert lab.measure(RESTRICTED).reasons(RESTRICTED) == [Reason.RESTRICTED_TEST]


@pytest.mark.req("12.4")
def test_a_test_that_became_restricted_is_so_for_orders_of_before(lab: Laboratory) -> None:
    """The order stands under the first version; the second says that the test is restricted."""
    lab = _offering(lab, "HBSAG", loinc="5196-1")
    plain = lab.definitions["HBSAG"]
    before, drawn = lab.measure("HBSAG", values={"HBSAG": "85"}), lab.draw("HBSAG")
    assert before.reasons("HBSAG") == [Reason.MODEL_UNUSABLE]
    with lab.session("pathologist") as session:
        catalogue.add_version(session, plain.model_copy(update={"is_restricted": True}))
        catalogue.approve(session, "HBSAG")

    lab.deliver(message(drawn.accession, [lab.observation("HBSAG", "85")], drawn.person.stated()))

    assert lab.lines(drawn.order_id)["HBSAG"][0]["reasons"] == [Reason.RESTRICTED_TEST]
    for order_id in (before.drawn.order_id, drawn.order_id):
        assert lab.lines(order_id, by="technician") == {}


def _offering(lab: Laboratory, code: str, *, loinc: str) -> Laboratory:
    """The laboratory with one more test, like glucose: approved, mapped, in control, and signed for."""
    test = lab.definitions["GLU"].model_copy(update={"code": code, "loinc": loinc})
    with lab.session("pathologist") as session:
        catalogue.add_version(session, test)
        catalogue.approve(session, code)
        equipment.map_code(session, lab.analyser, code, test_code=code, unit_sent=test.unit)
        lab._targets(session, lab.analyser, code)
    more = replace(lab, definitions={**lab.definitions, code: test})
    more.control(0.1, code)
    sign(more, tests=[code])
    return more


# the signature


@contextmanager
def another_model(lab: Laboratory, folder: Path, version: str) -> Iterator[Laboratory]:
    """The same laboratory with a model of another version deployed, for which nobody has signed."""
    export_model(folder, lab.organization_id, version=version)
    with lab.with_services(models=ModelFolder(folder)) as other:
        yield other


@pytest.mark.req("12.1")
def test_without_a_signature_for_this_model_nothing_is_released(lab: Laboratory, tmp_path: Path) -> None:
    with another_model(lab, tmp_path, "unsigned") as other:
        before = other.measure().reasons()
        sign(lab, model_version="unsigned")
        after = other.measure().reasons()

    assert (before, after) == ([Reason.NO_STANDING_AUTHORISATION], [])


@pytest.mark.req("12.1")
@pytest.mark.parametrize("ended", ["valid_to", "revoked_at", "valid_from", "rules_version", "signatory"])
def test_a_signature_that_does_not_hold_now_releases_nothing(lab: Laboratory, tmp_path: Path, ended: str) -> None:
    with another_model(lab, tmp_path, f"signed-{ended}") as other:
        signed = sign(lab, model_version=f"signed-{ended}")
        before = other.measure().reasons()
        with lab.session("pathologist") as session:
            row = session.scalars(select(StandingAuthorisation).where(StandingAuthorisation.id == signed)).one()
            if ended == "signatory":
                row.signatory_id = _someone_who_left(lab)
            elif ended == "rules_version":
                row.rules_version = "0"
            elif ended == "valid_from":
                row.valid_from = utc_now() + timedelta(hours=1)
            else:
                setattr(row, ended, utc_now() - timedelta(seconds=1))
        after = other.measure().reasons()

    assert (before, after) == ([], [Reason.NO_STANDING_AUTHORISATION])


def _someone_who_left(lab: Laboratory) -> Any:
    user_id = uuid7()
    lab.someone(user_id=user_id)
    with lab.session() as session:
        session.scalars(select(User).where(User.id == user_id)).one().is_active = False
    return user_id


@pytest.mark.req("12.1")
def test_a_signature_covers_the_tests_it_names_alone(lab: Laboratory, tmp_path: Path) -> None:
    with another_model(lab, tmp_path, "some tests") as other:
        sign(lab, model_version="some tests", tests=["K"])
        measured = other.measure(*SMALL)

    assert (measured.reasons("K"), measured.reasons("GLU")) == ([], [Reason.NO_STANDING_AUTHORISATION])


# the red switch


@contextmanager
def switched_off(lab: Laboratory, scope: str, target: str) -> Iterator[None]:
    body = {"scope": scope, "target": target, "reason": "test_of_the_switch"}
    lab.post("/v1/release-switches", body | {"off": True})
    try:
        yield
    finally:
        lab.post("/v1/release-switches", body | {"off": False})


@pytest.mark.req("12.8")
@pytest.mark.parametrize("scope", ["test", "analyser", "lab", "everything"])
def test_the_red_switch_holds_the_next_result_and_lets_go_again(lab: Laboratory, scope: str) -> None:
    targets = {"test": "K", "analyser": str(lab.analyser.id), "lab": str(lab.site_id), "everything": "*"}
    before = lab.measure(*SMALL)

    with switched_off(lab, "lab" if scope == "everything" else scope, targets[scope]):
        during = lab.measure(*SMALL)

    assert before.reasons("K") == []
    assert during.reasons("K") == [Reason.RELEASE_SWITCHED_OFF]
    assert during.reasons("GLU") == ([] if scope == "test" else [Reason.RELEASE_SWITCHED_OFF])
    assert lab.measure(*SMALL).reasons("K") == []


@pytest.mark.req("12.8")
def test_a_laboratory_switched_off_measures_nothing_by_itself_for_collection_centres_either(lab: Laboratory) -> None:
    """The order was placed at the centre; the laboratory that measures it is the one that is off."""
    with switched_off(lab, "lab", str(lab.site_id)):
        during = lab.measure(site_id=lab.centre_id)
    with switched_off(lab, "lab", str(lab.centre_id)):
        at_the_centre, at_the_lab = lab.measure(site_id=lab.centre_id), lab.measure()

    assert during.reasons() == at_the_centre.reasons() == [Reason.RELEASE_SWITCHED_OFF]
    assert at_the_lab.reasons() == []
    assert lab.measure(site_id=lab.centre_id).reasons() == []


@pytest.mark.req("12.8")
def test_another_analysers_switch_changes_nothing_here(lab: Laboratory) -> None:
    other = lab.another_analyser("GLU")

    with switched_off(lab, "analyser", str(other.id)):
        assert lab.measure().reasons() == []


@pytest.mark.req("12.8")
def test_who_switched_and_why_is_on_record(lab: Laboratory) -> None:
    body = {"scope": "test", "target": "ALT", "off": True, "reason": "new_reagent_lot"}
    by_a_technician = lab.post("/v1/release-switches", body, by="technician")
    lab.post("/v1/release-switches", body | {"off": False, "reason": "verified"}, by="pathologist")

    ((op, after, _, actor),) = lab.ledger("release_switches", by_a_technician["id"])
    assert (op, after["target"], after["is_off"], after["reason"]) == ("I", "ALT", True, "new_reagent_lot")
    assert actor == lab.users["technician"]
    told = lab.rows("select name, payload from lims.outbox where subject_id = %s", by_a_technician["id"])
    assert [(name, json.loads(payload)) for name, payload in told] == [
        ("release.switched", {"scope": "test", "target": "ALT", "is_off": True})
    ]


@pytest.mark.req("12.8")
@pytest.mark.parametrize(
    ("scope", "target", "slug"),
    [
        ("test", "glu", "unknown-test"),
        ("test", "*", "unknown-test"),
        ("analyser", "BS-1", "unknown-analyser"),
        ("analyser", "00000000-0000-7000-8000-000000000001", "unknown-analyser"),
        ("lab", "MAIN", "not-found"),
        ("lab", "00000000-0000-7000-8000-000000000001", "not-found"),
    ],
)
def test_a_switch_that_would_switch_nothing_is_refused(lab: Laboratory, scope: str, target: str, slug: str) -> None:
    body = {"scope": scope, "target": target, "off": True, "reason": "misspelt"}

    answer = lab.call("POST", "/v1/release-switches", body)

    assert (answer.status_code, answer.json()["type"].rsplit("/")[-1]) == (404, slug)


@pytest.mark.req("12.8")
def test_a_switch_finds_its_target_in_any_spelling_of_the_id(lab: Laboratory) -> None:
    with switched_off(lab, "analyser", str(lab.analyser.id).upper()):
        assert lab.measure().reasons() == [Reason.RELEASE_SWITCHED_OFF]


# the model


def _without(folder: Path, _lab: Laboratory) -> None:
    folder.mkdir(exist_ok=True)


def _altered_model(folder: Path, lab: Laboratory) -> None:
    export_model(folder, lab.organization_id)
    file = folder / str(lab.organization_id) / NAME / serve.MODEL_FILE
    file.write_bytes(file.read_bytes().replace(b"leaf_value=", b"leaf_value=0", 1))


def _altered_threshold(folder: Path, lab: Laboratory) -> None:
    export_model(folder, lab.organization_id)
    file = folder / str(lab.organization_id) / NAME / serve.MANIFEST_FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | {"threshold": 1.0}))


def _of_another_organization(folder: Path, lab: Laboratory) -> None:
    other = "11111111-1111-7111-8111-111111111111"
    export_model(folder, other)  # type: ignore[arg-type]
    (folder / other).rename(folder / str(lab.organization_id))


def _not_a_manifest(folder: Path, lab: Laboratory) -> None:
    export_model(folder, lab.organization_id)
    (folder / str(lab.organization_id) / NAME / serve.MANIFEST_FILE).write_text("not JSON")


SPOILED = {
    "missing": _without,
    "with another model file": _altered_model,
    "with another threshold": _altered_threshold,
    "of another organization": _of_another_organization,
    "without a manifest": _not_a_manifest,
}


@pytest.mark.req("12.7")
@pytest.mark.parametrize("how", SPOILED)
def test_a_model_that_is_not_the_one_registered_holds(lab: Laboratory, tmp_path: Path, how: str) -> None:
    SPOILED[how](tmp_path, lab)

    with lab.with_services(models=ModelFolder(tmp_path)) as spoiled:
        held = spoiled.measure()

    assert held.reasons() == [Reason.NO_STANDING_AUTHORISATION, Reason.MODEL_UNUSABLE]
    assert lab.measure().reasons() == []


@pytest.mark.req("12.7")
def test_a_model_altered_while_the_api_runs_stops_releases_and_its_return_allows_them(
    lab: Laboratory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ml_scores, "LOOK_AGAIN_SECONDS", 0.0)
    export_model(tmp_path, lab.organization_id)
    file = tmp_path / str(lab.organization_id) / NAME / serve.MODEL_FILE
    whole = file.read_bytes()

    with lab.with_services(models=ModelFolder(tmp_path)) as other:
        before = other.measure().reasons()
        file.write_bytes(whole + b"\n")
        altered = other.measure().reasons()
        file.write_bytes(whole)
        after = other.measure().reasons()

    assert (before, after) == ([], [])
    assert Reason.MODEL_UNUSABLE in altered


def test_a_laboratory_may_choose_to_go_by_its_rules_alone_under_a_signature_for_that(
    lab: Laboratory, tmp_path: Path
) -> None:
    with lab.with_services(models=ModelFolder(tmp_path), model_required=False) as other:
        before = other.measure().reasons()
        signed = sign(lab, model_version="none")
        after = other.measure().reasons()
        with lab.session("pathologist") as session:
            row = session.scalars(select(StandingAuthorisation).where(StandingAuthorisation.id == signed)).one()
            row.revoked_at = utc_now()

    assert (before, after) == ([Reason.NO_STANDING_AUTHORISATION], [])


@pytest.mark.req("12.1")
def test_a_test_that_the_model_does_not_know_is_held_also_under_a_signature(lab: Laboratory) -> None:
    """Approved, signed for, in control, within every limit: and nothing but the model's silence against it."""
    lab = _offering(lab, "FRUCT", loinc="14427-2")

    held = lab.measure("FRUCT", values={"FRUCT": "85"})

    assert held.reasons("FRUCT") == [Reason.MODEL_UNUSABLE]
    assert held.detail("FRUCT")["result"]["risk"] is None


def test_a_factor_of_the_code_map_is_applied_once(lab: Laboratory) -> None:
    analyser = lab.another_analyser("K")
    with lab.session() as session:
        equipment.map_code(session, analyser, "GLUM", test_code="GLU", unit_sent="mmol/L", factor=Decimal("18.0"))
        lab._targets(session, analyser, "GLU")
    lab.control(0.1, "GLU", analyser=analyser)
    drawn = lab.draw("GLU")

    lab.deliver(
        message(
            drawn.accession, [lab.observation("GLUM", "4.72", unit="mmol/L")], drawn.person.stated(),
            channel=analyser.channel,
        )
    )  # fmt: skip

    (line,) = lab.lines(drawn.order_id)["GLU"]
    assert (line["value"], line["unit"], line["value_text"], line["reasons"]) == ("84.960", "mg/dL", "4.72", [])
