"""Every way of writing a row is in the ledger, once, with what changed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from lims_api.core.ids import uuid7
from tests.conftest import Environment
from tests.factories import organization
from tests.integration.core.conftest import Planted
from tests.integration.core.rows import (
    Connection,
    act,
    hand,
    insert,
    ledger_of,
    plain_row,
    record_tables,
    superuser,
    table,
)

INSERT_ROLE = (
    "insert into lims.roles (organization_id, id, code, name, permissions) values (lims.tenant(), %s, %s, %s, '{}')"
)


@pytest.fixture
def app(environment: Environment, ours: Planted) -> Iterator[Connection]:
    with hand(environment, "lims_app", ours.id) as connection:
        yield connection


def changes(connection: Connection, *ids: Any) -> list[tuple[str, Any, Any]]:
    """`(op, code after, before)` of the rows, in order; by the role itself, which may read its organization's
    ledger."""
    return connection.execute(
        "select op, body::jsonb#>>'{after,code}', body::jsonb->'before' from lims.ledger"
        " where row_id = any(%s) order by seq",
        [list(ids)],
    ).fetchall()


@pytest.mark.req("4.3.1")
@pytest.mark.parametrize("name", record_tables())
def test_a_row_of_every_table_is_in_the_ledger_whole(environment: Environment, ours: Planted, name: str) -> None:
    key = ours.rows[name]["id"]

    with superuser(environment) as connection:
        written = ledger_of(connection, ours.id, table_name=name, row_id=key)
        statement = sql.SQL("select to_jsonb(t) from lims.{} t where id = %s").format(sql.Identifier(name))
        row = connection.execute(statement, [key]).fetchone()

    assert row is not None
    assert written == [("I", name, row[0], None)]
    assert set(row[0]) == {column.key for column in table(name).columns}


def test_no_column_is_computed_when_it_is_read(environment: Environment) -> None:
    """A virtual generated column is NULL in a trigger's transition table, and so would be in the ledger."""
    with superuser(environment) as connection:
        virtual = connection.execute(
            "select attrelid::regclass, attname from pg_attribute a join pg_class c on c.oid = attrelid"
            " where c.relnamespace = 'lims'::regnamespace and attgenerated = 'v'"
        ).fetchall()

    assert not virtual


def test_an_insert_of_many_rows_writes_as_many(app: Connection) -> None:
    ids = [uuid7() for _ in range(50)]
    app.execute(
        "insert into lims.roles (organization_id, id, code, name, permissions)"
        " select lims.tenant(), id, 'many-' || n, 'r', '{}' from unnest(%s::uuid[]) with ordinality t(id, n)",
        [ids],
    )

    assert [(op, code) for op, code, _ in changes(app, *ids)] == [("I", f"many-{n}") for n in range(1, 51)]


def test_an_upsert_writes_an_insert_and_an_update(app: Connection) -> None:
    first, second = uuid7(), uuid7()
    app.execute(INSERT_ROLE.encode(), [first, "upsert-1", "old"])

    app.execute(
        "insert into lims.roles (organization_id, id, code, name, permissions) values"
        " (lims.tenant(), %s, 'upsert-1', 'new', '{}'), (lims.tenant(), %s, 'upsert-2', 'new', '{}')"
        " on conflict (organization_id, code) do update set name = excluded.name",
        [uuid7(), second],
    )
    app.execute(
        "insert into lims.roles (organization_id, id, code, name, permissions) values"
        " (lims.tenant(), %s, 'upsert-1', 'newer', '{}') on conflict do nothing",
        [uuid7()],
    )

    assert changes(app, first) == [("I", "upsert-1", None), ("U", "upsert-1", {"name": "old"})]
    assert changes(app, second) == [("I", "upsert-2", None)]


def test_a_merge_writes_what_it_did(app: Connection) -> None:
    first, second = uuid7(), uuid7()
    app.execute(INSERT_ROLE.encode(), [first, "merge-1", "old"])

    app.execute(
        "merge into lims.roles r using (values ('merge-1', %s::uuid), ('merge-2', %s::uuid)) s(code, id)"
        " on r.code = s.code when matched then update set name = 'new'"
        " when not matched then insert (organization_id, id, code, name, permissions)"
        " values (lims.tenant(), s.id, s.code, 'new', '{}')",
        [first, second],
    )

    assert changes(app, first)[1:] == [("U", "merge-1", {"name": "old"})]
    assert changes(app, second) == [("I", "merge-2", None)]


def test_several_writing_ctes_in_one_statement_write_all_their_rows(app: Connection) -> None:
    first, second, third = uuid7(), uuid7(), uuid7()
    app.execute(INSERT_ROLE.encode(), [third, "cte-3", "old"])

    app.execute(
        "with a as (insert into lims.roles (organization_id, id, code, name, permissions)"
        "   values (lims.tenant(), %s, 'cte-1', 'a', '{}') returning id),"
        " b as (insert into lims.roles (organization_id, id, code, name, permissions)"
        "   values (lims.tenant(), %s, 'cte-2', 'b', '{}') returning id),"
        " c as (update lims.roles set name = 'new' where id = %s returning id)"
        " insert into lims.sites (organization_id, id, code, name, kind)"
        "   select lims.tenant(), gen_random_uuid(), 'cte-site', 's', 'lab' from a, b, c",
        [first, second, third],
    )

    assert [op for op, _, _ in changes(app, first, second)] == ["I", "I"]
    assert changes(app, third)[1:] == [("U", "cte-3", {"name": "old"})]
    site = app.execute("select id from lims.sites where code = 'cte-site'").fetchone()
    assert site is not None
    assert [op for op, _, _ in changes(app, site[0])] == ["I"]


def test_an_update_names_the_changed_fields_alone(app: Connection) -> None:
    key = uuid7()
    app.execute(INSERT_ROLE.encode(), [key, "fields", "old"])

    app.execute("update lims.roles set name = 'new', permissions = '{order:read}', code = code where id = %s", [key])
    app.execute("update lims.roles set permissions = '{}' where id = %s", [key])

    assert changes(app, key)[1:] == [
        ("U", "fields", {"name": "old", "permissions": []}),
        ("U", "fields", {"permissions": ["order:read"]}),
    ]


def test_null_is_a_value_like_any_other(app: Connection, ours: Planted) -> None:
    key = ours.rows["analysers"]["id"]
    app.execute("update lims.analysers set serial_number = 'SN-1' where id = %s", [key])
    app.execute("update lims.analysers set serial_number = null where id = %s", [key])

    assert [before for _, _, before in changes(app, key)] == [None, {"serial_number": None}, {"serial_number": "SN-1"}]


def test_an_update_that_changes_nothing_writes_nothing(app: Connection) -> None:
    key = uuid7()
    app.execute(INSERT_ROLE.encode(), [key, "same", "old"])

    app.execute("update lims.roles set name = name where id = %s", [key])
    app.execute("update lims.roles set name = 'x' where false")

    assert [op for op, _, _ in changes(app, key)] == ["I"]


@pytest.mark.parametrize("column", ["id", "organization_id"])
def test_a_key_cannot_change_even_by_the_superuser(environment: Environment, ours: Planted, column: str) -> None:
    with superuser(environment, ours.id) as connection:
        key = uuid7()
        insert(connection, "roles", plain_row("roles", ours.id, ours.rows, id=key))

        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="key cannot change"):
            connection.execute(f"update lims.roles set {column} = gen_random_uuid() where id = %s".encode(), [key])


def test_a_roll_back_leaves_nothing_behind(environment: Environment, ours: Planted) -> None:
    kept, gone, saved = uuid7(), uuid7(), uuid7()
    with environment.connect("lims_app") as connection:
        act(connection, ours.id)
        connection.execute(INSERT_ROLE.encode(), [kept, str(kept), "r"])
        with connection.transaction(force_rollback=True):
            connection.execute(INSERT_ROLE.encode(), [saved, str(saved), "r"])
        connection.commit()
        act(connection, ours.id)
        connection.execute(INSERT_ROLE.encode(), [gone, str(gone), "r"])
        connection.rollback()
        act(connection, ours.id)

        assert [code for _, code, _ in changes(connection, kept, saved, gone)] == [str(kept)]


def test_a_statement_that_fails_in_its_last_row_writes_nothing(app: Connection) -> None:
    key = uuid7()
    with pytest.raises(psycopg.errors.UniqueViolation), app.transaction():
        app.execute(
            "insert into lims.roles (organization_id, id, code, name, permissions) values"
            " (lims.tenant(), %s, 'twin', 'r', '{}'), (lims.tenant(), %s, 'twin', 'r', '{}')",
            [key, uuid7()],
        )

    assert changes(app, key) == []


def test_an_update_that_moves_a_row_to_another_partition_is_one_update(environment: Environment, ours: Planted) -> None:
    row = plain_row("results", ours.id, ours.rows)
    with superuser(environment, ours.id) as connection:
        insert(connection, "results", row)
        where = connection.execute("select tableoid::regclass::text from lims.results where id = %s", [row["id"]])
        before = where.fetchone()

        connection.execute(
            "update lims.results set recorded_at = recorded_at + interval '40 days' where id = %s", [row["id"]]
        )

        after = connection.execute(
            "select tableoid::regclass::text from lims.results where id = %s", [row["id"]]
        ).fetchone()
        written = ledger_of(connection, ours.id, row_id=row["id"])
    assert before != after
    assert [op for op, *_ in written] == ["I", "U"]
    assert set(written[1][3]) == {"recorded_at"}


def test_a_deletion_keeps_the_whole_row(environment: Environment, ours: Planted) -> None:
    row = plain_row("roles", ours.id, ours.rows)
    with superuser(environment, ours.id) as connection:
        insert(connection, "roles", row)
        connection.execute("delete from lims.roles where id = %s", [row["id"]])
        _, (op, _, after, before) = ledger_of(connection, ours.id, row_id=row["id"])

    assert (op, after) == ("D", None)
    assert before["code"] == row["code"]


def test_rows_of_two_organizations_in_one_statement_are_each_in_their_own_ledger(
    environment: Environment, ours: Planted, theirs: Planted
) -> None:
    mine, yours = uuid7(), uuid7()
    with hand(environment, "lims_system", ours.id) as connection:
        connection.execute(
            "insert into lims.roles (organization_id, id, code, name, permissions)"
            " values (%s, %s, 'bulk', 'r', '{}'), (%s, %s, 'bulk', 'r', '{}')",
            [ours.id, mine, theirs.id, yours],
        )
        written = connection.execute(
            "select organization_id, row_id from lims.ledger where row_id = any(%s)", [[mine, yours]]
        ).fetchall()

    assert set(written) == {(ours.id, mine), (theirs.id, yours)}


def test_the_ledger_says_who_by_which_device_and_why(environment: Environment, ours: Planted) -> None:
    who, key = uuid7(), uuid7()
    with hand(environment, "lims_app") as connection:
        act(connection, ours.id, who, reason="wrong_container")
        connection.execute("select set_config('lims.occurred_at', '2026-01-05T10:00+05:30', true)")
        connection.execute(INSERT_ROLE.encode(), [key, "who", "r"])
        row = connection.execute(
            "select actor_id, device, reason, session_id, ip, occurred_at, recorded_at = now() from lims.ledger"
            " where row_id = %s",
            [key],
        ).fetchone()

    assert row == (who, "bench", "wrong_container", None, None, datetime(2026, 1, 5, 4, 30, tzinfo=UTC), True)


def copy_results(connection: Connection, rows: list[dict[str, Any]]) -> None:
    statement = sql.SQL("copy lims.results ({}) from stdin").format(sql.SQL(", ").join(map(sql.Identifier, rows[0])))
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(list(row.values()))


def test_what_the_importer_copies_is_in_the_ledger_with_the_time_it_was_available(
    environment: Environment, ours: Planted
) -> None:
    long_ago = datetime(2025, 3, 1, 6, 0, tzinfo=UTC)
    rows = [
        plain_row("results", ours.id, ours.rows, available_at=long_ago + timedelta(minutes=number))
        for number in range(20)
    ]
    with hand(environment, "lims_importer", ours.id) as connection:
        copy_results(connection, rows)
        connection.commit()

    with superuser(environment) as connection:
        written = connection.execute(
            "select (body::jsonb#>>'{after,available_at}')::timestamptz, recorded_at > now() - interval '1 hour'"
            " from lims.ledger where row_id = any(%s) and op = 'I' order by 1",
            [[row["id"] for row in rows]],
        ).fetchall()
    assert written == [(row["available_at"], True) for row in rows]


def test_the_application_cannot_copy_and_cannot_say_when_a_result_was_available(
    environment: Environment, ours: Planted
) -> None:
    past = plain_row("results", ours.id, ours.rows, available_at=datetime(2025, 3, 1, tzinfo=UTC))
    plain = plain_row("results", ours.id, ours.rows)
    for role in ("lims_app", "lims_system"):
        with hand(environment, role, ours.id) as connection:
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                insert(connection, "results", past)
            insert(connection, "results", plain)
            available = connection.execute("select available_at = now() from lims.results where id = %s", [plain["id"]])
            assert available.fetchone() == (True,)
    with hand(environment, "lims_app", ours.id) as connection, pytest.raises(psycopg.errors.FeatureNotSupported):
        copy_results(connection, [plain])


def test_a_fresh_organization_has_a_ledger_of_its_own(environment: Environment) -> None:
    with superuser(environment) as connection:
        assert ledger_of(connection, organization(environment)) == []
