"""Every column says what it holds, and what a person could be known by is sealed."""

from uuid import UUID

import pytest
from sqlalchemy import LargeBinary, MetaData, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lims_api.core.db import Base, Holds, Record, free_text_column, open_column, sealed_column, status_column
from lims_api.core.db.record import KIND
from lims_api.migrations.tables import ALL_MODELS

assert ALL_MODELS
SEALED = {Holds.SEALED, Holds.FREE_TEXT}
TELLING = ("full_name", "phone", "email", "birth", "aadhaar", "abha", "comment", "note", "remark", "guardian")
"""Parts of names of columns that would tell who somebody is, or that a person types into."""


def undeclared(metadata: MetaData) -> list[str]:
    """Columns that do not say what they hold, or say one thing and are another."""
    faults = []
    for table in metadata.tables.values():
        for column in table.columns:
            holds, is_sealed_by_name = column.info.get(KIND), column.name.endswith("_sealed")
            if not isinstance(holds, Holds):
                faults.append(f"{table.name}.{column.name} declares nothing")
            elif (holds in SEALED) != is_sealed_by_name:
                faults.append(f"{table.name}.{column.name} holds {holds} under this name")
            elif (holds in SEALED) != isinstance(column.type, LargeBinary) and column.name not in HASHES:
                faults.append(f"{table.name}.{column.name} holds {holds} as {column.type}")
            elif holds is Holds.OPEN and any(part in column.name for part in TELLING):
                faults.append(f"{table.name}.{column.name} is open and sounds as if it told who somebody is")
    return faults


HASHES = {"token_sha256"}
"""Bytes that are open: a digest of a random secret."""


@pytest.mark.req("4.4.1")
def test_every_column_declares_what_it_holds() -> None:
    assert len(Base.metadata.tables) > 25
    assert undeclared(Base.metadata) == []


class Scratch(DeclarativeBase):
    metadata = MetaData()
    type_annotation_map = {UUID: Text(), str: Text(), bytes: LargeBinary()}


class Careless(Scratch):
    __tablename__ = "careless"

    id: Mapped[str] = open_column(primary_key=True)
    said_nothing: Mapped[str] = mapped_column()
    name: Mapped[bytes] = sealed_column()
    typed_sealed: Mapped[str] = open_column()
    raw: Mapped[bytes] = open_column(LargeBinary)
    phone: Mapped[str] = open_column()
    note_sealed: Mapped[bytes] = free_text_column()
    name_sealed: Mapped[bytes] = sealed_column()


def test_the_check_finds_a_column_that_says_nothing_or_something_else() -> None:
    assert undeclared(Scratch.metadata) == [
        "careless.said_nothing declares nothing",
        "careless.name holds sealed under this name",
        "careless.typed_sealed holds open under this name",
        "careless.raw holds open as BLOB",
        "careless.phone is open and sounds as if it told who somebody is",
    ]


@pytest.mark.req("4.4.1")
def test_what_is_sealed_is_bytes_and_what_is_a_state_is_open() -> None:
    assert sealed_column().column.info[KIND] is Holds.SEALED
    assert free_text_column().column.info[KIND] is Holds.FREE_TEXT
    assert status_column(Holds, check="holds").column.info[KIND] is Holds.OPEN


@pytest.mark.req("4.4.1")
def test_everything_that_identifies_a_patient_is_sealed() -> None:
    columns = Base.metadata.tables["lims.patients"].columns

    open_ones = {column.name for column in columns if column.info[KIND] is Holds.OPEN}
    assert open_ones == {"organization_id", "id", "recorded_at", "sex", "status", "legal_hold", "erased_at"}


def test_keys_and_unique_rules_start_with_the_organization() -> None:
    for mapper in Base.registry.mappers:
        table = mapper.local_table
        if issubclass(mapper.class_, Record):
            assert [column.name for column in table.primary_key][:2] == ["organization_id", "id"], table.name  # type: ignore[attr-defined]
