import stat
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import polars as pl
import psycopg
import pytest

from ingest.virtual_lab.truth import TruthExposed, TruthRow, save_to_database, save_to_file
from lims_api.core.db.embedded import Cluster
from tests.postgres import database


def _row(code: str, kind: str = "clean", run: str = "r1") -> TruthRow:
    return TruthRow(
        run=run, accession_number="26-000001", test_code=code, kind=kind, true_value=4.0, sent_value=9.5,
        is_wrong=kind != "clean", control_id=21,
    )  # fmt: skip


@pytest.fixture
def truth_url(cluster: Cluster, worker: str) -> Iterator[str]:
    name, owner = f"truth_{worker}", f"judge_{worker}"
    with database(cluster, name) as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for role in (owner, f"application_{worker}"):
                connection.execute(f"drop role if exists {role}".encode())
                connection.execute(f"create role {role} login password 'for-tests'".encode())
            connection.execute(f"alter database {name} owner to {owner}".encode())
            connection.execute(f"grant all on schema public to {owner}".encode())
        yield cluster.url(owner, "for-tests", name, driver="postgresql")


def test_a_truth_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "truth.parquet"

    save_to_file(path, [_row("K"), _row("NA", "swap")])

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = pl.read_parquet(path)
    assert found["kind"].to_list() == ["clean", "swap"]
    assert found.columns == [field.name for field in fields(TruthRow)]
    assert list(tmp_path.iterdir()) == [path]


def test_a_truth_file_replaces_one_that_others_could_read(tmp_path: Path) -> None:
    path = tmp_path / "truth.parquet"
    path.write_text("old")
    path.chmod(0o644)

    save_to_file(path, [_row("K")])

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert pl.read_parquet(path).height == 1


def test_the_truth_database_is_closed_to_every_other_role(truth_url: str, cluster: Cluster, worker: str) -> None:
    save_to_database(truth_url, [_row("K", "edta"), _row("NA")])

    with psycopg.connect(truth_url) as connection:
        rows = connection.execute("select test_code, kind, is_wrong from injected_truth order by 1").fetchall()
    assert rows == [("K", "edta", True), ("NA", "clean", False)]
    application = cluster.url(f"application_{worker}", "for-tests", f"truth_{worker}", driver="postgresql")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(application)


def test_a_run_saved_again_replaces_its_rows_and_no_others(truth_url: str) -> None:
    save_to_database(truth_url, [_row("K"), _row("K", run="r2")])

    save_to_database(truth_url, [_row("NA")])

    with psycopg.connect(truth_url) as connection:
        rows = connection.execute("select run, test_code from injected_truth order by 1").fetchall()
    assert rows == [("r1", "NA"), ("r2", "K")]


def test_nothing_is_written_where_others_may_connect(truth_url: str, cluster: Cluster, worker: str) -> None:
    name = f"truth_{worker}"
    stranger = cluster.url(f"application_{worker}", "for-tests", name, driver="postgresql")

    with pytest.raises(TruthExposed):
        save_to_database(stranger, [_row("K")])

    with psycopg.connect(cluster.superuser_dsn(name)) as connection:
        assert connection.execute("select to_regclass('injected_truth')").fetchone() == (None,)
