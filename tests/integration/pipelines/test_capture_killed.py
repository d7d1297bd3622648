"""The capture is killed at random moments while the ledger is being written; nothing is lost, nothing doubled."""

import multiprocessing
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from pyiceberg.table import Table

from pipelines.capture import LEDGER, NUMBER, bronze_table
from pipelines.lake import open_lake
from pipelines.loop import capture_forever, capture_once
from pipelines.settings import Settings

FORKS = multiprocessing.get_context("forkserver")
KILLS, MOST_KILLS = 20, 80
WRITERS = 6
INSERT = """insert into lims.ledger (organization_id, table_name, row_id, op, body, actor_id)
    select gen_random_uuid(), 'results', gen_random_uuid(), 'I', %s || g, %s from generate_series(1, %s) g"""


def capture_without_rest(settings: Settings, finished: Connection) -> None:
    """Capture round after round, telling the parent when the first is done."""

    def next_round() -> bool:
        finished.send("round")
        return False

    capture_forever(settings, next_round)


def keep_writing(dsn: str, chance: random.Random, stop: Event) -> None:
    """Transactions of 1 to 40 rows: some slow, one in twenty rolled back."""
    with psycopg.connect(dsn) as session:
        while not stop.is_set():
            for _ in range(chance.randint(1, 2)):
                session.execute(INSERT, ("x" * chance.randint(1, 400), uuid4(), chance.randint(1, 20)))
                time.sleep(chance.choice((0, 0, 0, 0.02, 0.05, 0.3)))
            if chance.random() < 0.05:
                session.rollback()
            else:
                session.commit()


@contextmanager
def writers(dsn: str) -> Iterator[None]:
    stop = Event()
    threads = [Thread(target=keep_writing, args=(dsn, random.Random(number), stop)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def kill_at_work(settings: Settings, seconds: float) -> int | None:
    """Start a capture, let it finish one round, kill it some seconds into the next ones; return how it ended."""
    ours, theirs = FORKS.Pipe()
    process = FORKS.Process(target=capture_without_rest, args=(settings, theirs))
    process.start()
    ours.recv()
    time.sleep(seconds)
    process.kill()
    process.join()
    return process.exitcode


def content(rows: list[dict[str, Any]]) -> list[tuple[int, str, str]]:
    return sorted((row["seq"], row["row_id"], row["body"]) for row in rows)


@pytest.mark.req("2.1.1")
@pytest.mark.req("1.7.5")
def test_a_capture_killed_twenty_times_loses_and_doubles_nothing(stores: Settings, ledger_dsn: str) -> None:
    FORKS.set_forkserver_preload(["pipelines.loop"])
    chance = random.Random(15189)
    bronze = bronze_table(open_lake(stores), LEDGER)

    with writers(ledger_dsn):
        endings: list[int | None] = []
        # on until a kill fell into the worst moment: when depends on the machine's load, that it must does not
        while len(endings) < KILLS or (len(endings) < MOST_KILLS and not orphans(bronze.refresh())):
            # later and later: on a slow machine a capture writes nothing in its first half second
            endings.append(kill_at_work(stores, chance.uniform(0.0, 0.4 + 0.02 * len(endings))))
    captures_before_the_last = int(bronze.refresh().properties.get(NUMBER, "0"))
    capture_once(stores)

    in_lake = bronze.refresh().scan(selected_fields=("seq", "row_id", "body")).to_arrow().to_pylist()
    with psycopg.connect(ledger_dsn, row_factory=psycopg.rows.dict_row) as session:
        in_ledger = session.execute("select seq, row_id::text, body from lims.ledger").fetchall()
    assert set(endings) == {-signal.SIGKILL}
    assert captures_before_the_last >= KILLS / 2
    assert len(in_ledger) > 1000
    assert content(in_lake) == content(in_ledger)
    assert orphans(bronze), "no kill fell between a data file and its commit"


def orphans(bronze: Table) -> set[str]:
    """Files of captures that died before their commit: written, named nowhere."""
    known = {Path(path).name for path in bronze.inspect.files()["file_path"].to_pylist()}
    folder = Path(bronze.location().removeprefix("file://"))
    return {path.name for path in folder.rglob("*.parquet")} - known
