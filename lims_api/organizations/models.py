"""The tenant and its sites."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import UniqueConstraint, func
from sqlalchemy.orm import Mapped

from lims_api.core.db import Model, Record, belongs_to, open_column, status_column
from lims_api.core.ids import uuid7


class Organization(Model):
    """A chain, or a laboratory that stands alone: the tenant that every other row belongs to."""

    __tablename__ = "organizations"

    id: Mapped[UUID] = open_column(primary_key=True, default=uuid7)
    code: Mapped[str] = open_column(unique=True)
    name: Mapped[str] = open_column()
    is_example: Mapped[bool] = open_column(server_default="false")
    retention_days: Mapped[int] = open_column(server_default="1825")
    created_at: Mapped[datetime] = open_column(server_default=func.now())


class SiteKind(StrEnum):
    LAB = "lab"
    COLLECTION_CENTRE = "collection_centre"


class Site(Record):
    """A laboratory, or a collection centre that sends to one."""

    __tablename__ = "sites"
    __table_args__ = (UniqueConstraint("organization_id", "code"), belongs_to("sites", "parent_id"))

    code: Mapped[str] = open_column()
    name: Mapped[str] = open_column()
    kind: Mapped[SiteKind] = status_column(SiteKind, check="kind")
    parent_id: Mapped[UUID | None] = open_column()
    address: Mapped[str | None] = open_column()
