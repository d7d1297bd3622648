"""The catalogue as it is read, imported and shown."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from lims_api.catalogue.models import ReferenceInterval, ResultKind, TestDefinition
from lims_api.catalogue.reference_intervals import Pregnancy

Code = Annotated[str, Field(pattern="^[A-Z0-9_]{1,16}$")]
Day = Annotated[date | None, BeforeValidator(lambda value: value or None)]
Price = Annotated[Decimal | None, Field(ge=0, max_digits=12, decimal_places=2, description="in rupees, if one is set")]
Names = Annotated[dict[Annotated[str, Field(pattern="^[a-z]{2}$")], Annotated[str, Field(min_length=1)]], Field()]


class IntervalIn(BaseModel):
    """Limits for one sex, state of pregnancy and age band; `age_to_days` is exclusive."""

    model_config = ConfigDict(extra="forbid")

    sex: str = Field(default="any", pattern="^(any|male|female)$")
    pregnancy: Pregnancy = Pregnancy.ANY
    age_from_days: int = Field(default=0, ge=0)
    age_to_days: int = Field(default=55_000, gt=0)
    low: Decimal | None = None
    high: Decimal | None = None
    critical_low: Decimal | None = None
    critical_high: Decimal | None = None
    source: str = Field(min_length=3)

    @model_validator(mode="after")
    def _of_a_person(self) -> Self:
        if self.pregnancy is not Pregnancy.ANY and self.sex != "female":
            raise ValueError("an interval for a state of pregnancy is one of sex 'female'")
        return self


class Reviewed(BaseModel):
    """What every row of a reviewed file says of itself. Who approved it stands there for readers: a file approves
    nothing, a person does, in the system."""

    model_config = ConfigDict(extra="forbid")

    is_example: bool = False
    source: str = Field(min_length=3)
    approved_by: str = ""
    approved_on: Day = None


class DefinitionIn(Reviewed):
    """A test as a reviewed file states it; units in UCUM, limits in that unit; names by language code."""

    code: Code
    name: str = Field(min_length=1)
    translations: Names = {}
    kind: ResultKind = ResultKind.NUMERIC
    allowed_values: list[str] = []
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
    list_price: Price = None
    is_restricted: bool = False
    intervals: list[IntervalIn]

    @field_validator("intervals")
    @classmethod
    def _in_order(cls, intervals: list[IntervalIn]) -> list[IntervalIn]:
        """Always the same, so that a file says the same whoever wrote it."""
        return sorted(intervals, key=lambda each: (each.sex, each.pregnancy, each.age_from_days))

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        if (self.kind is ResultKind.CODED) != bool(self.allowed_values):
            raise ValueError("a coded test, and no other, names its allowed_values")
        if len(set(self.allowed_values)) != len(self.allowed_values):
            raise ValueError("one of the allowed_values stands twice")
        numbers = (self.reportable_low, self.reportable_high, self.delta_limit_percent)
        if self.kind is not ResultKind.NUMERIC and (self.unit or self.intervals or numbers != (None,) * 3):
            raise ValueError(f"a {self.kind} result has no unit, intervals, reportable or delta limits")
        return self


class PanelIn(Reviewed):
    """Tests that are ordered under one code, as a reviewed file states them; they keep their order."""

    code: Code
    name: str = Field(min_length=1)
    translations: Names = {}
    tests: list[Code] = Field(min_length=1)
    list_price: Price = None


class CatalogueIn(BaseModel):
    """A reviewed file."""

    model_config = ConfigDict(extra="forbid")

    test: list[DefinitionIn] = []
    panel: list[PanelIn] = []


class TestOut(BaseModel):
    code: str
    version: int
    name: str
    translations: dict[str, str]
    kind: ResultKind
    loinc: str
    unit: str
    specimen_type: str
    container: str
    turnaround_minutes: int
    list_price: Decimal | None
    is_restricted: bool
    is_example: bool
    approved_on: date | None


class PanelOut(BaseModel):
    code: str
    version: int
    name: str
    translations: dict[str, str]
    tests: list[str]
    list_price: Decimal | None
    is_example: bool
    approved_on: date | None


class ApprovalOut(BaseModel):
    definition_id: UUID
    version: int
    approved_on: date


class PanelApprovalOut(BaseModel):
    panel_id: UUID
    version: int
    approved_on: date


class Definition(BaseModel):
    """A definition with its bands, as the rules need it: plain values, read once a transaction."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: UUID
    code: str
    version: int
    name: str
    translations: dict[str, str]
    kind: ResultKind
    allowed_values: tuple[str, ...]
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
    def of(
        cls, row: TestDefinition, bands: list[ReferenceInterval], *, is_restricted: bool, may_count: bool
    ) -> "Definition":
        """From the rows; approved only when the definition and every band are and an approval of it may count (of an
        EXAMPLE: nowhere but in an example organization), restricted when any version is."""
        limits = tuple(Limits.model_validate(band) for band in bands)
        approvers = [row.approved_by_id, *(band.approved_by_id for band in bands)]
        approved = may_count and None not in approvers
        derived = {"is_approved": approved, "is_restricted": is_restricted, "bands": limits}
        return cls(**{name: getattr(row, name) for name in cls.model_fields if name not in derived}, **derived)


class Limits(BaseModel):
    """One band of a definition."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    sex: str
    pregnancy: Pregnancy
    age_from_days: int
    age_to_days: int
    low: Decimal | None
    high: Decimal | None
    critical_low: Decimal | None
    critical_high: Decimal | None
