"""What the analysers add to the truth, day by day: reagent lots, drift, worn parts, scripted faults."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np
import polars as pl

from ingest.virtual_lab.analytes import HAEMATOLOGY, Numbers, analytes, codes, column, place
from ingest.virtual_lab.cohort import Indices, Origin
from ingest.virtual_lab.failures import EPOCH, Wear, effect_of_wear

ANALYSERS = ("BS480-1", HAEMATOLOGY, "IMM-1")
DRIFT_A_DAY = 0.06  # of the analytic CV, facts, 7 layer 5, as the two below
LOT_SHIFT = 0.35
LOT_DAYS = 30
CALIBRATED_EVERY_DAYS = 14
DAY_SHIFT = 0.35
EVENT_EVERY_DAYS = 45
COMPUTED = frozenset({"HGB", "HCT", "WBC", "CHOL"})  # what goes wrong, goes wrong with their parts
# Kind → fewest and most days. What is true of the analyser, and what only the controls suffer from.
KINDS: dict[str, tuple[int, int]] = {
    "shift": (2, 4),
    "trend": (8, 14),
    "spread": (4, 8),
    "level_mixed_up": (1, 1),
    "wrong_target": (3, 6),
    "expired": (8, 12),
    "repeated_until_in": (6, 12),
}
SHIFTS = (3.0, 4.0)
TREND_A_DAY = 0.15
SPREAD_TIMES = 2.0


class Event(NamedTuple):
    """Something scripted that happens to one test from the first to the last day number; `size` in analytic SD."""

    kind: str
    test: int
    first: int
    last: int
    size: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Bench:
    """The analysers over the days of an origin: how far off and how wide each test is, days by analytes, as logarithms.

    Of what is drawn, i.e. of a computed analyte its parts alone. `lot`: the number of the reagent lot on each day.
    """

    shift: Numbers
    spread: Numbers
    lot: Indices
    calibrated: Indices
    events: tuple[Event, ...]

    @property
    def reported_shift(self) -> Numbers:
        """The same shift of what is reported."""
        return np.asarray(self.shift @ shares().T)

    @property
    def reported_sd(self) -> Numbers:
        """The spread of what is reported, without the shift."""
        return np.asarray(
            column("analytic") * np.sqrt((self.spread**2) @ (shares() ** 2).T / (shares() ** 2).sum(axis=1))
        )


def shares() -> Numbers:
    """How much of each drawn analyte's logarithm is in each reported one's, to first order, for a typical person."""
    table = np.eye(len(codes()))
    parts = {
        "HGB": {"RBC": 1.0, "MCH": 1.0},
        "HCT": {"RBC": 1.0, "MCV": 1.0},
        "WBC": {"NEUT": 0.57, "LYMPH": 0.32, "WBC": 0.11},
        "CHOL": {"LDL": 0.61, "HDL": 0.25, "TG": 0.14},
    }
    for code, row in parts.items():
        table[place(code)] = 0.0
        for part, share in row.items():
            table[place(code), place(part)] = share
    return table


def bench(origin: Origin, wear: Wear) -> Bench:
    """The analysers of an origin; the same every time."""
    rng = np.random.default_rng([origin.seed, 3])
    size = len(codes())
    days = np.arange(origin.days)
    calibrated = np.array([CALIBRATED_EVERY_DAYS * (days // CALIBRATED_EVERY_DAYS)] * size).T
    walk = rng.standard_normal((origin.days, size)).cumsum(axis=0) * DRIFT_A_DAY
    drift = walk - np.take_along_axis(walk, calibrated, axis=0)
    begun = days[:, None] + rng.integers(0, LOT_DAYS, size)
    lot = begun // LOT_DAYS
    lots = rng.standard_normal((int(lot.max()) + 1, size)) * LOT_SHIFT
    worn, widened = effect_of_wear(wear)
    events = tuple(_events(rng, origin))
    scripted, wide = _scripted(events, origin.days)
    shift = (drift + np.take_along_axis(lots, lot, axis=0) + worn + scripted) * column("analytic")
    return Bench(
        shift=_only_drawn(shift), spread=widened * wide, lot=lot, events=events,
        calibrated=np.asarray(days % CALIBRATED_EVERY_DAYS == 0, dtype=np.int64),
    )  # fmt: skip


def day_shift(seed: int, on: date) -> Numbers:
    """How far off the drawn analytes are on a single day after a history: small, as after a calibration."""
    rng = np.random.default_rng([seed, 3, on.toordinal()])
    shift: Numbers = _only_drawn(rng.standard_normal((1, len(codes()))) * DAY_SHIFT * column("analytic"))[0]
    return shift


def _only_drawn(shift: Numbers) -> Numbers:
    """What is computed has no shift of its own."""
    shift[:, [place(code) for code in ("HGB", "HCT", "CHOL")]] = 0.0
    return shift


def _events(rng: np.random.Generator, origin: Origin) -> list[Event]:
    """About one in 45 days an analyser, every kind in turn, each on a test of its own, away from the ends."""
    found: list[Event] = []
    kinds = list(KINDS)
    for analyser in ANALYSERS:
        able = (one for one in analytes() if one.analyser == analyser and one.code not in COMPUTED)
        own = [place(one.code) for one in able if one.code in origin.measured]
        count = min(max(origin.days // EVENT_EVERY_DAYS, 1), len(own))
        if origin.days < 2 * max(most for _, most in KINDS.values()) or not own:
            continue
        tests = rng.permutation(own)[:count]
        turn = int(rng.integers(len(kinds)))
        for number, test in enumerate(tests.tolist()):
            kind = kinds[(turn + number) % len(kinds)]
            length = int(rng.integers(KINDS[kind][0], KINDS[kind][1] + 1))
            first = int(rng.integers(0, origin.days - length))
            size = float(rng.uniform(*SHIFTS) * rng.choice([-1, 1]))
            found.append(Event(kind=kind, test=test, first=first, last=first + length - 1, size=size))
    return found


def _scripted(events: tuple[Event, ...], days: int) -> tuple[Numbers, Numbers]:
    """What the events do to the analysers, in analytic SD: shift and factor on the spread, days by analytes."""
    shift, spread = np.zeros((days, len(codes()))), np.ones((days, len(codes())))
    for one in events:
        during = slice(one.first, one.last + 1)
        if one.kind == "shift":
            shift[during, one.test] += one.size
        elif one.kind == "trend":
            shift[during, one.test] += np.sign(one.size) * TREND_A_DAY * np.arange(1, one.last - one.first + 2)
        elif one.kind == "spread":
            spread[during, one.test] *= SPREAD_TIMES
    return shift, spread


def dates(origin: Origin, days: Indices) -> pl.Series:
    """Day numbers of the origin as dates."""
    return pl.Series(days + origin.first_day.toordinal() - EPOCH, dtype=pl.Int32).cast(pl.Date)


def drift_rows(origin: Origin, found: Bench) -> pl.DataFrame:
    """How far off each test was on each day: `truth/drift.parquet`."""
    size = len(codes())
    return pl.DataFrame(
        {
            "analyser": np.tile([one.analyser for one in analytes()], origin.days),
            "test_code": np.tile(codes(), origin.days),
            "on": dates(origin, np.repeat(np.arange(origin.days), size)),
            "shift": found.reported_shift.ravel(),
            "spread": found.spread.ravel(),
        }
    )


def control_event_rows(origin: Origin, found: Bench) -> pl.DataFrame:
    """The scripted events: `truth/control_events.parquet`."""
    about = [analytes()[one.test] for one in found.events]
    return pl.DataFrame(
        {
            "analyser": [one.analyser for one in about],
            "test_code": [one.code for one in about],
            "kind": [one.kind for one in found.events],
            "first_on": dates(origin, np.array([one.first for one in found.events], dtype=np.int64)),
            "last_on": dates(origin, np.array([one.last for one in found.events], dtype=np.int64)),
        },
        schema_overrides={"analyser": pl.String, "test_code": pl.String, "kind": pl.String},
    )
