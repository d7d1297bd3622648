"""Made-up results for the tests of `ml`: correlated log-normal panels, in the shape of gold.fct_results."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

CODES = ("GLU", "CREA", "BUN", "NA", "K", "CL", "ALT", "AST", "ALP", "TBIL")
TYPICAL = np.array([98.0, 0.9, 14.0, 140.0, 4.3, 103.0, 24.0, 24.0, 78.0, 0.65])
BETWEEN_CV = np.array([0.15, 0.18, 0.24, 0.010, 0.055, 0.014, 0.36, 0.24, 0.28, 0.33])
WITHIN_CV = np.array([0.08, 0.055, 0.14, 0.010, 0.045, 0.014, 0.15, 0.11, 0.07, 0.20])
DECIMALS = np.array([0, 2, 0, 0, 1, 0, 0, 0, 0, 2])
LIMITS = np.array(
    [[70, 100], [0.6, 1.2], [7, 20], [136, 145], [3.5, 5.1], [98, 107], [7, 45], [8, 40], [44, 121], [0.2, 1.2]],
    dtype=float,
)
CRITICAL = np.array(
    [[45, 450], [np.nan, 7], [np.nan, 100], [120, 160], [2.8, 6.2], [75, 125], [np.nan, 1000], [np.nan, 1000],
     [np.nan] * 2, [np.nan, 15]], dtype=float
)  # fmt: skip
PANELS = (CODES, ("CREA", "BUN", "NA", "K", "CL"), ("ALT", "AST", "ALP", "TBIL"), ("GLU",), ("GLU", "CREA", "K"))
PANEL_CHANCES = (0.45, 0.2, 0.2, 0.05, 0.1)
START = datetime(2026, 1, 1, tzinfo=UTC)
ORGANIZATION = "11111111-1111-7111-8111-111111111111"


def correlations(pairs: dict[tuple[str, str], float]) -> np.ndarray:
    matrix = np.eye(len(CODES))
    for (one, other), value in pairs.items():
        matrix[CODES.index(one), CODES.index(other)] = matrix[CODES.index(other), CODES.index(one)] = value
    return matrix


BETWEEN = correlations({("ALT", "AST"): 0.7, ("BUN", "CREA"): 0.5, ("NA", "CL"): 0.5, ("GLU", "ALT"): 0.2})
WITHIN = correlations({("ALT", "AST"): 0.6, ("BUN", "CREA"): 0.3, ("NA", "CL"): 0.65, ("ALP", "TBIL"): 0.2})


def with_corrections(results: pl.DataFrame, seed: int = 2) -> pl.DataFrame:
    """The same results, harder: late, twice at one instant, censored, without limits, age or sex, corrected."""
    rng = np.random.default_rng(seed)
    chance = pl.Series(rng.uniform(size=len(results)))
    results = results.with_columns(
        available_at=pl.col("available_at") + pl.duration(minutes=pl.lit((chance < 0.2).cast(pl.Int64) * 40)),
        comparator=pl.when(chance < 0.05).then(pl.lit("<")),
        reference_low=pl.when(chance > 0.1).then("reference_low"),
        reference_high=pl.when(chance > 0.05).then("reference_high"),
    )
    twins = results.filter(chance.is_between(0.5, 0.54)).with_columns(
        result_id="t" + pl.col("result_id"), specimen_id="t" + pl.col("specimen_id"), value=pl.col("value") * 1.1
    )
    corrections = results.filter(chance > 0.93).with_columns(
        corrects_id="result_id",
        result_id="c" + pl.col("result_id"),
        value=pl.col("value") * 1.5,
        available_at=pl.col("available_at") + pl.duration(days=9),
        version=pl.lit(2, pl.Int64),
    )
    patient = pl.col("patient_key").str.slice(-2).cast(pl.Int64)
    return pl.concat([results, twins, corrections]).with_columns(
        age_days=pl.when(patient != 7).then("age_days"),
        sex=pl.when(patient == 8).then(pl.lit("other")).when(patient != 9).then("sex"),
    )


def _together(rng: np.random.Generator, correlation: Any, rows: int) -> Any:
    """Standard normal rows so correlated. By Cholesky: singular vectors have another sign on another processor."""
    return rng.multivariate_normal(np.zeros(len(CODES)), correlation, rows, method="cholesky")


def made_up_results(accessions: int, seed: int = 1, visits: float = 3.0) -> pl.DataFrame:
    """About 6.4 results an accession; patients come `visits` times on average, some only once."""
    rng = np.random.default_rng(seed)
    count = int(accessions / visits)
    patient = np.sort(rng.choice(count, accessions, p=rng.dirichlet(np.full(count, 2.0))))
    male, age = rng.integers(0, 2, count), rng.gamma(6.0, 7.5, count).clip(1, 95)
    person = _together(rng, BETWEEN, count) * BETWEEN_CV
    person += np.log(TYPICAL)
    person[:, 1] += 0.2 * male + 0.002 * (age - 45)
    person[:, 0] += 0.003 * (age - 45) + 0.45 * (rng.uniform(size=count) < 0.12)
    logged = person[patient] + _together(rng, WITHIN, accessions) * WITHIN_CV
    value = np.round(np.exp(logged) * 10.0**DECIMALS) / 10.0**DECIMALS
    value = np.maximum(value, 1.0 / 10.0**DECIMALS)

    day = rng.uniform(0, 240, accessions)
    seconds = (day * 86_400).round()
    panel = rng.choice(len(PANELS), accessions, p=PANEL_CHANCES)
    ordered = np.array([[code in codes for code in CODES] for codes in PANELS])[panel]
    accession, analyte = np.nonzero(ordered)
    microseconds = int(START.timestamp() * 1e6) + (seconds[accession] * 1e6).astype(np.int64)
    number = np.arange(len(accession))
    person_of = patient[accession]
    return pl.DataFrame(
        {
            "organization_id": pl.repeat(ORGANIZATION, len(number), eager=True),
            "result_id": [f"r{i:07d}" for i in number],
            "patient_key": [f"p{i:06d}" for i in person_of],
            "order_id": [f"o{i:06d}" for i in accession],
            "specimen_id": [f"s{i:06d}" for i in accession],
            "test_code": np.array(CODES)[analyte],
            "value": value[accession, analyte],
            "comparator": pl.Series([None] * len(number), dtype=pl.String),
            "reference_low": LIMITS[analyte, 0],
            "reference_high": LIMITS[analyte, 1],
            "critical_low": pl.Series(CRITICAL[analyte, 0]).fill_nan(None),
            "critical_high": pl.Series(CRITICAL[analyte, 1]).fill_nan(None),
            "age_days": (age[person_of] * 365.25 + day[accession]).astype(np.int64),
            "sex": np.where(male[person_of] == 1, "male", "female"),
            "status": pl.Series(rng.choice(["authorised", "held"], len(number))),
            "reasons": pl.Series(rng.choice(["", "delta", "critical"], len(number))),
            "risk": rng.uniform(size=len(number)),
            "is_automatic": rng.uniform(size=len(number)) < 0.5,
            "corrects_id": pl.Series([None] * len(number), dtype=pl.String),
            "version": pl.repeat(1, len(number), eager=True, dtype=pl.Int64),
            "available_at": pl.Series(microseconds).cast(pl.Datetime("us", "UTC")),
        }
    )
