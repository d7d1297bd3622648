"""A test's definition in one version, and its reference intervals."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Numeric, UniqueConstraint
from sqlalchemy.orm import Mapped

from lims_api.core.db import Record, belongs_to, open_column


class TestDefinition(Record):
    """What a test is, in one version. Never changed in place: a change is the next version; results keep theirs."""

    __tablename__ = "test_definitions"
    __table_args__ = (UniqueConstraint("organization_id", "code", "version"),)

    code: Mapped[str] = open_column()
    version: Mapped[int] = open_column()
    name: Mapped[str] = open_column()
    loinc: Mapped[str] = open_column()
    unit: Mapped[str] = open_column()
    decimals: Mapped[int] = open_column()
    specimen_type: Mapped[str] = open_column()
    container: Mapped[str] = open_column()
    discipline: Mapped[str] = open_column()
    method: Mapped[str] = open_column()
    reportable_low: Mapped[Decimal | None] = open_column(Numeric())
    reportable_high: Mapped[Decimal | None] = open_column(Numeric())
    delta_limit_percent: Mapped[Decimal | None] = open_column(Numeric())
    delta_window_days: Mapped[int | None] = open_column()
    turnaround_minutes: Mapped[int] = open_column()
    is_restricted: Mapped[bool] = open_column(server_default="false")
    is_example: Mapped[bool] = open_column(server_default="false")
    valid_from: Mapped[datetime] = open_column()
    source: Mapped[str] = open_column()
    approved_by_id: Mapped[UUID | None] = open_column()
    approved_on: Mapped[date | None] = open_column()


class ReferenceInterval(Record):
    """Limits for one sex and age band of one definition; `age_to_days` is exclusive."""

    __tablename__ = "reference_intervals"
    __table_args__ = (
        belongs_to("test_definitions", "definition_id"),
        UniqueConstraint("organization_id", "definition_id", "sex", "age_from_days"),
        CheckConstraint("age_from_days < age_to_days", name="ages"),
    )

    definition_id: Mapped[UUID] = open_column()
    sex: Mapped[str] = open_column()
    age_from_days: Mapped[int] = open_column()
    age_to_days: Mapped[int] = open_column()
    low: Mapped[Decimal | None] = open_column(Numeric())
    high: Mapped[Decimal | None] = open_column(Numeric())
    critical_low: Mapped[Decimal | None] = open_column(Numeric())
    critical_high: Mapped[Decimal | None] = open_column(Numeric())
    source: Mapped[str] = open_column()
    approved_by_id: Mapped[UUID | None] = open_column()
    approved_on: Mapped[date | None] = open_column()
