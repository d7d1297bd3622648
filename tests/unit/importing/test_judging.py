"""Many rows at once are judged as one row is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.virtual_lab import cdisc
from lims_api.cli.importing import judging
from lims_api.core.clock import business_day
from lims_api.patients.age import BirthPrecision, age_days
from lims_api.results.flags import flag

LIMITS = ("reference_low", "reference_high", "critical_low", "critical_high")
near = st.integers(-3, 12).map(lambda tenths: tenths / 10)  # so close together that they meet, pass and cross
numbers = st.one_of(near, st.floats(-1e9, 1e9, allow_nan=False, width=64))
judged = st.fixed_dictionaries(
    {
        "value": st.none() | numbers,
        "comparator": st.sampled_from([None, "<", "<=", ">", ">="]),
        **{name: st.none() | numbers for name in LIMITS},
    }
)
people = st.fixed_dictionaries(
    {
        "birth_on": st.dates(date(1895, 1, 1), date(2026, 12, 31)),
        "birth_precision": st.sampled_from([str(precision) for precision in BirthPrecision]),
        "collected_at": st.datetimes(datetime(1990, 1, 1), datetime(2027, 1, 1)).map(  # noqa: DTZ001  made aware
            lambda moment: moment.replace(tzinfo=UTC)
        ),
    }
)


def _exact(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(repr(value))


def _flag_of(row: dict[str, Any]) -> str | None:
    return flag(_exact(row["value"]), row["comparator"], *(_exact(row[name]) for name in LIMITS))


def _age_of(row: dict[str, Any]) -> int | None:
    return age_days(row["birth_on"], BirthPrecision(row["birth_precision"]), business_day(row["collected_at"]))


def _flags(rows: list[dict[str, Any]]) -> list[str | None]:
    schema = {"value": pl.Float64, "comparator": pl.String, **dict.fromkeys(LIMITS, pl.Float64)}
    return pl.DataFrame(rows, schema).select(judging.flags()).to_series().to_list()


def _ages(rows: list[dict[str, Any]]) -> list[int | None]:
    schema = {"birth_on": pl.Date, "birth_precision": pl.String, "collected_at": pl.Datetime("us", "UTC")}
    return pl.DataFrame(rows, schema).select(judging.ages()).to_series().to_list()


@pytest.mark.req("7.2.1")
@given(st.lists(judged, min_size=1, max_size=200))
def test_the_flags_of_many_rows_are_those_of_each(rows: list[dict[str, Any]]) -> None:
    assert _flags(rows) == [_flag_of(row) for row in rows]


@given(st.lists(people, min_size=1, max_size=200))
@example([{"birth_on": date(2025, 2, 1), "birth_precision": "day", "collected_at": datetime(2026, 3, 1, tzinfo=UTC)}])
@example([{"birth_on": date(1900, 1, 1), "birth_precision": "day", "collected_at": datetime(2000, 1, 1, tzinfo=UTC)}])
def test_the_ages_of_many_rows_are_those_of_each(rows: list[dict[str, Any]]) -> None:
    assert _ages(rows) == [_age_of(row) for row in rows]


@given(born=st.dates(date(2000, 1, 1), date(2010, 12, 31)), precision=st.sampled_from(list(BirthPrecision)))
def test_a_childs_age_is_the_same_on_every_day(born: date, precision: BirthPrecision) -> None:
    first = datetime(born.year, born.month, born.day, 18, 29, tzinfo=UTC)  # a minute before midnight in India
    rows = [
        {"birth_on": born, "birth_precision": str(precision), "collected_at": first + timedelta(days=n)}
        for n in range(0, 2600, 3)
    ]

    assert _ages(rows) == [_age_of(row) for row in rows]


def test_every_row_of_the_study_is_judged_as_it_is_alone(shared: Path) -> None:
    rows = [
        {
            "value": row.value, "comparator": row.comparator, "reference_low": row.low, "reference_high": row.high,
            "critical_low": None, "critical_high": None,
        }
        for row in cdisc.flag_rows(shared / "data" / "lab_datasets" / "cdisc_pilot")
    ]  # fmt: skip

    assert _flags(rows) == [_flag_of(row) for row in rows]
    assert len(rows) > 30_000
