"""External quality assessment (EQA): each month the same two specimens as many laboratories, and what peers found."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from ingest.virtual_lab.analysers import ANALYSERS, Bench
from ingest.virtual_lab.analytes import Numbers, analytes, printed
from ingest.virtual_lab.cohort import Indices, Origin
from ingest.virtual_lab.failures import EPOCH
from ingest.virtual_lab.transport import DAY, INDIA_AHEAD_SECONDS

SPECIMENS = ("A", "B")
MEASURED_ON = (8, 19)  # first day of a month that it can be, and the first that it cannot. EXAMPLE
MEASURED_AT, BETWEEN_TESTS = 11 * 3600, 18
# The peers' spread in analytic standard deviations of one analyser: its own, lots and drift, and between laboratories.
PEERS = float(np.sqrt(1 + 0.35**2 + 0.2**2 + 0.6**2))  # EXAMPLE
SCHEMA: dict[str, pl.DataType] = {
    "round": pl.String(),
    "specimen": pl.String(),
    "analyser": pl.String(),
    "test_code": pl.String(),
    "unit": pl.String(),
    "value": pl.Float64(),
    "value_text": pl.String(),
    "assigned_value": pl.Float64(),
    "peer_sd": pl.Float64(),
    "occurred_at": pl.Datetime("us", "UTC"),
}


def history(origin: Origin, bench: Bench) -> pl.DataFrame:
    """One row a round, specimen and test: `eqa.parquet`. The analyser is as far off as it is for patients that day."""
    rng = np.random.default_rng([origin.seed, 16])
    months = _months(origin)
    tests = np.array([place for place, one in enumerate(analytes()) if one.code in origin.measured], dtype=np.int64)
    on = _days(rng, months)
    axes = np.meshgrid(np.arange(len(months)), np.arange(len(SPECIMENS)), tests, indexing="ij")
    month, specimen, test = (axis.ravel() for axis in axes)
    analyser = np.array([ANALYSERS.index(one.analyser) for one in analytes()])[test]
    day = on[month, analyser] - origin.first_day.toordinal()
    low, high = np.log([one.control for one in analytes()]).T
    assigned = low[test] + (high - low)[test] * rng.random(len(test))
    noise = rng.standard_normal(len(test))
    within = (day >= 0) & (day < origin.days)
    month, specimen, test, day, assigned, noise = (
        rows[within] for rows in (month, specimen, test, day, assigned, noise)
    )
    log = assigned + bench.reported_shift[day, test] + noise * bench.reported_sd[day, test]
    return _frame(origin, [months[number] for number in month.tolist()], specimen, test, day, np.exp(assigned), log)


def _months(origin: Origin) -> list[tuple[int, int]]:
    """Every year and month that the origin's days touch."""
    days = (date.fromordinal(day) for day in origin.open_days.tolist())
    return sorted({(day.year, day.month) for day in days})


def _days(rng: np.random.Generator, months: list[tuple[int, int]]) -> Indices:
    """The day of each month on which each analyser measures the round, months by analysers."""
    first = np.array([date(year, month, 1).toordinal() for year, month in months], dtype=np.int64)
    return first[:, None] + rng.integers(*MEASURED_ON, (len(months), len(ANALYSERS))) - 1


def _frame(
    origin: Origin, months: list[tuple[int, int]], specimen: Indices, test: Indices, day: Indices, assigned: Numbers,
    log: Numbers,
) -> pl.DataFrame:  # fmt: skip
    decimals = np.array([one.decimals for one in analytes()])[test]
    rounding = 10.0**-decimals / np.sqrt(12)
    peer_sd = np.hypot(assigned * PEERS * np.array([one.analytic for one in analytes()])[test], rounding)
    midnight = (origin.first_day.toordinal() - EPOCH + day) * DAY
    at = midnight + MEASURED_AT + BETWEEN_TESTS * test - INDIA_AHEAD_SECONDS
    rounds = [f"{year}-{number:02d}" for year, number in months]
    return (
        printed(pl.DataFrame({"test": pl.Series(test, dtype=pl.UInt8), "raw": np.exp(log)}))
        .with_columns(
            round=pl.Series(rounds, dtype=pl.String),
            specimen=pl.Series(list(SPECIMENS)).gather(specimen),
            analyser=pl.Series([one.analyser for one in analytes()]).gather(test),
            assigned_value=_kept(assigned, decimals + 1),
            peer_sd=_kept(peer_sd, decimals + 2),
            occurred_at=pl.Series(at * 1_000_000, dtype=pl.Int64).cast(pl.Datetime("us", "UTC")),
        )
        .sort("occurred_at", "analyser", "test_code", "specimen")
        .select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    )


def _kept(values: Numbers, decimals: Indices) -> pl.Series:
    """Rounded, each to its own number of decimals, as a report prints them."""
    scale = 10.0**decimals
    return pl.Series(np.round(values * scale) / scale)
