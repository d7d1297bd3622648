"""Release or hold: each gate holds alone, nothing overrides it, and what is not known holds."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lims_api.results.autoverification import Facts, Reason, reasons_to_hold

CLEAR = Facts(
    in_control=None, instrument_flagged=False, is_final=True, is_numeric=True, is_censored=False, is_critical=False,
    within_reportable_range=True, identity_agrees=True, unit_known=True, interval_found=True, is_restricted=False,
    is_approved=True, clock_agrees=True, switched_off=False, is_authorised=True, is_repeat=False, within_reference=True,
    delta_exceeded=False, model_usable=True, model_holds=False,
)  # fmt: skip
"""Of a result that nothing is wrong with."""

HOLDS: list[tuple[dict[str, Any], Reason]] = [
    ({"in_control": Reason.QC_OUT_OF_CONTROL}, Reason.QC_OUT_OF_CONTROL),
    ({"in_control": Reason.QC_STALE}, Reason.QC_STALE),
    ({"in_control": Reason.QC_MISSING}, Reason.QC_MISSING),
    ({"instrument_flagged": True}, Reason.INSTRUMENT_FLAG),
    ({"is_final": False}, Reason.NOT_FINAL),
    ({"is_numeric": False}, Reason.NOT_NUMERIC),
    ({"is_censored": True}, Reason.CENSORED),
    ({"is_critical": True}, Reason.CRITICAL_VALUE),
    ({"within_reportable_range": False}, Reason.OUTSIDE_REPORTABLE_RANGE),
    ({"identity_agrees": False}, Reason.IDENTITY_MISMATCH),
    ({"identity_agrees": None}, Reason.IDENTITY_NOT_STATED),
    ({"unit_known": False}, Reason.UNKNOWN_UNIT),
    ({"interval_found": False}, Reason.MISSING_AGE_OR_SEX),
    ({"is_restricted": True}, Reason.RESTRICTED_TEST),
    ({"is_approved": False}, Reason.UNAPPROVED_DEFINITION),
    ({"clock_agrees": False}, Reason.CLOCK_OFFSET),
    ({"switched_off": True}, Reason.RELEASE_SWITCHED_OFF),
    ({"is_authorised": False}, Reason.NO_STANDING_AUTHORISATION),
    ({"model_usable": False}, Reason.MODEL_UNUSABLE),
    ({"is_repeat": True}, Reason.REPEAT_MEASUREMENT),
    ({"within_reference": False}, Reason.OUTSIDE_REFERENCE_INTERVAL),
    ({"delta_exceeded": True}, Reason.DELTA_CHECK),
    ({"model_holds": True}, Reason.MODEL_RISK),
]
BY_A_PERSON = {Reason.CORRECTION, Reason.MANUAL_ENTRY}

every_fact = st.builds(
    Facts,
    in_control=st.sampled_from([None, Reason.QC_MISSING, Reason.QC_STALE, Reason.QC_OUT_OF_CONTROL]),
    identity_agrees=st.sampled_from([True, False, None]),
    **{item.name: st.booleans() for item in fields(Facts) if item.name not in ("in_control", "identity_agrees")},
)


def test_what_nothing_is_wrong_with_is_released() -> None:
    assert reasons_to_hold(CLEAR) == []


@pytest.mark.req("12.7")
@pytest.mark.parametrize(("wrong", "reason"), HOLDS, ids=[reason for _, reason in HOLDS])
def test_each_reason_holds_alone(wrong: dict[str, Any], reason: Reason) -> None:
    assert reasons_to_hold(replace(CLEAR, **wrong)) == [reason]


def test_every_reason_that_a_rule_can_give_is_in_this_test() -> None:
    assert {reason for _, reason in HOLDS} == set(Reason) - BY_A_PERSON
    assert {name for wrong, _ in HOLDS for name in wrong} == {item.name for item in fields(Facts)}


@pytest.mark.req("12.7")
def test_what_is_not_known_holds_for_every_reason_there_is() -> None:
    """A fact that nobody filled in is the worst one. The model is silent where there is none; the others say it all."""
    held = reasons_to_hold(Facts())

    kinds = {Reason.QC_OUT_OF_CONTROL, Reason.QC_STALE, Reason.IDENTITY_NOT_STATED, Reason.MODEL_RISK}
    assert set(held) == set(Reason) - BY_A_PERSON - kinds
    assert len(held) == len(set(held))


@pytest.mark.parametrize("unknown", [item.name for item in fields(Facts)])
def test_each_fact_left_out_holds(unknown: str) -> None:
    left_out: dict[str, Any] = {unknown: getattr(Facts(), unknown)}

    assert reasons_to_hold(replace(CLEAR, **left_out)) != []


@given(every_fact, st.sampled_from(HOLDS))
def test_one_thing_more_that_is_wrong_never_releases(facts: Facts, one_more: tuple[dict[str, Any], Reason]) -> None:
    wrong, reason = one_more
    before, after = reasons_to_hold(facts), reasons_to_hold(replace(facts, **wrong))

    assert not before or after
    if reason is not Reason.MODEL_RISK or facts.model_usable:
        assert reason in after


@given(every_fact)
def test_the_model_can_only_add(facts: Facts) -> None:
    without = [reason for reason in reasons_to_hold(replace(facts, model_holds=False)) if reason != Reason.MODEL_RISK]
    with_it = reasons_to_hold(replace(facts, model_holds=True))

    assert set(without) <= set(with_it)
    assert set(with_it) - set(without) <= {Reason.MODEL_RISK}


@given(every_fact)
def test_released_means_that_every_fact_is_clear(facts: Facts) -> None:
    released = reasons_to_hold(facts) == []

    assert released == (facts == CLEAR)


@given(every_fact)
def test_gates_come_before_rules_and_rules_before_the_model(facts: Facts) -> None:
    order = list(Reason)
    places = [order.index(reason) for reason in reasons_to_hold(facts)]

    assert [place for place in places if order[place] is not Reason.MODEL_UNUSABLE] == sorted(
        place for place in places if order[place] is not Reason.MODEL_UNUSABLE
    )
