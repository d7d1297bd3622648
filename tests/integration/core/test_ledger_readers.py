"""Readers of the ledger and the outbox lose nothing and repeat nothing, whatever the writers do."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from lims_api.core.db import Database, SystemCaller, open_database, transaction
from lims_api.core.ids import uuid7
from lims_api.core.ledger import BEGINNING, Event, publish, read
from lims_api.organizations.models import Site, SiteKind
from tests.conftest import Environment
from tests.factories import organization

WRITERS = 8
SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class SiteOpened(Event):
    name: ClassVar[str] = "site.opened"

    code: str


class RolledBack(Exception):
    """Raised by a writer that changes its mind."""


@dataclass
class Truth:
    """What the writers know to be committed; each row has one event."""

    tenant: UUID
    rows: set[UUID] = field(default_factory=set)
    rolled_back: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def write(database: Database, truth: Truth, number: int, until: float) -> None:
    """Transactions that begin early, dawdle between their writes, and take one in twenty back; number 0 is slow."""
    chance = random.Random(number)
    while time.monotonic() < until:
        rows = set()
        try:
            with transaction(SystemCaller(database=database, organization_id=truth.tenant)) as session:
                time.sleep(chance.choice((0, 0, 0.02)))
                for _ in range(chance.randint(1, 3)):
                    site = Site(
                        organization_id=truth.tenant, code=str(uuid7()), name="Centre", kind=SiteKind.COLLECTION_CENTRE
                    )
                    session.add(site)
                    session.flush()
                    rows.add(site.id)
                    publish(session, SiteOpened(subject_id=site.id, code=site.code))
                    time.sleep(0.4 if number == 0 else chance.choice((0, 0.002, 0.03)))
                if chance.random() < 0.05:
                    raise RolledBack
        except RolledBack:
            truth.rolled_back += 1
        else:
            with truth.lock:
                truth.rows |= rows


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection, connection.begin():
        yield connection


@dataclass
class Reader:
    """Polls one log by snapshot difference, and beside it by the naive watermark."""

    engine: Engine
    log: str
    id_of: str
    tenant: UUID
    since: str
    last: int = 0
    seen: Counter[UUID] = field(default_factory=Counter)
    naive: Counter[UUID] = field(default_factory=Counter)

    def poll(self) -> None:
        with reading(self.engine) as connection:
            rows, self.since = read(connection, self.since, table=self.log)
            after = connection.execute(
                text(f"select * from lims.{self.log} where seq > :last order by seq"), {"last": self.last}
            ).mappings()
            found = after.all()
        self.seen.update(self._ours(rows))
        self.naive.update(self._ours(found))
        self.last = found[-1]["seq"] if found else self.last

    def _ours(self, rows: Any) -> list[UUID]:
        return [row[self.id_of] for row in rows if row["organization_id"] == self.tenant]


@pytest.fixture(scope="module")
def capture(environment: Environment) -> Iterator[Engine]:
    engine = create_engine(environment.url("lims_capture"), isolation_level="REPEATABLE READ")
    yield engine
    engine.dispose()


@pytest.mark.req("2.1.1")
def test_hostile_writers_make_no_reader_lose_or_repeat_a_row_but_the_naive_one(
    environment: Environment, capture: Engine
) -> None:
    truth = Truth(organization(environment))
    with reading(capture) as connection:
        start: str = connection.execute(text("select pg_current_snapshot()::text")).scalar_one()
    readers = [
        Reader(capture, "ledger", "row_id", truth.tenant, start),
        Reader(capture, "outbox", "subject_id", truth.tenant, start),
    ]
    database = open_database(environment.url("lims_app"), environment.keys, connections=WRITERS)
    until = time.monotonic() + SECONDS
    writers = [threading.Thread(target=write, args=(database, truth, number, until)) for number in range(WRITERS)]

    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        for reader in readers:
            reader.poll()
    for reader in readers:
        reader.poll()
    database.close()

    assert len(truth.rows) > 300
    assert truth.rolled_back > 3
    for reader in readers:
        assert set(reader.seen) == truth.rows
        assert set(reader.seen.values()) == {1}
        assert set(reader.naive) < truth.rows, "the writers were not hostile enough for this test to mean anything"


def test_a_reader_that_starts_late_reads_everything_from_the_beginning(
    environment: Environment, capture: Engine
) -> None:
    tenant = organization(environment)
    with transaction(SystemCaller(database=environment.app, organization_id=tenant)) as session:
        session.add_all(
            Site(organization_id=tenant, code=str(number), name="Centre", kind=SiteKind.LAB) for number in range(5)
        )

    with reading(capture) as connection:
        rows, now = read(connection, BEGINNING)
    with reading(capture) as connection:
        again, _ = read(connection, now)

    assert sum(row["organization_id"] == tenant for row in rows) == 5
    assert [row["seq"] for row in rows] == sorted(row["seq"] for row in rows)
    assert not [row for row in again if row["organization_id"] == tenant]


def test_a_reader_outside_a_repeatable_read_transaction_is_refused(environment: Environment) -> None:
    engine = create_engine(environment.url("lims_capture"))

    with engine.connect() as connection, pytest.raises(RuntimeError, match="REPEATABLE READ"):
        read(connection)

    engine.dispose()


def test_only_the_two_logs_can_be_read_by_name(environment: Environment, capture: Engine) -> None:
    with reading(capture) as connection, pytest.raises(ValueError, match="not a log"):
        read(connection, table="patients")


@pytest.mark.req("2.1.1")
def test_an_event_is_there_if_and_only_if_the_change_is(environment: Environment) -> None:
    tenant = organization(environment)
    caller = SystemCaller(database=environment.app, organization_id=tenant)

    def open_site(code: str) -> None:
        site = Site(organization_id=tenant, code=code, name="Centre", kind=SiteKind.LAB)
        session.add(site)
        publish(session, SiteOpened(subject_id=site.id, code=code))
        session.flush()

    with transaction(caller) as session:
        open_site("kept")
    with pytest.raises(RolledBack), transaction(caller) as session:  # noqa: PT012  what is rolled back must happen first
        open_site("taken-back")
        raise RolledBack

    with transaction(caller) as session:
        events = session.execute(text("select name, version, payload::json->>'code' from lims.outbox")).all()
        sites: Any = session.execute(text("select code from lims.sites")).scalars().all()
    assert [tuple(event) for event in events] == [("site.opened", 1, "kept")]
    assert sites == ["kept"]


@dataclass(frozen=True, kw_only=True)
class Careless(Event):
    name: ClassVar[str] = "careless"

    payload: Any


@pytest.mark.parametrize(
    "payload",
    [{"name": "Asha"}, ["Asha"], ("Asha",), b"Asha", object(), Decimal("1.5")],
    ids=lambda value: type(value).__name__,
)
def test_an_event_that_holds_more_than_ids_codes_and_times_is_refused(environment: Environment, payload: Any) -> None:
    tenant = organization(environment)

    with transaction(SystemCaller(database=environment.app, organization_id=tenant)) as session:
        with pytest.raises(TypeError, match="ids, codes and times only") as refusal:
            publish(session, Careless(subject_id=uuid7(), payload=payload))
        assert "Asha" not in str(refusal.value)
        assert session.execute(text("select count(*) from lims.outbox")).scalar_one() == 0


@pytest.mark.parametrize(
    "payload", [uuid7(), 7, 1.5, True, datetime(2026, 1, 5, tzinfo=UTC), SiteKind.LAB, "code", None]
)
def test_ids_codes_numbers_and_times_survive_publishing(environment: Environment, payload: Any) -> None:
    tenant = organization(environment)

    with transaction(SystemCaller(database=environment.app, organization_id=tenant)) as session:
        publish(session, Careless(subject_id=uuid7(), payload=payload))
        stored: Any = session.execute(text("select payload::json->'payload' from lims.outbox")).scalar_one()

    assert stored == (
        payload
        if isinstance(payload, (int, float, type(None)))
        else str(payload).replace(" ", "T").replace("+00:00", "Z")
    )
