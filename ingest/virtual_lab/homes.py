"""Where persons live: near their site, with the names and postal numbers of its state; and dummy ABHA numbers."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ingest.virtual_lab.analytes import Numbers

AWAY = 0.04  # live in any state, and come to the site all the same. EXAMPLE
AT_HOME = 0.8  # of those whose names belong to some region, in its own state. EXAMPLE
HAS_ABHA = 0.6  # EXAMPLE, as the next
SHOWS_IT = 0.8
PREFIX, OWN_DIGITS = "00", 11
SCATTERED_BY = 61_803_398_873  # has no divisor in common with ten: every person's eleven digits are their own
# Verhoeff (1969): products of the dihedral group of ten, and the permutation of its digits.
PRODUCTS = np.array([
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 4, 0, 6, 7, 8, 9, 5], [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
    [3, 4, 0, 1, 2, 8, 9, 5, 6, 7], [4, 0, 1, 2, 3, 9, 5, 6, 7, 8], [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
    [6, 5, 9, 8, 7, 1, 0, 4, 3, 2], [7, 6, 5, 9, 8, 2, 1, 0, 4, 3], [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
    [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
])  # fmt: skip
PERMUTATION = np.array([1, 5, 7, 6, 2, 8, 3, 0, 9, 4])
INVERSE = np.array([0, 4, 3, 2, 1, 5, 6, 7, 8, 9])


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("names.toml").read_text(encoding="utf-8"))


@cache
def regions() -> tuple[dict[str, Any], ...]:
    """The name lists, a region each."""
    return tuple(_file()["region"])


@cache
def postal_districts() -> dict[str, list[str]]:
    """State → the first three digits of postal numbers there."""
    return {row["code"]: row["pins"] for row in _file()["state"]}


def states(seed: int, site_states: list[str]) -> list[str]:
    """The state where each person lives who comes to a site in `site_states`: nearly always the same."""
    rng = np.random.default_rng([seed, 13])
    away, anywhere = rng.random(len(site_states)) < AWAY, rng.choice(list(postal_districts()), len(site_states))
    return [str(other) if far else own for own, far, other in zip(site_states, away, anywhere, strict=True)]


@cache
def shares(state: str) -> Numbers:
    """How common each region's names are in a state: mostly its own, and those of everywhere as everywhere."""
    weight = np.array([region["weight"] for region in regions()], dtype=np.float64)
    of_everywhere = np.array([not region["states"] for region in regions()])
    own = np.array([region["states"].get(state, 0) for region in regions()], dtype=np.float64)
    settled = weight[~of_everywhere].sum()
    moved_here = np.where(of_everywhere, 0.0, (1 - AT_HOME) * weight)
    here = AT_HOME * settled * own / own.sum() + moved_here + np.where(of_everywhere, weight, 0.0)
    return np.asarray(here / here.sum())


def pin_codes(seed: int, homes: list[str]) -> list[str]:
    """A postal number for a person in each of these states."""
    rng = np.random.default_rng([seed, 14])
    picks, rest = rng.integers(0, 2**31, len(homes)), rng.integers(1, 1000, len(homes))
    districts = [postal_districts()[state] for state in homes]
    return [
        f"{own[pick % len(own)]}{end:03d}"
        for own, pick, end in zip(districts, picks.tolist(), rest.tolist(), strict=True)
    ]


def abha_numbers(seed: int, person: NDArray[np.int64]) -> pl.Series:
    """Fourteen digits that are nobody's, for the persons who have them and at the registrations that show them.

    Real numbers begin with 91 as a rule, and no published one with 00. The health authority does not say how the last
    digit is made; should it be a check digit by Verhoeff, as Aadhaar's is, these are wrong by one to nine.
    """
    rng = np.random.default_rng([seed, 15])
    begin, wrong_by = rng.integers(10**OWN_DIGITS), rng.integers(1, 10, len(person))
    has, shows = rng.random(len(person)) < HAS_ABHA, rng.random(len(person)) < SHOWS_IT
    body = PREFIX + pl.Series([(begin + one * SCATTERED_BY) % 10**OWN_DIGITS for one in person.tolist()]).cast(
        pl.String
    ).str.zfill(OWN_DIGITS)
    digits = np.array([list(map(int, text)) for text in body], dtype=np.int64).reshape(-1, len(PREFIX) + OWN_DIGITS)
    last = (check_digits(digits) + wrong_by[person]) % 10
    numbers = body + pl.Series(last).cast(pl.String)
    return numbers.zip_with(pl.Series(has[person] & shows), pl.Series([None], dtype=pl.String))


def check_digits(digits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Verhoeff's check digit of each row of digits."""
    check = np.zeros(len(digits), dtype=np.int64)
    for place, column in enumerate(digits.T[::-1], start=1):
        moved = column
        for _ in range(place % 8):
            moved = PERMUTATION[moved]
        check = PRODUCTS[check, moved]
    return np.asarray(INVERSE[check])
