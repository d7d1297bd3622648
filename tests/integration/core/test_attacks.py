"""What the application's role, and its siblings, can do with hand-written SQL: nothing to the ledger."""

from typing import Any

import psycopg
import pytest
from psycopg import sql

from lims_api.core.ids import uuid7
from tests.conftest import Environment
from tests.integration.core.conftest import Planted
from tests.integration.core.rows import (
    Connection,
    act,
    hand,
    insert,
    ledger_of,
    plain_row,
    record_tables,
    refused,
    superuser,
)

FORGED = (
    "insert into lims.ledger (organization_id, table_name, row_id, op, body, actor_id)"
    " values ('{tenant}', 'results', gen_random_uuid(), 'I', '{{}}', gen_random_uuid())"
)
ATTACKS = {
    "insert": FORGED,
    "update": "update lims.ledger set body = '{{}}'",
    "delete": "delete from lims.ledger",
    "truncate": "truncate lims.ledger",
    "copy": "copy lims.ledger (organization_id, table_name, row_id, op, body, actor_id) from stdin",
    "merge": "merge into lims.ledger l using (select 1) s on true when matched then delete",
    "lock": "lock table lims.ledger in access exclusive mode",
    "insert into a partition": FORGED.replace("lims.ledger", "lims.{partition}"),
    "delete from a partition": "delete from lims.{partition}",
    "read a partition": "select * from lims.{partition}",
    "detach a partition": "alter table lims.ledger detach partition lims.{partition}",
    "drop a partition": "drop table lims.{partition}",
    "attach a partition": "create temp table p (like lims.ledger); alter table lims.ledger attach partition p default",
    "disable the trigger": "alter table lims.sites disable trigger ledger_i",
    "disable all triggers": "alter table lims.sites disable trigger all",
    "drop the trigger": "drop trigger ledger_i on lims.sites",
    "a trigger of one's own": "create trigger mine before insert on lims.sites for each row execute function f()",
    "a trigger that calls the writer": "create temp table sites (organization_id uuid, id uuid);"
    " create trigger mine after insert on sites referencing new table as new_rows"
    " for each statement execute function lims.ledger_write()",
    "a rule of one's own": "create rule mine as on insert to lims.sites do instead nothing",
    "a policy of one's own": "create policy mine on lims.sites using (true)",
    "row security off": "alter table lims.sites disable row level security",
    "not forced": "alter table lims.sites no force row level security",
    "alter the ledger": "alter table lims.ledger alter actor_id drop not null",
    "alter a table": "alter table lims.sites add column extra text",
    "a table of one's own": "create table lims.mine (id int)",
    "a function of one's own": (
        "create function lims.to_jsonb(anyelement) returns jsonb language sql as 'select null::jsonb'"
    ),
    "replace the writer": (
        "create or replace function lims.ledger_write() returns trigger language plpgsql as 'begin return null; end'"
    ),
    "replace the tenant": "create or replace function lims.tenant() returns uuid language sql as 'select null::uuid'",
    "call the writer": "select lims.ledger_write()",
    "protect a table": "select lims.protect('sites', false)",
    "make partitions": "select lims.make_partitions(6)",
    "replication role": "set session_replication_role = replica",
    "become the owner": "set role lims_owner",
    "become the ledger's owner": "set role lims_ledger",
    "become the system": "set role lims_system",
    "become the importer": "set session authorization lims_importer",
    "grant oneself the right": f"grant insert on lims.ledger to current_user; {FORGED}",  # the grant alone only warns
    "own the ledger": "alter table lims.ledger owner to lims_app",
    "reset the numbers": "select setval('lims.ledger_seq_seq', 1)",
    "read the tokens' digests": "select * from lims.access_tokens",
    "forge a token": "insert into lims.access_tokens (token_sha256, id) values ('\\x00', gen_random_uuid())",
    "end another's token": "update lims.access_tokens set ended_at = now()",
    "recorded_at at insertion": "insert into lims.roles (organization_id, id, code, name, permissions, recorded_at)"
    " values ('{tenant}', gen_random_uuid(), 'x', 'x', '{{}}', '2020-01-01')",
    "recorded_at later": "update lims.roles set recorded_at = '2020-01-01'",
    "available_at later": "update lims.results set available_at = '2020-01-01'",
    "occurred_at later": "update lims.results set occurred_at = '2020-01-01'",
    "another id": "update lims.sites set id = gen_random_uuid()",
    "another organization": "update lims.sites set organization_id = '{theirs}'",
    "delete a result": "delete from lims.results",
    "truncate results": "truncate lims.results",
    "delete the access log": "delete from lims.access_log",
    "change the access log": "update lims.access_log set action = 'other'",
    "delete an event": "delete from lims.outbox",
    "change an event": "update lims.outbox set payload = '{{}}'",
    "choose an event's transaction": "insert into lims.outbox (xid) values ('1')",
    "read the passwords": "select * from pg_authid",
    "read the server's files": "select pg_read_file('postgresql.conf')",
    "run a program": "copy (select 1) to program 'true'",
    "an unlogged table": "alter table lims.ledger set unlogged",
}


ITS_OWN_RIGHT = {
    "lims_system": ("make partitions", "read the tokens' digests", "become the system"),
    "lims_importer": ("recorded_at at insertion", "become the importer"),
}


def partitions(connection: Connection, parent: str) -> list[str]:
    statement = "select inhrelid::regclass::text from pg_inherits where inhparent = %s::regclass order by 1"
    return [row[0].removeprefix("lims.") for row in connection.execute(statement, [f"lims.{parent}"])]


@pytest.mark.req("4.3.1")
@pytest.mark.parametrize("role", ["lims_app", "lims_system", "lims_importer", "lims_capture"])
def test_no_role_that_logs_in_can_touch_the_ledger_or_its_guards(
    environment: Environment, ours: Planted, theirs: Planted, role: str
) -> None:
    with hand(environment, role, ours.id) as connection:
        names = {"tenant": ours.id, "theirs": theirs.id, "partition": partitions(connection, "ledger")[0]}

        answers = {attack: refused(connection, statement.format(**names)) for attack, statement in ATTACKS.items()}

    passed = {attack: answer for attack, answer in answers.items() if answer != "InsufficientPrivilege"}
    assert passed == dict.fromkeys(ITS_OWN_RIGHT.get(role, ()), "")


@pytest.mark.req("4.3.1")
@pytest.mark.parametrize("parent", ["ledger", "results", "access_log"])
def test_no_row_gets_into_a_partition_by_its_name(environment: Environment, ours: Planted, parent: str) -> None:
    with hand(environment, "lims_app", ours.id) as connection:
        names = partitions(connection, parent)

        answers = {name: refused(connection, f"insert into lims.{name} default values") for name in names}

    assert len(names) >= 8
    assert set(answers.values()) == {"InsufficientPrivilege"}


@pytest.mark.req("4.3.1")
def test_no_role_has_any_right_on_a_partition(environment: Environment) -> None:
    with superuser(environment) as connection:
        rights = connection.execute(
            "select c.relname, g.grantee::regrole::text, g.privilege_type from pg_class c"
            " join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) g"
            " where n.nspname = 'lims' and c.relispartition and g.grantee <> c.relowner"
        ).fetchall()
        columns = connection.execute(
            "select c.relname, a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid"
            " where c.relispartition and a.attacl is not null"
        ).fetchall()

    assert not rights
    assert not columns


@pytest.mark.req("4.3.1")
def test_the_rights_on_the_ledger_are_to_read_it_and_no_more(environment: Environment) -> None:
    with superuser(environment) as connection:
        rights = connection.execute(
            "select g.grantee::regrole::text, g.privilege_type from pg_class c, aclexplode(c.relacl) g"
            " where c.oid = 'lims.ledger'::regclass and g.grantee <> c.relowner order by 1"
        ).fetchall()
        owned = connection.execute(
            "select distinct relname from pg_class where relowner = 'lims_ledger'::regrole and not relispartition"
            " and relkind in ('r', 'p', 'v', 'm')"
        ).fetchall()

    assert rights == [("lims_app", "SELECT"), ("lims_capture", "SELECT"), ("lims_system", "SELECT")]
    assert owned == [("ledger",)], "the ledger's owner owns the ledger alone"


def test_the_capturing_role_reads_the_two_logs_and_writes_nothing(environment: Environment, ours: Planted) -> None:
    with superuser(environment) as connection:
        rights = connection.execute(
            "select table_name, privilege_type from information_schema.role_table_grants where grantee = 'lims_capture'"
            " union all select table_name, privilege_type from information_schema.column_privileges"
            " where grantee = 'lims_capture' and privilege_type <> 'SELECT'"
        ).fetchall()
    with hand(environment, "lims_capture", ours.id) as connection:
        seen = connection.execute("select count(*) from lims.ledger").fetchone()
        answers = {name: refused(connection, f"select 1 from lims.{name}") for name in record_tables()}
        writes = {name: refused(connection, f"delete from lims.{name}") for name in record_tables()}

    assert sorted(rights) == [("ledger", "SELECT"), ("outbox", "SELECT")]
    assert seen is not None
    assert seen[0] > 0
    assert set(answers.values()) == set(writes.values()) == {"InsufficientPrivilege"}


ROLES = ["lims_app", "lims_capture", "lims_gate", "lims_importer", "lims_ledger", "lims_owner", "lims_system"]
"""Who has anything to do with the operational database."""


def test_the_roles_are_nobody_special(environment: Environment) -> None:
    with superuser(environment) as connection:
        rows = connection.execute(
            "select rolname, rolbypassrls, rolcanlogin, rolsuper or rolcreaterole or rolcreatedb or rolreplication,"
            " array(select m.roleid::regrole::text from pg_auth_members m where m.member = r.oid) from pg_roles r"
            " where rolname = any(%s) order by 1",
            [ROLES],
        ).fetchall()

    assert [name for name, *_ in rows] == ROLES
    assert not [name for name, *_, special, _ in rows if special]
    assert {name: roles for name, *_, roles in rows if roles} == {"lims_system": ["lims_app"]}
    assert {name for name, bypasses, *_ in rows if bypasses} == {
        "lims_capture", "lims_gate", "lims_importer", "lims_system",
    }  # fmt: skip
    assert {name for name, _, logs_in, *_ in rows if not logs_in} == {"lims_gate", "lims_ledger", "lims_owner"}


SHADOWS = {
    "a temporary ledger": "create temp table ledger (like lims.ledger including all)",
    "temporary new rows": "create temp table new_rows (organization_id uuid, id uuid, code text)",
    "temporary old rows": "create temp table old_rows (organization_id uuid, id uuid, code text)",
    "a temporary to_jsonb": (
        "create function pg_temp.to_jsonb(anyelement) returns jsonb language sql as $$select '{}'::jsonb$$"
    ),
    "a temporary pg_current_xact_id": (
        "create function pg_temp.pg_current_xact_id() returns xid8 language sql as $$select '1'::xid8$$"
    ),
    "a temporary type": (
        "create domain pg_temp.timestamptz as pg_catalog.text; create domain pg_temp.uuid as pg_catalog.text"
    ),
    "a search path": "set local search_path = pg_temp, lims, pg_catalog",
    "few digits": "set local extra_float_digits = -15",
    "escaped bytes": "set local bytea_output = 'escape'",
    "another time zone": "set local timezone = 'Asia/Kolkata'",
    "another date style": "set local datestyle = 'SQL, DMY'",
    "no constraints yet": "set constraints all deferred",
}


@pytest.mark.req("4.3.1")
@pytest.mark.parametrize("shadow", SHADOWS)
def test_nothing_of_the_sessions_own_changes_what_the_ledger_says(
    environment: Environment, two: tuple[Planted, Planted], shadow: str
) -> None:
    ours = two[0]
    row = plain_row("control_results", ours.id, ours.rows, z=0.1234567890123456, id=uuid7())
    with environment.connect("lims_app") as connection:
        act(connection, ours.id)
        connection.execute(SHADOWS[shadow].encode())

        insert(connection, "control_results", row)
        connection.execute("update lims.control_results set unit = 'mmol/L' where id = %s", [row["id"]])

    with superuser(environment) as connection:
        (first, second) = ledger_of(connection, ours.id, row_id=row["id"])
    assert first[:2] == ("I", "control_results")
    assert first[2]["z"] == 0.1234567890123456
    assert first[2]["occurred_at"] == "2026-01-05T04:30:00+00:00"
    assert (second[0], second[3]) == ("U", {"unit": row["unit"]})


def test_sealed_bytes_are_in_the_ledger_as_hex_whatever_the_session_prefers(
    environment: Environment, ours: Planted
) -> None:
    row = plain_row("users", ours.id, ours.rows)
    with environment.connect("lims_app") as connection:
        act(connection, ours.id)
        connection.execute("set local bytea_output = 'escape'")
        insert(connection, "users", row)

    with superuser(environment) as connection:
        ((_, _, after, _),) = ledger_of(connection, ours.id, row_id=row["id"])
    assert after["full_name_sealed"] == "\\x" + row["full_name_sealed"].hex()


def test_without_row_security_the_application_writes_nothing(environment: Environment, ours: Planted) -> None:
    with hand(environment, "lims_app", ours.id) as connection:
        connection.execute("set local row_security = off")

        row = plain_row("roles", ours.id, ours.rows)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            insert(connection, "roles", row)


@pytest.mark.req("3.13.1")
def test_the_application_sees_no_other_organization_and_no_token(
    environment: Environment, ours: Planted, theirs: Planted
) -> None:
    with hand(environment, "lims_app", ours.id) as connection:
        organizations = connection.execute("select id from lims.organizations").fetchall()
        unbound = refused(connection, "select token_sha256 from lims.access_tokens")
    with hand(environment, "lims_app") as connection:
        nobodys = connection.execute("select id from lims.organizations").fetchall()

    assert organizations == [(ours.id,)]
    assert unbound == "InsufficientPrivilege"
    assert nobodys == []


def columns_granted(connection: Connection, role: str, right: str) -> dict[str, set[str]]:
    rows = connection.execute(
        "select table_name, column_name from information_schema.column_privileges"
        " where table_schema = 'lims' and grantee = %s and privilege_type = %s",
        [role, right],
    )
    granted: dict[str, set[str]] = {}
    for name, column in rows:
        granted.setdefault(name, set()).add(column)
    return granted


@pytest.mark.parametrize("role", ["lims_app", "lims_system"])
def test_no_grant_reaches_a_key_or_a_time_that_the_database_gives(environment: Environment, role: str) -> None:
    with superuser(environment) as connection:
        updatable, insertable = (columns_granted(connection, role, right) for right in ("UPDATE", "INSERT"))

    assert set(record_tables()) - updatable.keys() == {"critical_calls"}  # no call is ever changed
    for name in record_tables():
        assert not updatable.get(name, set()) & {
            "organization_id",
            "id",
            "recorded_at",
            "available_at",
            "occurred_at",
        }, name
        assert not insertable[name] & {"recorded_at", "available_at"}, name


UNPROTECTED = """
select c.relname,
       not c.relrowsecurity as "row security is off",
       not c.relforcerowsecurity as "row security is not forced",
       not exists (select from pg_policy p where p.polrelid = c.oid and p.polcmd = '*' and p.polpermissive
                   and pg_get_expr(p.polqual, p.polrelid) like '%%organization_id = (%%tenant()%%'
                   and pg_get_expr(p.polwithcheck, p.polrelid) like '%%organization_id = (%%tenant()%%') as "no policy",
       (select count(*) from pg_policy p where p.polrelid = c.oid) <> 1 as "more than one policy",
       c.relowner <> 'lims_owner'::regrole as "wrong owner",
       3 <> (select count(*) from pg_trigger t
             where t.tgrelid = c.oid and t.tgfoid = 'lims.ledger_write()'::regprocedure
             and t.tgenabled = 'O' and t.tgtype & 1 = 0
             and (t.tgname, t.tgtype::int, coalesce(t.tgoldtable::text, ''), coalesce(t.tgnewtable::text, '')) in
                 (('ledger_i', 4, '', 'new_rows'), ('ledger_u', 16, 'old_rows', 'new_rows'), ('ledger_d', 8,
                 'old_rows', ''))) as "not in the ledger"
  from pg_class c where c.relnamespace = 'lims'::regnamespace and c.relname = any(%s) order by 1
"""


def unprotected(connection: Connection, names: list[str]) -> dict[str, set[str]]:
    """Table → what is missing on it."""
    cursor = connection.execute(UNPROTECTED.encode(), [names])
    assert cursor.description is not None
    titles = [column.name for column in cursor.description][1:]
    found = {row[0]: {title for title, bad in zip(titles, row[1:], strict=True) if bad} for row in cursor}
    assert set(found) == set(names)
    return {name: faults for name, faults in found.items() if faults}


@pytest.mark.req("3.13.1")
def test_every_record_table_is_under_row_security_and_in_the_ledger(environment: Environment) -> None:
    with superuser(environment) as connection:
        assert unprotected(connection, record_tables()) == {}


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        ("alter table lims.sites disable row level security", "row security is off"),
        ("alter table lims.sites no force row level security", "row security is not forced"),
        ("drop policy tenant on lims.sites", "no policy"),
        (
            "drop policy tenant on lims.sites; create policy tenant on lims.sites using (true) with check (true)",
            "no policy",
        ),
        ("create policy everything on lims.sites using (true)", "more than one policy"),
        ("alter table lims.sites disable trigger ledger_u", "not in the ledger"),
        ("drop trigger ledger_d on lims.sites", "not in the ledger"),
        ("alter table lims.sites owner to lims_app", "wrong owner"),
    ],
)
def test_the_check_of_protection_sees_what_is_missing(environment: Environment, harm: str, fault: str) -> None:
    with superuser(environment) as connection:
        connection.execute(harm.encode())

        assert fault in unprotected(connection, ["sites"])["sites"]


def test_a_new_table_without_protection_is_found(environment: Environment) -> None:
    with superuser(environment) as connection:
        connection.execute("create table lims.fresh (organization_id uuid, id uuid, primary key (organization_id, id))")
        bare = unprotected(connection, ["fresh"])["fresh"]
        connection.execute("select lims.protect('fresh')")

        assert {"row security is off", "no policy", "not in the ledger"} <= bare
        assert unprotected(connection, ["fresh"]) == {}


NO_ROW_SECURITY = {"access_tokens", "alembic_version", "reader_positions"}
"""Tables that the application has no right on at all."""


@pytest.mark.req("3.13.1")
def test_a_table_without_row_security_is_one_that_the_application_cannot_touch(environment: Environment) -> None:
    with superuser(environment) as connection:
        bare = connection.execute(
            "select relname, coalesce(relacl::text, '') like '%lims_app=%' from pg_class"
            " where relnamespace = 'lims'::regnamespace and relkind in ('r', 'p', 'v', 'm') and not relispartition"
            " and not (relrowsecurity and relforcerowsecurity)"
        ).fetchall()

    assert dict(bare) == dict.fromkeys(NO_ROW_SECURITY, False)


def test_functions_that_run_as_another_role_have_a_fixed_search_path(environment: Environment) -> None:
    with superuser(environment) as connection:
        functions = connection.execute(
            "select proname, array_to_string(proconfig, ' '), pg_get_userbyid(proowner),"
            " coalesce(proacl::text, '=X') ~ '(^|[{,])=X' from pg_proc"
            " where pronamespace = 'lims'::regnamespace and prosecdef order by 1"
        ).fetchall()

    assert {name for name, *_ in functions} >= {"enter", "holds", "ledger_write", "make_partitions"}
    for name, settings, owner, public in functions:
        assert "search_path=pg_catalog, pg_temp" in settings, name
        assert not public, f"everybody may call {name}"
        assert owner in ("lims_gate", "lims_ledger") or name == "make_partitions", f"{name} runs as {owner}"


def test_the_application_cannot_write_as_nobody_and_says_who_in_every_row(
    environment: Environment, ours: Planted
) -> None:
    row: dict[str, Any] = plain_row("roles", ours.id, ours.rows)
    with hand(environment, "lims_app") as connection:
        connection.execute("select set_config('lims.organization_id', %s, true)", [str(ours.id)])

        with pytest.raises(psycopg.errors.NotNullViolation):
            insert(connection, "roles", row)


def test_enter_answers_a_stranger_and_a_member_without_permission_and_sets_nothing(
    environment: Environment, ours: Planted
) -> None:
    with hand(environment, "lims_app") as connection:
        answer = connection.execute("select (lims.enter('\\x00', 'order:read', '', '', '', '')).*").fetchone()
        bound = connection.execute("select lims.tenant()").fetchone()

    assert answer == (401, None, None, None)
    assert bound == (None,)


def test_identifiers_are_quoted_where_names_are_built(environment: Environment) -> None:
    with superuser(environment) as connection:
        connection.execute(
            sql.SQL(
                "create table lims.{} (organization_id uuid, id uuid, {} text, primary key (organization_id, id))"
            ).format(sql.Identifier('odd"; drop table lims.sites; --'), sql.Identifier("a column"))
        )
        connection.execute("select lims.protect(%s)", ['odd"; drop table lims.sites; --'])

        assert refused(connection, "select 1 from lims.sites") == ""
