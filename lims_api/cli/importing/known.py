"""What the organization has that a history's rows refer to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import polars as pl
import psycopg

from lims_api.cli.importing.errors import HistoryUnusable

_TESTS = """
select distinct on (code) code, replace(id::text, '-', ''), loinc, unit, turnaround_minutes, specimen_type, container
  from lims.test_definitions where organization_id = %s order by code, version desc
"""
_LOTS = """
select m.name, l.lot_number, l.id from lims.control_lots l
  join lims.control_materials m on m.organization_id = l.organization_id and m.id = l.material_id
 where l.organization_id = %s
"""
_TEST_COLUMNS = {
    "test_code": pl.String, "definition_id": pl.String, "loinc": pl.String, "own_unit": pl.String,
    "turnaround_minutes": pl.Int64, "usual_specimen_type": pl.String, "usual_container": pl.String,
}  # fmt: skip


@dataclass(frozen=True)
class Known:
    """One organization: its laboratories (first by code first), newest definitions, analysers and control lots."""

    organization_id: UUID
    sites: dict[str, UUID]
    laboratory: str
    tests: pl.DataFrame
    analysers: dict[str, UUID]
    lots: dict[tuple[str, str], UUID]


def look_up(connection: psycopg.Connection[Any], organization: str) -> Known:
    """Read it; `HistoryUnusable` without the organization or a laboratory."""
    found = connection.execute("select id from lims.organizations where code = %s", (organization,)).fetchone()
    if found is None:
        raise HistoryUnusable(f"there is no organization '{organization}'")
    own = (found[0],)
    sites = connection.execute(
        "select code, id, kind from lims.sites where organization_id = %s order by code", own
    ).fetchall()
    laboratory = next((code for code, _, kind in sites if kind == "lab"), None)
    if laboratory is None:
        raise HistoryUnusable("the organization has no laboratory; add a site first")
    analysers = connection.execute("select code, id from lims.analysers where organization_id = %s", own)
    return Known(
        organization_id=found[0],
        sites={code: id_ for code, id_, _ in sites},
        laboratory=laboratory,
        tests=pl.DataFrame(connection.execute(_TESTS, own).fetchall(), schema=_TEST_COLUMNS, orient="row"),
        analysers=dict(analysers.fetchall()),
        lots={(name, lot): id_ for name, lot, id_ in connection.execute(_LOTS, own)},
    )
