"""From the observation to the verdict: the pure rules asked again with what is frozen on the result; pure.

What depended on the state of the laboratory at that moment (controls, identity, clocks, switches) is quoted: the gates
say which verdicts were made again and which are only repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic_core import from_json

from lims_api.catalogue.reference_intervals import interval_for, within
from lims_api.lineage.chain import Link, Pair, Step, absent, compared
from lims_api.lineage.known import Known, Version
from lims_api.results.autoverification import RULES_VERSION, Reason
from lims_api.results.delta_check import Delta, delta
from lims_api.results.flags import flag
from lims_api.results.judging import FINAL, KNOWN_SEXES, PLAIN_FLAGS
from lims_api.results.models import Entry, Result

_NUMBER = re.compile(r"\s*[<>]?=?\s*([+-]?[0-9]+(?:\.[0-9]+)?)\s*")


@dataclass(frozen=True)
class Derived:
    """A value with its unit and flag as they follow from the link before; `limits` None: not to be derived."""

    value: Decimal | None
    unit: str
    limits: tuple[Decimal | None, ...] | None
    flag: str | None
    unit_known: bool = True


def judgement(known: Known) -> list[Link]:
    """Code map, definition, value, interval, gates and model."""
    derived = derive(known)
    return [_code_map(known), _definition(known), _value(known, derived), _interval(known, derived),
            _gates(known, derived), _model(known)]  # fmt: skip


def derive(known: Known) -> Derived | None:
    """Of an instrument's result from its observation, of a person's or imported one from its text."""
    if known.result.entry is not Entry.INSTRUMENT:
        return _of_text(known)
    if known.measured is None or known.code is None:
        return None
    observation, mapping = known.measured.observation, known.code.mapping
    unit_known = observation.unit == mapping.unit_sent
    value = observation.value
    if value is not None and unit_known:
        value = value * mapping.factor
    limits = _limits(known)
    found = flag(value, observation.comparator, *limits) if unit_known and _has_interval(known) else None
    return Derived(value, known.definition.unit if unit_known else observation.unit or "", limits, found, unit_known)


def _of_text(known: Known) -> Derived | None:
    """The limits are quoted: a source's own, or those of the version that was corrected."""
    result = known.result
    found = _NUMBER.fullmatch(result.value_text)
    if found is None:
        return None
    value = Decimal(found[1])
    return Derived(value, known.definition.unit, None, flag(value, result.comparator, *_frozen(result)))


def _band(known: Known) -> Any:
    result = known.result
    return interval_for(known.definition.bands, result.sex if result.sex in KNOWN_SEXES else None, result.age_days)


def _has_interval(known: Known) -> bool:
    return _band(known) is not None


def _limits(known: Known) -> tuple[Decimal | None, ...]:
    """Low, high, critical low and critical high of the definition's band for the frozen sex and age."""
    band = _band(known)
    return (band.low, band.high, band.critical_low, band.critical_high) if band else (None,) * 4


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
        return compared(Step.GATES, [("reasons", [str(Reason.CORRECTION)], list(result.reasons))])
    if result.entry is Entry.IMPORT:
        return absent(Step.GATES, "imported history: released by its source")
    facts: dict[str, Any] = {"rules_version": result.rules_version, "held_by": list(result.reasons)}
    if result.rules_version != RULES_VERSION:
        return absent(Step.GATES, f"judged by rules {result.rules_version}; this program has {RULES_VERSION}", facts)
    if derived is None:
        return absent(Step.GATES, "nothing to judge again", facts)
    change = _delta(known, derived)
    again = _again(known, derived, change)
    facts["judged_again"] = [str(reason) for reason in again]
    facts["quoted"] = [str(reason) for reason in Reason if reason not in again and reason is not Reason.CORRECTION]
    pairs: list[Pair] = [
        (str(reason), "holds" if holds else "passes", "holds" if reason in result.reasons else "passes")
        for reason, holds in again.items()
    ]
    percent = from_json(result.evidence).get("delta_percent")
    pairs.append(("delta_percent", round(float(change.percent), 1) if change else None, percent))
    return compared(Step.GATES, pairs, facts)


def _again(known: Known, derived: Derived, change: Delta | None) -> dict[Reason, bool]:
    """The gates and rules whose facts are frozen, and whether each holds."""
    assert known.measured is not None  # noqa: S101  derived from it
    result, definition, observation = known.result, known.definition, known.measured.observation
    value, limits = derived.value, derived.limits or ()
    reportable = value is not None and within(value, definition.reportable_low, definition.reportable_high)
    inside = value is not None and _has_interval(known) and within(value, limits[0], limits[1])
    placed = _has_interval(known) and result.age_days is not None and result.sex in KNOWN_SEXES
    verdicts = {
        Reason.INSTRUMENT_FLAG: any(item not in PLAIN_FLAGS for item in observation.flags),
        Reason.NOT_FINAL: observation.status not in FINAL,
        Reason.NOT_NUMERIC: value is None,
        Reason.CENSORED: observation.comparator is not None,
        Reason.CRITICAL_VALUE: derived.flag in ("LL", "HH"),
        Reason.OUTSIDE_REPORTABLE_RANGE: not reportable,
        Reason.UNKNOWN_UNIT: not derived.unit_known,
        Reason.MISSING_AGE_OR_SEX: not placed,
        Reason.OUTSIDE_REFERENCE_INTERVAL: not inside,
        Reason.DELTA_CHECK: change is not None and change.exceeded,
    }  # fmt: skip
    if result.corrects_id is not None:  # of the first of two in one batch the row alone does not tell
        verdicts[Reason.REPEAT_MEASUREMENT] = True
    return verdicts


def _delta(known: Known, derived: Derived) -> Delta | None:
    definition, result = known.definition, known.result
    if derived.value is None or definition.delta_limit_percent is None or definition.delta_window_days is None:
        return None
    last = last_authorised(known.earlier, result)
    if last is None or last.value is None:
        return None
    return delta(
        derived.value, result.recorded_at, last.value, last.available_at, limit_percent=definition.delta_limit_percent,
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
        "threshold": known.threshold, "because": _because(result),
    }  # fmt: skip
    if result.risk is None:
        return absent(Step.MODEL, "the model has no opinion on it", facts)
    if known.threshold is None:
        return absent(Step.MODEL, "quoted: that model's file is not deployed any more", facts)
    holds = result.risk > known.threshold
    pairs = [(str(Reason.MODEL_RISK), holds, str(Reason.MODEL_RISK) in result.reasons)]
    return compared(Step.MODEL, pairs, facts)


def _because(result: Result) -> Sequence[Any]:
    because: Sequence[Any] = from_json(result.evidence).get("model", [])
    return because
