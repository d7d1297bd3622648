"""Carry committed ledger rows into the lake, each exactly once.

A row becomes visible when its transaction commits, not when its number was drawn, so a reader that remembers the
highest number (or time) it saw loses the rows of slow transactions. This reader remembers the database's *snapshot*:
what was in flight when it last looked. The next run takes the rows of transactions that began later or were in flight
then. The snapshot is stored in the same Iceberg commit as the rows: a crash leaves both or neither.
"""

import re
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table
from pyiceberg.transforms import MonthTransform

from pipelines.lake import ensure_table, only_writer

SNAPSHOT = "lims.snapshot"
SOURCE = "lims.source"
NUMBER = "lims.capture"
FROM_THE_BEGINNING = "1:1:"
CHUNK_ROWS = 100_000
_SNAPSHOT = re.compile(r"\d+:\d+:[\d,]*")

_INSTANT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Feed:
    """One append-only table of the operational database and its copy in the lake."""

    source: str
    target: str
    select: str
    schema: pa.Schema


@dataclass(frozen=True)
class Captured:
    """What one run brought: how many rows, up to which database snapshot, as which capture number (0: nothing ever)."""

    rows: int
    snapshot: str
    number: int


class CaptureSourceChanged(Exception):
    """The ledger is not the one this lake was filled from (restored, promoted or re-created): a person must decide."""


LEDGER = Feed(
    source="lims.ledger",
    target="bronze.ledger",
    select="""seq, xid::text::bigint as xid, organization_id::text, table_name, row_id::text, op::text, body,
        actor_id::text, session_id::text, device::text, ip::text, request_id::text, reason, occurred_at, recorded_at""",
    schema=pa.schema(
        [
            ("seq", pa.int64()),
            ("xid", pa.int64()),
            ("organization_id", pa.string()),
            ("table_name", pa.string()),
            ("row_id", pa.string()),
            ("op", pa.string()),
            ("body", pa.string()),
            ("actor_id", pa.string()),
            ("session_id", pa.string()),
            ("device", pa.string()),
            ("ip", pa.string()),
            ("request_id", pa.string()),
            ("reason", pa.string()),
            ("occurred_at", _INSTANT),
            ("recorded_at", _INSTANT),
            ("capture", pa.int64()),
        ]
    ),
)

OUTBOX = Feed(
    source="lims.outbox",
    target="bronze.outbox",
    select="""seq, xid::text::bigint as xid, id::text, organization_id::text, name, version::int as version,
        subject_id::text, payload::text, actor_id::text, recorded_at""",
    schema=pa.schema(
        [
            ("seq", pa.int64()),
            ("xid", pa.int64()),
            ("id", pa.string()),
            ("organization_id", pa.string()),
            ("name", pa.string()),
            ("version", pa.int32()),
            ("subject_id", pa.string()),
            ("payload", pa.string()),
            ("actor_id", pa.string()),
            ("recorded_at", _INSTANT),
            ("capture", pa.int64()),
        ]
    ),
)

# After a restore or a promotion transaction ids run anew and a stored snapshot means nothing; one of these differs.
_IDENTITY = """select (select system_identifier from pg_control_system())::text
    || '/' || case when pg_is_in_recovery() then (select timeline_id from pg_control_checkpoint())::text
                   else ltrim(left(pg_walfile_name(pg_current_wal_lsn()), 8), '0') end
    || '/' || (select oid from pg_database where datname = current_database())::text
    || '/' || '{source}'::regclass::oid::text"""


def bronze_table(lake: SqlCatalog, feed: Feed) -> Table:
    """The feed's table in the lake, made if need be.

    Partitioned by month alone: a run writes one file a month; one for each organization too would be a hundred small
    files every half minute in a chain of laboratories, and each reader of bronze reads all organizations anyway.
    """
    bounded = tuple({"seq", "xid", "capture", "recorded_at", "organization_id", "table_name"} & set(feed.schema.names))
    return ensure_table(lake, feed.target, feed.schema, partition={"recorded_at": MonthTransform()}, bounded=bounded)


def capture(dsn: str, table: Table, feed: Feed = LEDGER, *, patience: timedelta = timedelta(0)) -> Captured:
    """Append to `table` every row of the feed that was committed since the last capture, and remember up to where.

    `dsn` is a libpq URL of a role that reads the whole feed (row security bypassed). Raises LakeBusy when another
    capture still runs after `patience`, CaptureSourceChanged when `dsn` is not the database of the earlier captures.
    """
    with only_writer(table.catalog, feed.target, patience=patience):
        table.refresh()
        with _reading(dsn) as cursor:
            return _capture(cursor, table, feed)


def _capture(cursor: Any, table: Table, feed: Feed) -> Captured:
    source, now = _identify(cursor, feed)
    _refuse_other_source(table, source)
    before = table.properties.get(SNAPSHOT, FROM_THE_BEGINNING)
    _refuse_counter_behind(before, now)
    number = int(table.properties.get(NUMBER, "0"))
    rows = 0
    with table.transaction() as change:
        with closing(_read_ahead(_chunks(cursor, feed, before, number + 1))) as chunks:
            for chunk in chunks:
                change.append(chunk)
                rows += chunk.num_rows
        if rows:
            change.set_properties({SNAPSHOT: now, SOURCE: source, NUMBER: str(number + 1)})
    return Captured(rows, now, number + 1) if rows else Captured(0, before, number)


@contextmanager
def _reading(dsn: str) -> Iterator[Any]:
    """A cursor inside one REPEATABLE READ transaction, so that the snapshot and the rows belong together."""
    with adbc.connect(dsn, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("begin isolation level repeatable read, read only")
        yield cursor


def _identify(cursor: Any, feed: Feed) -> tuple[str, str]:
    cursor.execute(f"select ({_IDENTITY.format(source=feed.source)}), pg_current_snapshot()::text")
    source, snapshot = cursor.fetchone()
    return source, snapshot


def _refuse_other_source(table: Table, source: str) -> None:
    known = table.properties.get(SOURCE)
    if known not in (None, source):
        raise CaptureSourceChanged(
            f"{'.'.join(table.name())} was filled from database {known}, this one is {source}: restored, promoted or "
            "re-created. Compare both ledgers, then start a new lake folder or set the stored source by hand."
        )


def _refuse_counter_behind(before: str, now: str) -> None:
    """On a restored server whose transaction counter began anew, every row would look new, at every capture."""
    if _SNAPSHOT.fullmatch(before) and int(now.split(":")[1]) < int(before.split(":")[1]):
        raise CaptureSourceChanged(
            f"The database's transaction counter stands at {now.split(':')[1]}, before {before.split(':')[1]} of the "
            "last capture: it was restored. Advance the counter first, as the page on restoring says."
        )


def _chunks(cursor: Any, feed: Feed, before: str, number: int) -> Iterator[pa.Table]:
    """The new rows in tables of at most CHUNK_ROWS, so that a first capture of millions needs little memory."""
    if not _SNAPSHOT.fullmatch(before):
        raise ValueError(f"{feed.target} remembers {before!r}, which is not a database snapshot")
    rows = f"select {feed.select} from {feed.source}"  # noqa: S608 - a feed is declared above
    then = f"'{before}'::pg_snapshot"
    cursor.execute(
        f"{rows} where xid >= pg_snapshot_xmax({then}) union all "
        f"{rows} where xid = any(array(select pg_snapshot_xip({then})))"
    )
    waiting: list[pa.RecordBatch] = []
    for batch in cursor.fetch_record_batch():
        if waiting and sum(part.num_rows for part in waiting) + batch.num_rows > CHUNK_ROWS:
            yield _as_bronze(waiting, feed, number)
            waiting = []
        if batch.num_rows:
            waiting.append(batch)
    if waiting:
        yield _as_bronze(waiting, feed, number)


def _as_bronze(batches: list[pa.RecordBatch], feed: Feed, number: int) -> pa.Table:
    rows = pa.Table.from_batches(batches)
    numbers = pa.repeat(pa.scalar(number, pa.int64()), rows.num_rows)
    return rows.append_column("capture", numbers).cast(feed.schema)


def _read_ahead(chunks: Iterator[pa.Table]) -> Generator[pa.Table]:
    """The same chunks, the next one being fetched while the caller writes the last. Close it before the cursor."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = reader.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = reader.submit(next, chunks, None)
            yield chunk
