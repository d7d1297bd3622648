"""The tenant, its sites, and what they are accredited for."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, UniqueConstraint, func
from sqlalchemy.orm import Mapped

from lims_api.core.db import Model, Record, belongs_to, open_column, status_column
from lims_api.core.i18n import Language
from lims_api.core.ids import uuid7


class Organization(Model):
    """A chain, or a laboratory that stands alone: the tenant that every other row belongs to."""

    __tablename__ = "organizations"

    id: Mapped[UUID] = open_column(primary_key=True, default=uuid7)
    code: Mapped[str] = open_column(unique=True)
    name: Mapped[str] = open_column()
    is_example: Mapped[bool] = open_column(server_default="false")
    retention_days: Mapped[int] = open_column(server_default="1825")
    report_language: Mapped[Language] = status_column(Language, check="report_language", server_default="en")
    created_at: Mapped[datetime] = open_column(server_default=func.now())


class SiteKind(StrEnum):
    LAB = "lab"
    COLLECTION_CENTRE = "collection_centre"


class Site(Record):
    """A laboratory, or a collection centre that sends to one. Address and contact are printed on its reports."""

    __tablename__ = "sites"
    __table_args__ = (UniqueConstraint("organization_id", "code"), belongs_to("sites", "parent_id"))

    code: Mapped[str] = open_column()
    name: Mapped[str] = open_column()
    kind: Mapped[SiteKind] = status_column(SiteKind, check="kind")
    parent_id: Mapped[UUID | None] = open_column()
    address: Mapped[str | None] = open_column()
    contact: Mapped[str | None] = open_column()


class Accreditation(Record):
    """A certificate of one laboratory and the tests in its scope, from one day to another, both included."""

    __tablename__ = "accreditations"
    __table_args__ = (
        UniqueConstraint(
            "organization_id", "site_id", "certificate", "valid_from", name="uq_accreditations_certificate"
        ),
        belongs_to("sites", "site_id"),
        CheckConstraint("valid_from <= valid_to", name="days"),
    )

    site_id: Mapped[UUID] = open_column()
    certificate: Mapped[str] = open_column()
    test_codes: Mapped[list[str]] = open_column()
    valid_from: Mapped[date] = open_column()
    valid_to: Mapped[date] = open_column()

    def covers(self, test_code: str, day: date) -> bool:
        """Whether a test examined on a day is within the scope."""
        return test_code in self.test_codes and self.valid_from <= day <= self.valid_to
