"""Persons who do not exist: names of many Indian regions, phones, sex and a birth date as well as it is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ingest.virtual_lab import homes
from ingest.virtual_lab.analytes import Numbers

SEXES = ("male", "female", "other")
SEX_SHARES = (0.47, 0.528, 0.002)
PRECISIONS = ("day", "month", "year")
PRECISION_SHARES = (0.72, 0.05, 0.23)
AGE_GAMMA = (5.2, 8.3)  # facts, 7 layer 1
AGE_YEARS = (1.0, 98.0)
WITHOUT_PHONE = 0.03
WITH_THE_PHONE_OF_ANOTHER = 0.14  # of the person registered before: a quarter then share one with somebody
REGISTERED_TWICE = 0.02
VARIANTS = (("ee", "i"), ("aa", "a"), ("sh", "s"), ("v", "w"), ("oo", "u"), ("i", "ee"), ("a", "aa"))
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

    @property
    def report_language(self) -> str:
        """What they ask their report in, at every visit: Hindi for one in three, English for the others."""
        return "hi" if sum(self.uhid.encode()) % 3 == 0 else "en"


@dataclass(frozen=True, kw_only=True, eq=False)
class Registered:
    """Registrations before it is known where they live; `chance` and `picks` then make the names.

    Both of a double registration have the sex and birth date of one person; `original` is as of `doubles`.
    """

    sex: NDArray[np.str_]
    birth_on: list[date]
    birth_precision: list[str]
    phones: list[str | None]
    chance: Numbers
    picks: NDArray[np.int64]
    original: NDArray[np.int64]


def register(seed: int, count: int, *, on: date) -> Registered:
    """`count` registrations as of the day `on`, the same for the same arguments.

    Two in a hundred are of a person registered before (`doubles`), spelt or reached differently.
    """
    rng = np.random.default_rng([seed, 1])
    sex = rng.choice(SEXES, count, p=SEX_SHARES)
    precision = rng.choice(PRECISIONS, count, p=PRECISION_SHARES)
    born = _births(rng, count, on)
    chance, picks = rng.random(count), rng.integers(0, 2**31, (count, 3))
    phones, original = _phones(rng, count), doubles(seed, count)
    person = np.where(original >= 0, original, np.arange(count))
    known = [_known(day, how) for day, how in zip(born, precision, strict=True)]
    return Registered(
        sex=sex[person], birth_on=[known[one] for one in person.tolist()],
        birth_precision=precision[person].tolist(), chance=chance, picks=picks, original=original,
        phones=[phones[one] if place % 2 else phones[place] for place, one in enumerate(person.tolist())],
    )  # fmt: skip


def at_home(registered: Registered, states: Sequence[str], *, prefix: str = "VL") -> pl.DataFrame:
    """The registrations of persons who live in these states, with names as they are common there."""
    names = _names(registered, np.array(states))
    for place in np.nonzero(registered.original >= 0)[0].tolist():
        names[place] = _misspelt(names[registered.original[place]])
    rows: dict[str, list[Any]] = {
        "uhid": [f"{prefix}{number:07d}" for number in range(1, len(names) + 1)],
        "name": names,
        "phone": registered.phones,
        "sex": registered.sex.tolist(),
        "birth_on": registered.birth_on,
        "birth_precision": registered.birth_precision,
    }
    return pl.DataFrame(rows, schema=SCHEMA)


def doubles(seed: int, count: int) -> NDArray[np.int64]:
    """For each registration the place of the earlier one of the same person, or -1."""
    rng = np.random.default_rng([seed, 8])
    original = np.full(count, -1, dtype=np.int64)
    again = np.sort(rng.choice(count, round(REGISTERED_TWICE * count), replace=False))
    for place in again[again > 0].tolist():
        original[place] = int(rng.integers(place))
    return np.where(np.isin(original, again), -1, original)


def people(frame: pl.DataFrame) -> list[Person]:
    """The rows of `at_home` as persons."""
    return [Person(**row) for row in frame.select(list(SCHEMA)).iter_rows(named=True)]


def _births(rng: np.random.Generator, count: int, on: date) -> list[date]:
    years = np.clip(rng.gamma(*AGE_GAMMA, count), *AGE_YEARS)
    return [on - timedelta(days=int(days)) for days in years * 365.25]


def _known(born: date, precision: str) -> date:
    """Of a birth date known to the year only, the front desk writes the first of January."""
    if precision == "day":
        return born
    return born.replace(day=1) if precision == "month" else born.replace(month=1, day=1)


def _phones(rng: np.random.Generator, count: int) -> list[str | None]:
    """Numbers of ten patterned blocks, such as +91 93333 01234: India reserves none for fiction; nobody is called."""
    digits, has_none = rng.integers(0, 10**6, count), rng.random(count) < WITHOUT_PHONE
    borrowed = rng.random(count) < WITH_THE_PHONE_OF_ANOTHER
    found: list[str | None] = []
    for number, none, other in zip(digits.tolist(), has_none, borrowed, strict=True):
        block, rest = divmod(number, 10**5)
        own = None if none else f"+91 9{str(block) * 4} {rest:05d}"
        found.append(found[-1] if other and found else own)
    return found


def _misspelt(name: str) -> str:
    """The same name as another clerk would hear it."""
    for heard, written in VARIANTS:
        if heard in name:
            return name.replace(heard, written, 1)
    return name.upper()


def _names(registered: Registered, states: NDArray[np.str_]) -> list[str]:
    region = np.zeros(len(states), dtype=np.int64)
    for state in np.unique(states).tolist():
        here = states == state
        region[here] = homes.shares(state).cumsum().searchsorted(registered.chance[here], side="right")
    region = np.minimum(region, len(homes.regions()) - 1)
    made = zip(region.tolist(), registered.sex.tolist(), registered.picks.tolist(), strict=True)
    return [_name(homes.regions()[where], who, pick) for where, who, pick in made]


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
