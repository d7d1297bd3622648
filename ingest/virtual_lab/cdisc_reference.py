"""The reference intervals that the CDISC pilot study's own limits imply, by sex and age."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from ingest.virtual_lab.cdisc import SEXES, StudyTest, read, tests

SOURCE = "limits in the CDISC pilot study, domain LB"
NO_END_DAYS = 55_000
DAYS_A_YEAR = 365.25


@dataclass(frozen=True, kw_only=True)
class Band:
    """The limits that the file uses for one test, sex and age; `age_to_days` is outside."""

    test_code: str
    unit: str
    sex: str
    age_from_days: int
    age_to_days: int
    low: float
    high: float
    rows: int
    rows_elsewhere: int


def reference_bands(source: Path) -> list[Band]:
    """The reference intervals that the file implies for each test that has limits, by sex and completed years of age.

    Where the file changes its limits with age, the birthday that contradicts the fewest rows is taken;
    `rows_elsewhere` counts the rows with these limits that lie outside the band all the same.
    """
    rows = read(source).drop_nulls(["low", "high"]).with_columns(_completed_years().alias("years"))
    groups = rows.partition_by("test_code", "SEX", maintain_order=True)
    bands = [band for group in groups for band in _bands(group)]
    return sorted(bands, key=lambda band: (band.test_code, band.sex, band.age_from_days))


def reference_catalogue(source: Path) -> list[dict[str, Any]]:
    """The study's tests as definitions of a catalogue, each with the intervals of `reference_bands`, if it has any."""
    decimals = dict(
        read(source).group_by("test_code").agg(pl.col("LBORRES").str.extract(r"\.(\d*)$").str.len_chars().max()).rows()
    )
    found = {test.code: _definition(test, decimals.get(test.code) or 0) for test in tests() if test.code in decimals}
    for band in reference_bands(source):
        limits = {name: getattr(band, name) for name in ("sex", "age_from_days", "age_to_days", "low", "high")}
        found[band.test_code]["intervals"].append({**limits, "source": SOURCE})
    return list(found.values())


def _definition(test: StudyTest, decimals: int) -> dict[str, Any]:
    return {
        "code": test.code,
        "name": test.name,
        "loinc": test.loinc,
        "unit": test.unit,
        "decimals": decimals,
        "specimen_type": test.specimen_type,
        "container": test.container,
        "discipline": test.discipline,
        "method": "not stated by the study",
        "turnaround_minutes": 240,
        "is_example": True,
        "source": SOURCE,
        "intervals": [],
    }


def _completed_years() -> pl.Expr:
    day, born = pl.col("collected_at").dt.date(), pl.col("birth_on")
    before_birthday = day.dt.strftime("%m%d") < born.dt.strftime("%m%d")
    return day.dt.year() - born.dt.year() - before_birthday.cast(pl.Int32)


def _bands(group: pl.DataFrame) -> Iterator[Band]:
    """The bands of one test and sex, youngest first."""
    used = group.partition_by("low", "high", maintain_order=True)
    used.sort(key=lambda rows: float(rows["years"].to_numpy().mean()))
    starts = [0, *(_birthday(younger, older) for younger, older in pairwise(used))]
    for rows, start, end in zip(used, starts, [*starts[1:], None], strict=True):
        inside = rows.filter((pl.col("years") >= start) & (pl.col("years") < (end or 200))).height
        yield Band(
            test_code=rows["test_code"][0],
            unit=rows["unit"][0],
            sex=SEXES[rows["SEX"][0]],
            age_from_days=int(start * DAYS_A_YEAR),
            age_to_days=NO_END_DAYS if end is None else int(end * DAYS_A_YEAR),
            low=rows["low"][0],
            high=rows["high"][0],
            rows=inside,
            rows_elsewhere=rows.height - inside,
        )


def _birthday(younger: pl.DataFrame, older: pl.DataFrame) -> int:
    """The first year of age of the older band: fewest contradicted rows, then the latest."""
    before, after = younger["years"].to_list(), older["years"].to_list()

    def cost(birthday: int) -> tuple[int, int]:
        return sum(years >= birthday for years in before) + sum(years < birthday for years in after), -birthday

    return min(range(min(before + after), max(before + after) + 1), key=cost)
