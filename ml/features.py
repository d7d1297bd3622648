"""The features of one result at its scoring instant: one definition, for training and for serving.

Both forms build `Draws` (arrays: one row a scored accession, one column an analyte) and call `compute`:
the batch form in `ml/frames.py` from gold rows, the online form `features_of` from a `Panel` and a history.
Nothing but what these types hold can become a feature: no status, no authorisation, no reasons, no later draw.

The patient model is a two-covariance Gaussian on log values: x = mean(sex, age) + between-person + within-person.
Given the earlier results it predicts today's; given today's other results too it predicts each one (conditional z).
This module needs numpy only, so that the scoring process stays small.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DEFINITION = 1  # raised whenever a feature changes its meaning; a model of another definition is refused
ANALYTES = ("GLU", "CREA", "BUN", "NA", "K", "CL", "ALT", "AST", "ALP", "TBIL")  # an allow-list: nothing else enters
HISTORY = 3
ADULT_YEARS = 18.0
UNKNOWN_AGE_YEARS = 40.0
SEX = {"male": 1.0, "female": 0.0}
UNKNOWN_SEX = 0.5
SECONDS_A_DAY = 86_400.0

OWN = (
    "analyte",
    "sex",
    "age_years",
    "population_z",
    "interval_position",
    "is_censored",
    "own_mean_z",
    "history_z",
    "conditional_z",
    "log_ratio_last",
    "delta_z",
    "days_since_last",
    "n_prior",
)
OF_PANEL = (
    "top1_conditional_z",
    "top2_conditional_z",
    "top3_conditional_z",
    "top1_history_z",
    "top2_history_z",
    "top3_history_z",
    "n_panel",
    "n_common",
    "own_likelihood_ratio",
    "distance",
    "log_ast_alt",
    "log_bun_crea",
    "na_minus_cl",
)


class Reading(NamedTuple):
    """One result of the accession that is scored: value in the test's canonical unit, limits or None."""

    value: float
    reference_low: float | None = None
    reference_high: float | None = None
    comparator: str | None = None  # '<' or '>': the value is the limit, and the result is censored


class Prior(NamedTuple):
    """One result of an earlier specimen of the same patient, not superseded when the panel is scored."""

    test_code: str
    value: float
    available_at: datetime


@dataclass(frozen=True, slots=True)
class Panel:
    """The results of one accession that are known at `scored_at`."""

    sex: str
    age_days: int | None
    scored_at: datetime
    results: Mapping[str, Reading]


@dataclass(frozen=True, eq=False)
class FeatureSpec:
    """What the features measure against: fitted once (`ml/baselines.py`), then shipped inside the model version.

    Natural logarithms throughout. `population` (A, 5): mean by `design(sex, age)`; `between`, `within` (A, A):
    covariances; `delta_sd` (A,): SD of log(value / last value); `floor` (A,): smallest value before the logarithm.
    """

    analytes: tuple[str, ...]
    population: Array
    between: Array
    within: Array
    delta_sd: Array
    floor: Array

    def as_json(self) -> dict[str, Any]:
        """Plain lists; floats survive JSON exactly."""
        arrays = {field.name: getattr(self, field.name).tolist() for field in fields(self) if field.name != "analytes"}
        return {"analytes": list(self.analytes)} | arrays

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> FeatureSpec:
        """Raises KeyError when a baseline is missing."""
        names = [field.name for field in fields(cls) if field.name != "analytes"]
        return cls(tuple(body["analytes"]), *(np.array(body[name], dtype=np.float64) for name in names))


@dataclass(frozen=True, eq=False)
class Draws:
    """E scored accessions by A analytes; NaN where there is nothing. Values are as reported, not logarithms."""

    value: Array  # (E, A)
    low: Array  # (E, A)
    high: Array  # (E, A)
    censored: Array  # (E, A) 1.0 where the result has a comparator
    sex: Array  # (E,)
    age_years: Array  # (E,)
    prior: Array  # (E, A, HISTORY), the newest first
    days: Array  # (E, A) since the newest prior

    def take(self, rows: NDArray[np.intp] | slice) -> Draws:
        """The same arrays for some accessions."""
        return Draws(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def stacked(cls, draws: Sequence[Draws]) -> Draws:
        """Many accessions as one, in order; at least one."""
        return cls(*(np.concatenate([getattr(draw, field.name) for draw in draws]) for field in fields(cls)))


@dataclass(frozen=True, eq=False)
class Judgement:
    """What the patient model says of each result (E, A) and of each accession (E,)."""

    history_z: Array
    history_expected: Array  # log value
    conditional_z: Array
    conditional_expected: Array  # log value
    likelihood_ratio: Array  # (E,) log; negative: the results fit a stranger better than this patient
    distance: Array  # (E,) squared Mahalanobis distance per analyte


def feature_names(spec: FeatureSpec) -> tuple[str, ...]:
    """The columns of the feature matrix, in order."""
    return OWN + OF_PANEL + tuple(f"history_z_{code}" for code in spec.analytes)


def design(sex: Array, age_years: Array) -> Array:
    """Regressors of the population mean (E, 5): one, sex, age, age squared, years below adulthood."""
    age = np.where(np.isnan(age_years), UNKNOWN_AGE_YEARS, age_years) / 50.0
    child = np.maximum(0.0, ADULT_YEARS / 50.0 - age)
    return np.stack([np.ones_like(age), sex, age, age * age, child], axis=1)


def logs(values: Array, spec: FeatureSpec) -> Array:
    """Logarithms over the floor; (E, A) or (E, A, HISTORY)."""
    floor = spec.floor.reshape((1, -1) + (1,) * (values.ndim - 2))
    return np.log(np.maximum(values, floor))


def _masked(covariance: Array, known: NDArray[np.bool_]) -> Array:
    """The covariance of what is known; what is not becomes an independent unit, so one inverse serves all patterns."""
    both = known[:, :, None] & known[:, None, :]
    return np.where(both, covariance, np.eye(known.shape[1]))


def _prior_mean(prior: Array) -> tuple[Array, Array]:
    """Mean of the known priors (0 where none) and their number, both (E, A)."""
    count = np.sum(~np.isnan(prior), axis=2).astype(np.float64)
    return np.nansum(prior, axis=2) / np.maximum(count, 1.0), count


def _predict(mean: Array, prior: Array, spec: FeatureSpec) -> tuple[Array, Array]:
    """Mean (E, A) and covariance (E, A, A) of today's log values given the earlier ones.

    Means of n_i and of n_j priors share min(n_i, n_j) draws, so their within-person covariance is W_ij / max(n_i, n_j).
    """
    average, count = _prior_mean(prior)
    known = count > 0
    spread = np.maximum(np.maximum(count[:, :, None], count[:, None, :]), 1.0)
    seen = _masked(spec.between + spec.within / spread, known)
    link = spec.between * known[:, None, :]
    gain = link @ np.linalg.inv(seen)
    deviation = np.where(known, average - mean, 0.0)
    expected = mean + (gain @ deviation[:, :, None])[:, :, 0]
    return expected, spec.between + spec.within - gain @ link.transpose(0, 2, 1)


def _square(precision: NDArray[np.floating[Any]], deviation: Array) -> tuple[Array, Array]:
    """Precision times deviation (E, A), and the squared Mahalanobis distance (E,)."""
    pulled = (precision @ deviation[:, :, None])[:, :, 0]
    return pulled, np.sum(pulled * deviation, axis=1)


def judge(draws: Draws, spec: FeatureSpec) -> Judgement:
    """Compares each result with what the patient's history, and today's other results, predict."""
    mean = design(draws.sex, draws.age_years) @ spec.population.T
    value, present = logs(draws.value, spec), ~np.isnan(draws.value)
    expected, covariance = _predict(mean, logs(draws.prior, spec), spec)

    deviation = np.where(present, value - expected, 0.0)
    known = _masked(covariance, present)
    precision = np.linalg.inv(known)
    pulled, distance = _square(precision, deviation)
    weight = np.diagonal(precision, axis1=1, axis2=2)

    stranger = _masked(np.broadcast_to(spec.between + spec.within, known.shape), present)
    _, from_mean = _square(np.linalg.inv(stranger), np.where(present, value - mean, 0.0))
    gained = np.linalg.slogdet(stranger)[1] - np.linalg.slogdet(known)[1]

    blank = np.where(present, 0.0, np.nan)
    return Judgement(
        history_z=deviation / np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)) + blank,
        history_expected=expected + blank,
        conditional_z=pulled / np.sqrt(weight) + blank,
        conditional_expected=value - pulled / weight,
        likelihood_ratio=0.5 * (from_mean - distance + gained),
        distance=distance / np.maximum(present.sum(axis=1), 1),
    )


def _largest(z: Array, count: int) -> Array:
    """The largest |z| of each accession, falling, NaN where there are fewer: (E, count)."""
    padded = np.concatenate([np.abs(z), np.full((len(z), count), np.nan)], axis=1)
    return -np.sort(-padded, axis=1)[:, :count]


def _position(draws: Draws) -> Array:
    """0 at the lower reference limit, 1 at the upper; a missing lower limit is 0, a missing upper one leaves NaN."""
    low = np.where(np.isnan(draws.low), 0.0, draws.low)
    width = draws.high - low
    return (draws.value - low) / np.where(width > 0, width, np.nan)


def _ratios(draws: Draws, value: Array, spec: FeatureSpec) -> Array:
    """log AST/ALT, log BUN/CREA and NA - CL: (E, 3)."""
    column = {code: index for index, code in enumerate(spec.analytes)}
    nothing = np.full(len(value), np.nan)

    def of(values: Array, code: str) -> Array:
        return values[:, column[code]] if code in column else nothing

    return np.stack(
        [
            of(value, "AST") - of(value, "ALT"),
            of(value, "BUN") - of(value, "CREA"),
            of(draws.value, "NA") - of(draws.value, "CL"),
        ],
        axis=1,
    )


def _own(draws: Draws, judged: Judgement, value: Array, spec: FeatureSpec) -> Array:
    """The features of each result by itself: (E, A, len(OWN))."""
    prior = logs(draws.prior, spec)
    average, count = _prior_mean(prior)
    average = np.where(count > 0, average, np.nan)
    variance = np.diagonal(spec.within)
    mean = design(draws.sex, draws.age_years) @ spec.population.T
    ratio = value - prior[:, :, 0]
    shape = value.shape
    return np.stack(
        [
            np.broadcast_to(np.arange(shape[1], dtype=np.float64), shape),
            np.broadcast_to(draws.sex[:, None], shape),
            np.broadcast_to(draws.age_years[:, None], shape),
            (value - mean) / np.sqrt(np.diagonal(spec.between + spec.within)),
            _position(draws),
            draws.censored,
            (value - average) / np.sqrt(variance * (1.0 + 1.0 / np.maximum(count, 1.0))),
            judged.history_z,
            judged.conditional_z,
            ratio,
            ratio / spec.delta_sd,
            draws.days,
            count,
        ],
        axis=2,
    )


def _of_panel(draws: Draws, judged: Judgement, value: Array, spec: FeatureSpec) -> Array:
    """The features that all results of an accession share: (E, len(OF_PANEL) + A)."""
    present = ~np.isnan(value)
    common = present & ~np.isnan(draws.prior[:, :, 0])
    return np.concatenate(
        [
            _largest(judged.conditional_z, 3),
            _largest(judged.history_z, 3),
            present.sum(axis=1, keepdims=True),
            common.sum(axis=1, keepdims=True),
            judged.likelihood_ratio[:, None],
            judged.distance[:, None],
            _ratios(draws, value, spec),
            judged.history_z,
        ],
        axis=1,
    )


def compute(draws: Draws, spec: FeatureSpec, judged: Judgement | None = None) -> Array:
    """The features of every cell: (E, A, F), columns as `feature_names`; cells without a value mean nothing."""
    judged = judge(draws, spec) if judged is None else judged
    value = logs(draws.value, spec)
    own, shared = _own(draws, judged, value, spec), _of_panel(draws, judged, value, spec)
    spread = np.broadcast_to(shared[:, None, :], (*value.shape, shared.shape[1]))
    return np.concatenate([own, spread], axis=2)


def _last_priors(history: Iterable[Prior], scored_at: datetime) -> dict[str, list[Prior]]:
    """The newest `HISTORY` priors of each analyte, strictly before the instant; equal instants in order of value."""
    by_code: dict[str, list[Prior]] = {}
    for prior in history:
        if prior.available_at < scored_at:
            by_code.setdefault(prior.test_code, []).append(prior)
    for code, priors in by_code.items():
        by_code[code] = sorted(priors, key=lambda prior: (prior.available_at, prior.value), reverse=True)[:HISTORY]
    return by_code


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def draw_of(panel: Panel, history: Iterable[Prior], spec: FeatureSpec) -> Draws:
    """One accession as `Draws` with E = 1. Results and priors of analytes outside the spec are not read.

    Raises ValueError for a value that is not a finite number.
    """
    size = len(spec.analytes)
    value, low, high, days = (np.full((1, size), np.nan) for _ in range(4))
    censored, prior = np.zeros((1, size)), np.full((1, size, HISTORY), np.nan)
    priors = _last_priors(history, panel.scored_at)
    for index, code in enumerate(spec.analytes):
        if reading := panel.results.get(code):
            if not np.isfinite(reading.value):
                raise ValueError(f"{code} has no finite value")
            value[0, index] = reading.value
            low[0, index], high[0, index] = _number(reading.reference_low), _number(reading.reference_high)
            censored[0, index] = float(bool(reading.comparator))
        for place, earlier in enumerate(priors.get(code, ())):
            prior[0, index, place] = earlier.value
        if code in priors:
            days[0, index] = (panel.scored_at - priors[code][0].available_at).total_seconds() / SECONDS_A_DAY
    age = np.nan if panel.age_days is None else panel.age_days / 365.25
    return Draws(value, low, high, censored, np.array([SEX.get(panel.sex, UNKNOWN_SEX)]), np.array([age]), prior, days)


def features_of(panel: Panel, history: Iterable[Prior], spec: FeatureSpec) -> Array:
    """The online form: (results of the spec's analytes, in the spec's order) by features."""
    draws = draw_of(panel, history, spec)
    matrix: Array = compute(draws, spec)[0][~np.isnan(draws.value[0])]
    return matrix
