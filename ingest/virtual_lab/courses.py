"""Diseases and their courses: who has what, how it moves the analytes day by day, and what treatment undoes.

Without treatment and acute illness no large change would ever be true, and every delta check would look perfect.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.virtual_lab.analytes import Numbers, codes, composed, place

ADULT_YEARS = 16
MEDIAN_AGE_YEARS = 40
MOST_LIKELY = 0.95
FADED = 0.01
SEVERITY = (1.2, 2.4)
Days = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """`share` of the sick begin it at their first visit; the effect goes to `floor` of itself, by halves."""

    share: float
    floor: float
    halving_days: float


@dataclass(frozen=True, kw_only=True)
class Disease:
    """What a disease does to the drawn analytes; `effect` is a factor at the lightest and at the heaviest severity."""

    name: str
    adults: tuple[float, float]
    doubling_years: float
    effect: dict[str, tuple[float, float]]
    child: float = 0.05
    unrest: dict[str, float] = field(default_factory=dict)
    halving_days: float | None = None
    peak_day: float | None = None
    peak_width: float = 1.0
    months: tuple[float, ...] | None = None
    treated: Treatment | None = None

    @property
    def is_acute(self) -> bool:
        """Whether it has an onset and passes."""
        return self.halving_days is not None or self.peak_day is not None


@dataclass(frozen=True, eq=False)
class Sickness:
    """What the persons have: `severity` (persons, diseases), 0 is not at all; `is_treated` the same shape."""

    severity: Numbers
    is_treated: Bools

    @property
    def burden(self) -> Numbers:
        """The sum of a person's severities; the sick come more often."""
        return np.asarray(self.severity.sum(axis=1))

    @property
    def under_treatment(self) -> Bools:
        """Who begins some treatment at the first visit."""
        return np.asarray(self.is_treated.any(axis=1), dtype=bool)

    def has(self, name: str) -> Bools:
        """Which persons have a disease."""
        return np.asarray(self.severity[:, names().index(name)] > 0)

    def take(self, who: Days) -> Sickness:
        """The same of some persons, e.g. one row a visit."""
        return Sickness(severity=self.severity[who], is_treated=self.is_treated[who])


@cache
def diseases() -> tuple[Disease, ...]:
    """The diseases in the order of every array's last axis."""
    text = Path(__file__).with_name("diseases.toml").read_text(encoding="utf-8")
    return tuple(_disease(row) for row in tomllib.loads(text)["disease"])


def _disease(row: dict[str, Any]) -> Disease:
    treated = Treatment(**row["treated"]) if "treated" in row else None
    effect = {code: tuple(pair) for code, pair in row["effect"].items()}
    return Disease(**{**row, "effect": effect, "treated": treated, "adults": tuple(row["adults"])})


@cache
def names() -> tuple[str, ...]:
    """The names of the diseases in order."""
    return tuple(disease.name for disease in diseases())


def season(disease: Disease, days: Days) -> Numbers:
    """How much a disease is about on these days (ordinals), relative."""
    if disease.months is None:
        return np.ones(len(days))
    return np.array([disease.months[date.fromordinal(day).month - 1] for day in days.tolist()])


def fall_ill(rng: np.random.Generator, *, age_years: Numbers, is_male: Bools, days: Days) -> Sickness:
    """Who has what in a laboratory's time of `days` (ordinals). The shares among adults are those of the table.

    One acute illness at a time; nobody is healthy and diabetic to be at once.
    """
    chance = np.stack([_chance(one, age_years, is_male, days) for one in diseases()], axis=1)
    severity = np.where(rng.random(chance.shape) < chance, rng.beta(*SEVERITY, chance.shape) + 1e-6, 0.0)
    severity[severity[:, names().index("diabetes")] > 0, names().index("prediabetes")] = 0.0
    acute = [index for index, one in enumerate(diseases()) if one.is_acute]
    first = np.argmax(severity[:, acute[::-1]] > 0, axis=1)
    for index, which in enumerate(acute[::-1]):
        severity[first != index, which] = 0.0
    share = np.array([one.treated.share if one.treated else 0.0 for one in diseases()])
    return Sickness(severity=severity, is_treated=(severity > 0) & (rng.random(chance.shape) < share))


def _chance(disease: Disease, age_years: Numbers, is_male: Bools, days: Days) -> Numbers:
    weight = 2.0 ** ((age_years - MEDIAN_AGE_YEARS) / disease.doubling_years)
    is_adult, wanted = age_years >= ADULT_YEARS, np.where(is_male, *disease.adults)
    about = float(season(disease, days).mean())
    if disease.name == "prediabetes":  # of those without diabetes
        wanted = wanted / (1 - np.where(is_male, *_named("diabetes").adults))
    for sex in (is_male, ~is_male):
        mean = weight[sex & is_adult].mean() if (sex & is_adult).any() else 1.0
        weight[sex] = weight[sex] / mean
    grown = np.minimum(wanted * weight, MOST_LIKELY)
    return np.asarray(np.where(is_adult, grown, np.minimum(wanted * disease.child, MOST_LIKELY)) * about)


def _named(name: str) -> Disease:
    return diseases()[names().index(name)]


def effects(sickness: Sickness, *, since_ill: Numbers, since_treated: Numbers) -> tuple[Numbers, Numbers]:
    """The shift of the drawn logarithms and the factor on the within-person variation, each visits by analytes.

    `since_ill`: days since the onset of an acute illness; `since_treated`: since a treatment began, negative before.
    """
    shift = np.zeros((len(sickness.severity), len(codes())))
    unrest = np.ones_like(shift)
    for index, disease in enumerate(diseases()):
        severity = sickness.severity[:, index]
        strength = (severity > 0) * _course(disease, since_ill)
        strength = strength * _left(disease, sickness.is_treated[:, index], since_treated)
        for code, (lightest, heaviest) in disease.effect.items():
            full = np.log(lightest) + severity * np.log(heaviest / lightest)
            shift[:, place(code)] += strength * full
        for code, factor in disease.unrest.items():
            unrest[:, place(code)] *= 1 + np.clip(strength, 0, 1) * (factor - 1)
    return shift, unrest


def moved(healthy_logs: Numbers, shift: Numbers) -> Numbers:
    """By how much a shift of what is drawn moves what is reported, as logarithms."""
    return composed(healthy_logs + shift) - composed(healthy_logs)


def _course(disease: Disease, since_ill: Numbers) -> Numbers:
    if disease.peak_day is not None:
        strength = np.exp(-(((since_ill - disease.peak_day) / disease.peak_width) ** 2))
    elif disease.halving_days is not None:
        strength = 0.5 ** (np.maximum(since_ill, 0) / disease.halving_days)
    else:
        return np.ones_like(since_ill)
    return np.asarray(np.where((since_ill < 0) | (strength < FADED), 0.0, strength))


def _left(disease: Disease, is_treated: Bools, since_treated: Numbers) -> Numbers:
    if disease.treated is None:
        return np.ones_like(since_treated)
    halves = np.maximum(since_treated, 0) / disease.treated.halving_days
    left = disease.treated.floor + (1 - disease.treated.floor) * 0.5**halves
    return np.asarray(np.where(is_treated & (since_treated > 0), left, 1.0))
