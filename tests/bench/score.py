"""Time to score one accession of ten results with a history, features included: warm, one thread."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ml.autoverification import register, serve, train
from ml.features import Panel, Prior, Reading
from tests.unit.ml.panels import made_up_results

CALLS = 2_000
ROUNDS = 5
WARM = 200
Case = tuple[Panel, list[Prior]]


def cases(results: pl.DataFrame, count: int) -> list[Case]:
    """Full panels of patients who have been here before, the newest first."""
    newest = results.filter(pl.len().over("specimen_id") == 10).sort("available_at", descending=True)
    by_patient = results.partition_by("patient_key", as_dict=True)
    made: list[Case] = []
    for specimen in newest.partition_by("specimen_id", maintain_order=True)[: 4 * count]:
        first = specimen.row(0, named=True)
        earlier = by_patient[(first["patient_key"],)].filter(pl.col("available_at") < first["available_at"])
        if len(earlier) and len(made) < count:
            readings = {
                row["test_code"]: Reading(row["value"], row["reference_low"], row["reference_high"])
                for row in specimen.iter_rows(named=True)
            }
            panel = Panel(first["sex"], first["age_days"], first["available_at"], readings)
            made.append(
                (panel, [Prior(*row) for row in earlier.select("test_code", "value", "available_at").iter_rows()])
            )
    return made


def timed(scorer: serve.Scorer, made: Sequence[Case], calls: int) -> tuple[float, float]:
    """p50 and p99 in milliseconds of one call of `score`."""
    taken = np.empty(calls)
    for number in range(calls):
        panel, history = made[number % len(made)]
        start = time.perf_counter_ns()
        scorer.score(panel, history)
        taken[number] = time.perf_counter_ns() - start
    p50, p99 = np.quantile(taken, [0.5, 0.99]) / 1e6
    return float(p50), float(p99)


def measure() -> dict[str, float]:
    """p50 and p99 of one call (ten results with features, so an upper bound for one): medians of five rounds."""
    results = made_up_results(3_000, seed=5)
    candidate = train.develop(results)
    with tempfile.TemporaryDirectory() as folder:
        written = register.export(
            Path(folder) / "model",
            candidate,
            name="bench",
            version="1",
            metrics={},
            approved_by=None,
            data_version="made up",
        )
        scorer = serve.load(written)
    made = cases(results, 100)
    timed(scorer, made, WARM)
    rounds = [timed(scorer, made, CALLS) for _ in range(ROUNDS)]
    p50, p99 = (statistics.median(column) for column in zip(*rounds, strict=True))
    return {
        "score_p50_ms": p50,
        "score_p99_ms": p99,
        "results_per_call": 10.0,
        "calls": float(CALLS),
        "rounds": float(ROUNDS),
    }


if __name__ == "__main__":
    print(measure())
