"""Publishing a mart: whole or not at all, and what arrived is what the warehouse has."""

import psycopg
import pytest

from pipelines.gold import FCT_CONTROL_RESULTS, PublicationWrong, publish, totals
from pipelines.lake import open_lake
from pipelines.settings import Settings, libpq

MART = FCT_CONTROL_RESULTS
TYPES = {
    "string": "text",
    "double": "float8",
    "int32": "int",
    "timestamp[us, tz=UTC]": "timestamptz",
    "bool": "boolean",
}


@pytest.fixture
def mart(stores: Settings) -> psycopg.Connection[tuple[object, ...]]:
    """The mart's table, as dbt would have made it, without rows."""
    columns = ", ".join(f"{field.name} {TYPES[str(field.type)]}" for field in MART.schema)
    connection = psycopg.connect(libpq(stores.warehouse_url), autocommit=True)
    connection.execute(f"create schema quality; create table {MART.relation} ({columns})".encode())
    return connection


def add(mart: psycopg.Connection[tuple[object, ...]], organization: str, *z: float) -> None:
    for value in z:
        mart.execute(
            f"insert into {MART.relation} (organization_id, control_result_id, z) values (%s, 'c', %s)".encode(),
            (organization, value),
        )


def test_a_publication_replaces_the_former_one(stores: Settings, mart: psycopg.Connection[tuple[object, ...]]) -> None:
    lake, dsn = open_lake(stores), libpq(stores.warehouse_url)
    add(mart, "a", 1.0, 2.0)
    add(mart, "b", 0.5)
    first = publish(dsn, lake, MART)
    mart.execute(f"delete from {MART.relation} where organization_id = 'b'".encode())
    add(mart, "a", -1.5)
    add(mart, "c", 3.0)

    second = publish(dsn, lake, MART)

    assert (first.rows, first.organizations) == (3, 2)
    assert (second.rows, second.organizations) == (4, 2)
    assert totals(lake.load_table(MART.target), "z") == {"a": (3, 1.5), "c": (1, 3.0)}


def test_publishing_the_same_twice_changes_nothing(
    stores: Settings, mart: psycopg.Connection[tuple[object, ...]]
) -> None:
    lake, dsn = open_lake(stores), libpq(stores.warehouse_url)
    add(mart, "a", 1.0, 2.0)

    publish(dsn, lake, MART)
    publish(dsn, lake, MART)

    assert totals(lake.load_table(MART.target), "z") == {"a": (2, 3.0)}


def test_an_empty_mart_publishes_an_empty_table(stores: Settings, mart: psycopg.Connection[tuple[object, ...]]) -> None:
    lake, dsn = open_lake(stores), libpq(stores.warehouse_url)
    add(mart, "a", 1.0)
    publish(dsn, lake, MART)
    mart.execute(f"delete from {MART.relation}".encode())

    assert publish(dsn, lake, MART).rows == 0
    assert totals(lake.load_table(MART.target), "z") == {}


@pytest.mark.parametrize("published_before", [True, False])
def test_a_sum_that_does_not_agree_puts_the_former_publication_back(
    stores: Settings, mart: psycopg.Connection[tuple[object, ...]], published_before: bool
) -> None:
    lake, dsn = open_lake(stores), libpq(stores.warehouse_url)
    if published_before:
        add(mart, "a", 1.0)
        publish(dsn, lake, MART)
    add(mart, "a", float("nan"))  # a sum with it equals nothing, itself included

    with pytest.raises(PublicationWrong):
        publish(dsn, lake, MART)

    assert totals(lake.load_table(MART.target), "z") == ({"a": (1, 1.0)} if published_before else {})
