"""The queries that carry the day use their indexes, under row security and as the role that runs them."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from lims_api.core.db.embedded import Cluster
from lims_api.core.ledger import _NEW
from tests.conftest import Environment, environment_of
from tests.factories import organization
from tests.integration.core.rows import Connection, Row, act, hand, plant, superuser

SPECIMENS, RESULTS_EACH = 300, 20


def copies(name: str, key: UUID, fresh: str, of: str) -> bytes:
    """An INSERT of copies of one row; `fresh` is SQL for what differs, `of` what is counted."""
    return (
        f"insert into lims.{name} select (jsonb_populate_record(t, jsonb_build_object({fresh}))).*"
        f" from lims.{name} t, {of} where t.id = '{key}'"
    ).encode()


@pytest.fixture(scope="module")
def environment(cluster: Cluster, worker: str) -> Iterator[Environment]:
    """A database of its own: a plan is judged by what lies in it, and other tests leave months of their own."""
    with environment_of(cluster, f"plans_{worker}") as made:
        yield made


@pytest.fixture(scope="module")
def busy(environment: Environment) -> tuple[UUID, dict[str, Row]]:
    """An organization with 6,000 results of 300 specimens, one in a hundred held, and 6,000 search tokens."""
    tenant = organization(environment)
    with superuser(environment, tenant) as connection:
        rows = plant(connection, tenant)
        run = connection.execute
        key: dict[str, UUID] = {name: row["id"] for name, row in rows.items() if "id" in row}
        numbers = f"generate_series(1, {SPECIMENS}) n"
        run(copies("patients", key["patients"], "'id', gen_random_uuid()", numbers))
        whose = "(select row_number() over () as n, id from lims.patients where organization_id = lims.tenant()) p"
        fresh = "'id', gen_random_uuid(), 'order_number', 'o' || n, 'patient_id', p.id"
        run(copies("orders", key["orders"], fresh, whose))
        of = (
            "(select row_number() over () as n, id, patient_id from lims.orders"
            " where organization_id = lims.tenant()) o"
        )
        fresh = "'id', gen_random_uuid(), 'accession_number', 'a' || n, 'order_id', o.id, 'patient_id', o.patient_id"
        run(copies("specimens", key["specimens"], fresh, of))
        of = (
            "(select row_number() over () as n, id, order_id, patient_id from lims.specimens"
            f" where organization_id = lims.tenant()) s, generate_series(1, {RESULTS_EACH}) v(number)"
        )
        fresh = (
            "'id', gen_random_uuid(), 'patient_id', s.patient_id, 'order_id', s.order_id, 'specimen_id', s.id,"
            " 'test_code', 'T' || number, 'status', case when n % 100 = 0 then 'held' else 'authorised' end"
        )
        run(copies("results", key["results"], fresh, of))
        run(
            b"insert into lims.patient_tokens (organization_id, token, patient_id)"
            b" select lims.tenant(), 1000 + n % 500, id from lims.patients, generate_series(1, 20) n"
            b" where organization_id = lims.tenant()"
        )
        connection.commit()
        connection.autocommit = True
        connection.execute("vacuum analyze lims.results, lims.ledger, lims.patient_tokens, lims.specimens, lims.orders")
    return tenant, rows


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def explain(connection: Connection, statement: str, parameters: Any) -> list[dict[str, Any]]:
    row = connection.execute(f"explain (format json) {statement}".encode(), parameters).fetchone()
    assert row is not None
    return list(nodes(row[0][0]["Plan"]))


def read_from_end_to_end(connection: Connection, plan: list[dict[str, Any]], table: str) -> list[str]:
    """The partitions of a table that the plan reads whole; reading an empty one costs nothing."""
    whole = [
        node["Relation Name"]
        for node in plan
        if node["Node Type"] == "Seq Scan" and node["Relation Name"].startswith(table)
    ]
    statement = (
        "select relname from pg_class where relnamespace = 'lims'::regnamespace and relname = any(%s) and relpages > 0"
    )
    return [name for (name,) in connection.execute(statement, [whole])]


def indexes(plan: list[dict[str, Any]]) -> set[str]:
    return {node["Index Name"] for node in plan if "Index Name" in node}


QUERIES = {
    "results of a specimen": (
        "select * from lims.results where specimen_id = %(specimen)s",
        "results",
        "specimen_id",
    ),
    "results of an order in its time": (
        "select r.* from lims.results r join lims.orders o on o.organization_id = r.organization_id and o.id ="
        " r.order_id"
        " where o.id = %(order)s and r.recorded_at >= o.placed_at"
        " and r.recorded_at < o.placed_at + interval '400 days'",
        "results",
        "order_id",
    ),
    "a patient's earlier results of a test": (
        "select value, available_at from lims.results where patient_id = %(patient)s and test_code = 'T7'"
        " and available_at < now() order by available_at desc limit 5",
        "results",
        "patient_id_test_code",
    ),
    "the worklist of held results": (
        "select * from lims.results where status = 'held' order by id desc limit 50",
        "results",
        "organization_id_id",
    ),
    "patients by a search token": (
        "select patient_id from lims.patient_tokens where token = 1007 order by patient_id desc limit 200",
        "patient_tokens",
        "pk_patient_tokens",
    ),
    "a specimen by its accession number": (
        "select * from lims.specimens where accession_number = 'a7'",
        "specimens",
        "uq_specimens_organization_id_accession_number",
    ),
}


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_of_the_day_uses_its_index_as_the_application(
    environment: Environment, busy: tuple[UUID, dict[str, Row]], query: str
) -> None:
    tenant, _ = busy
    statement, table, index = QUERIES[query]
    with hand(environment, "lims_app", tenant) as connection:
        some = connection.execute("select id, order_id, patient_id from lims.specimens where accession_number = 'a7'")
        specimen, _, _ = some.fetchone() or (None, None, None)
        found = connection.execute("select order_id, patient_id from lims.results where specimen_id = %s", [specimen])
        order, patient = found.fetchone() or (None, None)
        parameters = {"specimen": specimen, "order": order, "patient": patient}

        plan = explain(connection, statement, parameters)
        answer = connection.execute(statement.encode(), parameters).fetchall()
        whole = read_from_end_to_end(connection, plan, table)

    assert answer
    assert whole == [], plan
    assert any(index in used for used in indexes(plan)), indexes(plan)


@pytest.mark.parametrize("role", ["lims_capture", "lims_app"])
def test_a_reader_finds_new_ledger_rows_by_the_index_of_transactions(
    environment: Environment, busy: tuple[UUID, dict[str, Row]], role: str
) -> None:
    tenant, _ = busy
    with environment.connect("lims_app") as connection:
        since = connection.execute("select pg_current_snapshot()::text").fetchone()
        assert since is not None
        snapshot = str(since[0])
        act(connection, tenant)
        connection.execute("update lims.results set flag = %s where status = 'held'", [role])
        connection.commit()

    statement = _NEW.format(table="lims.ledger").replace(":since", "%(since)s").replace(":unfinished", "%(unfinished)s")
    seen = {"since": snapshot, "unfinished": f"{{{snapshot.rpartition(':')[2]}}}"}
    with hand(environment, role, tenant) as connection:
        plan = explain(connection, statement, seen)
        rows = connection.execute(statement.encode(), seen).fetchall()
        whole = read_from_end_to_end(connection, plan, "ledger")

    assert rows
    assert whole == [], plan
    assert any(used.endswith("xid_idx") or used == "ledger_xid" for used in indexes(plan)), indexes(plan)
