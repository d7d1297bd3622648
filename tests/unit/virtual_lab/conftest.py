"""The simulations that the realism exam looks at, each made once."""

import polars as pl
import pytest

from tests.unit.virtual_lab.realism import Files, exam, simulate, unaffected


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A year of a middling laboratory."""
    return simulate(tmp_path_factory.mktemp("year"), **exam()["run"])


@pytest.fixture(scope="session")
def judged(simulated: Files) -> pl.DataFrame:
    """Its results beside their truth."""
    return simulated.judged()


@pytest.fixture(scope="session")
def healthy(judged: pl.DataFrame) -> pl.DataFrame:
    """What no disease and no error has touched."""
    return unaffected(judged)


@pytest.fixture(scope="session")
def decade(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Ten years of the analysers with hardly a patient."""
    run = exam()["run"] | {"patients": 200, "days": exam()["failures"]["days"]}
    return simulate(tmp_path_factory.mktemp("decade"), **run)
