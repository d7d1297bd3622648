"""An order and its tests."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from lims_api.core.db import Clinical, Model, Record, belongs_to, open_column, status_column
from lims_api.core.i18n import Language


class Priority(StrEnum):
    ROUTINE = "routine"
    URGENT = "urgent"
    STAT = "stat"


class OrderStatus(StrEnum):
    PLACED = "placed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class OrderTestStatus(StrEnum):
    ORDERED = "ordered"
    RESULTED = "resulted"
    AUTHORISED = "authorised"
    CANCELLED = "cancelled"


class Order(Record, Clinical):
    """A request for tests for one patient; `occurred_at` is when it was placed."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("organization_id", "order_number"),
        belongs_to("patients", "patient_id"),
        belongs_to("sites", "site_id"),
        Index(None, "organization_id", "patient_id"),
    )

    order_number: Mapped[str] = open_column()
    patient_id: Mapped[UUID] = open_column()
    site_id: Mapped[UUID] = open_column()
    priority: Mapped[Priority] = status_column(Priority, check="priority")
    status: Mapped[OrderStatus] = status_column(OrderStatus, check="status")
    placed_at: Mapped[datetime] = open_column()
    due_at: Mapped[datetime] = open_column()
    completed_at: Mapped[datetime | None] = open_column()
    report_language: Mapped[Language] = status_column(Language, check="report_language", server_default="en")


class OrderTest(Record):
    """One test of an order, under the definition in force when it was placed."""

    __tablename__ = "order_tests"
    __table_args__ = (
        UniqueConstraint("organization_id", "order_id", "test_code"),
        belongs_to("orders", "order_id"),
        belongs_to("test_definitions", "definition_id"),
        Index(None, "organization_id", "specimen_id"),
    )

    order_id: Mapped[UUID] = open_column()
    test_code: Mapped[str] = open_column()
    definition_id: Mapped[UUID] = open_column()
    specimen_id: Mapped[UUID | None] = open_column()
    status: Mapped[OrderTestStatus] = status_column(OrderTestStatus, check="status")
    due_at: Mapped[datetime] = open_column()


class NumberSeries(Model):
    """The last number given out of a series ('order', 'accession', 'uhid') in a year; taken under lock."""

    __tablename__ = "number_series"

    organization_id: Mapped[UUID] = open_column(ForeignKey("organizations.id"), primary_key=True)
    series: Mapped[str] = open_column(primary_key=True)
    year: Mapped[int] = open_column(primary_key=True)
    last: Mapped[int] = open_column()
