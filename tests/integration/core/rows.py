"""One plain row of any table, and connections as hand-written SQL has them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Enum,
    LargeBinary,
    Numeric,
    Table,
    Text,
    Uuid,
)

from lims_api.core.db import Base, Record
from lims_api.core.ids import SYSTEM_ACTOR, uuid7
from lims_api.migrations.tables import ALL_MODELS
from tests.conftest import Environment

assert ALL_MODELS
Connection = psycopg.Connection[tuple[Any, ...]]
Row = dict[str, Any]
MOMENT = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)
_numbers = itertools.count(1)

_PLAIN: dict[type, Any] = {
    BigInteger: lambda: 1,
    Boolean: lambda: False,
    Date: lambda: date(2026, 1, 5),
    DateTime: lambda: MOMENT,
    Double: lambda: 1.5,
    LargeBinary: lambda: b"\x01sealed",
    Numeric: lambda: Decimal("1.50"),
    Text: lambda: f"text-{next(_numbers)}",
    Uuid: uuid7,
}
_PARTICULAR: dict[tuple[str, str], Any] = {
    ("reference_intervals", "age_from_days"): lambda: 0,
    ("reference_intervals", "age_to_days"): lambda: 36_500,
    ("reports", "version"): lambda: next(_numbers),
    ("patient_numbers", "token"): lambda: next(_numbers),
    ("patient_tokens", "token"): lambda: next(_numbers),
}


def record_tables() -> list[str]:
    """Every `Record` table, by the mapping: a new one is in it without anybody's doing."""
    return sorted({mapper.local_table.name for mapper in Base.registry.mappers if issubclass(mapper.class_, Record)})  # type: ignore[attr-defined]


def table(name: str) -> Table:
    """The mapped table of a name."""
    return Base.metadata.tables[f"lims.{name}"]


def parents(of: Table) -> dict[str, tuple[str, str]]:
    """Column → parent table and its column, for the foreign keys that stay inside an organization; in a fixed order."""
    return dict(
        sorted(
            (element.parent.key, (element.column.table.name, element.column.key))
            for constraint in of.foreign_key_constraints
            for element in constraint.elements
            if len(constraint.elements) > 1 and element.parent.key != "organization_id"
        )
    )


def plain_row(name: str, tenant: UUID, of: Mapping[str, Row], **values: Any) -> Row:
    """A row with every column that has no default filled; its parents are the rows in `of`."""
    columns = table(name).columns
    mothers = parents(table(name))
    row: Row = {"organization_id": tenant}
    for column in columns:
        if column.key in mothers and not column.nullable:
            mother, key = mothers[column.key]
            row[column.key] = of[mother][key]
        elif column.key not in row and not column.nullable and column.server_default is None:
            row[column.key] = _value(name, column)
    return row | values


def _value(name: str, column: Column[Any]) -> Any:
    if (name, column.key) in _PARTICULAR:
        return _PARTICULAR[name, column.key]()
    if isinstance(column.type, Enum):
        return column.type.enums[0]
    if isinstance(column.type, ARRAY):
        return []
    return _PLAIN[type(column.type)]()


def insert(connection: Connection, name: str, row: Mapping[str, Any]) -> None:
    """A hand-written INSERT."""
    connection.execute(
        sql.SQL("insert into lims.{} ({}) values ({})").format(
            sql.Identifier(name),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.Placeholder() * len(row)),
        ),
        list(row.values()),
    )


def plant(connection: Connection, tenant: UUID) -> dict[str, Row]:
    """One row in every tenant table but `organizations` and `access_tokens`, parents first."""
    planted: dict[str, Row] = {}
    for each in Base.metadata.sorted_tables:
        if "organization_id" in each.columns and each.name != "access_tokens":
            planted[each.name] = plain_row(each.name, tenant, planted)
            insert(connection, each.name, planted[each.name])
    planted["users"] = plain_row("users", tenant, planted)  # one without roles, who may get one
    insert(connection, "users", planted["users"])
    return planted


def act(connection: Connection, tenant: UUID, actor: UUID = SYSTEM_ACTOR, *, reason: str = "") -> None:
    """Bind the connection's transaction."""
    connection.execute("select lims.act(%s, %s, 'bench', '', %s)", [tenant, actor, reason])


@contextmanager
def hand(environment: Environment, role: str, tenant: UUID | None = None) -> Iterator[Connection]:
    """A role's connection in a transaction that is rolled back at the end; bound to a tenant, if one is given."""
    with environment.connect(role) as connection:
        if tenant is not None:
            act(connection, tenant)
        yield connection
        connection.rollback()


@contextmanager
def superuser(environment: Environment, tenant: UUID | None = None) -> Iterator[Connection]:
    """As `hand`, for the superuser."""
    with psycopg.connect(environment.superuser_dsn) as connection:
        if tenant is not None:
            act(connection, tenant)
        yield connection
        connection.rollback()


def refused(connection: Connection, statement: str | sql.Composed, *parameters: Any) -> str:
    """Run a statement that must fail, in a savepoint; returns the error's class name, `''` if it passed."""
    query = statement if isinstance(statement, sql.Composed) else statement.encode()
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(query, parameters or None)
    except psycopg.Error as error:
        return type(error).__name__
    return ""


def ledger_of(connection: Connection, tenant: UUID, **where: Any) -> list[tuple[Any, ...]]:
    """`(op, table, after, before)` of an organization's ledger rows, in order; by the superuser."""
    condition = " and ".join(f"{column} = %({column})s" for column in ("organization_id", *where))
    statement = (
        "select op, table_name, body::jsonb->'after', body::jsonb->'before' from lims.ledger"
        f" where {condition} order by seq"
    )
    return connection.execute(statement.encode(), {"organization_id": tenant, **where}).fetchall()
