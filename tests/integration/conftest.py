"""The laboratory that the domains' tests work in: made once a worker."""

from collections.abc import Iterator

import pytest

from tests.conftest import Environment
from tests.integration.laboratory import Laboratory, open_laboratory


@pytest.fixture(scope="session")
def lab(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """A whole small laboratory; each test has patients and orders of its own."""
    yield from open_laboratory(environment, tmp_path_factory.mktemp("laboratory"))
