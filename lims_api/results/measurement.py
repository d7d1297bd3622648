"""What an observation, its code's mapping, the test's definition and the person's sex and age alone decide; pure.

Asked when a result is recorded, and again by whoever derives it anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ingest.contract import Observation
from lims_api.catalogue.models import ResultKind
from lims_api.catalogue.reference_intervals import interval_for, within
from lims_api.catalogue.schemas import Definition, Limits
from lims_api.equipment.service import Mapping
from lims_api.results.flags import CRITICAL_FLAGS, flag

PLAIN_FLAGS = frozenset({"", "N", "L", "H", "LL", "HH"})
"""What an analyser says of its own range; anything else is a warning about the measurement (HL7 table 0078)."""

KNOWN_SEXES = frozenset({"male", "female"})
FINAL = frozenset({"F", "C"})


@dataclass(frozen=True, slots=True)
class Measurement:
    """A value in the test's unit with its limits and flag; in an unknown unit it stays as sent, without a flag."""

    value: Decimal | None
    unit: str
    unit_known: bool
    limits: Limits | None
    flag: str | None


def measurement(
    observation: Observation, mapping: Mapping, definition: Definition, sex: str | None, age_days: int | None
) -> Measurement:
    """Converted, placed in its reference interval, and flagged."""
    unit_known = observation.unit == mapping.unit_sent
    value = observation.value if definition.kind is ResultKind.NUMERIC else None  # a word may read as a number
    if value is not None and unit_known:
        value = value * mapping.factor
    limits = interval_for(definition.bands, sex if sex in KNOWN_SEXES else None, age_days)
    found = None
    if unit_known and limits:
        found = flag(value, observation.comparator, limits.low, limits.high, limits.critical_low, limits.critical_high)
    return Measurement(value, definition.unit if unit_known else observation.unit or "", unit_known, limits, found)


def measured_facts(
    observation: Observation, measured: Measurement, definition: Definition, sex: str | None, age_days: int | None
) -> dict[str, Any]:
    """Those of the gates' `Facts` that nothing else has a say in."""
    value, limits = measured.value, measured.limits
    return {
        "instrument_flagged": any(item not in PLAIN_FLAGS for item in observation.flags),
        "is_final": observation.status in FINAL,
        "is_numeric": value is not None,
        "is_censored": observation.comparator is not None,
        "is_critical": measured.flag in CRITICAL_FLAGS,
        "within_reportable_range": value is not None
        and within(value, definition.reportable_low, definition.reportable_high),
        "unit_known": measured.unit_known,
        "interval_found": limits is not None and age_days is not None and sex in KNOWN_SEXES,
        "within_reference": value is not None and limits is not None and within(value, limits.low, limits.high),
    }
