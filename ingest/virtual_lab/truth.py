"""The truth of a simulated day, kept where the application cannot read it: another database, or the owner's file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import polars as pl
import psycopg

CREATE = """
create table if not exists injected_truth (
  run text not null,
  accession_number text not null,
  test_code text not null,
  kind text not null,
  true_value double precision not null,
  sent_value double precision not null,
  is_wrong boolean not null,
  control_id bigint not null,
  recorded_at timestamptz not null default now(),
  primary key (run, accession_number, test_code)
)
"""


class TruthExposed(Exception):
    """Any role of the server may connect to the truth database; nothing was written."""


@dataclass(frozen=True, kw_only=True)
class TruthRow:
    """One sent result; the values are as reported, in the test's unit.

    `kind` is an error, a defect of the message, or 'clean'; `is_wrong` says that the sent value is further from the
    true one than the allowable error.
    """

    run: str
    accession_number: str
    test_code: str
    kind: str
    true_value: float
    sent_value: float
    is_wrong: bool
    control_id: int


COLUMNS = tuple(field.name for field in fields(TruthRow))


def save_to_file(path: Path, rows: Sequence[TruthRow]) -> None:
    """Write the rows as Parquet that only the file's owner can read (mode 0600 from its first byte)."""
    _write(path, pl.DataFrame([astuple(row) for row in rows], schema=_schema(), orient="row"))


def save_frames(folder: Path, frames: Mapping[str, pl.DataFrame]) -> None:
    """Write each frame as `<name>.parquet` into a folder that is its owner's alone (0700), the files 0600."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    for name, frame in frames.items():
        _write(folder / f"{name}.parquet", frame)


def _write(path: Path, frame: pl.DataFrame) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        frame.write_parquet(file)
    unfinished.replace(path)


def save_to_database(url: str, rows: Sequence[TruthRow]) -> None:
    """Add the rows to `injected_truth` in the database of `url`, which must be another one than the application's.

    Takes CONNECT on it from PUBLIC first, and raises `TruthExposed` where that is not in the power of this role: then
    every role of the server, the application's too, could read along. A run that is saved again replaces its rows.
    """
    with psycopg.connect(url) as connection:
        _close_to_others(connection)
        connection.execute(CREATE)
        with connection.cursor() as cursor:
            for run in sorted({row.run for row in rows}):
                cursor.execute("delete from injected_truth where run = %s", [run])
            with cursor.copy(f"copy injected_truth ({', '.join(COLUMNS)}) from stdin") as copy:
                for row in rows:
                    copy.write_row(astuple(row))


def _close_to_others(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    name = psycopg.sql.Identifier(connection.info.dbname)
    try:
        with connection.transaction():
            connection.execute(psycopg.sql.SQL("revoke connect on database {} from public").format(name))
    except psycopg.errors.InsufficientPrivilege:
        pass
    found = connection.execute("select has_database_privilege('public', current_database(), 'connect')").fetchone()
    if found is None or found[0]:
        raise TruthExposed("revoke CONNECT on the truth database from PUBLIC, or use a role that owns it")


def _schema() -> dict[str, pl.DataType]:
    kinds: dict[str, pl.DataType] = {"true_value": pl.Float64(), "sent_value": pl.Float64(), "is_wrong": pl.Boolean()}
    return {name: kinds.get(name, pl.Int64() if name == "control_id" else pl.String()) for name in COLUMNS}
