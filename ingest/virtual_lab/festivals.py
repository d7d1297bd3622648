"""The days on which people celebrate, by state, and what that does to a laboratory's day."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

EVERYWHERE = "everywhere"
ON_THE_DAY = 0.25
THE_DAY_AFTER = 1.25
# Monday to Sunday, relative; facts, 7 layer 6.
WEEKDAY_LOAD = np.array([1.25, 1.08, 1.0, 1.0, 1.0, 1.15, 0.5])


@cache
def festivals(state: str) -> frozenset[int]:
    """The days (ordinals) of the festivals of a state."""
    text = Path(__file__).with_name("festivals.toml").read_text(encoding="utf-8")
    rows = tomllib.loads(text)["festival"]
    own = (row["on"] for row in rows if row["states"] == EVERYWHERE or state in row["states"])
    return frozenset(day.toordinal() for days in own for day in days)


def day_load(days: NDArray[np.int64], state: str) -> NDArray[np.float64]:
    """How many come on these days (ordinals), relative to a Wednesday without a festival."""
    on = np.array([day in festivals(state) for day in days.tolist()])
    after = np.array([day - 1 in festivals(state) for day in days.tolist()])
    festive = np.where(on, ON_THE_DAY, np.where(after, THE_DAY_AFTER, 1.0))
    return np.asarray(WEEKDAY_LOAD[(days - 1) % 7] * festive)
