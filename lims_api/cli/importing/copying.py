"""A frame's rows through COPY, a few thousand in one statement."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import polars as pl
import psycopg
from rich.progress import Progress

from lims_api.cli.importing.errors import HistoryUnusable

ROWS = 20_000
"""In one statement: its ledger rows are written from memory, and a million rows need no more of it than these."""


class Copier:
    """COPY into tables of `lims` on one connection, each row under one organization."""

    def __init__(self, connection: psycopg.Connection[Any], organization_id: UUID, progress: Progress) -> None:
        self.connection, self._organization_id, self._progress = connection, organization_id, progress

    def copy(self, table: str, frame: pl.DataFrame) -> int:
        """Copy the frame into the columns of its names; returns how many rows. Null is null, and '' is ''.

        Raises `HistoryUnusable`, naming the constraint and no value, when the database refuses a row.
        """
        frame = frame.select(pl.lit(self._organization_id.hex).alias("organization_id"), pl.all())
        statement = f"copy lims.{table} ({', '.join(frame.columns)}) from stdin with (format csv)".encode()
        task = self._progress.add_task(f"import {table}", total=frame.height)
        for part in frame.iter_slices(ROWS):
            try:
                with self.connection.cursor() as cursor, cursor.copy(statement) as copy:
                    copy.write(_csv(part))
            except (psycopg.IntegrityError, psycopg.DataError) as reason:
                what = reason.diag.constraint_name or reason.diag.column_name or reason.diag.message_primary
                raise HistoryUnusable(f"{table}: the database refuses a row ({what})") from None
            self._progress.advance(task, part.height)
        return frame.height


def _csv(frame: pl.DataFrame) -> bytes:
    """Quoted where needed: an empty text is quoted, null is not."""
    return frame.write_csv(
        include_header=False, quote_style="necessary", datetime_format="%Y-%m-%d %H:%M:%S%.6f+00"
    ).encode()
