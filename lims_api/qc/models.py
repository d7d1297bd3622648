"""Control materials, lots, targets and the controls measured."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Double, Index, Numeric, UniqueConstraint
from sqlalchemy.orm import Mapped

from lims_api.core.db import Clinical, Record, belongs_to, open_column, status_column


class ControlMaterial(Record):
    __tablename__ = "control_materials"
    __table_args__ = (UniqueConstraint("organization_id", "name"),)

    name: Mapped[str] = open_column()
    manufacturer: Mapped[str | None] = open_column()


class ControlLot(Record):
    __tablename__ = "control_lots"
    __table_args__ = (
        UniqueConstraint("organization_id", "material_id", "lot_number"),
        belongs_to("control_materials", "material_id"),
    )

    material_id: Mapped[UUID] = open_column()
    lot_number: Mapped[str] = open_column()
    expires_on: Mapped[date] = open_column()


class ControlTarget(Record):
    """Mean and SD of one test at one level of one lot on one analyser; a new target is a new row."""

    __tablename__ = "control_targets"
    __table_args__ = (
        UniqueConstraint("organization_id", "lot_id", "level", "test_code", "analyser_id", "version"),
        belongs_to("control_lots", "lot_id"),
        belongs_to("analysers", "analyser_id"),
        CheckConstraint("sd > 0", name="sd"),
        CheckConstraint("level between 1 and 3", name="level"),
    )

    lot_id: Mapped[UUID] = open_column()
    level: Mapped[int] = open_column()
    test_code: Mapped[str] = open_column()
    analyser_id: Mapped[UUID] = open_column()
    version: Mapped[int] = open_column(server_default="1")
    mean: Mapped[Decimal] = open_column(Numeric())
    sd: Mapped[Decimal] = open_column(Numeric())
    source: Mapped[str] = open_column()
    approved_by_id: Mapped[UUID | None] = open_column()
    approved_on: Mapped[date | None] = open_column()


class ControlStatus(StrEnum):
    ACCEPTED = "accepted"
    WARNING = "warning"
    REJECTED = "rejected"


class ControlResult(Record, Clinical):
    """One level of one run. Never deleted; the target it was judged by is frozen on it."""

    __tablename__ = "control_results"
    __table_args__ = (
        belongs_to("analysers", "analyser_id"),
        belongs_to("control_lots", "lot_id"),
        Index(None, "organization_id", "analyser_id", "test_code", "occurred_at"),
    )

    run_id: Mapped[UUID] = open_column()
    analyser_id: Mapped[UUID] = open_column()
    lot_id: Mapped[UUID] = open_column()
    level: Mapped[int] = open_column()
    test_code: Mapped[str] = open_column()
    value: Mapped[Decimal] = open_column(Numeric())
    unit: Mapped[str] = open_column()
    mean: Mapped[Decimal] = open_column(Numeric())
    sd: Mapped[Decimal] = open_column(Numeric())
    z: Mapped[float] = open_column(Double())
    violated: Mapped[list[str]] = open_column(server_default="{}")
    status: Mapped[ControlStatus] = status_column(ControlStatus, check="status")
    message_id: Mapped[UUID | None] = open_column()
