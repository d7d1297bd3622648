"""The flag and the age of many rows at once; the rules are `results.flags.flag` and `patients.age.age_days`.

What these say of a row, those say: a test asks both, of made-up and of real rows. Limits and values may be floats here:
of two numbers in their shortest decimal form, the same is the smaller one.
"""

from __future__ import annotations

import polars as pl

from lims_api.core.clock import INDIA
from lims_api.patients import age


def flags() -> pl.Expr:
    """Of the columns value, comparator and the four limits: LL, L, N, H, HH or null."""
    value, low, high = pl.col("value"), pl.col("reference_low"), pl.col("reference_high")
    critical_low, critical_high = pl.col("critical_low"), pl.col("critical_high")
    cannot_tell = value.is_null() | (low.is_null() & high.is_null())
    highest_low = pl.max_horizontal(low, critical_low)
    lowest_high = pl.min_horizontal(high, critical_high)
    return (
        pl.when(_below(critical_low)).then(pl.lit("LL"))
        .when(_above(critical_high)).then(pl.lit("HH"))
        .when(_below(low)).then(pl.lit("L"))
        .when(_above(high)).then(pl.lit("H"))
        .when(cannot_tell | _open(highest_low, lowest_high)).then(None)
        .otherwise(pl.lit("N"))
    )  # fmt: skip


def ages() -> pl.Expr:
    """Of the columns birth_on, birth_precision and collected_at: the age in days, in steps, or null."""
    day = pl.col("collected_at").dt.offset_by(f"{_minutes_ahead()}m").dt.date()
    born = _latest()
    months = _completed_months(born, day)
    decides_from = pl.col("birth_precision").replace_strict(
        {str(precision): 12 * years for precision, years in age.KNOWN_FROM_YEARS.items()}, return_dtype=pl.Int32
    )
    undecided = (born > day) | (months < decides_from)
    return pl.when(~undecided).then(_step(born, day, months))


def _minutes_ahead() -> int:
    return round(INDIA.utcoffset(None).total_seconds() / 60)


def _is(*comparators: str) -> pl.Expr:
    return pl.col("comparator").is_in(comparators).fill_null(value=False)


def _below(limit: pl.Expr) -> pl.Expr:
    value = pl.col("value")
    below = pl.when(_is("<")).then(value <= limit).otherwise(value < limit)
    return below.fill_null(value=False) & ~_is(">", ">=")


def _above(limit: pl.Expr) -> pl.Expr:
    value = pl.col("value")
    above = pl.when(_is(">")).then(value >= limit).otherwise(value > limit)
    return above.fill_null(value=False) & ~_is("<", "<=")


def _open(low: pl.Expr, high: pl.Expr) -> pl.Expr:
    value = pl.col("value")
    down = low.is_not_null() | (value > high).fill_null(value=False)
    up = high.is_not_null() | (value < low).fill_null(value=False)
    return (_is("<", "<=") & down) | (_is(">", ">=") & up)


def _latest() -> pl.Expr:
    """The last day that the birth date can mean."""
    born = pl.col("birth_on")
    return (
        pl.when(pl.col("birth_precision") == "year").then(pl.date(born.dt.year(), 12, 31))
        .when(pl.col("birth_precision") == "month").then(born.dt.month_end())
        .otherwise(born)
    )  # fmt: skip


def _completed_months(born: pl.Expr, day: pl.Expr) -> pl.Expr:
    years = day.dt.year() - born.dt.year()
    months = day.dt.month().cast(pl.Int32) - born.dt.month().cast(pl.Int32)
    return years * 12 + months - (day.dt.day() < born.dt.day()).cast(pl.Int32)


def _step(born: pl.Expr, day: pl.Expr, months: pl.Expr) -> pl.Expr:
    days = (day - born).dt.total_days()
    step = pl.when(months < 12 * age.MONTHS_UNTIL_YEARS).then(1).otherwise(12)
    completed = months // step * step
    waits = _of_months(completed) > days
    return (
        pl.when(days <= age.NEWBORN_DAYS).then(days)
        .when(months < 12 * age.WEEKS_UNTIL_YEARS).then((days // 7).clip(upper_bound=age.LAST_WEEK) * 7)
        .otherwise(_of_months(pl.when(waits).then(completed - step).otherwise(completed)))
    )  # fmt: skip


def _of_months(months: pl.Expr) -> pl.Expr:
    return months.cast(pl.Int64) * 1461 // 48
