"""From the observation to the verdict: the pure rules asked again with what is frozen on the result; pure.

What depended on the state of the laboratory at that moment (controls, identity, clocks, switches) is quoted: the gates
say which verdicts were made again and which are only repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from math import isclose
from typing import Any

from pydantic_core import from_json

from lims_api.catalogue.models import ResultKind
from lims_api.lineage.chain import Link, Pair, Step, absent, compared
from lims_api.lineage.known import Known, Version
from lims_api.results.autoverification import RULES_VERSION, Facts, Reason, reasons_to_hold
from lims_api.results.delta_check import Delta, delta
from lims_api.results.flags import flag
from lims_api.results.measurement import Measurement, measured_facts, measurement
from lims_api.results.models import Entry, Result

_NUMBER = re.compile(r"\s*[<>]?=?\s*([+-]?[0-9]+(?:\.[0-9]+)?)\s*")
QC_REASONS = (Reason.QC_OUT_OF_CONTROL, Reason.QC_STALE, Reason.QC_MISSING)
QUOTED = (
    *QC_REASONS, Reason.IDENTITY_MISMATCH, Reason.IDENTITY_NOT_STATED, Reason.RESTRICTED_TEST,
    Reason.UNAPPROVED_DEFINITION, Reason.CLOCK_OFFSET, Reason.RELEASE_SWITCHED_OFF, Reason.NO_STANDING_AUTHORISATION,
    Reason.MODEL_UNUSABLE, Reason.MODEL_RISK,
)  # fmt: skip
"""What the laboratory's state at that moment decided, or the model: taken from the result's own reasons."""


RISK_TOLERANCE = 1e-6
"""The score is asked for the moment of the transaction's beginning; it was given some milliseconds later."""


@dataclass(frozen=True)
class Derived:
    """A value with its unit and flag as they follow from the link before; `limits` None: quoted, not derived."""

    value: Decimal | None
    unit: str
    flag: str | None
    limits: tuple[Decimal | None, ...] | None = None
    measured: Measurement | None = None


def judgement(known: Known) -> list[Link]:
    """Code map, definition, value, interval, gates and model."""
    derived = derive(known)
    return [_code_map(known), _definition(known), _value(known, derived), _interval(known, derived),
            _gates(known, derived), _model(known)]  # fmt: skip


def derive(known: Known) -> Derived | None:
    """Of an instrument's result from its observation, of a person's or imported one from its text."""
    result = known.result
    if result.entry is not Entry.INSTRUMENT:
        return _of_text(known)
    if known.measured is None or known.code is None:
        return None
    found = measurement(known.measured.observation, known.code.mapping, known.definition, result.sex, result.age_days)
    limits = found.limits
    frozen = (limits.low, limits.high, limits.critical_low, limits.critical_high) if limits else (None,) * 4
    return Derived(found.value, found.unit, found.flag, frozen, found)


def _of_text(known: Known) -> Derived | None:
    """The limits are quoted: a source's own, or those of the version that was corrected."""
    result = known.result
    found = _NUMBER.fullmatch(result.value_text)
    if found is None or known.definition.kind is not ResultKind.NUMERIC:
        return None
    value = Decimal(found[1])
    return Derived(value, known.definition.unit, flag(value, result.comparator, *_frozen(result)))


def _frozen(result: Result) -> tuple[Decimal | None, ...]:
    return result.reference_low, result.reference_high, result.critical_low, result.critical_high


def _code_map(known: Known) -> Link:
    if known.result.entry is not Entry.INSTRUMENT:
        return absent(Step.CODE_MAP, "no analyser's code stands behind it")
    if known.measured is None:
        return absent(Step.CODE_MAP, "its observation is not known")
    code = known.measured.observation.code
    if known.code is None:
        return compared(Step.CODE_MAP, [(f"test of code {code}", None, known.result.test_code)])
    mapping = known.code.mapping
    facts = {
        "analyser": known.analyser, "code": code, "unit_sent": mapping.unit_sent, "factor": mapping.factor,
        "ledger_seq": known.code.seq, "changed_since": known.code.changed_since,
    }  # fmt: skip
    return compared(Step.CODE_MAP, [("test", mapping.test_code, known.result.test_code)], facts)


def _definition(known: Known) -> Link:
    definition, result = known.definition, known.result
    facts = {"definition_id": definition.id, "version": definition.version, "loinc": definition.loinc,
             "is_approved": definition.is_approved, "is_example": definition.is_example}  # fmt: skip
    pairs = [("test", definition.code, result.test_code), ("loinc", definition.loinc, result.loinc)]
    return compared(Step.DEFINITION, pairs, facts)


def _value(known: Known, derived: Derived | None) -> Link:
    if derived is None:
        return absent(Step.VALUE, "nothing to derive it from")
    result = known.result
    facts = {"value": result.value, "unit": result.unit}
    return compared(Step.VALUE, [("value", derived.value, result.value), ("unit", derived.unit, result.unit)], facts)


def _interval(known: Known, derived: Derived | None) -> Link:
    if derived is None:
        return absent(Step.INTERVAL, "nothing to derive it from")
    result = known.result
    names = ("reference_low", "reference_high", "critical_low", "critical_high")
    pairs: list[Pair] = list(zip(names, derived.limits or (), _frozen(result), strict=True)) if derived.limits else []
    pairs += [("flag", derived.flag, result.flag)]
    facts = {"sex": result.sex, "age_days": result.age_days, "low": result.reference_low,
             "high": result.reference_high, "flag": result.flag}  # fmt: skip
    if derived.limits is None:
        facts |= {"limits": "quoted: the source's own, or those of the version that was corrected"}
    return compared(Step.INTERVAL, pairs, facts)


def _gates(known: Known, derived: Derived | None) -> Link:
    result = known.result
    if result.entry is Entry.MANUAL:
        return compared(Step.GATES, [("reason", str(_hand(known)), next(iter(result.reasons), None))])
    if result.entry is Entry.IMPORT:
        return absent(Step.GATES, "imported history: released by its source")
    facts: dict[str, Any] = {"rules_version": result.rules_version, "held_by": list(result.reasons)}
    if result.rules_version != RULES_VERSION:
        return absent(Step.GATES, f"judged by rules {result.rules_version}; this program has {RULES_VERSION}", facts)
    if derived is None or derived.measured is None:
        return absent(Step.GATES, "nothing to judge again", facts)
    change = _delta(known, derived.value)
    again = reasons_to_hold(_facts(known, derived.measured, change))
    judged = [reason for reason in Reason if reason not in (*QUOTED, Reason.CORRECTION, Reason.MANUAL_ENTRY)]
    facts |= {"judged_again": list(map(str, judged)), "quoted": list(map(str, QUOTED))}
    pairs: list[Pair] = [
        ("reasons", list(map(str, again)), list(result.reasons)),
        ("delta_percent", round(float(change.percent), 1) if change else None, _evidence(result, "delta_percent")),
    ]
    return compared(Step.GATES, pairs, facts)


def _hand(known: Known) -> Reason:
    """Why what a person typed is held before anything else."""
    return Reason.CORRECTION if known.result.correction_reason else Reason.MANUAL_ENTRY


def _facts(known: Known, measured: Measurement, change: Delta | None) -> Facts:
    assert known.measured is not None  # noqa: S101  measured from it
    result, held = known.result, set(known.result.reasons)
    identity = {Reason.IDENTITY_MISMATCH: False, Reason.IDENTITY_NOT_STATED: None}
    return Facts(
        **measured_facts(known.measured.observation, measured, known.definition, result.sex, result.age_days),
        in_control=next((reason for reason in QC_REASONS if reason in held), None),
        identity_agrees=next((agrees for reason, agrees in identity.items() if reason in held), True),
        is_restricted=Reason.RESTRICTED_TEST in held,
        is_approved=Reason.UNAPPROVED_DEFINITION not in held,
        clock_agrees=Reason.CLOCK_OFFSET not in held,
        switched_off=Reason.RELEASE_SWITCHED_OFF in held,
        is_authorised=Reason.NO_STANDING_AUTHORISATION not in held,
        # of the first of two in one batch its row alone does not tell
        is_repeat=result.corrects_id is not None or Reason.REPEAT_MEASUREMENT in held,
        delta_exceeded=change is not None and change.exceeded,
        model_usable=Reason.MODEL_UNUSABLE not in held,
        model_holds=Reason.MODEL_RISK in held,
    )


def _delta(known: Known, value: Decimal | None) -> Delta | None:
    definition, result = known.definition, known.result
    if value is None or definition.delta_limit_percent is None or definition.delta_window_days is None:
        return None
    last = last_authorised(known.earlier, result)
    if last is None or last.value is None:
        return None
    return delta(
        value, result.recorded_at, last.value, last.available_at, limit_percent=definition.delta_limit_percent,
        window_days=definition.delta_window_days,
    )  # fmt: skip


def last_authorised(earlier: Iterable[Version], result: Result) -> Version | None:
    """The patient's last authorised result of the test on another specimen, as it stood when this one was recorded."""
    then = result.recorded_at
    of_specimen: dict[Any, Version] = {}
    for one in earlier:
        if one.authorised_at is None or one.authorised_at > then or one.recorded_at >= then or one.available_at >= then:
            continue
        if one.specimen_id == result.specimen_id:
            continue
        known = of_specimen.get(one.specimen_id)
        if known is None or one.version > known.version:
            of_specimen[one.specimen_id] = one
    standing = [one for one in of_specimen.values() if one.value is not None]
    return max(standing, key=lambda one: one.available_at, default=None)


def _model(known: Known) -> Link:
    result = known.result
    if result.model_version is None:
        return absent(Step.MODEL, "no model judged it")
    facts: dict[str, Any] = {
        "version": result.model_version, "sha256": result.model_sha256, "risk": result.risk,
        "threshold": known.threshold, "because": _evidence(result, "model"),
    }  # fmt: skip
    if result.risk is None:
        return absent(Step.MODEL, "the model has no opinion on it", facts)
    if known.scored is None or known.scored.risk is None:
        return absent(Step.MODEL, "quoted: that model's file is not deployed any more", facts)
    close = isclose(known.scored.risk, result.risk, rel_tol=RISK_TOLERANCE)
    pairs: list[Pair] = [
        ("risk", result.risk if close else known.scored.risk, result.risk),
        (str(Reason.MODEL_RISK), known.scored.holds, str(Reason.MODEL_RISK) in result.reasons),
    ]
    return compared(Step.MODEL, pairs, facts)


def _evidence(result: Result, name: str) -> Any:
    """One of the numbers behind the reasons."""
    return from_json(result.evidence).get(name)
