"""The catalogue as it is read, imported and shown."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from lims_api.catalogue.models import ReferenceInterval, TestDefinition


class IntervalIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sex: str = Field(default="any", pattern="^(any|male|female)$")
    age_from_days: int = Field(default=0, ge=0)
    age_to_days: int = Field(default=55_000, gt=0)
    low: Decimal | None = None
    high: Decimal | None = None
    critical_low: Decimal | None = None
    critical_high: Decimal | None = None
    source: str = Field(min_length=3)


class DefinitionIn(BaseModel):
    """A test as a reviewed file states it; units in UCUM, limits in that unit."""

    model_config = ConfigDict(extra="forbid")

    code: str = Field(pattern="^[A-Z0-9_]{1,16}$")
    name: str
    loinc: str = Field(pattern=r"^\d{1,7}-\d$")
    unit: str
    decimals: int = Field(ge=0, le=6)
    specimen_type: str
    container: str
    discipline: str
    method: str
    reportable_low: Decimal | None = None
    reportable_high: Decimal | None = None
    delta_limit_percent: Decimal | None = Field(default=None, gt=0)
    delta_window_days: int | None = Field(default=None, gt=0)
    turnaround_minutes: int = Field(gt=0)
    is_restricted: bool = False
    is_example: bool = False
    source: str = Field(min_length=3)
    intervals: list[IntervalIn]


class TestOut(BaseModel):
    code: str
    version: int
    name: str
    loinc: str
    unit: str
    turnaround_minutes: int
    is_example: bool
    approved_on: date | None


class ApprovalOut(BaseModel):
    definition_id: UUID
    version: int
    approved_on: date


class Definition(BaseModel):
    """A definition with its bands, as the rules need it: plain values, read once a transaction."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: UUID
    code: str
    version: int
    name: str
    loinc: str
    unit: str
    decimals: int
    specimen_type: str
    container: str
    method: str
    discipline: str
    reportable_low: Decimal | None
    reportable_high: Decimal | None
    delta_limit_percent: Decimal | None
    delta_window_days: int | None
    turnaround_minutes: int
    is_restricted: bool
    is_example: bool
    is_approved: bool
    bands: tuple["Limits", ...] = ()

    @classmethod
    def of(cls, row: TestDefinition, bands: list[ReferenceInterval], *, is_restricted: bool) -> "Definition":
        """From the rows; approved only when the definition and every band are, restricted when any version is."""
        limits = tuple(Limits.model_validate(band) for band in bands)
        approved = row.approved_by_id is not None and all(band.approved_by_id is not None for band in bands)
        derived = {"is_approved": approved, "is_restricted": is_restricted, "bands": limits}
        return cls(**{name: getattr(row, name) for name in cls.model_fields if name not in derived}, **derived)


class Limits(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)

    sex: str
    age_from_days: int
    age_to_days: int
    low: Decimal | None
    high: Decimal | None
    critical_low: Decimal | None
    critical_high: Decimal | None
