"""A laboratory's past year as Parquet: patients, authorised results, and controls (`lims history import` reads it)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ingest.virtual_lab import controls, reference
from ingest.virtual_lab.analytes import Numbers, analytes, codes
from ingest.virtual_lab.cohort import Cohort, Indices, Origin, make, measure

MICROSECONDS = 1_000_000
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
INDIA_AHEAD_SECONDS = 19_800
CONTROL_DAYS = 90
SHARE_OF_SINGLE_VISITS = 0.40
# Monday to Sunday, relative.
WEEKDAY_LOAD = np.array([1.25, 1.10, 1.05, 1.05, 1.0, 1.1, 0.25])
PANELS: tuple[tuple[float, tuple[str, ...]], ...] = (
    (0.42, ("GLU", "CREA", "BUN", "NA", "K", "CL", "ALT", "AST", "ALP", "TBIL")),
    (0.15, ("CREA", "BUN", "NA", "K", "CL")),
    (0.15, ("ALT", "AST", "ALP", "TBIL")),
    (0.12, ("GLU", "CREA", "BUN", "NA", "K", "CL")),
    (0.08, ("GLU",)),
    (0.04, ("GLU", "CREA")),
    (0.04, ("NA", "K", "CL")),
)
TIMES = ("ordered_at", "collected_at", "received_at", "occurred_at", "available_at", "authorised_at")
RESULT_COLUMNS = (
    "uhid", "order_number", "accession_number", "test_code", "value", "value_text", "comparator", "unit",
    "reference_low", "reference_high", "critical_low", "critical_high", *TIMES, "analyser", "instrument_flags",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many rows were written."""

    patients: int
    results: int
    controls: int


@dataclass(frozen=True, kw_only=True)
class Visits:
    """Who came on which day (ordinal) for which panel, in the order of the day's arrival."""

    who: Indices
    day: Indices
    panel: Indices
    seconds: Indices


def write_history(
    folder: Path,
    seed: int,
    *,
    until: date,
    patients: int = 2000,
    days: int = 365,
    control_days: int = CONTROL_DAYS,
    analyser: str = "BS480-1",
) -> Counts:
    """Write `patients.parquet`, `results.parquet` and `controls.parquet` for the `days` days before `until`.

    The same arguments give the same rows. `origin.json` beside them lets `day.plan_day` bring the same persons back.
    """
    folder.mkdir(parents=True, exist_ok=True)
    origin = Origin(seed=seed, patients=patients, days=days, until=until, analyser=analyser)
    cohort, shifts = make(origin), controls.drift(seed, origin.first_day, days)
    results = result_rows(origin, cohort, shifts)
    kept = min(control_days, days)
    control_rows = controls.history(seed, until=until, days=kept, analyser=analyser, shifts=shifts[days - kept :])
    cohort.persons.write_parquet(folder / "patients.parquet")
    results.write_parquet(folder / "results.parquet")
    control_rows.write_parquet(folder / "controls.parquet")
    origin.save(folder)
    return Counts(patients=patients, results=results.height, controls=control_rows.height)


def result_rows(origin: Origin, cohort: Cohort, shifts: Numbers) -> pl.DataFrame:
    """All results of a cohort's past, one row a test, oldest order first."""
    rng = np.random.default_rng([origin.seed, 5])
    visits = _visits(origin, cohort, rng)
    values = measure(cohort, visits.who, visits.day, rng=rng)
    values *= np.exp(shifts[visits.day - origin.first_day.toordinal()])
    wanted = panel_mask()[visits.panel]
    visit, test = np.nonzero(wanted)
    frame = _identified(origin, cohort, visits, visit)
    frame = frame.with_columns(
        pl.Series("test", test, dtype=pl.UInt8),
        pl.Series("raw", values[visit, test]),
        *_limits(cohort, visits, visit, test),
        *_times(visits, visit, test, rng),
        pl.lit(origin.analyser).alias("analyser"),
        pl.lit("").alias("instrument_flags"),
    )
    return printed(frame).select(RESULT_COLUMNS)


def panel_mask() -> NDArray[np.bool_]:
    """Which analytes each panel of `PANELS` asks for, panels by analytes."""
    return np.array([[code in panel for code in codes()] for _, panel in PANELS])


def printed(frame: pl.DataFrame) -> pl.DataFrame:
    """Add test_code, unit, value, comparator and value_text as the analyser prints `raw` of analyte number `test`."""
    about = pl.DataFrame(
        {
            "test": range(len(analytes())),
            "test_code": codes(),
            "unit": [row.unit for row in analytes()],
            "decimals": [row.decimals for row in analytes()],
            "smallest": [row.reportable_low for row in analytes()],
            "largest": [row.reportable_high for row in analytes()],
        },
        schema_overrides={"test": pl.UInt8, "decimals": pl.Int64, "smallest": pl.Float64, "largest": pl.Float64},
    )
    joined = frame.join(about, on="test", how="left", maintain_order="left")
    return joined.with_columns(
        pl.when(pl.col("raw") < pl.col("smallest"))
        .then(pl.lit("<"))
        .when(pl.col("raw") > pl.col("largest"))
        .then(pl.lit(">"))
        .alias("comparator"),
        _scaled().alias("scaled"),
    ).with_columns((pl.col("scaled") / _power()).alias("value"), _text().alias("value_text"))


def _power() -> pl.Expr:
    return pl.lit(10, dtype=pl.Int64).pow(pl.col("decimals"))


def _scaled() -> pl.Expr:
    """The value in units of its last decimal: whole numbers divide back to the exact double of the text."""
    within = pl.col("raw").clip(pl.col("smallest"), pl.col("largest"))
    return (within * _power()).round(0, mode="half_to_even").cast(pl.Int64)


def _text() -> pl.Expr:
    whole, rest = pl.col("scaled") // _power(), pl.col("scaled") % _power()
    decimals = pl.when(pl.col("decimals") == 1).then(rest.cast(pl.String)).otherwise(rest.cast(pl.String).str.zfill(2))
    number = pl.when(pl.col("decimals") == 0).then(whole.cast(pl.String)).otherwise(pl.format("{}.{}", whole, decimals))
    return pl.concat_str(pl.col("comparator").fill_null(""), number)


def _visits(origin: Origin, cohort: Cohort, rng: np.random.Generator) -> Visits:
    count = origin.patients
    several = 1 + rng.geometric(0.2 + 0.1 * (cohort.sickness == 0), count)
    repeats = np.where(rng.random(count) < SHARE_OF_SINGLE_VISITS, 1, several)
    who = np.repeat(np.arange(count, dtype=np.int64), repeats)
    open_days = np.arange(origin.first_day.toordinal(), origin.until.toordinal(), dtype=np.int64)
    load = WEEKDAY_LOAD[(open_days - 1) % 7]
    day = rng.choice(open_days, len(who), p=load / load.sum())
    seconds = arrival_seconds(rng, len(who))
    panel = rng.choice(len(PANELS), len(who), p=[share for share, _ in PANELS])
    first = _once_a_day(who, day, born=cohort.birth_day[who])
    order = first[np.lexsort((who[first], seconds[first], day[first]))]
    return Visits(who=who[order], day=day[order], panel=panel[order], seconds=seconds[order])


def _once_a_day(who: Indices, day: Indices, *, born: Indices) -> Indices:
    """The places of the visits that can be: one a person and day, none before birth."""
    _, first = np.unique(who * (day.max() + 1) + day, return_index=True)
    return np.asarray(first[day[first] > born[first]])


def arrival_seconds(rng: np.random.Generator, count: int) -> Indices:
    """When patients come, in seconds of the Indian day: most before breakfast, some in the evening."""
    hour = np.where(rng.random(count) < 0.7, rng.normal(9.2, 0.95, count), rng.normal(17.5, 1.3, count))
    return np.asarray(np.clip(hour, 7.0, 20.5) * 3600, dtype=np.int64)


def _identified(origin: Origin, cohort: Cohort, visits: Visits, visit: Indices) -> pl.DataFrame:
    numbers = np.arange(1, len(visits.who) + 1)
    year = f"{origin.until.year % 100:02d}"
    each = pl.DataFrame({"uhid": cohort.persons["uhid"].gather(visits.who), "number": numbers}).select(
        "uhid",
        pl.format(f"HO{year}-{{}}", pl.col("number").cast(pl.String).str.zfill(8)).alias("order_number"),
        pl.format(f"H{year}-{{}}", pl.col("number").cast(pl.String).str.zfill(8)).alias("accession_number"),
    )
    return each[visit]


def _limits(cohort: Cohort, visits: Visits, visit: Indices, test: Indices) -> list[pl.Series]:
    who = visits.who[visit]
    age_days = visits.day[visit] - cohort.birth_day[who]
    found = {name: np.full(len(visit), np.nan) for name in reference.LIMITS}
    for index, code in enumerate(codes()):
        here = np.nonzero(test == index)[0]
        for name, values in reference.limits(code, sex=cohort.sex[who[here]], age_days=age_days[here]).items():
            found[name][here] = values
    names = {"low": "reference_low", "high": "reference_high"}
    return [pl.Series(names.get(name, name), values).fill_nan(None) for name, values in found.items()]


def _times(visits: Visits, visit: Indices, test: Indices, rng: np.random.Generator) -> list[pl.Series]:
    """Six instants a row: the first three of the visit, then of each test. The last is still on the same Indian day."""
    rows = len(visits.who)
    ordered = (visits.day - EPOCH_ORDINAL) * 86_400 + visits.seconds - INDIA_AHEAD_SECONDS
    collected = ordered + _wait(rng, rows, typical=600, longest=1800)
    received = collected + _wait(rng, rows, typical=900, longest=2700)
    started = received + _wait(rng, rows, typical=1500, longest=3300)
    occurred = started[visit] + 18 * test + rng.integers(0, 9, len(visit))
    available = occurred + rng.integers(8, 90, len(visit))
    authorised = available + _wait(rng, rows, typical=900, longest=2700)[visit] + test
    moments = (ordered[visit], collected[visit], received[visit], occurred, available, authorised)
    return [
        pl.Series(name, moment * MICROSECONDS, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
        for name, moment in zip(TIMES, moments, strict=True)
    ]


def _wait(rng: np.random.Generator, rows: int, *, typical: float, longest: float) -> Indices:
    return np.asarray(np.clip(rng.lognormal(np.log(typical), 0.5, rows), 60, longest), dtype=np.int64)
