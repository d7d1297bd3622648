"""Every query of the dashboards: gold Iceberg tables, one organization at a time.

The organization is always that of the signed token: each function takes an `Access`, and only `_read` touches the lake.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import streamlit as st
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.expressions import And, BooleanExpression, EqualTo, GreaterThanOrEqual, IsNull, LessThan, NotNull
from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError

from dashboards.access import Access
from dashboards.settings import read_settings

LABORATORY_ZONE = ZoneInfo("Asia/Kolkata")
FRESH_SECONDS = 300
TURNAROUND = "gold.fct_turnaround"
CONTROLS = "gold.fct_control_results"
TEXT, NUMBER, WHOLE, YES_NO, MOMENT = pl.String(), pl.Float64(), pl.Int64(), pl.Boolean(), pl.Datetime("us", "UTC")
COLUMNS: dict[str, dict[str, pl.DataType]] = {
    TURNAROUND: {
        "organization_id": TEXT, "test_code": TEXT, "priority": TEXT, "authorised_at": MOMENT,
        "minutes_order_to_collection": NUMBER, "minutes_receipt_to_result": NUMBER,
        "minutes_result_to_authorised": NUMBER, "minutes_total": NUMBER, "is_late": YES_NO, "is_automatic": YES_NO,
    },
    CONTROLS: {
        "organization_id": TEXT, "analyser_code": TEXT, "material": TEXT, "lot_number": TEXT, "level": WHOLE,
        "test_code": TEXT, "value": NUMBER, "mean": NUMBER, "sd": NUMBER, "z": NUMBER, "violated": TEXT,
        "status": TEXT, "occurred_at": MOMENT,
    },
}  # fmt: skip


class LakeUnavailable(Exception):
    """The lake cannot be read now."""


def organization_of(access: Access) -> str:
    """What the caches tell callers apart by."""
    return access.organization_id


@st.cache_data(ttl=FRESH_SECONDS, hash_funcs={Access: organization_of}, show_spinner=False)
def released_days(access: Access) -> tuple[date, date] | None:
    """The first and last day (Indian time) on which this organization released a test; None when it never has."""
    return _days(_read(TURNAROUND, access, NotNull("authorised_at"), only=("authorised_at",)), "authorised_at")


@st.cache_data(ttl=FRESH_SECONDS, hash_funcs={Access: organization_of}, show_spinner=False)
def released_tests(access: Access, first: date, last: date) -> pl.DataFrame:
    """One row for each test released on the days `first` to `last`; minutes are Float64, `day` the day of release."""
    rows = _read(TURNAROUND, access, _between("authorised_at", first, last))
    return _with_day(rows, "authorised_at")


@st.cache_data(ttl=FRESH_SECONDS, hash_funcs={Access: organization_of}, show_spinner=False)
def waiting_tests(access: Access) -> pl.DataFrame:
    """One row (`test_code`, `priority`) for each ordered test that is not released yet."""
    return _read(TURNAROUND, access, IsNull("authorised_at"), only=("test_code", "priority"))


@st.cache_data(ttl=FRESH_SECONDS, hash_funcs={Access: organization_of}, show_spinner=False)
def control_days(access: Access) -> tuple[date, date] | None:
    """The first and last day (Indian time) with a control measurement; None when there is none."""
    return _days(_read(CONTROLS, access, NotNull("occurred_at"), only=("occurred_at",)), "occurred_at")


@st.cache_data(ttl=FRESH_SECONDS, hash_funcs={Access: organization_of}, show_spinner=False)
def control_results(access: Access, first: date, last: date) -> pl.DataFrame:
    """One row for each control measurement of the days `first` to `last`, oldest first, none left out."""
    rows = _read(CONTROLS, access, _between("occurred_at", first, last))
    return _with_day(rows, "occurred_at").sort("occurred_at", "level")


def median_and_p90(minutes: str) -> list[pl.Expr]:
    """Median and 90th percentile (linear interpolation) of a column of minutes, and the two shares in per cent."""
    return [
        pl.len().alias("tests"),
        pl.col(minutes).median().alias("median"),
        pl.col(minutes).quantile(0.9, "linear").alias("p90"),
        (pl.col("is_late").mean() * 100).alias("late_percent"),
        (pl.col("is_automatic").fill_null(value=False).mean() * 100).alias("automatic_percent"),
    ]


def turnaround_by(rows: pl.DataFrame, key: str, minutes: str) -> pl.DataFrame:
    """Turnaround of each `test_code`, `day` or `priority`: tests, median, p90, late_percent, automatic_percent."""
    return rows.group_by(key).agg(median_and_p90(minutes)).sort(key)


def control_statistics(rows: pl.DataFrame) -> pl.DataFrame:
    """What was observed against each level's target, over all points and over those not rejected.

    Unit of mean, SD and target is the analyte's; CV and bias are per cent. A rejected point stays in "all points", and
    a new target starts a new row: points of two targets are never mixed.
    """
    both = [rows.with_columns(points=pl.lit("all points"))]
    both.append(rows.filter(pl.col("status") != "rejected").with_columns(points=pl.lit("without rejected")))
    return (
        pl.concat(both)
        .rename({"mean": "target_mean", "sd": "target_sd"})
        .group_by("level", "target_mean", "target_sd", "points")
        .agg(
            pl.len().alias("n"),
            pl.col("value").mean().alias("observed_mean"),
            pl.col("value").std().alias("observed_sd"),
            pl.col("occurred_at").min().alias("since"),
            (pl.col("status") == "rejected").sum().alias("rejected"),
            (pl.col("status") == "warning").sum().alias("warnings"),
        )
        .with_columns(
            (100 * pl.col("observed_sd") / pl.col("observed_mean")).alias("cv_percent"),
            (100 * (pl.col("observed_mean") / pl.col("target_mean") - 1)).alias("bias_percent"),
        )
        .sort("level", "since", "points")
    )


def as_csv(rows: pl.DataFrame) -> bytes:
    """Rows as CSV (UTF-8 with its mark). A text that a spreadsheet would run as a formula gets a quote before it."""
    harmless = rows.with_columns(
        pl.when(pl.col(pl.String).str.contains(r"^[=+\-@\t\r]"))
        .then("'" + pl.col(pl.String))
        .otherwise(pl.col(pl.String))
        .name.keep()
    )
    return harmless.write_csv(include_bom=True).encode()


@st.cache_resource(show_spinner=False)
def _catalog(url: str, folder: str) -> SqlCatalog:
    # The dashboards only read: they must not create the catalogue's tables where there is none.
    return SqlCatalog("lake", uri=url, warehouse=folder, init_catalog_tables="false", pool_pre_ping="true")


def _read(name: str, access: Access, condition: BooleanExpression, *, only: Sequence[str] = ()) -> pl.DataFrame:
    """The only place that reads the lake: the organization is part of every scan. A table not published is empty."""
    settings = read_settings()
    columns = {column: COLUMNS[name][column] for column in only or COLUMNS[name]}
    mine = And(EqualTo("organization_id", access.organization_id), condition)
    try:
        catalog = _catalog(settings.lake_catalog_url, settings.lake_folder)
        if not inspect(catalog.engine).has_table("iceberg_tables"):
            return pl.DataFrame(schema=columns)
        table = catalog.load_table(name)
        rows = table.scan(row_filter=mine, selected_fields=tuple(columns)).to_arrow()
    except NoSuchTableError:
        return pl.DataFrame(schema=columns)
    except (SQLAlchemyError, OSError) as error:
        raise LakeUnavailable("The lake cannot be read now.") from error
    return pl.DataFrame(rows).select(pl.col(column).cast(kind) for column, kind in columns.items())


def _between(column: str, first: date, last: date) -> BooleanExpression:
    return And(GreaterThanOrEqual(column, _midnight(first)), LessThan(column, _midnight(last + timedelta(days=1))))


def _midnight(day: date) -> str:
    return datetime.combine(day, time(), LABORATORY_ZONE).isoformat()


def _days(rows: pl.DataFrame, column: str) -> tuple[date, date] | None:
    days = _with_day(rows, column)["day"]
    first, last = days.min(), days.max()
    return (first, last) if isinstance(first, date) and isinstance(last, date) else None


def _with_day(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    return rows.with_columns(pl.col(column).dt.convert_time_zone("Asia/Kolkata").dt.date().alias("day"))


def filtered(rows: pl.DataFrame, *, tests: Sequence[str], priorities: Sequence[str]) -> pl.DataFrame:
    """The rows of the chosen tests and priorities; choosing none means all."""
    if tests:
        rows = rows.filter(pl.col("test_code").is_in(tests))
    return rows.filter(pl.col("priority").is_in(priorities)) if priorities else rows
