"""Fits what the features measure against: population means, between- and within-person covariances of log values.

Winsorised, because real results hold errors; fitted on the training patients only, then part of the model version.
"""

from __future__ import annotations

import numpy as np

from ml.features import ANALYTES, Array, Draws, FeatureSpec, design

MINIMUM = 30  # values, or pairs of draws, below which an analyte's own estimate is not trusted
LIMIT_SD = 4.0
WITHIN_SHARE = 0.3  # of the variance, where no patient came twice
SMALLEST_EIGENVALUE = 0.03
SMALLEST_VARIANCE = 1e-6  # of logarithms: a tenth of a percent, where all values are equal


def _winsorised(values: Array) -> Array:
    """Each column cut at median ± 4 robust SD; NaN stays."""
    centre = np.nanmedian(values, axis=0)
    spread = 1.4826 * np.nanmedian(np.abs(values - centre), axis=0)
    return np.clip(values, centre - LIMIT_SD * spread, centre + LIMIT_SD * spread)


def _pairwise(values: Array) -> tuple[Array, Array]:
    """Mean of products over the rows where both are known (A, A), and the number of those rows."""
    known = (~np.isnan(values)).astype(np.float64)
    filled = np.nan_to_num(values)
    count = known.T @ known
    return (filled.T @ filled) / np.maximum(count, 1.0), count


def _proper(covariance: Array, count: Array, variance: Array) -> Array:
    """Correlations that rest on too few rows become 0, and the eigenvalues of the correlation are kept positive."""
    scale = np.sqrt(variance)
    correlation = np.where(count >= MINIMUM, covariance / np.outer(scale, scale), 0.0)
    np.fill_diagonal(correlation, 1.0)
    values, vectors = np.linalg.eigh(correlation)
    rebuilt = (vectors * np.maximum(values, SMALLEST_EIGENVALUE)) @ vectors.T
    unit = np.sqrt(np.diagonal(rebuilt))
    result: Array = rebuilt / np.outer(unit, unit) * np.outer(scale, scale)
    return (result + result.T) / 2.0


def _population(logged: Array, regressors: Array) -> Array:
    """Least squares of each analyte on sex and age, lightly ridged so that a missing age group is harmless: (A, 5)."""
    rows = []
    for values in _winsorised(logged).T:
        known = ~np.isnan(values)
        x, y = regressors[known], values[known]
        centre = y.mean()
        normal = x.T @ x + np.diag([0.0, 1.0, 1.0, 1.0, 1.0])
        coefficients = np.linalg.solve(normal, x.T @ (y - centre))
        coefficients[0] += centre
        rows.append(coefficients)
    return np.array(rows)


def fit(draws: Draws, analytes: tuple[str, ...] = ANALYTES) -> FeatureSpec:
    """The baselines of the given accessions (columns of `draws` as `analytes`).

    Analytes with fewer than 30 values are left out of the model. Raises ValueError when none is left.
    """
    keep = np.sum(draws.value > 0, axis=0) >= MINIMUM
    if not keep.any():
        raise ValueError(f"no analyte has {MINIMUM} values")
    value, last = draws.value[:, keep], draws.prior[:, keep, 0]
    floor = np.nanmin(np.where(value > 0, value, np.nan), axis=0) / 2.0
    logged, before = np.log(np.maximum(value, floor)), np.log(np.maximum(last, floor))
    regressors = design(draws.sex, draws.age_years)
    population = _population(logged, regressors)

    total, total_count = _pairwise(_winsorised(logged - regressors @ population.T))
    change = logged - before
    enough = np.sum(~np.isnan(change), axis=0) >= MINIMUM
    moved, moved_count = _pairwise(_winsorised(np.where(enough, change, 0.0)))
    variance = np.maximum(np.diagonal(total), SMALLEST_VARIANCE)
    own = np.clip(np.diagonal(moved) / 2.0, 0.02 * variance, 0.95 * variance)
    within_variance = np.where(enough, own, WITHIN_SHARE * variance)
    within = _proper(moved / 2.0, np.where(np.outer(enough, enough), moved_count, 0.0), within_variance)
    between = _proper(total - within, total_count, variance - within_variance)
    names = tuple(code for code, kept in zip(analytes, keep, strict=True) if kept)
    return FeatureSpec(names, population, between, within, np.sqrt(2.0 * within_variance), floor)
