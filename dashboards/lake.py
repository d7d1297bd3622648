"""Gold Iceberg tables, one organization at a time: the only module that opens the lake."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import polars as pl
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, EqualTo, GreaterThanOrEqual, LessThan
from pyiceberg.table import Table
from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError

from dashboards.settings import read_settings

LABORATORY_ZONE = ZoneInfo("Asia/Kolkata")
TURNAROUND = "gold.fct_turnaround"
RESULTS = "gold.fct_results"
CONTROLS = "gold.fct_control_results"
TEXT, NUMBER, WHOLE, YES_NO, MOMENT = pl.String(), pl.Float64(), pl.Int64(), pl.Boolean(), pl.Datetime("us", "UTC")
COLUMNS: dict[str, dict[str, pl.DataType]] = {
    TURNAROUND: {
        "organization_id": TEXT, "site_name": TEXT, "test_code": TEXT, "test_name": TEXT, "discipline": TEXT,
        "is_example": YES_NO, "priority": TEXT, "analyser_code": TEXT, "placed_at": MOMENT, "collected_at": MOMENT,
        "received_at": MOMENT,
        "first_result_at": MOMENT, "authorised_at": MOMENT, "due_at": MOMENT, "minutes_target": NUMBER,
        "minutes_order_to_collection": NUMBER, "minutes_collection_to_receipt": NUMBER,
        "minutes_receipt_to_result": NUMBER, "minutes_result_to_authorised": NUMBER, "minutes_total": NUMBER,
        "is_late": YES_NO, "is_automatic": YES_NO, "recorded_at": MOMENT,
    },
    RESULTS: {
        "organization_id": TEXT, "site_name": TEXT, "test_code": TEXT, "test_name": TEXT, "discipline": TEXT,
        "is_example": YES_NO, "priority": TEXT, "analyser_code": TEXT, "entry": TEXT, "status": TEXT,
        "is_automatic": YES_NO, "is_correction": YES_NO, "reasons": TEXT, "model_version": TEXT,
        "rules_version": TEXT, "minutes_held": NUMBER, "available_at": MOMENT, "authorised_at": MOMENT,
        "recorded_at": MOMENT,
    },
    CONTROLS: {
        "organization_id": TEXT, "site_name": TEXT, "analyser_code": TEXT, "material": TEXT, "lot_number": TEXT,
        "level": WHOLE, "test_code": TEXT, "test_name": TEXT, "unit": TEXT, "target_source": TEXT,
        "is_example": YES_NO, "value": NUMBER, "mean": NUMBER, "sd": NUMBER, "z": NUMBER, "violated": TEXT,
        "status": TEXT, "occurred_at": MOMENT, "recorded_at": MOMENT,
    },
}  # fmt: skip
"""What is read of each table. Nothing of a patient is among it, not even the patient's key."""
AWAY = "The lake cannot be read now. Try again in a few minutes."


class LakeUnavailable(Exception):
    """The lake cannot be read now. The message is for the visitor: what to do, and nothing of where the lake is."""


def read(
    name: str, organization_id: str, condition: BooleanExpression | None = None, *, only: Sequence[str] = ()
) -> pl.DataFrame:
    """This organization's rows of a gold table, all columns of `COLUMNS` or `only` some. One never published is empty.

    The organization is part of every scan, and checked again on what came back. Raises LakeUnavailable.
    """
    columns = {column: COLUMNS[name][column] for column in only or COLUMNS[name]}
    table = _table(name)
    if table is None:
        return pl.DataFrame(schema=columns)
    _refuse_outdated(table, name)
    mine = And(EqualTo("organization_id", organization_id), condition or AlwaysTrue())
    rows = _scan(table, mine, tuple({"organization_id", *columns}))
    ours = rows.filter(pl.col("organization_id") == organization_id)
    return ours.select(pl.col(column).cast(kind) for column, kind in columns.items())


def published_at(name: str) -> datetime | None:
    """When the pipelines last published this table; None when they never did."""
    table = _table(name)
    snapshot = table.current_snapshot() if table else None
    return datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC) if snapshot else None


def owners_of_site(name: str) -> list[str]:
    """The organizations whose analysers stand in a laboratory of this name. For operators; no page may ask this."""
    table = _table(CONTROLS)
    if table is None:
        return []
    _refuse_outdated(table, CONTROLS)
    rows = _scan(table, EqualTo("site_name", name), ("organization_id",))
    return sorted(rows["organization_id"].unique())


def between(column: str, first: date, last: date) -> BooleanExpression:
    """The instants of the days `first` to `last`, both included, as days begin in India."""
    return And(GreaterThanOrEqual(column, _midnight(first)), LessThan(column, _midnight(last + timedelta(days=1))))


def with_day(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """The rows and, as `day`, the Indian calendar day of one of their instants."""
    return rows.with_columns(pl.col(column).dt.convert_time_zone("Asia/Kolkata").dt.date().alias("day"))


@cache
def _catalog(url: str, folder: str) -> SqlCatalog:
    # The dashboards only read: they must not create the catalogue's tables where there is none.
    return SqlCatalog("lake", uri=url, warehouse=folder, init_catalog_tables="false", pool_pre_ping="true")


def _table(name: str) -> Table | None:
    settings = read_settings()
    try:
        catalog = _catalog(settings.lake_catalog_url, settings.lake_folder)
        if not inspect(catalog.engine).has_table("iceberg_tables"):
            return None
        return catalog.load_table(name)
    except NoSuchTableError:
        return None
    except (SQLAlchemyError, OSError) as error:
        raise LakeUnavailable(AWAY) from error


def _scan(table: Table, condition: BooleanExpression, columns: tuple[str, ...]) -> pl.DataFrame:
    try:
        return pl.DataFrame(table.scan(row_filter=condition, selected_fields=columns).to_arrow())
    except (SQLAlchemyError, OSError) as error:
        raise LakeUnavailable(AWAY) from error


def _refuse_outdated(table: Table, name: str) -> None:
    if not COLUMNS[name].keys() <= set(table.schema().column_names):
        raise LakeUnavailable(
            "The lake was published by an earlier version. It is made anew by the next run of the pipelines."
        )


def _midnight(day: date) -> str:
    return datetime.combine(day, time(), LABORATORY_ZONE).isoformat()
