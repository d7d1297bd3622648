"""Two organizations with a row in every table, planted once a module."""

from dataclasses import dataclass
from uuid import UUID

import pytest

from tests.conftest import Environment
from tests.factories import organization
from tests.integration.core.rows import Row, plant, superuser


@dataclass(frozen=True)
class Planted:
    """An organization, and its row of each table."""

    id: UUID
    rows: dict[str, Row]


@pytest.fixture(scope="module")
def two(environment: Environment) -> tuple[Planted, Planted]:
    """Two organizations, ours and theirs."""
    planted = []
    for _ in range(2):
        tenant = organization(environment)
        with superuser(environment, tenant) as connection:
            rows = plant(connection, tenant)
            connection.commit()
        planted.append(Planted(tenant, rows))
    return planted[0], planted[1]


@pytest.fixture
def ours(two: tuple[Planted, Planted]) -> Planted:
    return two[0]


@pytest.fixture
def theirs(two: tuple[Planted, Planted]) -> Planted:
    return two[1]
