"""The CDISC pilot study's laboratory file read by the csv module alone: what our reading of it is held against."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

Row = dict[str, str]
FOLDER = Path("data") / "lab_datasets" / "cdisc_pilot"
NUMBER = re.compile(r"\d+(\.\d*)?|\.\d+")


def rows(shared: Path) -> list[Row]:
    """Every row of the file as it stands in it."""
    return list(_rows(shared / FOLDER / "lb.csv.gz"))


def kind(row: Row) -> str:
    """Why a row can be judged by its own limits (`judged`), or why it comes in unjudged."""
    if not NUMBER.fullmatch(row["LBORRES"]):
        return "comparator" if NUMBER.fullmatch(row["LBORRES"].lstrip("<>=")) else "text"
    return "judged" if row["LBORNRLO"] and row["LBORNRHI"] else "no limits"


def moment(row: Row) -> datetime:
    """The file's times bear no zone, and a few are days alone."""
    text = row["LBDTC"]
    return datetime.fromisoformat(text if "T" in text else f"{text}T12:00").replace(tzinfo=UTC)


def _rows(file: Path) -> Iterator[Row]:
    with gzip.open(file, "rt", newline="") as lines:
        yield from csv.DictReader(lines)
