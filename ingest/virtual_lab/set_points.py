"""A person's own values: the set point by sex and age, what differs from day to day, what the hour and a meal do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ingest.virtual_lab.analytes import Numbers, codes, drawn, place, root

if TYPE_CHECKING:
    from collections.abc import Mapping

CHILD_BELOW_YEARS = 16
MEDIAN_AGE_YEARS = 40
LASTING_DAYS = 20.0  # facts, 7 layer 3: a deviation decays by exp(-days / 20)
# Relative amplitude and hour of the peak of a cosine of 24 hours; facts, 7 layer 4, for TSH and IRON. K, NEUT: EXAMPLE.
DIURNAL: Mapping[str, tuple[float, float]] = {
    "TSH": (0.18, 2.0),
    "IRON": (0.15, 9.0),
    "K": (0.01, 13.0),
    "NEUT": (0.04, 18.0),
}
# Logarithms of the lightest and heaviest factor of a meal. EXAMPLE.
MEAL: Mapping[str, tuple[float, float]] = {"GLU": (0.05, 0.35), "TG": (0.05, 0.3)}


def set_points(rng: np.random.Generator, *, is_male: NDArray[np.bool_], age_years: Numbers) -> Numbers:
    """The drawn logarithms of each person's own healthy values, persons by analytes."""
    median = np.where(is_male[:, None], drawn("male"), drawn("female"))
    decades = (np.maximum(age_years, CHILD_BELOW_YEARS) - MEDIAN_AGE_YEARS)[:, None] / 10
    child = np.where((age_years < CHILD_BELOW_YEARS)[:, None], drawn("child"), 1.0)
    own = rng.standard_normal((len(age_years), len(codes()))) @ root("between").T * drawn("between")
    return np.asarray(np.log(median) + decades * np.log1p(drawn("per_decade")) + np.log(child) + own)


def day_to_day(rng: np.random.Generator, *, who: NDArray[np.int64], day: NDArray[np.int64], unrest: Numbers) -> Numbers:
    """How the drawn logarithms deviate from the set points, visits by analytes; near days of a person deviate alike.

    `who` must be sorted, and `day` within each person.
    """
    fresh = rng.standard_normal((len(who), len(codes()))) @ root("within").T
    is_first = np.r_[True, who[1:] != who[:-1]]
    kept = np.where(is_first, 0.0, np.exp(-np.diff(day, prepend=day[:1]) / LASTING_DAYS))
    nth = _nth(is_first)
    state = np.array(fresh)
    for number in range(1, int(nth.max(initial=0)) + 1):
        here = np.nonzero(nth == number)[0]
        lasts = kept[here, None]
        state[here] = lasts * state[here - 1] + np.sqrt(1 - lasts**2) * fresh[here]
    return np.asarray(state * drawn("within") * unrest)


def _nth(is_first: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Which visit of its person each one is, from 0."""
    place_of = np.arange(len(is_first))
    return np.asarray(place_of - np.maximum.accumulate(np.where(is_first, place_of, 0)))


def by_the_hour(hour: Numbers) -> Numbers:
    """What the hour of the day (0 to 24) adds to the logarithms, visits by analytes."""
    added = np.zeros((len(hour), len(codes())))
    for code, (amplitude, peak) in DIURNAL.items():
        added[:, place(code)] = np.log1p(amplitude * np.cos(2 * np.pi * (hour - peak) / 24))
    return added


def after_a_meal(rng: np.random.Generator, is_fasting: NDArray[np.bool_]) -> Numbers:
    """What a meal adds to the logarithms of those who had one, visits by analytes."""
    added = np.zeros((len(is_fasting), len(codes())))
    for code, (least, most) in MEAL.items():
        added[:, place(code)] = np.where(is_fasting, 0.0, rng.uniform(least, most, len(is_fasting)))
    return added
