"""`lims pipelines trace`: what the lake and the warehouse hold of results, for whoever follows one to its last copy.

One question a line on standard input, one answer a line on standard output. Bodies stay in the lake: their hash is
answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

import psycopg
from pydantic import AwareDatetime, BaseModel
from pydantic_core import from_json, to_json
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.expressions import And, EqualTo, GreaterThanOrEqual, In
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.table import Table
from sqlalchemy.exc import OperationalError

from pipelines.capture import FROM_THE_BEGINNING, LEDGER, SNAPSHOT
from pipelines.lake import open_lake
from pipelines.settings import Settings, libpq

_READ = ("seq", "op", "capture", "row_id", "body")
_MART = """
select result_id, row_to_json(f)::text from clinical.fct_results f where organization_id = %s and result_id = any(%s)
"""


class Unreachable(Exception):
    """The lake's catalog or the warehouse does not answer."""


class Question(BaseModel):
    """Results of one organization; none of them was recorded before `since`."""

    organization_id: str
    row_ids: list[str]
    since: AwareDatetime


class Copies:
    """The lake's ledger as of now, and the warehouse."""

    def __init__(self, settings: Settings) -> None:
        try:
            self._bronze: Table | None = open_lake(settings).load_table(LEDGER.target)
        except NoSuchTableError:
            self._bronze = None
        except OperationalError:
            raise Unreachable("the lake's catalog does not answer (LIMS_LAKE_CATALOG_URL)") from None
        self._added_by = _added_by(self._bronze) if self._bronze else {}
        self._warehouse = libpq(settings.warehouse_url)

    def of(self, question: Question) -> dict[str, Any]:
        """Each result's ledger rows in the lake and its row in the mart; up to where both are filled."""
        loaded, mart = self._mart(question)
        captured = self._bronze.properties.get(SNAPSHOT, FROM_THE_BEGINNING) if self._bronze else FROM_THE_BEGINNING
        bronze = self._ledger_rows(self._bronze, question) if self._bronze else {}
        return {"captured": captured, "loaded": loaded, "bronze": bronze, "mart": mart}

    def _ledger_rows(self, bronze: Table, question: Question) -> dict[str, list[dict[str, Any]]]:
        """File by file, so that each row is known by the file it lies in."""
        wanted = And(
            EqualTo("table_name", "results"),
            GreaterThanOrEqual("recorded_at", question.since.isoformat()),
            In("row_id", question.row_ids),
        )
        scan = bronze.scan(row_filter=wanted, selected_fields=_READ)
        reader = ArrowScan(bronze.metadata, bronze.io, scan.projection(), wanted)
        found: dict[str, list[dict[str, Any]]] = {}
        for task in scan.plan_files():
            path = task.file.file_path
            place = {"file": path.removeprefix(bronze.location() + "/"), "snapshot_id": self._added_by.get(path)}
            for batch in reader.to_record_batches([task]):
                for row in batch.to_pylist():
                    found.setdefault(row["row_id"], []).append(_row(row) | place)
        return {row_id: sorted(rows, key=lambda row: row["seq"]) for row_id, rows in found.items()}

    def _mart(self, question: Question) -> tuple[int, dict[str, Any]]:
        with self._connected() as connection:
            try:
                row = connection.execute("select coalesce(max(capture), 0) from raw.loads").fetchone()
                rows = connection.execute(_MART, (question.organization_id, question.row_ids)).fetchall()
            except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):  # nothing was ever built
                return 0, {}
        return int(row[0]) if row else 0, {result_id: from_json(text) for result_id, text in rows}

    def _connected(self) -> psycopg.Connection[tuple[Any, ...]]:
        try:
            return psycopg.connect(self._warehouse, options="-ctimezone=UTC", autocommit=True)
        except psycopg.OperationalError:
            raise Unreachable("the warehouse does not answer (LIMS_WAREHOUSE_URL)") from None


def answers(questions: Iterable[str], copies: Copies) -> Iterator[str]:
    """A line of JSON for each line."""
    for line in questions:
        yield to_json(copies.of(Question.model_validate_json(line))).decode()


def _added_by(bronze: Table) -> dict[str, int | None]:
    """Which snapshot added each file that the table's newest one names."""
    snapshot = bronze.current_snapshot()
    manifests = snapshot.manifests(bronze.io) if snapshot else []
    entries = (entry for manifest in manifests for entry in manifest.fetch_manifest_entry(bronze.io))
    return {entry.data_file.file_path: entry.snapshot_id for entry in entries}


def _row(row: dict[str, Any]) -> dict[str, Any]:
    digest = sha256((row["body"] or "").encode()).hexdigest()
    return {"seq": row["seq"], "op": row["op"], "capture": row["capture"], "body_sha256": digest}
