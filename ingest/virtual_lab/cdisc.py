"""The laboratory data of the CDISC pilot study (SDTM LB and DM domains) in this laboratory's shapes, in original units.

Every row is taken, and every visit, scheduled or not: a draw is a subject and a time. The values and limits are the
file's own, and so are the units, written in UCUM (mEq/L is meq/L). A row is judged by its own limits where it has both
and a plain number; every other one (a text, '<0.2', no limits) comes in unjudged, and where the file calls it ABNORMAL
that stands among the instrument's flags. What the file does not have is made up and is said here: names
("Subject ..."), containers, and the hours after collection (one to the bench, another to the result, a third to
authorisation). Times without a zone are taken as UTC, a date without a time as noon.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl

from ingest.virtual_lab import controls
from ingest.virtual_lab.history import RESULT_COLUMNS, Counts
from ingest.virtual_lab.messages import SentResult
from ingest.virtual_lab.patients import SCHEMA as PATIENT_SCHEMA
from ingest.virtual_lab.patients import Person, people

SEXES = {"M": "male", "F": "female"}
FLAGS = {"LOW": "L", "HIGH": "H", "NORMAL": "N"}
PRECISIONS = {10: "day", 7: "month", 4: "year"}
NUMBER = re.compile(r"\s*(<=|>=|<|>)?\s*(\d+(?:\.\d*)?|\.\d+)\s*")
TO_BENCH, TO_RESULT, TO_SEEN, TO_AUTHORISED = (
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=2, minutes=1),
    timedelta(hours=3),
)


@dataclass(frozen=True, kw_only=True)
class StudyTest:
    """One test of the study: its codes and units there and here. EXAMPLE until reviewed."""

    study: str
    code: str
    name: str
    loinc: str
    study_unit: str
    unit: str
    specimen_type: str
    container: str
    discipline: str
    live: bool = False


@cache
def tests() -> tuple[StudyTest, ...]:
    """The study's 45 tests, of `cdisc_tests.toml`."""
    text = files("ingest.virtual_lab").joinpath("cdisc_tests.toml").read_text(encoding="utf-8")
    return tuple(StudyTest(**table) for table in tomllib.loads(text)["test"])


@dataclass(frozen=True, kw_only=True)
class LiveResult:
    """One value of a last draw: as the analyser sends it, and the flag that the file gives it (L, H, N or none)."""

    test_code: str
    sent: SentResult
    low: float | None
    high: float | None
    flag: str | None


@dataclass(frozen=True, kw_only=True)
class LiveDraw:
    """A patient's last draw, to be played over the wire."""

    person: Person
    collected_at: datetime
    results: tuple[LiveResult, ...]


@dataclass(frozen=True, kw_only=True)
class FlagRow:
    """One numeric row of the whole file with limits, and the file's own indicator: LOW, HIGH, NORMAL or nothing."""

    test: str
    value_text: str
    comparator: str | None
    value: float
    low: float
    high: float
    indicator: str | None


def read(source: Path) -> pl.DataFrame:
    """Every row of `lb.csv.gz` with the patient's of `dm.csv.gz`, both in the folder `source`, oldest first.

    Raises `FileNotFoundError`, or `KeyError` for a test or a unit that `tests` does not have.
    """
    lb, dm = _domain(source, "lb"), _domain(source, "dm")
    known = pl.DataFrame(tests()).rename({"study": "LBTESTCD", "code": "test_code"})
    rows = lb.join(known, on="LBTESTCD", how="left", maintain_order="left")
    unknown = rows.filter(pl.col("study_unit").ne_missing(pl.col("LBORRESU"))).select("LBTESTCD", "LBORRESU").unique()
    if not unknown.is_empty():
        raise KeyError(f"the study's tests do not have {unknown.sort('LBTESTCD').rows()}")
    rows = rows.join(dm.select("USUBJID", "SEX", "BRTHDTC"), on="USUBJID", how="left", maintain_order="left")
    return _with_numbers(rows).sort("collected_at", "USUBJID", "LBSEQ", maintain_order=True)


def write_history(source: Path, folder: Path, *, whole: bool = False) -> Counts:
    """Write `patients.parquet`, `results.parquet` and an empty `controls.parquet` (the file has none).

    All but what `live_draws` plays, or the `whole` file. Every patient is in.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = read(source)
    persons, results = patient_rows(rows), result_rows(rows if whole else rows.filter(~pl.col("is_live")))
    persons.write_parquet(folder / "patients.parquet")
    results.write_parquet(folder / "results.parquet")
    pl.DataFrame(schema=controls.SCHEMA).write_parquet(folder / "controls.parquet")
    return Counts(patients=persons.height, results=results.height, controls=0)


def patient_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """The columns of `patients.parquet`; nobody's name: "Subject" and the study's number."""
    once = rows.unique("USUBJID", maintain_order=True).sort("USUBJID")
    return once.select(
        pl.col("USUBJID").alias("uhid"),
        pl.format("Subject {}", "USUBJID").alias("name"),
        pl.lit(None, dtype=pl.String).alias("phone"),
        pl.col("SEX").replace_strict(SEXES, default="other").alias("sex"),
        "birth_on",
        "birth_precision",
    ).select(pl.col(name).cast(kind) for name, kind in PATIENT_SCHEMA.items())


def result_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """The columns of `results.parquet`, with the file's own limits on each row and no critical limits.

    One order a draw, and one accession number for each type of specimen in it.
    """
    draw = pl.struct("collected_at", "USUBJID").rank("dense")
    number = draw.cast(pl.String).str.zfill(5)
    nothing = pl.lit(None, dtype=pl.Float64)
    return rows.with_columns(
        pl.col("USUBJID").alias("uhid"),
        pl.format("CO{}", number).alias("order_number"),
        pl.format("C{}{}", number, pl.col("specimen_type").str.slice(0, 1)).alias("accession_number"),
        pl.col("LBORRES").alias("value_text"),
        pl.col("low").alias("reference_low"),
        pl.col("high").alias("reference_high"),
        nothing.alias("critical_low"),
        nothing.alias("critical_high"),
        pl.col("collected_at").alias("ordered_at"),
        (pl.col("collected_at") + TO_BENCH).alias("received_at"),
        (pl.col("collected_at") + TO_RESULT).alias("occurred_at"),
        (pl.col("collected_at") + TO_SEEN).alias("available_at"),
        (pl.col("collected_at") + TO_AUTHORISED).alias("authorised_at"),
        pl.lit(None, dtype=pl.String).alias("analyser"),
        pl.when(~pl.col("is_judged") & (pl.col("LBNRIND") == "ABNORMAL"))
        .then(pl.lit("ABNORMAL"))
        .otherwise(pl.lit(""))
        .alias("instrument_flags"),
    ).select(*RESULT_COLUMNS, "specimen_type", "container", "is_judged")


def live_draws(source: Path) -> list[LiveDraw]:
    """Each patient's last draw for the ten live tests, with what is sent and the flag that the file expects."""
    rows = read(source).filter(pl.col("is_live"))
    persons = {person.uhid: person for person in people(patient_rows(rows))}
    draws = rows.partition_by("USUBJID", maintain_order=True)
    return [_draw(persons[draw["USUBJID"][0]], draw.rows(named=True)) for draw in draws]


def flag_rows(source: Path) -> list[FlagRow]:
    """Every row of the whole file, all tests, that has a number and both limits in original units."""
    rows = _domain(source, "lb").drop_nulls(["LBORNRLO", "LBORNRHI", "LBORRES"])
    return [row for row in map(_flag_row, rows.iter_rows(named=True)) if row is not None]


def _domain(source: Path, name: str) -> pl.DataFrame:
    return pl.read_csv(source / f"{name}.csv.gz", infer_schema=False)


def _with_numbers(rows: pl.DataFrame) -> pl.DataFrame:
    """Read the text columns: value and comparator, limits, times, the birth date to its precision, the last draw."""
    taken = pl.col("LBORRES").str.extract_groups(f"^{NUMBER.pattern}$")
    moment = pl.col("LBDTC").str.slice(0, 10) + "T" + pl.col("LBDTC").str.slice(11).replace("", "12:00")
    born = pl.col("BRTHDTC") + pl.lit("0000-01-01").str.slice(pl.col("BRTHDTC").str.len_chars())
    return rows.with_columns(
        taken.struct.field("1").alias("comparator"),
        taken.struct.field("2").cast(pl.Float64).alias("value"),
        pl.col("LBORNRLO").cast(pl.Float64).alias("low"),
        pl.col("LBORNRHI").cast(pl.Float64).alias("high"),
        moment.str.to_datetime("%Y-%m-%dT%H:%M", time_unit="us", time_zone="UTC").alias("collected_at"),
        born.str.to_date("%Y-%m-%d").alias("birth_on"),
        pl.col("BRTHDTC").str.len_chars().replace_strict(PRECISIONS, return_dtype=pl.String).alias("birth_precision"),
    ).with_columns(
        (pl.col("live") & (pl.col("collected_at") == _last_live())).fill_null(value=False).alias("is_live"),
        (pl.all_horizontal(pl.col("value", "low", "high").is_not_null()) & pl.col("comparator").is_null()).alias(
            "is_judged"
        ),
    )


def _last_live() -> pl.Expr:
    return pl.col("collected_at").filter("live").max().over("USUBJID")


def _draw(person: Person, rows: Sequence[dict[str, Any]]) -> LiveDraw:
    return LiveDraw(
        person=person,
        collected_at=rows[0]["collected_at"],
        results=tuple(
            LiveResult(
                test_code=row["test_code"],
                sent=SentResult(
                    code=row["test_code"],
                    name=row["name"],
                    text=row["LBORRES"],
                    unit=row["unit"],
                ),
                low=row["low"],
                high=row["high"],
                flag=FLAGS.get(row["LBNRIND"] or ""),
            )
            for row in rows
        ),
    )


def _flag_row(row: dict[str, Any]) -> FlagRow | None:
    found = NUMBER.fullmatch(row["LBORRES"])
    if found is None:
        return None
    return FlagRow(
        test=row["LBTESTCD"],
        value_text=row["LBORRES"],
        comparator=found[1],
        value=float(found[2]),
        low=float(row["LBORNRLO"]),
        high=float(row["LBORNRHI"]),
        indicator=row["LBNRIND"],
    )
