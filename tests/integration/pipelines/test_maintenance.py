"""Tidying makes the lake smaller and changes nothing that anybody reads."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from pyiceberg.table import Table

from pipelines.capture import LEDGER, bronze_table, capture
from pipelines.lake import open_lake
from pipelines.maintenance import WORTH_MERGING, tables, tidy
from pipelines.settings import Settings, libpq
from pipelines.warehouse import load
from tests.integration.pipelines.laboratory import write_change

LAB = UUID(int=1)
NAME = LEDGER.target


@pytest.fixture
def bronze(stores: Settings, ledger: psycopg.Connection[tuple[Any, ...]]) -> Table:
    """A ledger captured change by change: a file for each."""
    table = bronze_table(open_lake(stores), LEDGER)
    for number in range(WORTH_MERGING + 2):
        write_change(ledger, "sites", uuid4(), "I", organization=LAB, code=f"S{number}")
        capture(libpq(stores.ledger_url), table)
    return table.refresh()


def codes(table: Table) -> list[str]:
    return sorted(table.refresh().scan(selected_fields=("body",)).to_arrow()["body"].to_pylist())


def files(table: Table) -> list[Path]:
    folder = Path(table.location().removeprefix("file://"))
    return [path for path in folder.rglob("*") if path.is_file()]


def age(paths: list[Path], by: timedelta) -> None:
    moment = (datetime.now(UTC) - by).timestamp()
    for path in paths:
        os.utime(path, (moment, moment))


def test_small_files_become_one_and_no_row_changes(stores: Settings, bronze: Table) -> None:
    before = codes(bronze)

    done = tidy(open_lake(stores), NAME, now=datetime.now(UTC))

    assert done.merged == WORTH_MERGING + 2
    assert len(bronze.refresh().inspect.files()) == 1
    assert codes(bronze) == before
    assert tidy(open_lake(stores), NAME, now=datetime.now(UTC)).merged == 0


def test_merging_does_not_make_the_warehouse_load_twice_or_the_capture_start_anew(
    stores: Settings, ledger: psycopg.Connection[tuple[Any, ...]], bronze: Table
) -> None:
    load(libpq(stores.warehouse_url), bronze)
    tidy(open_lake(stores), NAME, now=datetime.now(UTC))
    write_change(ledger, "sites", uuid4(), "I", organization=LAB, code="new")
    captured = capture(libpq(stores.ledger_url), bronze)

    loaded = load(libpq(stores.warehouse_url), bronze.refresh())

    assert captured.rows == 1
    assert loaded.rows == {"sites": 1}


@pytest.mark.req("4.1.3")
def test_what_no_snapshot_names_is_deleted_when_it_is_old_enough(stores: Settings, bronze: Table) -> None:
    orphan = files(bronze)[0].with_name("of-a-capture-that-died.parquet")
    orphan.write_bytes(b"rows that were never committed")
    tomorrow = datetime.now(UTC) + timedelta(days=1, hours=1)
    spared = tidy(open_lake(stores), NAME, now=datetime.now(UTC))
    age(files(bronze), timedelta(hours=2))

    done = tidy(open_lake(stores), NAME, now=tomorrow)

    assert (spared.forgotten, spared.deleted) == (0, 0)
    assert done.forgotten >= WORTH_MERGING
    assert done.deleted > WORTH_MERGING
    assert not orphan.exists()
    assert len(codes(bronze)) == WORTH_MERGING + 2
    assert len([path for path in files(bronze) if path.suffix == ".parquet"]) == 1


def test_every_table_of_the_lake_is_tidied(stores: Settings, bronze: Table) -> None:
    assert tables(open_lake(stores)) == [NAME]
