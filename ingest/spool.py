"""The durable spool: what an analyser sent is on disk, sealed, before it is acknowledged, until the core has it.

One SQLite file (WAL, synchronous=FULL). A transmission is known by channel, control id and the SHA-256 of its body:
the same three again are a repeat; the same id with another body is another message (analysers restart at 1), and an
alarm. What comes frame by frame (ASTM) grows as pieces until it is whole. States: kept → delivered → purged (body
erased); kept → refused, by us or by the core, for a person to look at.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from ingest.kept import Incoming, Keeping, PendingBatch, Piece, Refused, State, Unfinished
from ingest.pieces import Pieces
from ingest.received import Name, Received
from ingest.seal import KeyUnusable, Sealer, Unsealable, create_key, load_key

DATABASE, KEY = "spool.db", "spool.key"
BY_GATEWAY = "gateway:"
REUSED_ID = "control-id-reused"
RESERVED_PAGES = 64
_FIND = "select 1 from transmissions where channel = ? and control_id = ?"

_SCHEMA = """
create table if not exists batches (
  position integer primary key, id text not null unique, sent_at text not null, clock_offset_ms integer) strict;
create table if not exists transmissions (
  id integer primary key, channel text not null, control_id text not null, body_sha256 text not null,
  received_at text not null, state text not null check (state in ('kept', 'delivered', 'refused', 'purged')),
  sealed blob, batch integer references batches (position), outcome text, problem text, settled_at text,
  unique (channel, control_id, body_sha256)) strict;
create index if not exists waiting on transmissions (channel, id) where state = 'kept' and batch is null;
create index if not exists waiting_all on transmissions (id) where state = 'kept' and batch is null;
create index if not exists batched on transmissions (batch) where batch is not null;
create index if not exists settled on transmissions (settled_at) where sealed is not null;
create table if not exists alarms (
  name text not null, channel text not null, count integer not null, last_at text not null,
  primary key (name, channel)) strict;
create table if not exists pieces (
  id integer primary key, line text not null, channel text not null, received_at text not null, sealed blob not null)
  strict;
create table if not exists facts (name text primary key, value text not null) strict;
"""


class SpoolUnusable(Exception):
    """The spool cannot be opened; the reason says what to do."""


def open_spool(folder: Path) -> Spool:
    """Open or create the spool in that folder. Raises `SpoolUnusable` or `KeyUnusable`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    exists = (folder / DATABASE).exists()
    if exists and not (folder / KEY).exists():
        raise KeyUnusable(f"{folder} holds a spool but not its key {KEY}: bring the key back")
    try:
        sealer = load_key(folder / KEY) if (folder / KEY).exists() else create_key(folder / KEY)
        return Spool(_connect(folder / DATABASE), sealer)
    except (sqlite3.Error, OSError) as reason:
        raise SpoolUnusable(f"cannot open the spool in {folder}: {reason}") from reason


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    if os.name == "posix":
        path.chmod(0o600)
    for pragma in ("journal_mode = wal", "synchronous = full", "foreign_keys = on", "secure_delete = on"):
        connection.execute(f"pragma {pragma}")
    connection.executescript(_SCHEMA)
    return connection


class Spool:
    """Every method that changes something is one transaction, durable when it returns. One thread at a time."""

    def __init__(self, connection: sqlite3.Connection, sealer: Sealer) -> None:
        self._db = connection
        self._sealer = sealer
        self._pieces = Pieces(connection, sealer)
        self._most_pages = 0
        self._db.execute("insert or ignore into facts values ('key', ?)", (sealer.fingerprint,))
        if self._value("select value from facts where name = 'key'") != sealer.fingerprint:
            raise KeyUnusable(f"the spool was sealed with another key than the {KEY} beside it")

    def keep(self, incoming: Sequence[Incoming | Piece]) -> list[Keeping]:
        """Make transmissions and pieces durable with one flush to disk. Raises `sqlite3.Error`, and then holds none."""
        self._allow(self._most_pages)
        try:
            with self._transaction():
                return [self._keep(one) if isinstance(one, Incoming) else self._pieces.add(one) for one in incoming]
        finally:
            self._allow(self._most_pages + RESERVED_PAGES)

    def unfinished(self, before: datetime) -> list[Unfinished]:
        """What the pieces make to which nothing was added since then; keeping it under its `line` removes them."""
        return self._pieces.unfinished(before)

    def waiting(self) -> int:
        """How many transmissions are still to be delivered."""
        return int(self._value("select count(*) from transmissions where state = 'kept'"))

    def channels_waiting(self) -> set[str]:
        """Channels of which something is still to be delivered."""
        return {name for (name,) in self._db.execute("select distinct channel from transmissions where state = 'kept'")}

    def backlog(self, most: int, channel: str | None = None) -> int:
        """How many transmissions wait for a batch, up to `most`; `most` also while a batch waits for its answer."""
        if self._first_batch(channel) is not None:
            return most
        query = (
            "select count(*) from (select 1 from transmissions where state = 'kept' and batch is null"
            " and (?2 is null or channel = ?2) limit ?1)"
        )
        return int(self._value(query, (most, channel)))

    def next_batch(
        self, most: int, most_bytes: int, sent_at: datetime, offset_ms: int | None, channel: str | None = None
    ) -> PendingBatch | None:
        """The oldest batch without an answer; else a new one of the oldest transmissions; `None` when nothing waits.

        With `channel` of that channel alone: each channel is delivered in its order, channels beside each other.
        """
        while True:
            position = self._first_batch(channel)
            if position is None:
                chosen = self._oldest(most, most_bytes, channel)
                if not chosen:
                    return None
                with self._transaction():
                    position = self._compose(chosen, sent_at, offset_ms)
            try:
                return self._pending(position)
            except Unsealable:
                self._set_aside_damaged(position, sent_at)

    def settle(self, batch_id: UUID, outcomes: Mapping[Name, str], at: datetime) -> int:
        """The core has these: mark them; those of the batch that it did not name wait again. Returns how many do."""
        with self._transaction():
            position = self._position(batch_id)
            for name, outcome in outcomes.items():
                self._db.execute(
                    "update transmissions set state = 'delivered', outcome = ?, settled_at = ?, batch = null"
                    " where batch = ? and channel = ? and control_id = ? and body_sha256 = ?",
                    (outcome, at.isoformat(), position, *name),
                )
            freed = self._db.execute("update transmissions set batch = null where batch = ?", (position,)).rowcount
            self._db.execute("delete from batches where position = ?", (position,))
            return freed

    def restamp(self, batch_id: UUID, sent_at: datetime, offset_ms: int | None) -> None:
        """Say anew when the batch is sent; only for one that the core cannot have seen."""
        with self._transaction():
            self._db.execute(
                "update batches set sent_at = ?, clock_offset_ms = ? where id = ?",
                (sent_at.isoformat(), offset_ms, str(batch_id)),
            )

    def split(self, batch_id: UUID, sent_at: datetime) -> None:
        """Give every transmission of the batch a batch of its own, in the same order."""
        with self._transaction():
            position = self._position(batch_id)
            members = self._db.execute(
                "select id from transmissions where batch = ? order by id", (position,)
            ).fetchall()
            self._db.execute("update transmissions set batch = null where batch = ?", (position,))
            self._db.execute("delete from batches where position = ?", (position,))
            for (member,) in members:
                self._compose([member], sent_at, None)

    def refuse(self, batch_id: UUID, problem: str, at: datetime) -> None:
        """The core will not take this batch: set it aside."""
        with self._transaction():
            position = self._position(batch_id)
            self._db.execute(
                "update transmissions set state = 'refused', problem = ?, settled_at = ?, batch = null where batch = ?",
                (problem, at.isoformat(), position),
            )
            self._db.execute("delete from batches where position = ?", (position,))

    def release(self) -> int:
        """Let what the core refused be delivered again; what we refused ourselves stays. Returns how many are let."""
        with self._transaction():
            return self._db.execute(
                "update transmissions set state = 'kept', problem = null, settled_at = null"
                " where state = 'refused' and problem not like ?",
                (f"{BY_GATEWAY}%",),
            ).rowcount

    def purge(self, settled_before: datetime) -> int:
        """Erase the bodies of what was delivered, or refused by us, before then; names stay, so repeats are known."""
        with self._transaction():
            return self._db.execute(
                "update transmissions set state = 'purged', sealed = null where sealed is not null and settled_at < ?"
                " and (state = 'delivered' or (state = 'refused' and problem like ?))",
                (settled_before.isoformat(), f"{BY_GATEWAY}%"),
            ).rowcount

    def counts(self) -> dict[State, int]:
        """How many transmissions are in each state."""
        found = dict(self._db.execute("select state, count(*) from transmissions group by state").fetchall())
        return {state: found.get(state.value, 0) for state in State}

    def oldest_waiting(self) -> datetime | None:
        """When the longest waiting transmission was received."""
        found = self._value("select received_at from transmissions where state = 'kept' order by id limit 1")
        return datetime.fromisoformat(found) if found else None

    def refused(self, most: int = 100) -> list[Refused]:
        """The latest transmissions set aside."""
        rows = self._db.execute(
            "select channel, control_id, body_sha256, received_at, problem from transmissions"
            " where state = 'refused' order by id desc limit ?",
            (most,),
        )
        return [
            Refused(channel, control_id, digest, datetime.fromisoformat(at), problem)
            for channel, control_id, digest, at, problem in rows
        ]

    def alarms(self) -> dict[str, int]:
        """Alarms so far, as `name channel`."""
        return {
            f"{name} {channel}": count
            for name, channel, count in self._db.execute(
                "select name, channel, count from alarms order by name, channel"
            )
        }

    def body(self, name: Name) -> bytes | None:
        """A transmission's bytes; `None` when it is unknown or purged. Raises `Unsealable`."""
        sealed = self._value(
            "select sealed from transmissions where channel = ? and control_id = ? and body_sha256 = ?", name
        )
        return self._sealer.open(sealed, "|".join(name)) if sealed else None

    def limit(self, most_bytes: int) -> None:
        """Never grow beyond this size, so that the machine's disk is not filled; `keep` then raises.

        A little more is left for everything else: a full spool could otherwise not even write down what it sends.
        """
        self._most_pages = most_bytes // int(self._value("pragma page_size"))
        self._allow(self._most_pages + RESERVED_PAGES)

    def _allow(self, pages: int) -> None:
        if self._most_pages:
            self._db.execute(f"pragma max_page_count = {pages}")

    def close(self) -> None:
        self._db.close()

    def _keep(self, one: Incoming) -> Keeping:
        digest = hashlib.sha256(one.body).hexdigest()
        name = (one.channel, one.control_id, digest)
        if one.line:
            self._pieces.drop(one.line)
        if one.alarm:
            self._alarm(one.alarm, one.channel, one.received_at)
        if self._value(f"{_FIND} and body_sha256 = ?", name):
            return Keeping.REPEAT
        reused = self._value(_FIND, name[:2]) is not None
        self._db.execute(
            "insert into transmissions (channel, control_id, body_sha256, received_at, state, sealed, problem,"
            " settled_at) values (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *name,
                one.received_at.isoformat(),
                State.REFUSED if one.refusal else State.KEPT,
                self._sealer.seal(one.body, "|".join(name)),
                f"{BY_GATEWAY}{one.refusal}" if one.refusal else None,
                one.received_at.isoformat() if one.refusal else None,
            ),
        )
        if not reused or one.refusal:
            return Keeping.NEW
        self._alarm(REUSED_ID, one.channel, one.received_at)
        return Keeping.NEW_WITH_REUSED_ID

    def _alarm(self, name: str, channel: str, at: datetime) -> None:
        self._db.execute(
            "insert into alarms values (?, ?, 1, ?)"
            " on conflict (name, channel) do update set count = count + 1, last_at = excluded.last_at",
            (name, channel, at.isoformat()),
        )

    def _first_batch(self, channel: str | None) -> Any:
        """The position of the oldest batch that waits for its answer, or None."""
        if channel is None:
            return self._value("select min(position) from batches")
        query = "select min(batch) from transmissions where batch is not null and state = 'kept' and channel = ?"
        return self._value(query, (channel,))

    def _oldest(self, most: int, most_bytes: int, channel: str | None) -> list[int]:
        """Transmissions for a new batch: always one, then as many as both limits allow."""
        of_channel = "" if channel is None else " and channel = ?"
        query = (
            "select id, length(sealed) from transmissions where state = 'kept' and batch is null"  # noqa: S608  constants
            f"{of_channel} order by id limit ?"
        )
        rows = self._db.execute(query, (most,) if channel is None else (channel, most))
        chosen: list[int] = []
        total = 0
        for member, size in rows.fetchall():
            total += size
            if chosen and total > most_bytes:
                break
            chosen.append(member)
        return chosen

    def _compose(self, members: Iterable[int], sent_at: datetime, offset_ms: int | None) -> int:
        made = self._db.execute(
            "insert into batches (id, sent_at, clock_offset_ms) values (?, ?, ?)",
            (str(uuid4()), sent_at.isoformat(), offset_ms),
        )
        position = made.lastrowid or 0
        self._db.executemany(
            "update transmissions set batch = ? where id = ?", [(position, member) for member in members]
        )
        return position

    def _pending(self, position: int) -> PendingBatch:
        batch_id, sent_at, offset_ms = self._db.execute(
            "select id, sent_at, clock_offset_ms from batches where position = ?", (position,)
        ).fetchone()
        rows = self._db.execute(
            "select channel, control_id, body_sha256, received_at, sealed from transmissions where batch = ?"
            " order by id",
            (position,),
        ).fetchall()
        members = tuple(self._opened(*row) for row in rows)
        return PendingBatch(UUID(batch_id), datetime.fromisoformat(sent_at), offset_ms, members)

    def _opened(self, channel: str, control_id: str, digest: str, at: str, sealed: bytes) -> Received:
        body = self._sealer.open(sealed, "|".join((channel, control_id, digest)))
        return Received(channel, control_id, digest, datetime.fromisoformat(at), body)

    def _set_aside_damaged(self, position: int, at: datetime) -> None:
        """A transmission that does not unseal must not hold up all others."""
        with self._transaction():
            rows = self._db.execute(
                "select id, channel, control_id, body_sha256, received_at, sealed from transmissions where batch = ?",
                (position,),
            ).fetchall()
            for member, *sealed in rows:
                try:
                    self._opened(*sealed)
                except Unsealable:
                    self._db.execute(
                        "update transmissions set state = 'refused', problem = ?, settled_at = ?, batch = null"
                        " where id = ?",
                        (f"{BY_GATEWAY}damaged", at.isoformat(), member),
                    )
            self._db.execute("update transmissions set batch = null where batch = ?", (position,))
            self._db.execute("delete from batches where position = ?", (position,))

    def _position(self, batch_id: UUID) -> int:
        position = self._value("select position from batches where id = ?", (str(batch_id),))
        if position is None:
            raise LookupError(f"no batch {batch_id} waits for an answer")
        return int(position)

    def _value(self, query: str, values: Sequence[object] = ()) -> Any:
        row = self._db.execute(query, values).fetchone()
        return row[0] if row else None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
            self._db.execute("commit")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("rollback")
            raise
