"""What reaches `raw`: typed, each change once, nothing sealed, nothing restricted."""

import traceback
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from pipelines.capture import LEDGER, bronze_table
from pipelines.lake import open_lake
from pipelines.loop import capture_once
from pipelines.settings import Settings, libpq
from pipelines.warehouse import BodyUnreadable, Loaded, load, loaded_capture
from tests.integration.pipelines.laboratory import write_change

Session = psycopg.Connection[tuple[Any, ...]]
LAB = UUID(int=1)
INSTANT = "2026-01-05T04:03:02.123456+00:00"


@pytest.fixture
def warehouse(stores: Settings) -> Session:
    return psycopg.connect(libpq(stores.warehouse_url), autocommit=True)


def bring(stores: Settings) -> Loaded:
    capture_once(stores)
    return load(libpq(stores.warehouse_url), bronze_table(open_lake(stores), LEDGER))


def rows(warehouse: Session, query: str) -> list[tuple[Any, ...]]:
    return warehouse.execute(query.encode()).fetchall()


def test_each_change_is_loaded_once(stores: Settings, ledger: Session, warehouse: Session) -> None:
    order = uuid4()
    write_change(ledger, "orders", order, "I", organization=LAB, status="placed", placed_at=INSTANT)
    first = bring(stores)
    write_change(ledger, "orders", order, "U", organization=LAB, status="completed", placed_at=INSTANT)
    second, third = bring(stores), bring(stores)

    found = rows(warehouse, "select row_id, op, status, capture from raw.orders order by seq")

    assert (first.rows, second.rows, third.rows) == ({"orders": 1}, {"orders": 1}, {})
    assert found == [(str(order), "I", "placed", 1), (str(order), "U", "completed", 2)]
    assert loaded_capture(libpq(stores.warehouse_url)) == 2


def test_columns_arrive_with_their_types(stores: Settings, ledger: Session, warehouse: Session) -> None:
    after = {
        "value": 5.1, "age_days": 14600, "is_automatic": True, "available_at": INSTANT, "reasons": ["delta", "qc"],
        "instrument_flags": [], "test_code": "K", "recorded_at": INSTANT, "value_text": "5.10", "name_sealed": "\\x00",
    }  # fmt: skip
    write_change(ledger, "results", uuid4(), "I", organization=LAB, **after)
    bring(stores)

    columns = "value, age_days, is_automatic, available_at, reasons, instrument_flags, risk, first_recorded_at"
    found = rows(warehouse, f"select {columns} from raw.results")

    instant = datetime(2026, 1, 5, 4, 3, 2, 123456, tzinfo=UTC)
    assert found == [(5.1, 14600, True, instant, "delta,qc", "", None, instant)]


@pytest.mark.req("4.1.2")
def test_no_sealed_column_and_no_undeclared_table_leaves_bronze(
    stores: Settings, ledger: Session, warehouse: Session
) -> None:
    write_change(ledger, "patients", uuid4(), "I", organization=LAB, sex="female", name_sealed="\\x0102")
    write_change(ledger, "users", uuid4(), "I", organization=LAB, username="asha")
    loaded = bring(stores)

    columns = rows(warehouse, "select column_name from information_schema.columns where table_schema = 'raw'")

    assert loaded.rows == {"patients": 1}
    assert not [name for (name,) in columns if "sealed" in name or name in {"username", "body", "value_text"}]


def test_a_deleted_row_is_a_change_without_values(stores: Settings, ledger: Session, warehouse: Session) -> None:
    site = uuid4()
    write_change(ledger, "sites", site, "I", organization=LAB, code="MAIN")
    write_change(ledger, "sites", site, "D", organization=LAB, code="MAIN")
    bring(stores)

    assert rows(warehouse, "select op, code from raw.sites order by seq") == [("I", "MAIN"), ("D", None)]


@pytest.mark.req("12.4")
def test_a_restricted_test_is_left_out_also_when_it_becomes_restricted_later(
    stores: Settings, ledger: Session, warehouse: Session
) -> None:
    hiv, other = uuid4(), UUID(int=2)
    write_change(ledger, "test_definitions", hiv, "I", organization=LAB, code="HIV", is_restricted=False)
    for table in ("results", "order_tests"):
        for organization, code in ((LAB, "HIV"), (LAB, "K"), (other, "HIV")):
            write_change(ledger, table, uuid4(), "I", organization=organization, test_code=code)
    bring(stores)
    before = rows(warehouse, "select count(*) from raw.results")
    write_change(ledger, "test_definitions", hiv, "U", organization=LAB, code="HIV", is_restricted=True)
    write_change(ledger, "results", uuid4(), "I", organization=LAB, test_code="HIV")
    bring(stores)

    left = "select organization_id, test_code from raw.{} order by 1, 2"
    expected = [(str(LAB), "K"), (str(other), "HIV")]
    assert before == [(3,)]
    assert rows(warehouse, left.format("results")) == expected
    assert rows(warehouse, left.format("order_tests")) == expected


def test_a_body_of_an_undeclared_type_stops_the_load_whole_and_is_not_quoted(
    stores: Settings, ledger: Session, warehouse: Session
) -> None:
    write_change(ledger, "sites", uuid4(), "I", organization=LAB, code="MAIN")
    value = str(uuid4())
    write_change(ledger, "results", uuid4(), "I", organization=LAB, value=value)

    with pytest.raises(BodyUnreadable, match="a body of results") as refused:
        bring(stores)

    assert value not in "".join(traceback.format_exception(refused.value))
    assert rows(warehouse, "select to_regclass('raw.sites')") == [(None,)]


def test_a_new_lake_is_loaded_from_the_beginning(stores: Settings, ledger: Session, warehouse: Session) -> None:
    write_change(ledger, "sites", uuid4(), "I", organization=LAB, code="MAIN")
    bring(stores)
    lake = open_lake(stores)
    lake.drop_table(LEDGER.target)

    loaded = bring(stores)

    assert (loaded.rebuilt, loaded.rows) == (True, {"sites": 1})
    assert rows(warehouse, "select code from raw.sites") == [("MAIN",)]
