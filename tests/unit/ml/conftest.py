"""One model of made-up results for all tests of `ml`; trained once."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ml.autoverification import register, serve, train
from ml.autoverification.evaluate import Metrics, evaluate
from tests.unit.ml.panels import made_up_results


@pytest.fixture(scope="session")
def results() -> pl.DataFrame:
    return made_up_results(4_500)


@pytest.fixture(scope="session")
def candidate(results: pl.DataFrame) -> train.Candidate:
    return train.develop(results)


@pytest.fixture(scope="session")
def metrics(candidate: train.Candidate) -> Metrics:
    return evaluate(candidate.booster, candidate.features, candidate.decision)


@pytest.fixture
def exported(candidate: train.Candidate, metrics: Metrics, tmp_path: Path) -> Path:
    return register.export(
        tmp_path / "model",
        candidate,
        name="autoverification",
        version="1",
        metrics=metrics,
        approved_by="director",
        data_version="made up",
    )


@pytest.fixture
def scorer(exported: Path) -> serve.Scorer:
    return serve.load(exported)
