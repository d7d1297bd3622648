"""The same dbt project builds the same marts on DuckDB: the way out for a laboratory that outgrows PostgreSQL."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import adbc_driver_postgresql.dbapi as adbc
import duckdb
import psycopg
import pytest

from pipelines.capture import LEDGER, bronze_table
from pipelines.gold import MARTS
from pipelines.lake import open_lake
from pipelines.loop import capture_once
from pipelines.raw_schema import RAW
from pipelines.settings import ROOT, Settings, libpq
from pipelines.transform import build
from pipelines.warehouse import load
from tests.integration.pipelines.laboratory import write_laboratory

pytestmark = pytest.mark.xdist_group("pipelines")


def copy_raw(stores: Settings, file: Path) -> None:
    with adbc.connect(libpq(stores.warehouse_url)) as source, duckdb.connect(str(file)) as target:
        target.execute("create schema raw")
        for name in RAW:
            with source.cursor() as cursor:
                cursor.execute(f"select * from raw.{name}")
                rows = cursor.fetch_arrow_table()
            target.register("rows", rows)
            target.execute(f"create table raw.{name} as select * from rows")
            target.unregister("rows")


def build_on_duckdb(file: Path, folder: Path) -> None:
    options = ["--project-dir", "dbt", "--profiles-dir", "dbt", "--target", "duck", "--target-path", str(folder)]
    done = subprocess.run(
        [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "build", *options, "--log-level-file", "none"],
        cwd=ROOT,
        env={**os.environ, "LIMS_WAREHOUSE_DUCKDB": str(file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_the_marts_are_the_same_on_duckdb(
    stores: Settings, ledger: psycopg.Connection[tuple[Any, ...]], tmp_path: Path
) -> None:
    write_laboratory(ledger, UUID(int=21), orders=60, seed=0.3)
    capture_once(stores)
    load(libpq(stores.warehouse_url), bronze_table(open_lake(stores), LEDGER))
    copy_raw(stores, tmp_path / "warehouse.duckdb")

    assert [node.unique_id for node in build(stores) if not node.good] == []
    build_on_duckdb(tmp_path / "warehouse.duckdb", tmp_path / "target")

    duck = duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True)
    with psycopg.connect(libpq(stores.warehouse_url)) as postgres:
        for mart in MARTS.values():
            query = f"select {', '.join(mart.schema.names)} from {mart.relation}"
            ours, theirs = postgres.execute(query.encode()).fetchall(), duck.execute(query).fetchall()
            assert len(ours) == len(theirs) > 0
            assert set(ours) == set(theirs), mart.relation
