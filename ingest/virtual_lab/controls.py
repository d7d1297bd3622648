"""Control materials: their lots and levels, twice a day on every analyser, with what goes wrong with controls alone."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import time
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ingest.virtual_lab.analysers import Bench, Event
from ingest.virtual_lab.analytes import HAEMATOLOGY, Numbers, analytes, codes, printed, reported
from ingest.virtual_lab.cohort import Indices, Origin
from ingest.virtual_lab.failures import EPOCH

INDIA = ZoneInfo("Asia/Kolkata")
INDIA_AHEAD_SECONDS = 19_800
MICROSECONDS = 1_000_000
# Analyser → material and lot. EXAMPLE.
MATERIALS = {
    "BS480-1": ("Chemistry control", "CC2611"),
    HAEMATOLOGY: ("Haematology control", "HC2611"),
    "IMM-1": ("Immunoassay control", "IC2611"),
}
LEVELS = (1, 2)
RUN_TIMES = (time(6, 40), time(14, 10))
DAY_SHARE = 0.35
MOST_REPEATS = 50
REPEATED_AT_MOST = 6
REPEATED_AFTER_SECONDS = 360
EXPIRED_A_DAY = -0.2
SCHEMA: dict[str, pl.DataType] = {
    "analyser": pl.String(),
    "material": pl.String(),
    "lot_number": pl.String(),
    "level": pl.Int64(),
    "test_code": pl.String(),
    "value": pl.Float64(),
    "unit": pl.String(),
    "mean": pl.Float64(),
    "sd": pl.Float64(),
    "occurred_at": pl.Datetime("us", "UTC"),
}


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a level of the lot should give: the laboratory's mean and standard deviation, in the test's unit."""

    analyser: str
    material: str
    lot_number: str
    level: int
    test_code: str
    unit: str
    mean: float
    sd: float
    decimals: int


@cache
def targets() -> tuple[Target, ...]:
    """Every test of every level; the lots do not change, so that a day continues the history's charts."""
    return tuple(_target(level, index) for level in LEVELS for index in range(len(analytes())))


def _target(level: int, index: int) -> Target:
    about = analytes()[index]
    mean = about.control[level - 1]
    rounding = 10.0**-about.decimals / np.sqrt(12)
    spread = np.hypot(mean * about.analytic * np.hypot(1, DAY_SHARE), rounding)
    return Target(
        analyser=about.analyser, material=MATERIALS[about.analyser][0], lot_number=MATERIALS[about.analyser][1],
        level=level, test_code=about.code, unit=about.unit, mean=mean, sd=round(float(spread), about.decimals + 2),
        decimals=about.decimals,
    )  # fmt: skip


def measured(target: Target, shift: float, rng: np.random.Generator) -> float:
    """One measurement of a control, rounded as the analyser prints it; `shift` is the day's, as a logarithm."""
    spread = analytes()[codes().index(target.test_code)].analytic
    return reported(target.test_code, target.mean * float(np.exp(shift + spread * rng.standard_normal()))).value


def measured_in_control(target: Target, shift: float, rng: np.random.Generator) -> float:
    """As the technician leaves it before patients are measured: repeated until it is within two standard deviations."""
    for _ in range(MOST_REPEATS):
        value = measured(target, shift, rng)
        if abs(value - target.mean) <= 2 * target.sd:
            return value
    return round(target.mean, target.decimals)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """One control measurement a row: day number, run, level, test, how many repeats before it, and its logarithm."""

    day: Indices
    run: Indices
    level: Indices
    test: Indices
    nth: Indices
    log: Numbers

    def take(self, places: Indices) -> _Rows:
        """Some of the rows."""
        return _Rows(**{one.name: getattr(self, one.name)[places] for one in fields(self)})


def history(origin: Origin, bench: Bench, *, days: int) -> pl.DataFrame:
    """Both levels, twice a day, for the last `days` days before the origin's end: the columns of `controls.parquet`."""
    rng = np.random.default_rng([origin.seed, 4])
    tests = np.array([index for index, code in enumerate(codes()) if code in origin.measured])
    span = np.arange(origin.days - min(days, origin.days), origin.days)
    grid = np.meshgrid(span, np.arange(len(RUN_TIMES)), np.arange(len(LEVELS)), tests, indexing="ij")
    day, run, level, test = (axis.ravel() for axis in grid)
    means = np.array([about.control for about in analytes()])
    log = np.log(means[test, level]) + bench.reported_shift[day, test] + _noise(rng, bench, day, test)
    rows = _Rows(day=day, run=run, level=level, test=test, nth=np.zeros_like(day), log=log)
    for event in bench.events:
        rows = _with_event(rows, event, bench, rng)
    return _frame(origin, rows, bench)


def measured_a_day() -> int:
    """How often a test's controls are measured on a day, repeats apart."""
    return len(RUN_TIMES) * len(LEVELS)


def _noise(rng: np.random.Generator, bench: Bench, day: Indices, test: Indices) -> Numbers:
    return np.asarray(rng.standard_normal(len(day)) * bench.reported_sd[day, test])


def _with_event(rows: _Rows, event: Event, bench: Bench, rng: np.random.Generator) -> _Rows:
    """What goes wrong with the controls alone; the rest was done to the analyser."""
    during = (rows.test == event.test) & (rows.day >= event.first) & (rows.day <= event.last)
    if event.kind == "level_mixed_up":
        low, high = np.log(analytes()[event.test].control)
        rows.log[during] += np.where(rows.level[during] == 0, high - low, low - high)
    elif event.kind == "expired":
        rows.log[during] += EXPIRED_A_DAY * (rows.day[during] - event.first + 1) * analytes()[event.test].analytic
    elif event.kind == "repeated_until_in":
        return _repeated(rows, during, bench, rng)
    return rows


def _repeated(rows: _Rows, during: NDArray[np.bool_], bench: Bench, rng: np.random.Generator) -> _Rows:
    """The habit of measuring a control again until it suits: each time with another draw, never with another lot."""
    found, last = [rows], rows.take(np.nonzero(during)[0])
    means = np.array([about.control for about in analytes()])
    for nth in range(1, REPEATED_AT_MOST):
        last = last.take(np.nonzero(np.abs(_z(last.log, last.test, last.level)) > 2)[0])
        if not len(last.day):
            break
        log = np.log(means[last.test, last.level]) + bench.reported_shift[last.day, last.test]
        log = log + _noise(rng, bench, last.day, last.test)
        last = replace(last, nth=np.full_like(last.nth, nth), log=log)
        found.append(last)
    return _Rows(**{one.name: np.concatenate([getattr(part, one.name) for part in found]) for one in fields(_Rows)})


def _z(log: Numbers, test: Indices, level: Indices) -> Numbers:
    mean, sd = _means_and_sds()
    return np.asarray((np.exp(log) - mean[level, test]) / sd[level, test])


@cache
def _means_and_sds() -> tuple[Numbers, Numbers]:
    shape = (len(LEVELS), len(analytes()))
    mean, sd = (np.array([getattr(one, name) for one in targets()]).reshape(shape) for name in ("mean", "sd"))
    return mean, sd


def _frame(origin: Origin, rows: _Rows, bench: Bench) -> pl.DataFrame:
    mean, sd = _means_and_sds()
    begins = np.array([moment.hour * 3600 + moment.minute * 60 for moment in RUN_TIMES])
    first = origin.first_day.toordinal() - EPOCH
    at = (first + rows.day) * 86_400 + begins[rows.run] + 18 * rows.test + 900 * rows.level
    at = at + REPEATED_AFTER_SECONDS * rows.nth - INDIA_AHEAD_SECONDS
    stated = mean[rows.level, rows.test].copy()
    for event in bench.events:
        if event.kind == "wrong_target":
            during = (rows.test == event.test) & (rows.day >= event.first) & (rows.day <= event.last)
            stated[during] *= 1 + event.size * analytes()[event.test].analytic
    about = [analytes()[test] for test in range(len(codes()))]
    frame = pl.DataFrame({"test": pl.Series(rows.test, dtype=pl.UInt8), "raw": np.exp(rows.log)})
    return (
        printed(frame)
        .with_columns(
            analyser=pl.Series(np.array([one.analyser for one in about])[rows.test]),
            material=pl.Series(np.array([MATERIALS[one.analyser][0] for one in about])[rows.test]),
            lot_number=pl.Series(np.array([MATERIALS[one.analyser][1] for one in about])[rows.test]),
            level=pl.Series(np.array(LEVELS)[rows.level]).cast(pl.Int64),
            mean=pl.Series(stated.round(4)),
            sd=pl.Series(sd[rows.level, rows.test]),
            occurred_at=pl.Series(at * MICROSECONDS).cast(pl.Datetime("us", "UTC")),
        )
        .sort("occurred_at", "analyser", "test_code", "level")
        .select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    )
