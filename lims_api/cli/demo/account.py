"""What a demonstration's day left, counted where it lies: in PostgreSQL, the lake, the warehouse."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from pyiceberg.catalog.sql import SqlCatalog

from lims_api.cli.demo.laboratories import Lab
from lims_api.cli.installation import Installation

DISTINCT_RESULTS = """
select count(*) from (select distinct specimen_id, test_code, analyser_id, occurred_at, run, value_text
from lims.results where entry = 'instrument' and recorded_at >= %s) as one
"""
PARKED = """
select count(*) from lims.parked_observations p join lims.instrument_messages m
  on m.organization_id = p.organization_id and m.id = p.message_id
 where m.kind = 'patient' and p.recorded_at >= %s
"""
BY_ANALYSER = """
select a.code, count(r.id), count(r.id) filter (where r.is_automatic), count(r.id) filter (where r.status = 'held')
  from lims.analysers a
  left join lims.results r on r.organization_id = a.organization_id and r.analyser_id = a.id
   and r.entry = 'instrument' and r.recorded_at >= %s
 where a.organization_id = %s
 group by a.code order by a.code
"""
LIVE = "from lims.results where entry = 'instrument' and recorded_at >= %s"
Count = Callable[..., int]


@dataclass(frozen=True)
class Account:
    """The account of the day that began at `began` by the database's clock.

    Of this day alone: what an earlier one left must not make up for a result that this one lost.
    """

    installation: Installation
    labs: Sequence[Lab]
    began: datetime
    reports: Mapping[str, dict[str, Any]]
    """What each laboratory's virtual day says that it sent."""

    def whole(self) -> dict[str, Any]:
        """Everything that `demo.json` holds besides times and addresses."""
        with psycopg.connect(self.installation.cluster.superuser_dsn("lims")) as connection:

            def count(statement: str, *values: object) -> int:
                row = connection.execute(statement.encode(), values).fetchone()
                return int(row[0]) if row else 0

            return {
                **_stock(count),
                **self._results(count),
                "bronze_rows": self._bronze_rows(),
                "marts": self._marts(),
                "model": model(self.installation, self.labs[0]),
                "organizations": {
                    lab.code: self._of(count, lab) | {"analysers": self._by_analyser(connection, lab)}
                    for lab in self.labs
                },
            }

    def _results(self, count: Count) -> dict[str, int]:
        sent = sum(report["results_sent"] for report in self.reports.values())
        recorded, parked = count(f"select count(*) {LIVE}", self.began), count(PARKED, self.began)
        return {
            "results_sent": sent,
            "results_recorded": recorded,
            "results_parked": parked,
            "results_lost": sent - recorded - parked,
            "results_duplicated": recorded - count(DISTINCT_RESULTS, self.began),
            "auto_released": count(f"select count(*) {LIVE} and is_automatic", self.began),
            "held": count(f"select count(*) {LIVE} and status = 'held'", self.began),
        }

    def _of(self, count: Count, lab: Lab) -> dict[str, Any]:
        own = lab.seeded.organization_id
        live = f"{LIVE} and organization_id = %s"
        return {
            "results_recorded": count(f"select count(*) {live}", self.began, own),
            "auto_released": count(f"select count(*) {live} and is_automatic", self.began, own),
            "held": count(f"select count(*) {live} and status = 'held'", self.began, own),
            "reports": count("select count(*) from lims.reports where organization_id = %s", own),
            "model": model(self.installation, lab),
            "day": self.reports.get(lab.code),
        }

    def _by_analyser(self, connection: psycopg.Connection[Any], lab: Lab) -> dict[str, dict[str, int]]:
        names = ("results_recorded", "auto_released", "held")
        rows = connection.execute(BY_ANALYSER, (self.began, lab.seeded.organization_id)).fetchall()
        return {code: dict(zip(names, counts, strict=True)) for code, *counts in rows}

    def _bronze_rows(self) -> int:
        """Counted in the lake, not in what the capture said."""
        warehouse = (self.installation.folder / "lake").as_uri()
        lake = SqlCatalog("lake", uri=self.installation.url("lims_lake", "lake"), warehouse=warehouse)
        return int(lake.load_table("bronze.ledger").scan().count())

    def _marts(self) -> dict[str, int]:
        with psycopg.connect(self.installation.url("lims_warehouse", "warehouse", driver="postgresql")) as connection:
            tables = connection.execute(
                "select schemaname || '.' || tablename from pg_tables"
                " where schemaname in ('clinical', 'operations', 'quality', 'finance') order by 1"
            ).fetchall()
            return {
                name: connection.execute(f"select count(*) from {name}".encode()).fetchone()[0]  # type: ignore[index]  # noqa: S608  names of the catalogue
                for (name,) in tables
            }


def _stock(count: Count) -> dict[str, int]:
    """Everything that is there, of any day."""
    return {
        "patients": count("select count(*) from lims.patients"),
        "orders": count("select count(*) from lims.orders"),
        "specimens": count("select count(*) from lims.specimens"),
        "reports": count("select count(*) from lims.reports"),
        "ledger_rows": count("select count(*) from lims.ledger"),
    }


def manifest(installation: Installation, lab: Lab) -> dict[str, Any] | None:
    """The deployed champion's manifest, if there is one."""
    folder = installation.folder / "models" / str(lab.seeded.organization_id) / "autoverification"
    file = folder / "manifest.json"
    return json.loads(file.read_text()) if file.exists() else None


def model(installation: Installation, lab: Lab) -> dict[str, Any] | None:
    """The deployed champion in short."""
    found = manifest(installation, lab)
    if found is None:
        return None
    return {"name": found["name"], "version": found["version"], "alias": "champion", "metrics": found["metrics"]}
