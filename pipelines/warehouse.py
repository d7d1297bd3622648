"""Load what the lake's bronze ledger has and the warehouse has not: typed, table by table, each row once.

`raw.<table>` holds changes, not states: one row for each change, the newest of a row by `seq`. Rows and the number of
the capture they came with are written in one transaction, so a load that dies leaves nothing and the next starts alike.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import polars as pl
import pyarrow as pa
from pyiceberg.expressions import And, GreaterThan, In
from pyiceberg.table import Table

from pipelines.capture import NUMBER
from pipelines.raw_schema import CHANGE, RAW, RESTRICTED_BY, RawTable, fingerprint

BATCH_ROWS = 100_000
_READ = ("seq", "organization_id", "table_name", "row_id", "op", "body", "recorded_at", "capture")


@dataclass(frozen=True)
class Loaded:
    """What one load brought: rows by table, up to which capture; `rebuilt` when `raw` was made anew first."""

    capture: int
    rebuilt: bool
    rows: dict[str, int] = field(default_factory=dict)


class BodyUnreadable(Exception):
    """A ledger row's body does not have the types that `raw_schema` declares for its table."""


def load(dsn: str, bronze: Table) -> Loaded:
    """Bring every capture of the lake's ledger that is not yet in `raw`, in one transaction.

    `dsn` is a libpq URL of the warehouse's owner. `raw` is made anew when the declared columns or the lake's table are
    other ones than at the last load. Raises BodyUnreadable, with nothing loaded, when a body has an undeclared type.
    """
    newest = int(bronze.properties.get(NUMBER, "0"))
    with _transaction(dsn) as (connection, cursor):
        known = _prepare(cursor, str(bronze.metadata.table_uuid))
        rows: dict[str, int] = {}
        if newest > known.capture:
            for batch in _changes(bronze, since=known.capture):
                _ingest(cursor, batch, rows)
            _drop_restricted(cursor)
            for name in rows:
                cursor.execute(f"analyze raw.{name}")  # dbt comes next, before the server would have counted
            _record(cursor, bronze, newest, rows)
        connection.commit()
    return Loaded(newest, known.rebuilt, rows)


@contextmanager
def _transaction(dsn: str) -> Iterator[tuple[Any, Any]]:
    """One transaction, whose lock lets a second load wait; what is not committed is rolled back."""
    with adbc.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtext('raw.load'))")
        cursor.fetchall()
        yield connection, cursor


def _prepare(cursor: Any, lake: str) -> Loaded:
    """Make the raw tables if need be, and tell up to which capture they are filled."""
    shape = f"{lake}/{fingerprint()}"
    cursor.execute("create schema if not exists raw")
    cursor.execute(
        "create table if not exists raw.loads (capture bigint not null, snapshot_id bigint, shape text not null,"
        " rows bigint not null, loaded_at timestamptz not null default now())"
    )
    cursor.execute("select coalesce(max(capture), 0), count(*) from raw.loads where shape = $1", (shape,))
    capture, loads = cursor.fetchone()
    if loads:
        return Loaded(capture, rebuilt=False)
    for table in RAW.values():
        cursor.execute(f"drop table if exists raw.{table.name} cascade")
        cursor.execute(table.ddl)
    cursor.execute("delete from raw.loads")
    cursor.execute("insert into raw.loads (capture, shape, rows) values (0, $1, 0)", (shape,))
    return Loaded(0, rebuilt=True)


def _changes(bronze: Table, *, since: int) -> Iterator[pl.DataFrame]:
    """The bronze rows of later captures, those of declared tables only, in batches that fit in memory."""
    wanted = And(GreaterThan("capture", since), In("table_name", list(RAW)))
    waiting: list[pa.RecordBatch] = []
    for batch in bronze.scan(row_filter=wanted, selected_fields=_READ).to_arrow_batch_reader():
        waiting.append(batch)
        if sum(part.num_rows for part in waiting) >= BATCH_ROWS:
            yield _frame(waiting)
            waiting = []
    if waiting:
        yield _frame(waiting)


def _frame(batches: list[pa.RecordBatch]) -> pl.DataFrame:
    return pl.DataFrame(pa.Table.from_batches(batches))


def _ingest(cursor: Any, changes: pl.DataFrame, rows: dict[str, int]) -> None:
    for (name,), part in changes.partition_by("table_name", as_dict=True).items():
        table = RAW[str(name)]
        count = cursor.adbc_ingest(table.name, typed(part, table), mode="append", db_schema_name="raw")
        rows[table.name] = rows.get(table.name, 0) + count


def typed(changes: pl.DataFrame, table: RawTable) -> pa.Table:
    """Bronze rows of one table as its raw rows: the declared fields of the row after the change; nulls for a deletion.

    `changes` has `body` (canonical JSON) and the columns of `CHANGE`. Raises BodyUnreadable without quoting the body.
    """
    try:
        read = changes.with_columns(pl.col("body").str.json_decode(table.json).struct.field("after")).drop("body")
    except pl.exceptions.ComputeError:
        # Not chained: polars' own message quotes the value.
        raise BodyUnreadable(f"a body of {table.name} has another type than raw_schema declares") from None
    after = {name: pl.col("after").struct.field(origin) for name, origin in table.origins.items()}
    columns = [_as_declared(after[name], kind).alias(name) for name, kind in table.kinds.items()]
    return read.select([pl.col(name) for name in CHANGE] + columns).to_arrow().cast(table.arrow)


def _as_declared(value: pl.Expr, kind: str) -> pl.Expr:
    match kind:
        case "instant":
            return value.str.to_datetime("%+", time_unit="us", time_zone="UTC")
        case "day":
            return value.str.to_date("%Y-%m-%d")
        case "codes":
            return value.list.join(",")
        case _:
            return value


def _drop_restricted(cursor: Any) -> None:
    """Take out the rows of restricted tests, also earlier ones of a test that is restricted only now.

    A test counts as restricted when any version of it ever was. It happens in the load's transaction, so nobody sees
    them meanwhile.
    """
    for table in RESTRICTED_BY:
        restricted = "select organization_id, code from raw.test_definitions where is_restricted"
        cursor.execute(f"delete from raw.{table} where (organization_id, test_code) in ({restricted})")  # noqa: S608


def _record(cursor: Any, bronze: Table, capture: int, rows: dict[str, int]) -> None:
    cursor.execute(
        "insert into raw.loads (capture, snapshot_id, shape, rows) select $1, $2, shape, $3 from raw.loads limit 1",
        (capture, bronze.metadata.current_snapshot_id, sum(rows.values())),
    )


def loaded_capture(dsn: str) -> int:
    """The number of the newest capture that `raw` holds; 0 when nothing was ever loaded."""
    with adbc.connect(dsn, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("select coalesce(max(capture), 0) from raw.loads")
        number: int = cursor.fetchone()[0]
        return number
