"""The ledger and the outbox: how an event is published, and how both are read.

Nothing here writes the ledger: triggers do, and the application's role cannot.
Readers advance by snapshot difference: a row is new when its transaction is visible now and was not in the snapshot
that the reader last read under. A remembered sequence number or time loses the rows of slow transactions (measured,
26 %); this loses none.
"""

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import date, datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import Connection, RowMapping, text
from sqlalchemy.orm import Session

from lims_api.core.db import actor_of
from lims_api.core.ids import uuid7

BEGINNING = "1:1:"
"""The snapshot before every transaction: a reader that starts from it reads everything."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened in a domain. Ids, codes and times only; a field is only ever added."""

    name: ClassVar[str]
    version: ClassVar[int] = 1

    subject_id: UUID


_PLAIN = (UUID, int, float, bool, datetime, date, StrEnum, str, type(None))


_PUBLISH = text("""
insert into lims.outbox (id, organization_id, name, version, subject_id, payload, actor_id)
select e.id, :organization_id, e.name, e.version, e.subject_id, e.payload, :actor_id
  from unnest(cast(:ids as uuid[]), cast(:names as text[]), cast(:versions as integer[]), cast(:subjects as uuid[]),
              cast(:payloads as text[])) as e(id, name, version, subject_id, payload)
""")


def publish(session: Session, *events: Event) -> None:
    """Put events into the outbox in the transaction of the change: they are there if and only if the change is."""
    if not events:
        return
    actor = actor_of(session)
    session.execute(
        _PUBLISH,
        {
            "organization_id": actor.organization_id,
            "actor_id": actor.actor_id,
            "ids": [uuid7() for _ in events],
            "names": [event.name for event in events],
            "versions": [event.version for event in events],
            "subjects": [event.subject_id for event in events],
            "payloads": [_payload(event) for event in events],
        },
    )


def _payload(event: Event) -> str:
    payload = {field.name: getattr(event, field.name) for field in fields(event) if field.name != "subject_id"}
    for name, value in payload.items():
        if not isinstance(value, _PLAIN):
            raise TypeError(f"{event.name}.{name}: an event holds ids, codes and times only")
    return to_json(payload).decode()


_NEW = """
select * from {table} where xid >= pg_snapshot_xmax(cast(:since as pg_snapshot))
union all
select * from {table} where xid = any (cast(:unfinished as xid8[]))
"""
# The unfinished transactions are a parameter: behind `array(select pg_snapshot_xip(…))` the planner cannot see them
# and, after one large import (few transactions, many rows), reads the whole month instead of the index.


def read(connection: Connection, since: str = BEGINNING, *, table: str = "ledger") -> tuple[list[RowMapping], str]:
    """The rows committed since the snapshot `since`, in `seq` order, and the snapshot to remember.

    The connection must be in a REPEATABLE READ transaction of its own, so that the rows and the snapshot are of one
    instant. Remember the returned snapshot only together with the work done on the rows.
    """
    if table not in ("ledger", "outbox"):
        raise ValueError(f"not a log: {table}")
    level: str = connection.execute(text("show transaction_isolation")).scalar_one()
    if level not in ("repeatable read", "serializable"):
        raise RuntimeError("a ledger reader needs a REPEATABLE READ transaction")
    now: str = connection.execute(text("select pg_current_snapshot()::text")).scalar_one()
    seen = {"since": since, "unfinished": f"{{{since.rpartition(':')[2]}}}"}
    rows = connection.execute(text(_NEW.format(table=f"lims.{table}")), seen).mappings().all()
    return sorted(rows, key=lambda row: row["seq"]), now


@dataclass(frozen=True, slots=True)
class Change:
    """A row that changed, however often; `is_new` when it was inserted, `is_own` when the reader did some of it."""

    table: str
    row_id: UUID
    is_new: bool
    is_own: bool


_CHANGES = text("""
select table_name, row_id, bool_or(op = 'I') as is_new, bool_or(actor_id = :actor_id) as is_own, count(*) as entries
  from (select table_name, row_id, op, actor_id from lims.ledger
         where xid >= pg_snapshot_xmax(cast(:since as pg_snapshot)) and organization_id = :organization_id
        union all
        select table_name, row_id, op, actor_id from lims.ledger
         where xid = any (cast(:unfinished as xid8[])) and organization_id = :organization_id
        limit :limit) as entry
 group by table_name, row_id
""")


def changes(session: Session, since: str, *, limit: int) -> list[Change] | None:
    """Which rows of the caller's organization changed since the snapshot `since`; None when entries pass the limit.

    The transaction must be REPEATABLE READ: then the snapshot to remember is any `pg_current_snapshot()` of it.
    """
    actor = actor_of(session)
    wanted = {
        "organization_id": actor.organization_id, "actor_id": actor.actor_id, "since": since, "limit": limit + 1,
        "unfinished": f"{{{since.rpartition(':')[2]}}}",
    }  # fmt: skip
    rows = session.execute(_CHANGES, wanted).all()
    if sum(row.entries for row in rows) > limit:
        return None
    return [Change(row.table_name, row.row_id, row.is_new, row.is_own) for row in rows]


_HISTORY = text("""
select row_id, seq, xid::text::bigint as xid, op, body, actor_id, reason, recorded_at from lims.ledger
 where organization_id = :organization_id and table_name = :table and row_id = any (:ids) and recorded_at >= :since
 order by seq
""")


def history(
    session: Session, table: str, row_ids: Collection[UUID], *, since: datetime
) -> dict[UUID, list[RowMapping]]:
    """What the ledger has of rows of one table, each row's changes in order; nothing was recorded before `since`.

    There is no index by row: the ledger's months from `since` on are read.
    """
    values = {"table": table, "ids": list(row_ids), "since": since}
    found: dict[UUID, list[RowMapping]] = {}
    for row in session.execute(_HISTORY, {**values, "organization_id": actor_of(session).organization_id}).mappings():
        found.setdefault(row["row_id"], []).append(row)
    return found
