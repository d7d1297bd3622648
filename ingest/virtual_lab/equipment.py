"""What analysers and their keepers leave in a log: error codes, failures, repairs, upkeep, calibrations, new lots."""

from __future__ import annotations

import numpy as np
import polars as pl

from ingest.virtual_lab.analysers import ANALYSERS, Bench
from ingest.virtual_lab.analytes import analytes
from ingest.virtual_lab.cohort import Origin
from ingest.virtual_lab.failures import EPOCH, EVENT_SCHEMA, Wear, event_rows
from ingest.virtual_lab.transport import DAY, INDIA_AHEAD_SECONDS

WEEKLY, MONTHLY = 7, 30
UPKEEP_SECONDS = {"weekly": 1500, "monthly": 5400}
UPKEEP_AT, CALIBRATION_AT, LOT_AT = 21 * 3600, 6 * 3600, 6 * 3600 + 900
Row = tuple[str, str, str, str, int, int | None]


def history(origin: Origin, wear: Wear, bench: Bench) -> pl.DataFrame:
    """`equipment_events.parquet`, in order of time."""
    rows = [*event_rows(origin, wear), *_upkeep(origin), *_calibrations(origin, bench), *_lots(origin, bench)]
    frame = pl.DataFrame(rows, schema={**EVENT_SCHEMA, "occurred_at": pl.Int64, "resolved_at": pl.Int64}, orient="row")
    utc = [
        ((pl.col(name) - INDIA_AHEAD_SECONDS) * 1_000_000).cast(EVENT_SCHEMA[name])
        for name in ("occurred_at", "resolved_at")
    ]
    return frame.with_columns(utc).sort("occurred_at", "analyser", "component", "kind", "code")


def _midnight(origin: Origin, day: int) -> int:
    return (origin.first_day.toordinal() - EPOCH + day) * DAY


def _upkeep(origin: Origin) -> list[Row]:
    found: list[Row] = []
    for place, analyser in enumerate(ANALYSERS):
        for day in range(place, origin.days, WEEKLY):
            what = "monthly" if day % MONTHLY < WEEKLY else "weekly"
            begin = _midnight(origin, day) + UPKEEP_AT
            found.append((analyser, "maintenance", "analyser", what, begin, begin + UPKEEP_SECONDS[what]))
    return found


def _calibrations(origin: Origin, bench: Bench) -> list[Row]:
    days = np.nonzero(bench.calibrated)[0].tolist()
    return [
        (analyser, "calibration", "analyser", "", _midnight(origin, day) + CALIBRATION_AT, None)
        for analyser in ANALYSERS
        for day in days
    ]


def _lots(origin: Origin, bench: Bench) -> list[Row]:
    days, tests = np.nonzero(np.diff(bench.lot, axis=0))
    return [
        (analytes()[test].analyser, "reagent_lot", analytes()[test].code, "", _midnight(origin, day + 1) + LOT_AT, None)
        for day, test in zip(days.tolist(), tests.tolist(), strict=True)
        if analytes()[test].code in origin.measured
    ]
