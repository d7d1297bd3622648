"""Parts that wear out and break: Weibull lives, a hidden wear that grows, error codes that tell of it, repairs.

Fifteen in a hundred failures come without any sign: what no model can foresee.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from ingest.virtual_lab.analytes import Numbers, analytes
from ingest.virtual_lab.cohort import Indices, Origin

SHAPE = 2.2  # facts, 7 layer 9, as the shares and rates below
ABRUPT = 0.15
CODES_A_DAY = (0.1, 4.0)
WEAR_GROWS = 5.0  # EXAMPLE: unseen for most of a life, plain in its last two weeks
SPREAD_BY_WEAR = 0.8
SHIFT_BY_WEAR = 0.35
ELECTRODES = ("NA", "K", "CL")
# Analyser, part, scale of its life in days, error code it gives. EXAMPLE.
PARTS: tuple[tuple[str, str, float, str], ...] = (
    ("BS480-1", "lamp", 150.0, "E-214"),
    ("BS480-1", "electrode", 120.0, "E-331"),
    ("BS480-1", "probe", 170.0, "E-102"),
    ("XN1000-1", "aperture", 160.0, "C-07"),
    ("XN1000-1", "probe", 190.0, "C-21"),
    ("IMM-1", "probe", 160.0, "I-118"),
    ("IMM-1", "wash pump", 180.0, "I-140"),
)
REPAIR_HOURS = (3.0, 0.6, 20.0)  # median, spread of the logarithm, longest
WORKING_HOURS = (7.0, 19.0)
EVENT_SCHEMA: dict[str, pl.DataType] = {
    "analyser": pl.String(),
    "kind": pl.String(),
    "component": pl.String(),
    "code": pl.String(),
    "occurred_at": pl.Datetime("us", "UTC"),
    "resolved_at": pl.Datetime("us", "UTC"),
}


class Failure(NamedTuple):
    """A part broke on the day numbered `day` of the history; seconds of the Indian day, and how long it stood."""

    part: int
    day: int
    seconds: int
    lasts: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Wear:
    """The hidden wear, parts by days, 0 new to 1 broken; with signs only where the life ends with them."""

    wear: Numbers
    fails: Indices
    has_signs: Indices
    failures: tuple[Failure, ...]

    def downtimes(self, analyser: str) -> list[tuple[int, int, int]]:
        """Day number, second and length of each time an analyser stood still, in order."""
        own = (one for one in self.failures if PARTS[one.part][0] == analyser)
        return sorted((one.day, one.seconds, one.lasts) for one in own)


def wear_out(origin: Origin) -> Wear:
    """Every part's lives over the days of an origin, each new where the one before broke."""
    rng = np.random.default_rng([origin.seed, 9])
    wear = np.zeros((len(PARTS), origin.days))
    fails, signs = np.zeros_like(wear, dtype=np.int64), np.zeros_like(wear, dtype=np.int64)
    failures: list[Failure] = []
    for part, (_, _, scale, _) in enumerate(PARTS):
        begin = 0.0
        while begin < origin.days:
            life, has_signs = scale * rng.weibull(SHAPE) + 1, rng.random() >= ABRUPT
            days = np.arange(int(np.ceil(begin)), min(int(begin + life) + 1, origin.days))
            if has_signs:
                wear[part, days] = ((days - begin + 1) / (life + 1)) ** WEAR_GROWS
            signs[part, days] = has_signs
            begin += life
            if begin < origin.days:
                fails[part, int(begin)] = 1
                failures.append(_failure(rng, part, int(begin)))
    return Wear(wear=np.minimum(wear, 1.0), fails=fails, has_signs=signs, failures=tuple(failures))


def _failure(rng: np.random.Generator, part: int, day: int) -> Failure:
    median, spread, longest = REPAIR_HOURS
    hours = min(median * float(np.exp(spread * rng.standard_normal())), longest)
    return Failure(part=part, day=day, seconds=int(rng.uniform(*WORKING_HOURS) * 3600), lasts=int(hours * 3600))


def effect_of_wear(found: Wear) -> tuple[Numbers, Numbers]:
    """How far worn parts shift, in analytic standard deviations, and how much they widen, both days by analytes."""
    shift = np.zeros((found.wear.shape[1], len(analytes())))
    spread = np.ones_like(shift)
    for part, wear in enumerate(found.wear):
        sign = 1 if part % 2 else -1
        for place in touched(part):
            shift[:, place] += sign * SHIFT_BY_WEAR * wear
            spread[:, place] = np.maximum(spread[:, place], 1 + SPREAD_BY_WEAR * wear)
    return shift, spread


def touched(part: int) -> list[int]:
    """The places of the analytes that a part measures: electrodes those of their own, a lamp all others."""
    analyser, name, _, _ = PARTS[part]
    own = [place for place, one in enumerate(analytes()) if one.analyser == analyser]
    if name == "electrode":
        return [place for place in own if analytes()[place].code in ELECTRODES]
    return [place for place in own if name != "lamp" or analytes()[place].code not in ELECTRODES]


def truth_rows(origin: Origin, found: Wear) -> pl.DataFrame:
    """The wear of every part and day: `truth/wear.parquet`."""
    parts, days = found.wear.shape
    return pl.DataFrame(
        {
            "analyser": np.repeat([part[0] for part in PARTS], days),
            "component": np.repeat([part[1] for part in PARTS], days),
            "on": pl.Series(np.tile(origin.open_days - EPOCH, parts), dtype=pl.Int32).cast(pl.Date),
            "wear": found.wear.ravel(),
            "fails_today": found.fails.ravel() > 0,
            "has_signs": found.has_signs.ravel() > 0,
        }
    )


EPOCH = 719_163  # the ordinal of 1970-01-01


def event_rows(origin: Origin, found: Wear) -> list[tuple[str, str, str, str, int, int | None]]:
    """Failures and error codes, in seconds of the epoch in India: analyser, kind, component, code, begin and end."""
    rng = np.random.default_rng([origin.seed, 10])
    first = origin.first_day.toordinal() - EPOCH
    rows: list[tuple[str, str, str, str, int, int | None]] = []
    for one in found.failures:
        analyser, name, _, code = PARTS[one.part]
        begin = (first + one.day) * 86_400 + one.seconds
        rows.append((analyser, "failure", name, code, begin, begin + one.lasts))
        rows.append((analyser, "part_replaced", name, "", begin + one.lasts, None))
    base, by_wear = CODES_A_DAY
    for part, count in enumerate(rng.poisson(base + by_wear * found.wear)):
        analyser, name, _, code = PARTS[part]
        days = np.repeat(np.arange(origin.days), count)
        seconds = np.sort(rng.integers(7 * 3600, 20 * 3600, len(days)))
        at = ((first + days) * 86_400 + seconds).tolist()
        rows += [(analyser, "error_code", name, code, moment, None) for moment in at]
    return rows
