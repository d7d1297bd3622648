"""Release or hold: hard gates, then rules, then the model in `guard` mode; pure.

Nothing overrides a gate, and the model may only add a hold. Whatever is missing holds.
"""

from dataclasses import dataclass
from enum import StrEnum

RULES_VERSION = "2"
"""Changed with every change of a gate or rule: standing authorisations name it and lapse with it."""


class Reason(StrEnum):
    """Why a result is held. Gates first, then rules, then the model."""

    QC_OUT_OF_CONTROL = "qc_out_of_control"
    QC_STALE = "qc_stale"
    QC_MISSING = "qc_missing"
    INSTRUMENT_FLAG = "instrument_flag"
    NOT_FINAL = "not_final"
    NOT_NUMERIC = "not_numeric"
    CENSORED = "censored"
    CRITICAL_VALUE = "critical_value"
    OUTSIDE_REPORTABLE_RANGE = "outside_reportable_range"
    IDENTITY_MISMATCH = "identity_mismatch"
    IDENTITY_NOT_STATED = "identity_not_stated"
    UNKNOWN_UNIT = "unknown_unit"
    MISSING_AGE_OR_SEX = "missing_age_or_sex"
    RESTRICTED_TEST = "restricted_test"
    UNAPPROVED_DEFINITION = "unapproved_definition"
    CLOCK_OFFSET = "clock_offset"
    RELEASE_SWITCHED_OFF = "release_switched_off"
    NO_STANDING_AUTHORISATION = "no_standing_authorisation"
    MODEL_UNUSABLE = "model_unusable"
    REPEAT_MEASUREMENT = "repeat_measurement"
    CORRECTION = "correction"
    MANUAL_ENTRY = "manual_entry"
    OUTSIDE_REFERENCE_INTERVAL = "outside_reference_interval"
    DELTA_CHECK = "delta_check"
    MODEL_RISK = "model_risk"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of one result when it is judged. Every default is the one that holds."""

    in_control: Reason | None = Reason.QC_MISSING
    instrument_flagged: bool = True
    is_final: bool = False
    is_numeric: bool = False
    is_censored: bool = True
    is_critical: bool = True
    within_reportable_range: bool = False
    identity_agrees: bool | None = False
    unit_known: bool = False
    interval_found: bool = False
    is_restricted: bool = True
    is_approved: bool = False
    clock_agrees: bool = False
    switched_off: bool = True
    is_authorised: bool = False
    is_repeat: bool = True
    within_reference: bool = False
    delta_exceeded: bool = True
    model_usable: bool = False
    model_holds: bool = True


def reasons_to_hold(facts: Facts) -> list[Reason]:
    """Every reason, gates first; empty means release."""
    gates = [
        facts.in_control,
        Reason.INSTRUMENT_FLAG if facts.instrument_flagged else None,
        None if facts.is_final else Reason.NOT_FINAL,
        None if facts.is_numeric else Reason.NOT_NUMERIC,
        Reason.CENSORED if facts.is_censored else None,
        Reason.CRITICAL_VALUE if facts.is_critical else None,
        None if facts.within_reportable_range else Reason.OUTSIDE_REPORTABLE_RANGE,
        {True: None, False: Reason.IDENTITY_MISMATCH, None: Reason.IDENTITY_NOT_STATED}[facts.identity_agrees],
        None if facts.unit_known else Reason.UNKNOWN_UNIT,
        None if facts.interval_found else Reason.MISSING_AGE_OR_SEX,
        Reason.RESTRICTED_TEST if facts.is_restricted else None,
        None if facts.is_approved else Reason.UNAPPROVED_DEFINITION,
        None if facts.clock_agrees else Reason.CLOCK_OFFSET,
        Reason.RELEASE_SWITCHED_OFF if facts.switched_off else None,
        None if facts.is_authorised else Reason.NO_STANDING_AUTHORISATION,
        None if facts.model_usable else Reason.MODEL_UNUSABLE,
        Reason.REPEAT_MEASUREMENT if facts.is_repeat else None,
    ]
    rules = [
        None if facts.within_reference else Reason.OUTSIDE_REFERENCE_INTERVAL,
        Reason.DELTA_CHECK if facts.delta_exceeded else None,
    ]
    model = [Reason.MODEL_RISK if facts.model_usable and facts.model_holds else None]
    return [reason for reason in (*gates, *rules, *model) if reason is not None]
