"""The control results of a history, judged by the rules as if they had come in one by one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from lims_api.cli.importing.copying import Copier
from lims_api.cli.importing.errors import HistoryUnusable
from lims_api.cli.importing.files import INSTANT, Columns
from lims_api.cli.importing.known import Known
from lims_api.core.ids import uuid7_texts
from lims_api.qc.westgard import Run, rejects, violations

_THERE = "select 1 from lims.control_results where organization_id = %s and occurred_at <= %s limit 1"
_RUN_LASTS = timedelta(minutes=45)
_LOOKS_BACK = 12
_SCHEMA: Columns = {
    "id": pl.String, "occurred_at": INSTANT, "available_at": INSTANT,
    "run_id": pl.String, "analyser_id": pl.String, "lot_id": pl.String, "level": pl.Int64, "test_code": pl.String,
    "value": pl.Float64, "unit": pl.String, "mean": pl.Float64, "sd": pl.Float64, "z": pl.Float64,
    "violated": pl.String, "status": pl.String,
}  # fmt: skip


def add(copier: Copier, known: Known, frame: pl.DataFrame) -> int:
    """Import the controls unless the organization has some of that time already; returns how many."""
    if frame.is_empty():
        return 0
    if (frame["sd"] <= 0).any():
        raise HistoryUnusable("controls.parquet: an SD is not above zero")
    if copier.connection.execute(_THERE, (known.organization_id, frame["occurred_at"].max())).fetchone():
        return 0
    return copier.copy("control_results", pl.DataFrame(list(_judged(known, frame)), _SCHEMA, orient="row"))


def _judged(known: Known, frame: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
    earlier: dict[tuple[str, ...], list[Run]] = {}
    runs: dict[tuple[str, str], tuple[str, datetime]] = {}
    ids = uuid7_texts(2 * frame.height)[::-1]
    for row in frame.sort("occurred_at", maintain_order=True).iter_rows(named=True):
        lot, analyser = _lot_and_analyser(known, row)
        z = (row["value"] - row["mean"]) / row["sd"]
        before = earlier.setdefault((row["lot_number"], row["analyser"], row["test_code"]), [])
        found = violations({row["level"]: z}, before)
        before.insert(0, {row["level"]: z})
        del before[_LOOKS_BACK:]
        run, began = runs.get((row["analyser"], row["test_code"]), (ids[-1], row["occurred_at"]))
        if run == ids[-1] or row["occurred_at"] - began > _RUN_LASTS:
            run, began = ids.pop(), row["occurred_at"]
        runs[row["analyser"], row["test_code"]] = run, began
        yield (
            ids.pop(), row["occurred_at"], row["occurred_at"], run, analyser, lot, row["level"], row["test_code"],
            row["value"], row["unit"], row["mean"], row["sd"], z,
            _array([f"{one.rule} ({one.scope})" for one in found]),
            "rejected" if rejects(found) else "warning" if found else "accepted",
        )  # fmt: skip


def _lot_and_analyser(known: Known, row: dict[str, Any]) -> tuple[str, str]:
    lot, analyser = known.lots.get((row["material"], row["lot_number"])), known.analysers.get(row["analyser"])
    if lot is None or analyser is None:
        what = f"{row['material']} {row['lot_number']}, {row['analyser']}"
        raise HistoryUnusable(f"unknown control lot or analyser: {what}")
    return lot.hex, analyser.hex


def _array(texts: list[str]) -> str:
    return "{" + ",".join(f'"{text}"' for text in texts) + "}"
