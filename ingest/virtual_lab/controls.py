"""Control materials: their lots and levels, and how the virtual analyser drifts from day to day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from ingest.virtual_lab.analytes import Numbers, analytes, column, reported

INDIA = ZoneInfo("Asia/Kolkata")
MATERIAL = "Chemistry control"
LOT_NUMBER = "CC2611"
LEVELS = (1, 2)
RUN_TIMES = (time(6, 40), time(14, 10))
DAY_SHARE = 0.35
EPISODE_EVERY_DAYS = 45
MOST_REPEATS = 50
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
    return Target(
        material=MATERIAL,
        lot_number=LOT_NUMBER,
        level=level,
        test_code=about.code,
        unit=about.unit,
        mean=mean,
        sd=round(mean * about.analytic * float(np.hypot(1, DAY_SHARE)), about.decimals + 2),
        decimals=about.decimals,
    )


def drift(seed: int, first_day: date, days: int) -> Numbers:
    """How far the analyser is off on each day, as a logarithm, days by analytes.

    A small new shift every day, and about one episode in 45 days: one analyte creeps up to 1.5 standard deviations
    and is set right by a calibration.
    """
    rng = np.random.default_rng([seed, 3, first_day.toordinal()])
    shift = rng.standard_normal((days, len(analytes()))) * column("analytic") * DAY_SHARE
    for _ in range(max(days // EPISODE_EVERY_DAYS, 1)):
        start, length = int(rng.integers(max(days - 5, 1))), int(rng.integers(5, 15))
        which, height = int(rng.integers(len(analytes()))), rng.choice([-1.5, 1.5])
        ramp = np.linspace(0, height * analytes()[which].analytic, length)[: days - start]
        shift[start : start + len(ramp), which] += ramp
    return np.asarray(shift)


def measured(target: Target, shift: float, rng: np.random.Generator) -> float:
    """One measurement of a control, rounded as the analyser prints it; `shift` is the day's, as a logarithm."""
    spread = column("analytic")[[row.code for row in analytes()].index(target.test_code)]
    return reported(target.test_code, target.mean * float(np.exp(shift + spread * rng.standard_normal()))).value


def measured_in_control(target: Target, shift: float, rng: np.random.Generator) -> float:
    """As the technician leaves it before patients are measured: repeated until it is within two standard deviations."""
    for _ in range(MOST_REPEATS):
        value = measured(target, shift, rng)
        if abs(value - target.mean) <= 2 * target.sd:
            return value
    return round(target.mean, target.decimals)


def history(seed: int, *, until: date, days: int, analyser: str, shifts: Numbers) -> pl.DataFrame:
    """Both levels, twice a day, for `days` days before `until`; the columns of `controls.parquet`."""
    rng = np.random.default_rng([seed, 4])
    rows = [
        _row(target, analyser, _moment(day, run, place), measured(target, shifts[index, place % len(analytes())], rng))
        for index, day in enumerate(until - timedelta(days=back) for back in range(days, 0, -1))
        for run in RUN_TIMES
        for place, target in enumerate(targets())
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _row(target: Target, analyser: str, occurred_at: datetime, value: float) -> tuple[object, ...]:
    about = (target.material, target.lot_number, target.level, target.test_code)
    return (analyser, *about, value, target.unit, target.mean, target.sd, occurred_at)


def _moment(day: date, run: time, place: int) -> datetime:
    return datetime.combine(day, run, INDIA).astimezone(UTC) + timedelta(seconds=18 * place)
