"""The example reference intervals of the virtual laboratory (`reference.toml`), for a sex and an age."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ingest.virtual_lab.analytes import Numbers

LIMITS = ("low", "high", "critical_low", "critical_high")
NO_END = 55_000


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Limits of one test for one sex ("any" = every) from one age to below another, in days and in the test's unit."""

    test_code: str
    sex: str = "any"
    age_from_days: int = 0
    age_to_days: int = NO_END
    low: float | None = None
    high: float | None = None
    critical_low: float | None = None
    critical_high: float | None = None


@cache
def intervals() -> tuple[Interval, ...]:
    """All rows of `reference.toml`."""
    text = Path(__file__).with_name("reference.toml").read_text(encoding="utf-8")
    return tuple(Interval(**row) for row in tomllib.loads(text)["interval"])


def interval(test_code: str, *, sex: str, age_days: int) -> Interval | None:
    """The one row that fits, or `None`: no row is guessed for a sex or an age without one."""
    fits = [
        row
        for row in intervals()
        if row.test_code == test_code and row.sex in ("any", sex) and row.age_from_days <= age_days < row.age_to_days
    ]
    return fits[0] if fits else None


def limits(test_code: str, *, sex: NDArray[np.str_], age_days: NDArray[np.int64]) -> dict[str, Numbers]:
    """The four limits of one test for many persons; NaN where there is none."""
    found = {name: np.full(len(sex), np.nan) for name in LIMITS}
    for row in intervals():
        if row.test_code != test_code:
            continue
        fits = ((sex == row.sex) | (row.sex == "any")) & (row.age_from_days <= age_days) & (age_days < row.age_to_days)
        for name in LIMITS:
            value = getattr(row, name)
            found[name][fits] = np.nan if value is None else value
    return found


def table() -> pl.DataFrame:
    """The intervals as a frame, one row each."""
    return pl.DataFrame([vars(row) for row in intervals()], infer_schema_length=None)
