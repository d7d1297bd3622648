"""Apps of the tests' laboratory."""

import pytest

from lims_api.core.permissions import Permission
from tests.integration.laboratory import Laboratory
from tests.integration.sync.app import App

ALL = tuple(Permission)


@pytest.fixture(scope="module")
def app(lab: Laboratory) -> App:
    """One who holds every permission."""
    return App(lab, lab.someone(*ALL))
