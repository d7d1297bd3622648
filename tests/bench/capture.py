"""Ledger rows carried to bronze a second: 500,000 rows as long as those of results, and harder to compress; an
empty lake each round.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path

import psycopg
from pydantic import SecretStr

from lims_api.cli.installation import Installation, install
from lims_api.core.db.embedded import destroy
from pipelines.capture import LEDGER, bronze_table, capture
from pipelines.lake import open_lake
from pipelines.settings import Settings, libpq

ROUNDS, ROWS, BODY = 5, 500_000, 1_400
FILL = f"""
insert into lims.ledger (organization_id, table_name, row_id, op, body, actor_id)
select '00000000-0000-7000-8000-000000000002', 'results', gen_random_uuid(), 'I',
       '{{"after":"' || (select string_agg(md5(n || '.' || g), '') from generate_series(1, {BODY // 32}) g) || '"}}',
       '00000000-0000-7000-8000-000000000001'
  from generate_series(1, {ROWS}) n
"""


def measure() -> dict[str, float]:
    """Rows a second, captured from the first to the commit; medians of five rounds."""
    folder = Path(tempfile.mkdtemp(prefix="nidan-bench-"))
    installation = install(folder)
    try:
        with psycopg.connect(installation.cluster.superuser_dsn("lims")) as connection:
            connection.execute(FILL.encode())
        rates = [_round(installation, number) for number in range(ROUNDS)]
    finally:
        installation.cluster.stop()
        destroy(folder / "postgresql")
        shutil.rmtree(folder, ignore_errors=True)
    return {"rows_per_second": statistics.median(rates), "rows": float(ROWS)}


def _round(installation: Installation, number: int) -> float:
    """Another lake each time: the same tables in a folder and a catalogue schema that are empty."""
    settings = _settings(installation, installation.folder / f"lake-{number}")
    lake = open_lake(settings)
    started = time.perf_counter()
    captured = capture(libpq(settings.ledger_url), bronze_table(lake, LEDGER))
    taken = time.perf_counter() - started
    if captured.rows < ROWS:
        raise RuntimeError(f"captured {captured.rows} of {ROWS}")
    lake.drop_table(LEDGER.target)
    return captured.rows / taken


def _settings(installation: Installation, lake: Path) -> Settings:
    def url(role: str, name: str) -> SecretStr:
        return SecretStr(installation.url(role, name))

    return Settings(
        ledger_url=url("lims_capture", "lims"), lake_catalog_url=url("lims_lake", "lake"),
        warehouse_url=url("lims_warehouse", "warehouse"), dagster_url=url("lims_dagster", "dagster"),
        mlflow_url=url("lims_mlflow", "mlflow"), lake_folder=str(lake),
    )  # fmt: skip


if __name__ == "__main__":
    print(measure())
