"""The Parquet files of a history: their columns, and what every row must be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl
from polars.datatypes import DataType, DataTypeClass

from lims_api.cli.importing.errors import HistoryUnusable

Columns = Mapping[str, DataType | DataTypeClass]
INSTANT = pl.Datetime("us", "UTC")
PATIENTS: Columns = {
    "uhid": pl.String, "name": pl.String, "phone": pl.String, "sex": pl.String, "birth_on": pl.Date,
    "birth_precision": pl.String,
}  # fmt: skip
RESULTS: Columns = {
    "uhid": pl.String, "order_number": pl.String, "accession_number": pl.String, "test_code": pl.String,
    "value": pl.Float64, "value_text": pl.String, "comparator": pl.String, "unit": pl.String,
    "reference_low": pl.Float64, "reference_high": pl.Float64, "critical_low": pl.Float64,
    "critical_high": pl.Float64, "ordered_at": INSTANT, "collected_at": INSTANT, "received_at": INSTANT,
    "occurred_at": INSTANT, "available_at": INSTANT, "authorised_at": INSTANT, "analyser": pl.String,
    "instrument_flags": pl.String,
}  # fmt: skip
OPTIONAL: Columns = {
    "specimen_type": pl.String,
    "container": pl.String,
    "site_code": pl.String,
    "is_judged": pl.Boolean,
}
"""Of results; null or left out: what the catalogue wants for the test, the organization's first laboratory, and yes."""
CONTROLS: Columns = {
    "analyser": pl.String, "material": pl.String, "lot_number": pl.String, "test_code": pl.String, "unit": pl.String,
    "level": pl.Int64, "value": pl.Float64, "mean": pl.Float64, "sd": pl.Float64, "occurred_at": INSTANT,
}  # fmt: skip
MAY_BE_NULL = {
    "phone", "value", "comparator", "reference_low", "reference_high", "critical_low", "critical_high", "analyser",
    "instrument_flags", *OPTIONAL,
}  # fmt: skip


def read(file: Path, columns: Columns, optional: Columns | None = None) -> pl.DataFrame:
    """A file's columns in their types; the optional ones are null where it has none.

    Raises `HistoryUnusable` for a column that is missing, of another type, null or not a finite number.
    """
    frame, optional = pl.read_parquet(file), optional or {}
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise HistoryUnusable(f"{file.name} has no column {', '.join(missing)}")
    wanted = {**columns, **optional}
    frame = frame.with_columns(pl.lit(None).alias(name) for name in optional if name not in frame.columns)
    try:
        frame = frame.select(pl.col(name).cast(kind) for name, kind in wanted.items())
    except pl.exceptions.PolarsError as reason:
        raise HistoryUnusable(f"{file.name} has a column of another type: {str(reason).splitlines()[0]}") from None
    _refuse_holes(file.name, frame)
    return frame


def _refuse_holes(name: str, frame: pl.DataFrame) -> None:
    for column, kind in frame.schema.items():
        if column not in MAY_BE_NULL and frame[column].null_count():
            raise HistoryUnusable(f"{name}: {column} is null in {frame[column].null_count()} rows; every row needs it")
        if kind == pl.Float64 and not frame[column].drop_nulls().is_finite().all():
            raise HistoryUnusable(f"{name}: {column} is not a number in some row; write null where there is none")


def one_each(frame: pl.DataFrame, key: str, of: str) -> None:
    """Refuse a history in which one `key` has two `of`."""
    several = frame.group_by(key).agg(pl.col(of).n_unique().alias("times")).filter(pl.col("times") > 1)
    if not several.is_empty():
        raise HistoryUnusable(f"results.parquet: {several.height} {key}s have more than one {of}; each may have one")
