"""How many ledger rows a second reach the lake: half a million result rows, captured into an empty bronze table."""

import json
import statistics
import tempfile
import time
from pathlib import Path

import psycopg
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table

from lims_api.core.db.embedded import SUPERUSER, Cluster, destroy
from pipelines.capture import LEDGER, bronze_table, capture

ROWS = 500_000
ROUNDS = 5

# The rows of a result as the trigger writes them: some 1,050 bytes of JSON, hardly two alike.
_FILL = """
create schema lims;
create table lims.ledger (
  seq bigint generated always as identity, xid xid8 not null default pg_current_xact_id(),
  organization_id uuid not null, table_name text not null, row_id uuid not null, op text not null, body text not null,
  actor_id uuid not null,
  session_id uuid, device text, ip text, request_id text, reason text, occurred_at timestamptz,
  recorded_at timestamptz not null default now());
insert into lims.ledger (organization_id, table_name, row_id, op, body, actor_id, device, ip, request_id, occurred_at)
select md5('laboratory')::uuid, 'results', gen_random_uuid(), 'I', json_build_object('after', json_build_object(
    'id', gen_random_uuid(), 'organization_id', md5('laboratory')::uuid, 'patient_id', gen_random_uuid(),
    'order_id', gen_random_uuid(), 'order_test_id', gen_random_uuid(), 'specimen_id', gen_random_uuid(),
    'definition_id', gen_random_uuid(), 'message_id', gen_random_uuid(), 'analyser_id', gen_random_uuid(),
    'test_code', 'GLU', 'loinc', '2345-7', 'value_text', round((random() * 100)::numeric, 1)::text,
    'value', round((random() * 100)::numeric, 1), 'unit', 'mg/dL', 'reference_low', 70, 'reference_high', 99,
    'critical_low', 40, 'critical_high', 400, 'age_days', 12000, 'sex', 'male', 'flag', 'N', 'entry', 'instrument',
    'status', 'authorised', 'version', 1, 'occurred_at', now(), 'available_at', now(), 'recorded_at', now(),
    'authorised_by_id', gen_random_uuid(), 'authorised_at', now(), 'reasons', array[]::text[], 'risk', random(),
    'model_sha256', md5(random()::text) || md5(random()::text)))::text,
  gen_random_uuid(), 'BS480-1', '127.0.0.1', gen_random_uuid()::text, now()
from generate_series(1, %s) g;
create index on lims.ledger (xid);
"""


def seconds(dsn: str, bronze: Table) -> float:
    """The time of one capture of everything."""
    start = time.perf_counter()
    found = capture(dsn, bronze)
    taken = time.perf_counter() - start
    if found.rows != ROWS or bronze.refresh().scan().count() != ROWS:
        raise RuntimeError("the capture that was measured did not bring every row")
    return taken


def measure() -> dict[str, float]:
    """Rows a second (median of five, slowest, fastest), megabytes of JSON a second and bytes a row in the lake."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root the server runs as another account, which must come in
        cluster = Cluster.open(folder / "pg", state=folder / "state", shared_buffers="512MB", max_wal_size="4GB")
        try:
            return _measure(cluster, folder)
        finally:
            destroy(folder / "pg", state=folder / "state")


def _measure(cluster: Cluster, folder: Path) -> dict[str, float]:
    with psycopg.connect(cluster.superuser_dsn(), autocommit=True) as admin:
        for name in ("lims", "lake"):
            admin.execute(f"create database {name}".encode())
    dsn = cluster.superuser_dsn("lims")
    with psycopg.connect(dsn, autocommit=True) as lims, psycopg.ClientCursor(lims) as cursor:
        cursor.execute(_FILL.encode(), [ROWS])
        cursor.execute("vacuum analyze lims.ledger")
        cursor.execute("select sum(length(body)) from lims.ledger")
        bytes_of_json = int((cursor.fetchone() or (0,))[0])
    lake = SqlCatalog(
        "lake", uri=cluster.url(SUPERUSER, cluster.password, "lake"), warehouse=(folder / "lake").as_uri()
    )
    taken, size = [], 0
    for _ in range(ROUNDS):
        bronze = bronze_table(lake, LEDGER)
        taken.append(seconds(dsn, bronze))
        size = sum(bronze.inspect.files()["file_size_in_bytes"].to_pylist())
        lake.drop_table(LEDGER.target)
    middle = statistics.median(taken)
    return {
        "rows_per_second": round(ROWS / middle),
        "slowest": round(ROWS / max(taken)),
        "fastest": round(ROWS / min(taken)),
        "json_mb_per_second": round(bytes_of_json / middle / 1e6),
        "bytes_per_row_in_the_lake": round(size / ROWS),
    }


if __name__ == "__main__":
    print(json.dumps(measure()))
