"""Tables: `Record` for every row that belongs to an organization, `Model` for the few that belong to none.

A column declares what it holds: `open_column`, `sealed_column` (ciphertext) or `free_text_column` (typed by a person,
sealed too). A test fails on a column that declares nothing.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, DateTime, Enum, ForeignKeyConstraint, LargeBinary, MetaData, Text, Uuid, func
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedColumn, mapped_column

from lims_api.core.ids import uuid7

KIND = "holds"


class Holds(StrEnum):
    OPEN = "open"
    SEALED = "sealed"
    FREE_TEXT = "free_text"


def open_column(*args: Any, **kwargs: Any) -> MappedColumn[Any]:
    """A column that tells nobody who a patient is."""
    return mapped_column(*args, info={KIND: Holds.OPEN}, **kwargs)


def sealed_column(**kwargs: Any) -> MappedColumn[Any]:
    """Ciphertext under a patient's or the organization's key; the column's name ends in `_sealed`."""
    return mapped_column(LargeBinary, info={KIND: Holds.SEALED}, **kwargs)


def free_text_column(**kwargs: Any) -> MappedColumn[Any]:
    """What a person typed, sealed like a name; the column's name ends in `_sealed`."""
    return mapped_column(LargeBinary, info={KIND: Holds.FREE_TEXT}, **kwargs)


def status_column(states: type[StrEnum], **kwargs: Any) -> MappedColumn[Any]:
    """A state, stored as text with a CHECK."""
    kind = Enum(
        states,
        native_enum=False,
        create_constraint=True,
        length=40,
        name=kwargs.pop("check", None),
        values_callable=lambda members: [member.value for member in members],
    )
    return open_column(kind, **kwargs)


def belongs_to(table: str, *columns: str) -> ForeignKeyConstraint:
    """A composite foreign key that cannot leave the organization; never cascades."""
    column = columns[0]
    return ForeignKeyConstraint(["organization_id", column], [f"{table}.organization_id", f"{table}.id"])


NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_1_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(schema="lims", naming_convention=NAMING)
    type_annotation_map = {
        datetime: DateTime(timezone=True),
        UUID: Uuid(),
        str: Text(),
        int: BigInteger(),
        list[str]: ARRAY(Text()),
    }


class Model(Base):
    """A row of nobody in particular: organizations, tokens."""

    __abstract__ = True


class Record(Base):
    """A row of one organization: under row-level security and in the ledger."""

    __abstract__ = True

    organization_id: Mapped[UUID] = open_column(primary_key=True)
    id: Mapped[UUID] = open_column(primary_key=True, default=uuid7)
    recorded_at: Mapped[datetime] = open_column(server_default=func.now())

    def __init__(self, **values: Any) -> None:
        values.setdefault("id", uuid7())
        super().__init__(**values)


class Clinical:
    """When it happened and when the laboratory could know it; `recorded_at` is the third time."""

    occurred_at: Mapped[datetime] = open_column()
    available_at: Mapped[datetime] = open_column(server_default=func.now())
