"""What people do at first sight of a specimen's results: release or hold, tired or fresh, with or without a flag.

Their faults are those of published studies: they miss swaps, they see haemolysis, and they follow what a screen says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ingest.virtual_lab.analytes import Numbers
from ingest.virtual_lab.cohort import Indices
from ingest.virtual_lab.errors import ErrorKind
from ingest.virtual_lab.transport import DAY, INDIA_AHEAD_SECONDS

Bools = NDArray[np.bool_]
# facts, 7 layer 11; SEEN_LIPAEMIA and LARGE are EXAMPLE.
SWAP_WITH_HISTORY, SWAP_WITHOUT = 0.82, 0.35
SEEN_HAEMOLYSIS, SEEN_LIPAEMIA, SEEN_FLUID = 0.9, 0.6, 0.75
SMALL, LARGE = 0.05, 0.5
FALSE_HOLD = 0.03
TIRED_AFTER_SECONDS, TIRED_BY = 3 * 3600, 0.1
FLAG_SHOWN, FLAG_SEES, FLAG_FALSE, FOLLOWED = 0.15, 0.9, 0.02, 0.9
SHIFTS = (8, 14)
NIGHT_FROM, NIGHT_UNTIL = 20, 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What the specimens are, in truth: kind (place in `KINDS`, -1 clean), how far off at most, with a past or not."""

    kind: Indices
    largest: Numbers
    has_history: Bools


KINDS = tuple(ErrorKind)
FLAG_SIZE = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Decided:
    """One first look a specimen. `flag_shown`: -1 none, 0 shown as clean, 1 shown as suspect; instants in seconds."""

    at: Indices
    shift_began: Indices
    flag_shown: Indices
    is_held: Bools


def looked_at(rng: np.random.Generator, available: Indices) -> Indices:
    """When a person looks at results that are complete at `available`: soon by day, in the morning after a night."""
    at = available + np.clip(rng.lognormal(np.log(700), 0.6, len(available)), 60, 5400).astype(np.int64)
    local = at + INDIA_AHEAD_SECONDS
    hour, midnight = local % DAY / 3600, local - local % DAY
    morning = midnight + np.where(hour >= NIGHT_FROM, DAY, 0) + NIGHT_UNTIL * 3600 + rng.integers(60, 3600, len(at))
    return np.where((hour >= NIGHT_FROM) | (hour < NIGHT_UNTIL), morning - INDIA_AHEAD_SECONDS, at)


def decide(rng: np.random.Generator, seen: Seen, at: Indices) -> Decided:
    """Release or hold each specimen at first sight."""
    began = _shift_began(at)
    is_error = seen.kind >= 0
    chance = _by_kind(seen)
    chance = np.where(is_error & (at - began > TIRED_AFTER_SECONDS), np.maximum(chance - TIRED_BY, 0.0), chance)
    alone = rng.random(len(at)) < chance
    suspect = rng.random(len(at)) < np.where(seen.largest > FLAG_SIZE, FLAG_SEES, FLAG_FALSE)
    shown = rng.random(len(at)) < FLAG_SHOWN
    followed = np.where(rng.random(len(at)) < FOLLOWED, suspect, ~suspect)
    return Decided(
        at=at, shift_began=began, flag_shown=np.where(shown, suspect.astype(np.int64), -1),
        is_held=np.where(shown, followed, alone),
    )  # fmt: skip


def _by_kind(seen: Seen) -> Numbers:
    def is_(kind: ErrorKind) -> Bools:
        return np.asarray(seen.kind == KINDS.index(kind))

    moved = seen.largest > FLAG_SIZE
    swapped = np.where(seen.has_history, SWAP_WITH_HISTORY, SWAP_WITHOUT)
    chance = np.where(seen.largest < 2, SMALL, LARGE)
    chance = np.where(is_(ErrorKind.SWAP), np.where(moved, swapped, SMALL), chance)
    chance = np.where(is_(ErrorKind.IV_FLUID) & moved, SEEN_FLUID, chance)
    chance = np.where(is_(ErrorKind.HAEMOLYSIS), SEEN_HAEMOLYSIS, chance)
    chance = np.where(is_(ErrorKind.LIPAEMIA), SEEN_LIPAEMIA, chance)
    return np.where(seen.kind < 0, FALSE_HOLD, chance)


def _shift_began(at: Indices) -> Indices:
    local = at + INDIA_AHEAD_SECONDS
    midnight, hour = local - local % DAY, local % DAY / 3600
    return np.asarray(midnight + np.where(hour >= SHIFTS[1], SHIFTS[1], SHIFTS[0]) * 3600 - INDIA_AHEAD_SECONDS)


def rows(accession_number: pl.Series, decided: Decided, outcome: list[str]) -> pl.DataFrame:
    """`decisions.parquet`: what the laboratory itself knows of each first look."""
    shown = pl.Series(decided.flag_shown)
    return pl.DataFrame(
        {
            "accession_number": accession_number,
            "decided_at": instants(decided.at),
            "shift_started_at": instants(decided.shift_began),
            "flag_shown": pl.select(pl.when(shown >= 0).then(shown > 0)).to_series(),
            "is_held": pl.Series(decided.is_held),
            "outcome": outcome,
        }
    )


def instants(seconds: Indices) -> pl.Series:
    """Seconds of the epoch as UTC instants."""
    return pl.Series(seconds * 1_000_000, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
