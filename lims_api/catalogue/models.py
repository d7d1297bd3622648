"""A test's definition in one version and its reference intervals; a panel in one version and its tests."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Numeric, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped

from lims_api.catalogue.reference_intervals import Pregnancy
from lims_api.core.db import Record, belongs_to, open_column, status_column


class ResultKind(StrEnum):
    """What a result of the test is; only a number can be judged without a person."""

    NUMERIC = "numeric"
    CODED = "coded"
    TEXT = "text"


class TestDefinition(Record):
    """What a test is, in one version. Never changed in place: a change is the next version; results keep theirs.

    `list_price` is in rupees, before any discount; None when the laboratory has not set one.
    """

    __tablename__ = "test_definitions"
    __table_args__ = (
        UniqueConstraint("organization_id", "code", "version"),
        CheckConstraint("list_price >= 0", name="list_price"),
    )

    code: Mapped[str] = open_column()
    version: Mapped[int] = open_column()
    name: Mapped[str] = open_column()
    translations: Mapped[dict[str, str]] = open_column(JSONB(), server_default="{}")
    kind: Mapped[ResultKind] = status_column(ResultKind, check="kind", server_default="numeric")
    allowed_values: Mapped[list[str]] = open_column(server_default="{}")
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
    list_price: Mapped[Decimal | None] = open_column(Numeric())
    is_restricted: Mapped[bool] = open_column(server_default="false")
    is_example: Mapped[bool] = open_column(server_default="false")
    valid_from: Mapped[datetime] = open_column()
    source: Mapped[str] = open_column()
    approved_by_id: Mapped[UUID | None] = open_column()
    approved_on: Mapped[date | None] = open_column()


class ReferenceInterval(Record):
    """Limits for one sex, state of pregnancy and age band of one definition; `age_to_days` is exclusive."""

    __tablename__ = "reference_intervals"
    __table_args__ = (
        belongs_to("test_definitions", "definition_id"),
        UniqueConstraint(
            "organization_id", "definition_id", "sex", "pregnancy", "age_from_days", name="uq_reference_intervals_band"
        ),
        CheckConstraint("age_from_days < age_to_days", name="ages"),
    )

    definition_id: Mapped[UUID] = open_column()
    sex: Mapped[str] = open_column()
    pregnancy: Mapped[Pregnancy] = status_column(Pregnancy, check="pregnancy", server_default="any")
    age_from_days: Mapped[int] = open_column()
    age_to_days: Mapped[int] = open_column()
    low: Mapped[Decimal | None] = open_column(Numeric())
    high: Mapped[Decimal | None] = open_column(Numeric())
    critical_low: Mapped[Decimal | None] = open_column(Numeric())
    critical_high: Mapped[Decimal | None] = open_column(Numeric())
    source: Mapped[str] = open_column()
    approved_by_id: Mapped[UUID | None] = open_column()
    approved_on: Mapped[date | None] = open_column()


class Panel(Record):
    """Tests that are ordered together, under one code and for one price; a change is the next version."""

    __tablename__ = "panels"
    __table_args__ = (
        UniqueConstraint("organization_id", "code", "version"),
        CheckConstraint("list_price >= 0", name="list_price"),
    )

    code: Mapped[str] = open_column()
    version: Mapped[int] = open_column()
    name: Mapped[str] = open_column()
    translations: Mapped[dict[str, str]] = open_column(JSONB(), server_default="{}")
    list_price: Mapped[Decimal | None] = open_column(Numeric())
    is_example: Mapped[bool] = open_column(server_default="false")
    valid_from: Mapped[datetime] = open_column()
    source: Mapped[str] = open_column()
    approved_by_id: Mapped[UUID | None] = open_column()
    approved_on: Mapped[date | None] = open_column()


class PanelTest(Record):
    """One test of one panel's version, by code: it is ordered in its newest version."""

    __tablename__ = "panel_tests"
    __table_args__ = (
        belongs_to("panels", "panel_id"),
        UniqueConstraint("organization_id", "panel_id", "test_code"),
    )

    panel_id: Mapped[UUID] = open_column()
    test_code: Mapped[str] = open_column()
    position: Mapped[int] = open_column()
