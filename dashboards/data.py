"""Every query of the pages, kept for five minutes.

The organization is always that of the signed token: each function takes an `Access`, and no other way leads to a row.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import polars as pl
import streamlit as st
from pyiceberg.expressions import EqualTo, IsNull, NotEqualTo, NotNull

from dashboards import lake
from dashboards.access import Access
from dashboards.lake import CONTROLS, RESULTS, TURNAROUND

FRESH_SECONDS = 300


def organization_of(access: Access) -> str:
    """What the caches tell callers apart by."""
    return access.organization_id


kept = st.cache_data(ttl=FRESH_SECONDS, hash_funcs={Access: organization_of}, show_spinner=False)


@kept
def known_until(access: Access, name: str) -> tuple[datetime | None, datetime | None]:
    """When the table was last published, and the newest change of this organization that it holds."""
    newest = lake.read(name, access.organization_id, only=("recorded_at",))["recorded_at"].max()
    return lake.published_at(name), newest if isinstance(newest, datetime) else None


@kept
def released_days(access: Access) -> tuple[date, date] | None:
    """The first and last day (Indian time) on which this organization released a test; None when it never has."""
    return _days(access, TURNAROUND, "authorised_at")


@kept
def released_tests(access: Access, first: date, last: date) -> pl.DataFrame:
    """One row for each test released on the days `first` to `last`; minutes are Float64, `day` the day of release."""
    rows = lake.read(TURNAROUND, access.organization_id, lake.between("authorised_at", first, last))
    return lake.with_day(rows, "authorised_at")


@kept
def open_tests(access: Access) -> pl.DataFrame:
    """One row for each ordered test that is not released yet, of whatever day."""
    return lake.read(TURNAROUND, access.organization_id, IsNull("authorised_at"))


@kept
def judged_days(access: Access) -> tuple[date, date] | None:
    """The first and last day (Indian time) on which a result became known here; imports do not count."""
    return _days(access, RESULTS, "available_at", judged=True)


@kept
def judged_results(access: Access, first: date, last: date) -> pl.DataFrame:
    """One row for each result that became known on the days `first` to `last`; nobody here judged an imported one."""
    rows = lake.read(RESULTS, access.organization_id, lake.between("available_at", first, last))
    return lake.with_day(rows.filter(pl.col("entry") != "import"), "available_at")


@kept
def held_results(access: Access) -> pl.DataFrame:
    """One row for each result that waits for a person, of whatever day."""
    return lake.read(RESULTS, access.organization_id, EqualTo("status", "held"))


@kept
def corrections(access: Access, first: date, last: date) -> pl.DataFrame:
    """One row for each correction that was released on the days `first` to `last`; `day` is that day."""
    rows = lake.read(RESULTS, access.organization_id, lake.between("authorised_at", first, last))
    return lake.with_day(rows.filter(pl.col("is_correction") & (pl.col("entry") != "import")), "authorised_at")


@kept
def control_days(access: Access) -> tuple[date, date] | None:
    """The first and last day (Indian time) with a control measurement; None when there is none."""
    return _days(access, CONTROLS, "occurred_at")


@kept
def control_results(access: Access, first: date, last: date) -> pl.DataFrame:
    """One row for each control measurement of the days `first` to `last`, oldest first, none left out."""
    rows = lake.read(CONTROLS, access.organization_id, lake.between("occurred_at", first, last))
    return lake.with_day(rows, "occurred_at").sort("occurred_at", "level")


def chosen(rows: pl.DataFrame, choices: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """The rows that have one of the chosen values in each column; choosing none means all."""
    for column, values in choices.items():
        if values:
            rows = rows.filter(pl.col(column).is_in(list(values)))
    return rows


def as_csv(rows: pl.DataFrame) -> bytes:
    """Rows as CSV (UTF-8 with its mark). A text that a spreadsheet would run as a formula gets a quote before it."""
    harmless = rows.with_columns(
        pl.when(pl.col(pl.String).str.contains(r"^[=+\-@\t\r]"))
        .then("'" + pl.col(pl.String))
        .otherwise(pl.col(pl.String))
        .name.keep()
    )
    return harmless.write_csv(include_bom=True).encode()


def _days(access: Access, name: str, column: str, *, judged: bool = False) -> tuple[date, date] | None:
    condition = NotEqualTo("entry", "import") if judged else NotNull(column)
    days = lake.with_day(lake.read(name, access.organization_id, condition, only=(column,)), column)["day"]
    first, last = days.min(), days.max()
    return (first, last) if isinstance(first, date) and isinstance(last, date) else None
