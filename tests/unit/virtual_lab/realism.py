"""What the realism exam measures with: the files of one simulation, and plain estimators of its own."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ingest.virtual_lab.cli import app

Numbers = NDArray[np.float64]
INDIA = "Asia/Kolkata"
LASTING_DAYS = 20.0  # the decay of what a person's earlier day tells of a later one, in days
FAR_APART_DAYS = 30


@cache
def exam() -> dict[str, Any]:
    """The frozen figures."""
    return tomllib.loads((Path(__file__).parent / "realism.toml").read_text("utf-8"))


@dataclass(frozen=True)
class Files:
    """A folder that `lims lab simulate` wrote."""

    folder: Path

    def read(self, name: str) -> pl.DataFrame:
        """One Parquet file by its name without the ending."""
        return pl.read_parquet(self.folder / f"{name}.parquet")

    def judged(self) -> pl.DataFrame:
        """Every result with its truth, its person (one for both of a double registration), hour and day in India."""
        persons = self.read("truth/patients").select("uhid", "person", "diseases", "treated_on", "fell_ill_on")
        local = pl.col("collected_at").dt.convert_time_zone(INDIA)
        return (
            self.read("results")
            .join(self.read("truth/truth"), on=["accession_number", "test_code"], validate="1:1")
            .join(persons, on="uhid", validate="m:1")
            .join(self.read("patients").select("uhid", "sex", "birth_on"), on="uhid", validate="m:1")
            .with_columns(
                on=local.dt.date(),
                hour=local.dt.hour() + local.dt.minute() / 60,
                age=(local.dt.date() - pl.col("birth_on")).dt.total_days() / 365.25,
            )
        )


def simulate(folder: Path, *, patients: int, days: int, seed: int, until: date) -> Files:
    """Run the command. Raises AssertionError where it fails."""
    arguments = ["simulate", "--patients", patients, "--days", days, "--seed", seed, "--until", until, "--out", folder]
    assert app([str(argument) for argument in arguments]) == 0
    return Files(folder)


def unaffected(judged: pl.DataFrame) -> pl.DataFrame:
    """Results of adults in the morning, fasting, without error and without a disease that moves this analyte.

    `residual` is the logarithm without what the analyser was off, and without the effect of sex and age; `noise` the
    variance that analyser and rounding add.
    """
    decimals = pl.col("value_text").str.extract(r"\.(\d+)$").str.len_bytes().fill_null(0)
    rows = judged.filter(
        (pl.col("kind") == "clean")
        & (pl.col("disease_shift") == 0)
        & pl.col("comparator").is_null()
        & pl.col("is_fasting")
        & pl.col("sex").is_in(["male", "female"])
        & pl.col("hour").is_between(7, 11)
        & (pl.col("age") >= 18)
    ).with_columns(
        log=pl.col("value").log() - pl.col("analytic_shift"),
        noise=pl.col("analytic_sd") ** 2 + (10.0 ** -decimals.cast(pl.Float64) / pl.col("value")) ** 2 / 12,
    )
    parts = [part.with_columns(residual=pl.Series(_residual(part))) for part in rows.partition_by("test_code")]
    return pl.concat(parts)


def _residual(rows: pl.DataFrame) -> Numbers:
    male = (rows["sex"] == "male").cast(pl.Float64).to_numpy()
    age = rows["age"].to_numpy() / 50
    columns = np.stack([np.ones_like(age), male, age, male * age, age**2], axis=1)
    log = rows["log"].to_numpy()
    return np.asarray(log - columns @ np.linalg.lstsq(columns, log, rcond=None)[0])


def far_apart(rows: pl.DataFrame, codes: list[str]) -> pl.DataFrame:
    """The first and last visits of each person with all `codes`, at least 30 days apart: `<code>_1`, `<code>_2`.

    `kept` is the share of a person's day-to-day deviation that lasts from the one to the other.
    """
    chosen = rows.filter(pl.col("test_code").is_in(codes))
    wide = chosen.pivot("test_code", index=["person", "on"], values="residual", aggregate_function="first").drop_nulls()
    ordered = wide.sort("person", "on").group_by("person", maintain_order=True)
    first, last = ordered.first(), ordered.last()
    both = first.join(last, on="person", suffix="_2").rename({code: f"{code}_1" for code in codes})
    apart = (pl.col("on_2") - pl.col("on")).dt.total_days()
    return both.filter(apart >= FAR_APART_DAYS).with_columns(kept=(-apart / LASTING_DAYS).exp())


@dataclass(frozen=True)
class Spread:
    """Coefficients of variation within and between persons with their standard errors, as shares, and from how many."""

    within: float
    within_error: float
    between: float
    between_error: float
    pairs: int


def spread(rows: pl.DataFrame, code: str) -> Spread:
    """Estimated from a code's unaffected results."""
    own = rows.filter(pl.col("test_code") == code)
    pairs, noise = far_apart(own, [code]), float(own["noise"].to_numpy().mean())
    half = (pairs[f"{code}_1"] - pairs[f"{code}_2"]).to_numpy() ** 2 / 2
    lost = 1 - float(pairs["kept"].to_numpy().mean()) if len(half) else 1.0
    within = max((half.mean() - noise) / lost, 1e-9) if len(half) else float("nan")
    once = own.sort("on").unique("person", keep="first", maintain_order=True)["residual"].to_numpy()
    between = max(once.var() - within - noise, 1e-9)
    return Spread(
        within=float(np.sqrt(within)),
        within_error=float(half.std() / np.sqrt(max(len(half), 1)) / lost / 2 / np.sqrt(within)),
        between=float(np.sqrt(between)),
        between_error=float(np.sqrt(2 / len(once)) * once.var() / 2 / np.sqrt(between)),
        pairs=len(half),
    )


@dataclass(frozen=True)
class Together:
    """Correlations of two analytes between and within persons, from so many pairs of visits."""

    between: float
    within: float
    pairs: int


def correlation(rows: pl.DataFrame, first: str, second: str, *, analytic: float) -> Together:
    """Estimated from visits with both; `analytic` is the covariance that the analyser adds to both."""
    pairs = far_apart(rows, [first, second])
    kept = float(pairs["kept"].to_numpy().mean())
    noise = dict(rows.group_by("test_code").agg(pl.col("noise").mean()).iter_rows())

    def parts(one: str, other: str, added: float) -> tuple[float, float]:
        values = {
            name: pairs[name].to_numpy() for name in pairs.columns if name[-2:] in {"_1", "_2"} and name != "on_2"
        }
        same = np.mean([np.mean(values[f"{one}_{n}"] * values[f"{other}_{n}"]) for n in (1, 2)])
        across = np.mean([np.mean(values[f"{one}_{n}"] * values[f"{other}_{3 - n}"]) for n in (1, 2)])
        within = (same - across - added) / (1 - kept)
        return float(across - kept * within), float(within)

    both = parts(first, second, analytic)
    own = [parts(code, code, noise[code]) for code in (first, second)]
    between, within = (both[place] / np.sqrt(max(own[0][place], 1e-9) * max(own[1][place], 1e-9)) for place in (0, 1))
    return Together(between=float(between), within=float(np.clip(within, -1, 1)), pairs=pairs.height)


def weibull_shape(lives: Numbers, censored: Numbers) -> float:
    """The shape of the Weibull distribution of lives, of which `censored` had not ended, by maximum likelihood."""
    every = np.concatenate([lives, censored])
    low, high = 0.2, 10.0
    for _ in range(80):
        shape = (low + high) / 2
        power = every**shape
        slope = 1 / shape + np.log(lives).mean() - (power * np.log(every)).sum() / power.sum()
        low, high = (shape, high) if slope > 0 else (low, shape)
    return (low + high) / 2


def population_stability(train: Numbers, test: Numbers) -> float:
    """The PSI over tenths of `train`."""
    edges = np.unique(np.quantile(train, np.linspace(0.1, 0.9, 9)))
    shares = [np.bincount(np.searchsorted(edges, x), minlength=len(edges) + 1) / len(x) for x in (train, test)]
    one, other = (np.maximum(share, 1e-6) for share in shares)
    return float(((one - other) * np.log(one / other)).sum())


def within_chance(found: int, trials: int, rate: float) -> bool:
    """Whether a count is within 99.9 % of what the rate gives, by the normal approximation with half a step."""
    return abs(found - trials * rate) <= 3.3 * np.sqrt(trials * rate * (1 - rate)) + 1.5


def about(found: int, trials: int, limits: list[float]) -> bool:
    """Whether a share lies between the limits, or outside by no more than chance explains (99.9 %)."""
    room = 3.3 * np.sqrt(0.25 / max(trials, 1))
    share = found / max(trials, 1)
    nearest = min(max(share, limits[0]), limits[1])
    room = min(room, 3.3 * float(np.sqrt(nearest * (1 - nearest) / max(trials, 1))) + 0.5 / max(trials, 1))
    return bool(limits[0] - room <= share <= limits[1] + room)
