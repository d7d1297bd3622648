"""Two organizations on one database: by hand-written SQL under the application's role, neither exists for the other."""

from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from lims_api.core.db import Base, SystemCaller, transaction
from lims_api.core.ids import SYSTEM_ACTOR, uuid7
from lims_api.organizations.models import Site, SiteKind
from tests.conftest import Environment
from tests.integration.core.conftest import Planted
from tests.integration.core.rows import (
    MOMENT,
    Connection,
    Row,
    act,
    hand,
    insert,
    parents,
    plain_row,
    record_tables,
    refused,
    superuser,
    table,
)

BESIDE: dict[str, Row] = {
    "outbox": {"id": None, "name": "x.y", "version": 1, "subject_id": None, "payload": "{}", "actor_id": None},
    "event_receipts": {"event_id": None, "subscriber": "reports"},
    "access_log": {"actor_id": None, "action": "order.read", "patient_id": None},
    "idempotency_keys": {"actor_id": None, "key": "k", "route": "POST /x", "fingerprint": b"\x00"},
}
"""What SQL alone defines, with a row of each; `None` is a new id."""

MAPPED = sorted(
    each.name
    for each in Base.metadata.tables.values()
    if "organization_id" in each.columns and each.name != "access_tokens"
)
TABLES = [*MAPPED, *BESIDE]


def row_of(name: str, whose: Planted) -> Row:
    if name in BESIDE:
        filled = {column: uuid7() if value is None else value for column, value in BESIDE[name].items()}
        return {"organization_id": whose.id, **filled}
    return plain_row(name, whose.id, whose.rows)


@pytest.fixture(scope="module", autouse=True)
def beside(environment: Environment, two: tuple[Planted, Planted]) -> None:
    """Rows of both organizations in the tables that are not mapped, too."""
    for planted in two:
        with superuser(environment) as connection:
            for name in BESIDE:
                insert(connection, name, row_of(name, planted))
            connection.commit()


def count(connection: Connection, name: str, whose: Planted) -> int:
    statement = sql.SQL("select count(*) from lims.{} where organization_id = %s").format(sql.Identifier(name))
    row = connection.execute(statement, [whose.id]).fetchone()
    assert row is not None
    return int(row[0])


def updatable(connection: Connection, name: str) -> str | None:
    row = connection.execute(
        "select min(a.attname) from pg_attribute a where a.attrelid = %s::regclass and a.attnum > 0"
        " and has_column_privilege(a.attrelid, a.attnum, 'update')",
        [f"lims.{name}"],
    ).fetchone()
    return row[0] if row else None


def test_every_table_of_the_schema_is_in_these_tests(environment: Environment) -> None:
    with superuser(environment) as connection:
        names = connection.execute(
            "select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname ="
            " 'organization_id'"
            " where c.relnamespace = 'lims'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')"
            " and not c.relispartition and not a.attisdropped"
        ).fetchall()

    assert {name for (name,) in names} == {*TABLES, "ledger", "access_tokens"}


@pytest.mark.req("3.13.1")
@pytest.mark.parametrize("name", [*TABLES, "ledger"])
def test_another_organizations_rows_cannot_be_seen(
    environment: Environment, ours: Planted, theirs: Planted, name: str
) -> None:
    with superuser(environment) as connection:
        assert count(connection, name, theirs) > 0, "there must be something to hide"
    with hand(environment, "lims_app", ours.id) as connection:
        seen = connection.execute(f"select distinct organization_id from lims.{name}".encode()).fetchall()

    assert seen == [(ours.id,)]


@pytest.mark.req("3.13.1")
@pytest.mark.parametrize("name", TABLES)
def test_another_organizations_rows_cannot_be_changed(
    environment: Environment, ours: Planted, theirs: Planted, name: str
) -> None:
    with hand(environment, "lims_app", ours.id) as connection:
        column = updatable(connection, name)
        if column is None:
            assert refused(connection, f"update lims.{name} set organization_id = organization_id")
        else:
            update = f"update lims.{name} set {column} = {column} where organization_id = %s"
            assert connection.execute(update.encode(), [theirs.id]).rowcount == 0
            assert connection.execute(update.encode(), [ours.id]).rowcount > 0, "the same update on our own rows"
            locked = f"select 1 from lims.{name} where organization_id = %s for update"
            assert connection.execute(locked.encode(), [theirs.id]).rowcount == 0
        answer = refused(connection, f"delete from lims.{name} where organization_id = %s", theirs.id)

    with superuser(environment) as connection:
        assert count(connection, name, theirs) > 0
    assert answer == ("" if name in ("patient_tokens", "patient_numbers") else "InsufficientPrivilege")


@pytest.mark.req("3.13.1")
@pytest.mark.parametrize("name", TABLES)
def test_a_row_cannot_be_written_into_another_organization(
    environment: Environment, ours: Planted, theirs: Planted, name: str
) -> None:
    with hand(environment, "lims_app", ours.id) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"), connection.transaction():
            insert(connection, name, row_of(name, theirs))
        insert(connection, name, row_of(name, ours))


@pytest.mark.req("3.13.1")
@pytest.mark.parametrize("name", TABLES)
def test_without_an_organization_there_are_no_rows_and_none_can_be_written(
    environment: Environment, ours: Planted, name: str
) -> None:
    with environment.connect("lims_app") as fresh, environment.connect("lims_app") as used:
        act(used, ours.id)
        used.commit()  # what a transaction had set is '' after it, not NULL
        for connection in (fresh, used):
            seen = connection.execute(f"select count(*) from lims.{name}".encode()).fetchone()
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
                insert(connection, name, row_of(name, ours))
            connection.rollback()

            assert seen == (0,)


@pytest.mark.req("3.13.1")
@pytest.mark.parametrize("name", record_tables())
def test_without_an_actor_nothing_is_written(environment: Environment, ours: Planted, name: str) -> None:
    with hand(environment, "lims_app") as connection:
        connection.execute("select set_config('lims.organization_id', %s, true)", [str(ours.id)])

        with pytest.raises(psycopg.errors.NotNullViolation, match="actor_id"):
            insert(connection, name, row_of(name, ours))


CHILDREN = [(name, column) for name in record_tables() for column in parents(table(name))]


@pytest.mark.req("3.13.1")
@pytest.mark.parametrize(("name", "column"), CHILDREN)
def test_a_child_cannot_point_to_another_organizations_parent(
    environment: Environment, ours: Planted, theirs: Planted, name: str, column: str
) -> None:
    mother, key = parents(table(name))[column]
    with hand(environment, "lims_app", ours.id) as connection:
        insert(connection, name, row_of(name, ours) | {column: ours.rows[mother][key]})

        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            insert(connection, name, row_of(name, ours) | {column: theirs.rows[mother][key]})


def test_foreign_keys_stay_inside_an_organization_and_never_cascade(environment: Environment) -> None:
    with superuser(environment) as connection:
        keys = connection.execute(
            "select conrelid::regclass::text, conname, confrelid::regclass::text, confdeltype, confupdtype,"
            " (select array_agg(a.attname::text order by k.n) from unnest(conkey) with ordinality k(attnum, n)"
            "   join pg_attribute a on a.attrelid = conrelid and a.attnum = k.attnum)"
            " from pg_constraint where contype = 'f' and connamespace = 'lims'::regnamespace"
        ).fetchall()

    assert len(keys) > 30
    for child, name, mother, on_delete, on_update, columns in keys:
        assert (on_delete, on_update) == ("a", "a"), f"{child}.{name} cascades"
        assert columns[0] == "organization_id", f"{child}.{name}"
        assert len(columns) > 1 or mother == "lims.organizations", f"{child}.{name} could leave the organization"


def test_unique_rules_say_nothing_about_another_organization(environment: Environment) -> None:
    with superuser(environment) as connection:
        unique = connection.execute(
            "select c.relname, i.indexrelid::regclass::text, (select attname from pg_attribute a"
            " where a.attrelid = c.oid and a.attnum = i.indkey[0]) from pg_index i join pg_class c on c.oid ="
            " i.indrelid"
            " where c.relnamespace = 'lims'::regnamespace and i.indisunique and not c.relispartition"
        ).fetchall()

    exempt = {"organizations", "access_tokens", "alembic_version", "reader_positions", "outbox"}
    assert not [(name, index) for name, index, first in unique if first != "organization_id" and name not in exempt]


@pytest.mark.req("3.13.1")
def test_a_job_of_the_system_sees_and_writes_the_rows_of_its_organization_alone(
    environment: Environment, ours: Planted, theirs: Planted
) -> None:
    """The system's role bypasses row security; its transactions put on the application's role."""
    for name in MAPPED:
        with transaction(SystemCaller(database=environment.system, organization_id=ours.id)) as session:
            seen: Any = session.execute(text(f"select distinct organization_id from lims.{name}")).scalars().all()
        assert seen == [ours.id], name
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        transaction(SystemCaller(database=environment.system, organization_id=ours.id)) as session,
    ):
        session.add(Site(organization_id=theirs.id, code="x", name="x", kind=SiteKind.LAB))


@pytest.mark.req("3.13.1")
def test_two_organizations_take_turns_on_one_connection_and_never_see_each_other(
    environment: Environment, ours: Planted, theirs: Planted
) -> None:
    seen: list[Any] = []
    with environment.connect("lims_app") as connection:
        for whose in (ours, theirs, ours, theirs):
            act(connection, whose.id)
            seen += connection.execute("select organization_id from lims.patients").fetchall()
            connection.commit()
            assert connection.execute("select count(*) from lims.patients").fetchone() == (0,)
            connection.commit()

    assert seen == [(ours.id,), (theirs.id,)] * 2


def test_the_moment_and_actor_of_planted_rows_are_what_the_tests_say(environment: Environment, ours: Planted) -> None:
    with superuser(environment) as connection:
        actors = connection.execute(
            "select distinct actor_id from lims.ledger where organization_id = %s", [ours.id]
        ).fetchall()
        moment = connection.execute(
            "select occurred_at from lims.results where organization_id = %s", [ours.id]
        ).fetchone()

    assert actors == [(SYSTEM_ACTOR,)]
    assert moment == (MOMENT,)
