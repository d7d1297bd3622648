"""A catalogue as a list states it, ours or another's: what the checks look at. Plain values, numbers still as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from lims_api.catalogue.reference_intervals import ANY_SEX, Pregnancy
from lims_api.catalogue.schemas import CatalogueIn, DefinitionIn, IntervalIn

NO_END = 55_000
"""Days that nobody reaches."""


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: where, how bad, which rule, what, and what to do."""

    file: str
    row: str
    severity: Severity
    rule: str
    wrong: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Limits:
    """One line of limits for a group of people; `group` is any other condition, as a client or a matrix."""

    group: str = ""
    sex: str = ANY_SEX
    pregnancy: str = Pregnancy.ANY
    age_from_days: int = 0
    age_to_days: int = NO_END
    low: str = ""
    high: str = ""
    critical_low: str = ""
    critical_high: str = ""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One test of a list. `prose` is the interval as words; `conversion` leads from `unit` to `other_unit`;
    `is_numeric` and `loinc` are None where the list does not say."""

    name: str
    code: str = ""
    loinc: str | None = None
    unit: str = ""
    is_numeric: bool | None = True
    values: tuple[str, ...] = ()
    specimen: str = ""
    limits: tuple[Limits, ...] = ()
    reportable_low: str = ""
    reportable_high: str = ""
    prose: str = ""
    other_unit: str = ""
    conversion: str = ""
    has_limits: bool = True
    delta: tuple[object, object] = (None, None)
    review: tuple[str, str] = ("", "")

    @property
    def row(self) -> str:
        """How a finding names it."""
        return self.code or self.name


@dataclass(frozen=True, kw_only=True)
class PanelEntry:
    """One panel of a list, naming its tests by code or name."""

    name: str
    code: str = ""
    tests: tuple[str, ...] = ()

    @property
    def row(self) -> str:
        """How a finding names it."""
        return self.code or self.name


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One file's tests and panels, and what was found already while reading it."""

    file: str
    entries: Sequence[Entry] = ()
    panels: Sequence[PanelEntry] = ()
    findings: Sequence[Finding] = ()


def number(text: str) -> Decimal | None:
    """The number that a list states; None when it states none, or something else."""
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def listing_of(file: str, catalogue: CatalogueIn) -> Listing:
    """Our own reviewed file as a list."""
    panels = [PanelEntry(name=panel.name, code=panel.code, tests=tuple(panel.tests)) for panel in catalogue.panel]
    return Listing(file=file, entries=[_entry(test) for test in catalogue.test], panels=panels)


def _entry(test: DefinitionIn) -> Entry:
    return Entry(
        name=test.name, code=test.code, loinc=test.loinc, unit=test.unit, is_numeric=test.kind == "numeric",
        values=tuple(test.allowed_values), specimen=test.specimen_type,
        limits=tuple(_limits(interval) for interval in test.intervals),
        reportable_low=_text(test.reportable_low), reportable_high=_text(test.reportable_high),
        delta=(test.delta_limit_percent, test.delta_window_days),
        review=(test.approved_by, str(test.approved_on or "")),
    )  # fmt: skip


def _limits(interval: IntervalIn) -> Limits:
    return Limits(
        sex=interval.sex, pregnancy=interval.pregnancy, age_from_days=interval.age_from_days,
        age_to_days=interval.age_to_days, low=_text(interval.low), high=_text(interval.high),
        critical_low=_text(interval.critical_low), critical_high=_text(interval.critical_high),
    )  # fmt: skip


def _text(value: Decimal | None) -> str:
    return "" if value is None else str(value)
