"""The ten serum chemistry analytes: how they vary within and between persons, with sex, age and disease.

Values are modelled as logarithms, so that every analyte stays positive and a disease is a factor. The figures are data
(`analytes.toml`); this module only shapes them.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
CHILD_BELOW_YEARS = 16
MEDIAN_AGE_YEARS = 40


@dataclass(frozen=True, kw_only=True)
class Analyte:
    """One measured quantity; `unit` is UCUM, `within`, `between` and `analytic` are coefficients of variation."""

    code: str
    name: str
    loinc: str
    unit: str
    decimals: int
    reportable_low: float
    reportable_high: float
    male: float
    female: float
    between: float
    within: float
    analytic: float
    per_decade: float
    child: float
    control: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Disease:
    """What a disease does to the analytes; `effect` is a factor at the lightest and at the heaviest severity."""

    name: str
    prevalence: float
    doubling_years: float
    unrest: dict[str, float]
    effect: dict[str, tuple[float, float]]
    halving_days: float | None = None


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A value as an analyser prints it: rounded, and cut at the reportable range with a comparator."""

    text: str
    value: float
    comparator: str | None = field(default=None)


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("analytes.toml").read_text(encoding="utf-8"))


@cache
def analytes() -> tuple[Analyte, ...]:
    """The analytes in the order of every array's last axis."""
    return tuple(Analyte(**{**row, "control": tuple(row["control"])}) for row in _file()["analyte"])


@cache
def analyte(code: str) -> Analyte:
    """The analyte with this test code. Raises `KeyError` for one that the laboratory does not model."""
    return {row.code: row for row in analytes()}[code]


@cache
def codes() -> tuple[str, ...]:
    """The test codes in the order of `analytes`."""
    return tuple(row.code for row in analytes())


@cache
def diseases() -> tuple[Disease, ...]:
    """The diseases of a minority of the patients."""
    return tuple(
        Disease(**{**row, "effect": {code: tuple(pair) for code, pair in row["effect"].items()}})
        for row in _file()["disease"]
    )


def column(name: str) -> Numbers:
    """One property of all analytes, e.g. `column("within")`, in the order of `analytes`."""
    return np.array([getattr(row, name) for row in analytes()], dtype=np.float64)


@cache
def correlation(kind: str) -> Numbers:
    """The correlation matrix of the logarithms, `kind` "between" or "within" persons; positive definite."""
    place = {code: index for index, code in enumerate(codes())}
    matrix = np.eye(len(place))
    for row in _file()["correlation"]:
        first, second = (place[code] for code in row["pair"])
        matrix[first, second] = matrix[second, first] = row[kind]
    return matrix


@cache
def root(kind: str) -> Numbers:
    """The Cholesky factor of `correlation(kind)`: independent normals times its transpose are correlated."""
    return np.asarray(np.linalg.cholesky(correlation(kind)), dtype=np.float64)


def baselines(rng: np.random.Generator, *, is_male: NDArray[np.bool_], age_years: Numbers) -> Numbers:
    """The logarithm of each person's own healthy value, persons by analytes."""
    median = np.where(is_male[:, None], column("male"), column("female"))
    decades = (np.maximum(age_years, CHILD_BELOW_YEARS) - MEDIAN_AGE_YEARS)[:, None] / 10
    child = np.where((age_years < CHILD_BELOW_YEARS)[:, None], column("child"), 1.0)
    own = rng.standard_normal((len(age_years), len(codes()))) @ root("between").T * column("between")
    return np.asarray(np.log(median) + decades * np.log1p(column("per_decade")) + np.log(child) + own)


def severities(rng: np.random.Generator, age_years: Numbers) -> Numbers:
    """How heavily each person has each disease, persons by diseases: 0 is not at all, else above 0 up to 1."""
    chance = np.stack([_prevalence(disease, age_years) for disease in diseases()], axis=1)
    drawn = rng.random(chance.shape)
    return np.where(drawn < chance, rng.beta(1.2, 2.4, chance.shape) + 1e-6, 0.0)


def _prevalence(disease: Disease, age_years: Numbers) -> Numbers:
    grown = disease.prevalence * 2.0 ** ((age_years - MEDIAN_AGE_YEARS) / disease.doubling_years)
    return np.asarray(np.where(age_years < CHILD_BELOW_YEARS, disease.prevalence / 20, np.minimum(grown, 0.5)))


def disease_effects(severity: Numbers, days_since_onset: Numbers) -> tuple[Numbers, Numbers]:
    """The shift of the logarithm and the factor on the within-person variation, each visits by analytes.

    `severity` is visits by diseases. An acute disease shows from its onset and fades with its halving time.
    """
    shift = np.zeros((len(severity), len(codes())))
    unrest = np.ones_like(shift)
    for index, disease in enumerate(diseases()):
        strength = _strength(disease, severity[:, index], days_since_onset)
        for code, (lightest, heaviest) in disease.effect.items():
            full = np.log(lightest) + severity[:, index] * np.log(heaviest / lightest)
            shift[:, codes().index(code)] += strength * full
        for code, factor in disease.unrest.items():
            unrest[:, codes().index(code)] *= 1 + strength * (factor - 1)
    return shift, unrest


def _strength(disease: Disease, severity: Numbers, days_since_onset: Numbers) -> Numbers:
    has_it = (severity > 0).astype(np.float64)
    if disease.halving_days is None:
        return has_it
    fading = 0.5 ** (np.maximum(days_since_onset, 0) / disease.halving_days)
    return np.asarray(np.where(days_since_onset < 0, 0.0, has_it * fading))


def within_noise(rng: np.random.Generator, unrest: Numbers) -> Numbers:
    """What differs between two healthy days of one person, as a logarithm, visits by analytes."""
    return np.asarray(rng.standard_normal(unrest.shape) @ root("within").T * column("within") * unrest)


def analytic_noise(rng: np.random.Generator, rows: int) -> Numbers:
    """What the analyser adds, as a logarithm, visits by analytes."""
    return np.asarray(rng.standard_normal((rows, len(codes()))) * column("analytic"))


def reported(code: str, value: float) -> Reported:
    """`value` as the analyser prints it: '0.90', '<0.10' below and '>750' above the reportable range."""
    about = analyte(code)
    if value < about.reportable_low:
        return Reported(text=f"<{about.reportable_low:.{about.decimals}f}", value=about.reportable_low, comparator="<")
    if value > about.reportable_high:
        return Reported(
            text=f">{about.reportable_high:.{about.decimals}f}", value=about.reportable_high, comparator=">"
        )
    text = f"{round(value * 10**about.decimals) / 10**about.decimals:.{about.decimals}f}"
    return Reported(text=text, value=float(text))
