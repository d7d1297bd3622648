"""Persons who do not exist: names of many Indian regions, phones, sex and a birth date as well as it is known."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

SEXES = ("male", "female", "other")
SEX_SHARES = (0.478, 0.520, 0.002)
PRECISIONS = ("day", "month", "year")
PRECISION_SHARES = (0.72, 0.05, 0.23)
CHILDREN = 0.06
WITHOUT_PHONE = 0.03
OLDEST_YEARS = 97
SCHEMA = {
    "uhid": pl.String,
    "name": pl.String,
    "phone": pl.String,
    "sex": pl.String,
    "birth_on": pl.Date,
    "birth_precision": pl.String,
}


@dataclass(frozen=True, kw_only=True)
class Person:
    """One patient as the front desk knows them; `birth_on` is exact to its precision only."""

    uhid: str
    name: str
    phone: str | None
    sex: str
    birth_on: date
    birth_precision: str


@cache
def regions() -> tuple[dict[str, Any], ...]:
    """The name lists, a region each."""
    return tuple(tomllib.loads(Path(__file__).with_name("names.toml").read_text(encoding="utf-8"))["region"])


def generate(seed: int, count: int, *, on: date, prefix: str = "VL") -> pl.DataFrame:
    """`count` patients as of the day `on`, the same for the same arguments, as the columns of `patients.parquet`."""
    rng = np.random.default_rng([seed, 1])
    sex = rng.choice(SEXES, count, p=SEX_SHARES)
    precision = rng.choice(PRECISIONS, count, p=PRECISION_SHARES)
    born = _births(rng, count, on)
    rows = {
        "uhid": [f"{prefix}{number:07d}" for number in range(1, count + 1)],
        "name": _names(rng, sex),
        "phone": _phones(rng, count),
        "sex": sex.tolist(),
        "birth_on": [_known(day, how) for day, how in zip(born, precision, strict=True)],
        "birth_precision": precision.tolist(),
    }
    return pl.DataFrame(rows, schema=SCHEMA)


def people(frame: pl.DataFrame) -> list[Person]:
    """The rows of `generate` as persons."""
    return [Person(**row) for row in frame.select(list(SCHEMA)).iter_rows(named=True)]


def _births(rng: np.random.Generator, count: int, on: date) -> list[date]:
    adult = np.clip(rng.normal(45, 17, count), 16, OLDEST_YEARS)
    child = rng.uniform(0.05, 16, count)
    years = np.where(rng.random(count) < CHILDREN, child, adult)
    return [on - timedelta(days=int(days)) for days in years * 365.25]


def _known(born: date, precision: str) -> date:
    """Of a birth date known to the year only, the front desk writes the first of January."""
    if precision == "day":
        return born
    return born.replace(day=1) if precision == "month" else born.replace(month=1, day=1)


def _phones(rng: np.random.Generator, count: int) -> list[str | None]:
    digits = rng.integers(0, 10**9, count)
    has_none = rng.random(count) < WITHOUT_PHONE
    texts = [f"9{number:09d}" for number in digits]
    return [None if none else f"+91 {text[:5]} {text[5:]}" for text, none in zip(texts, has_none, strict=True)]


def _names(rng: np.random.Generator, sex: NDArray[np.str_]) -> list[str]:
    weights = np.array([region["weight"] for region in regions()], dtype=np.float64)
    region = rng.choice(len(weights), len(sex), p=weights / weights.sum())
    picks = rng.integers(0, 2**31, (len(sex), 3))
    return [_name(regions()[where], who, pick) for where, who, pick in zip(region, sex, picks.tolist(), strict=True)]


def _name(region: dict[str, Any], sex: str, pick: list[int]) -> str:
    given_names = region["male"] + region["female"] if sex == "other" else region[sex]
    given = given_names[pick[0] % len(given_names)]
    if region["style"] == "single":
        return str(given)
    if region["style"] == "initials" and pick[2] % 5:
        return f"{_initials(pick[1], pick[2])} {given}"
    return f"{given} {region['last'][pick[1] % len(region['last'])]}"


def _initials(first: int, second: int) -> str:
    letters = "ABCDEGJKMNPRSTV"
    one = f"{letters[first % len(letters)]}."
    return one if second % 3 else f"{one} {letters[second % len(letters)]}."
