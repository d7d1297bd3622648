"""The schema comes from its migrations, once, whoever runs them."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from lims_api.core.db.bootstrap import (
    LOGIN_ROLES,
    OWNER_ROLES,
    alembic_config,
    make_databases,
    make_roles,
    migrate,
    read_or_make_passwords,
)
from lims_api.core.ids import SYSTEM_ACTOR
from tests.conftest import PASSWORDS, Environment
from tests.postgres import database

ROOT = Path(__file__).parents[3]
ADVISORY = 7011


@pytest.fixture
def empty(environment: Environment) -> Iterator[str]:
    """A database without any schema of ours; the roles are the cluster's."""
    with database(environment.cluster, f"{environment.name}_fresh") as dsn:
        yield dsn


def revision(dsn: str) -> list[tuple[str, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute("select version_num from lims.alembic_version").fetchall()


def shape(dsn: str) -> list[tuple[str, ...]]:
    """Tables, columns, indexes, functions, triggers, policies and rights, as the catalog has them."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            "select 'column', attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull::text"
            "  from pg_attribute join pg_class c on c.oid = attrelid where c.relnamespace = 'lims'::regnamespace"
            "  and attnum > 0 union all "
            "select 'right', oid::regclass::text, relacl::text, pg_get_userbyid(relowner), relforcerowsecurity::text"
            "  from pg_class where relnamespace = 'lims'::regnamespace union all "
            "select 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), '' from pg_trigger"
            "  where tgfoid = 'lims.ledger_write()'::regprocedure union all "
            "select 'policy', polrelid::regclass::text, polname, pg_get_expr(polqual, polrelid), '' from pg_policy"
            " union all select 'function', proname, md5(prosrc), proacl::text, '' from pg_proc"
            "  where pronamespace = 'lims'::regnamespace order by 1, 2, 3, 4"
        ).fetchall()


def test_the_models_and_the_migrations_agree(environment: Environment) -> None:
    engine = create_engine(environment.superuser_dsn.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection

        command.check(config)

    engine.dispose()


def test_there_is_one_newest_migration_and_the_database_is_at_it(environment: Environment) -> None:
    heads = ScriptDirectory.from_config(alembic_config()).get_heads()

    assert len(heads) == 1
    assert revision(environment.superuser_dsn) == [(heads[0],)]


def test_migrating_again_changes_nothing(environment: Environment) -> None:
    before = shape(environment.superuser_dsn)

    migrate(environment.superuser_dsn)
    migrate(environment.superuser_dsn)

    assert len(before) > 400
    assert shape(environment.superuser_dsn) == before


MIGRATOR = "import sys; from lims_api.core.db.bootstrap import migrate; migrate(sys.argv[1])"


def test_two_who_migrate_at_once_take_turns(environment: Environment, empty: str) -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", MIGRATOR, empty], cwd=ROOT, stderr=subprocess.PIPE) for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[1] for process in running]

    assert [process.returncode for process in running] == [0, 0], said
    assert len(revision(empty)) == 1
    assert shape(empty) == shape_without_extra_months(environment.superuser_dsn, empty)


def shape_without_extra_months(dsn: str, like: str) -> list[tuple[str, ...]]:
    """The shared database's shape; other tests may have had partitions made that the fresh one has not."""
    with psycopg.connect(like) as connection:
        relations = {row[0] for row in connection.execute("select oid::regclass::text from pg_class")}
    return [row for row in shape(dsn) if row[0] not in ("column", "right") or row[1] in relations]


def test_who_migrates_holds_the_lock_and_a_second_one_waits(environment: Environment) -> None:
    with psycopg.connect(environment.superuser_dsn) as holder:
        holder.execute("select pg_advisory_lock(%s)", [ADVISORY])
        waiting = threading.Thread(target=migrate, args=(environment.superuser_dsn,))
        waiting.start()
        waiting.join(1.0)
        waited = waiting.is_alive()
        holder.execute("select pg_advisory_unlock(%s)", [ADVISORY])
    waiting.join(20)

    assert waited
    assert not waiting.is_alive()


def test_after_migrating_nobody_holds_the_lock(environment: Environment) -> None:
    migrate(environment.superuser_dsn)

    with psycopg.connect(environment.superuser_dsn) as connection:
        free = connection.execute("select pg_try_advisory_lock(%s)", [ADVISORY]).fetchone()
    assert free == (True,)


def test_a_migration_that_fails_leaves_nothing_half_done(
    environment: Environment, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("create schema jobs")  # the migration's last step makes it, and will fail

    with pytest.raises(Exception, match=r"schema .jobs. already exists"):
        migrate(empty)

    with psycopg.connect(empty, autocommit=True) as connection:
        left = connection.execute("select count(*) from pg_class where relnamespace = 'lims'::regnamespace").fetchone()
        connection.execute("drop schema jobs")
    migrate(empty)
    assert left == (0,)
    assert len(revision(empty)) == 1


def test_roles_of_laboratories_that_exist_are_given_what_is_new(environment: Environment, empty: str) -> None:
    tenant, roles = uuid4(), {"technician": ["session:end"], "own": ["order:read", "session:end"], "gateway": ["a:b"]}
    engine = create_engine(empty.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
    engine.dispose()
    with psycopg.connect(empty) as connection:
        connection.execute("select set_config('lims.actor_id', %s, true)", [str(uuid4())])
        connection.execute("insert into lims.organizations (id, code, name) values (%s, 'old', 'Old')", [tenant])
        for code, held in roles.items():
            row = (tenant, uuid4(), code, held)
            connection.execute(
                "insert into lims.roles (organization_id, id, code, name, permissions) values (%s, %s, %s, 'Role', %s)",
                row,
            )

    migrate(empty)

    with psycopg.connect(empty) as connection:
        given = dict(connection.execute("select code, permissions from lims.roles").fetchall())
        told = connection.execute("select count(*), min(actor_id::text) from lims.ledger where op = 'U'").fetchone()
    assert given == {
        "technician": [
            "critical:call", "parked:resolve", "result:enter", "result:verify", "session:end", "sync:use",
        ],
        "own": ["order:read", "session:end", "sync:use"],
        "gateway": ["a:b"],
    }  # fmt: skip
    assert told == (3, str(SYSTEM_ACTOR))


def test_migrations_only_go_forward(environment: Environment) -> None:
    engine = create_engine(environment.superuser_dsn.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        with pytest.raises(RuntimeError, match="only go forward"):
            command.downgrade(config, "base")
    engine.dispose()

    assert len(revision(environment.superuser_dsn)) == 1


# roles and databases


def test_making_the_roles_again_keeps_them_and_takes_back_what_was_added(environment: Environment) -> None:
    with psycopg.connect(environment.superuser_dsn, autocommit=True) as connection:
        connection.execute("alter role lims_virtual_lab bypassrls createdb createrole superuser")

        make_roles(environment.cluster.superuser_dsn(), PASSWORDS)

        row = connection.execute(
            "select rolbypassrls, rolcreatedb, rolcreaterole, rolsuper, rolcanlogin from pg_roles"
            " where rolname = 'lims_virtual_lab'"
        ).fetchone()
        owners = connection.execute(
            "select count(*) from pg_roles where rolname = any(%s) and rolcanlogin", [list(OWNER_ROLES)]
        ).fetchone()
    assert row == (False, False, False, False, True)
    assert owners == (0,)


def test_each_database_opens_to_its_own_roles_alone(environment: Environment) -> None:
    prefix = f"{environment.name}_of_"
    try:
        for _ in range(2):
            make_databases(environment.cluster.superuser_dsn(), prefix=prefix, only=("lims", "keys"))
        opened = {
            (name, role): may_connect(environment, prefix + name, role)
            for name in ("lims", "keys")
            for role in LOGIN_ROLES
        }
    finally:
        with psycopg.connect(environment.cluster.superuser_dsn(), autocommit=True) as connection:
            for name in ("lims", "keys"):
                connection.execute(f'drop database if exists "{prefix}{name}" with (force)'.encode())

    assert {pair for pair, is_open in opened.items() if is_open} == {
        ("lims", "lims_app"),
        ("lims", "lims_system"),
        ("lims", "lims_importer"),
        ("lims", "lims_capture"),
        ("keys", "lims_keys"),
    }


def may_connect(environment: Environment, name: str, role: str) -> bool:
    try:
        psycopg.connect(environment.cluster.url(role, PASSWORDS[role], name, driver="postgresql")).close()
    except psycopg.OperationalError as error:
        if "permission denied for database" not in str(error):
            raise
        return False
    return True


def test_passwords_are_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "var" / "passwords"

    made = read_or_make_passwords(file)

    assert set(made) == set(LOGIN_ROLES)
    assert len(set(made.values())) == len(made)
    assert all(len(password) >= 32 for password in made.values())
    assert read_or_make_passwords(file) == made
    assert file.stat().st_mode & 0o777 == 0o600
