"""Month partitions: made ahead, and no row is refused or lost for want of one."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from lims_api.core.clock import utc_now
from lims_api.core.ids import SYSTEM_ACTOR, uuid7
from tests.conftest import Environment
from tests.integration.core.conftest import Planted
from tests.integration.core.rows import Connection, act, hand, insert, ledger_of, plain_row, superuser

PARENTS = ["access_log", "ledger", "results"]


def months_ahead(count: int) -> list[str]:
    """`p202611`, … from the present month."""
    now = utc_now()
    months = (now.year * 12 + now.month - 1 + ahead for ahead in range(count + 1))
    return [f"p{month // 12}{month % 12 + 1:02}" for month in months]


def partitions(connection: Connection, parent: str) -> set[str]:
    rows = connection.execute(
        "select inhrelid::regclass::text from pg_inherits where inhparent = %s::regclass", [f"lims.{parent}"]
    )
    return {name.removeprefix(f"lims.{parent}_") for (name,) in rows}


def place(connection: Connection, parent: str, key: str, value: UUID) -> str | None:
    row = connection.execute(
        f"select tableoid::regclass::text from lims.{parent} where {key} = %s".encode(), [value]
    ).fetchone()
    return row[0].removeprefix("lims.") if row else None


def make(environment: Environment) -> int:
    with environment.connect("lims_system", autocommit=True) as connection:
        made = connection.execute("select lims.make_partitions(6)").fetchone()
    assert made is not None
    return int(str(made[0]))


@pytest.fixture
def root(environment: Environment) -> Iterator[Connection]:
    with superuser(environment) as connection:
        yield connection


@pytest.mark.parametrize("parent", PARENTS)
def test_this_month_and_the_next_six_have_a_partition_and_there_is_a_default(root: Connection, parent: str) -> None:
    assert partitions(root, parent) >= {*months_ahead(6), "default"}


def test_every_partitioned_table_is_looked_after(root: Connection) -> None:
    partitioned = root.execute(
        "select relname from pg_class where relnamespace = 'lims'::regnamespace and relkind = 'p' order by 1"
    ).fetchall()

    assert [name for (name,) in partitioned] == PARENTS


def test_making_partitions_again_makes_none(environment: Environment) -> None:
    make(environment)

    assert make(environment) == 0


def test_a_result_of_a_far_away_month_is_taken_and_moved_when_its_month_is_made(
    environment: Environment, ours: Planted
) -> None:
    row = plain_row("results", ours.id, ours.rows, recorded_at=datetime(2041, 5, 31, 23, 59, tzinfo=UTC))
    with hand(environment, "lims_importer", ours.id) as connection:
        insert(connection, "results", row)
        connection.commit()
    with superuser(environment) as connection:
        first = place(connection, "results", "id", row["id"])
        before = ledger_of(connection, ours.id, row_id=row["id"])

    made = make(environment)

    with superuser(environment) as connection:
        after = ledger_of(connection, ours.id, row_id=row["id"])
        assert (first, place(connection, "results", "id", row["id"])) == ("results_default", "results_p204105")
        rights = connection.execute(
            "select pg_get_userbyid(relowner), relacl is null,"
            " (select count(*) from pg_index where indrelid = c.oid),"
            " (select count(*) from pg_index where indrelid = 'lims.results'::regclass),"
            " (select count(*) from pg_constraint where conrelid = c.oid and contype = 'f'),"
            " (select count(*) from pg_constraint where conrelid = 'lims.results'::regclass and contype = 'f')"
            " from pg_class c where oid = 'lims.results_p204105'::regclass"
        ).fetchone()
    assert made >= 1
    assert [op for op, *_ in before] == ["I"]
    assert after == before, "moving a row between partitions is not a change"
    assert rights is not None
    assert rights[:2] == ("lims_owner", True)
    assert rights[2] == rights[3]
    assert rights[4] == rights[5]


def test_a_moved_row_is_guarded_and_followed_as_before(
    environment: Environment, ours: Planted, theirs: Planted
) -> None:
    row = plain_row("results", ours.id, ours.rows, recorded_at=datetime(2042, 1, 1, tzinfo=UTC))
    with hand(environment, "lims_importer", ours.id) as connection:
        insert(connection, "results", row)
        connection.commit()
    make(environment)

    with hand(environment, "lims_app", theirs.id) as connection:
        assert connection.execute("select 1 from lims.results where id = %s", [row["id"]]).fetchone() is None
    with hand(environment, "lims_app", ours.id) as connection:
        connection.execute("update lims.results set flag = 'H' where id = %s", [row["id"]])
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute("select 1 from lims.results_p204201")
        connection.commit()
    with superuser(environment) as connection:
        assert [(op, before) for op, _, _, before in ledger_of(connection, ours.id, row_id=row["id"])] == [
            ("I", None),
            ("U", {"flag": None}),
        ]


@pytest.mark.req("4.3.1")
def test_ledger_rows_of_a_month_without_partition_are_kept_and_moved(environment: Environment, ours: Planted) -> None:
    key = uuid7()
    with superuser(environment) as connection:
        connection.execute(
            "insert into lims.ledger (organization_id, table_name, row_id, op, body, actor_id, recorded_at)"
            " values (%s, 'roles', %s, 'I', '{}', %s, '2043-02-28 23:59:59.999999+00')",
            [ours.id, key, SYSTEM_ACTOR],
        )
        original = connection.execute("select seq, xid::text from lims.ledger where row_id = %s", [key]).fetchone()
        first = place(connection, "ledger", "row_id", key)
        connection.commit()

    make(environment)

    with superuser(environment) as connection:
        moved = connection.execute("select seq, xid::text from lims.ledger where row_id = %s", [key]).fetchall()
        assert (first, place(connection, "ledger", "row_id", key)) == ("ledger_default", "ledger_p204302")
        owner = connection.execute(
            "select pg_get_userbyid(relowner) from pg_class where oid = 'lims.ledger_p204302'::regclass"
        ).fetchone()
    assert moved == [original]
    assert owner == ("lims_ledger",)


def test_the_log_of_reads_is_kept_the_same_way(environment: Environment, ours: Planted) -> None:
    patient = ours.rows["patients"]["id"]
    with superuser(environment) as connection:
        connection.execute(
            "insert into lims.access_log (organization_id, actor_id, action, patient_id, read_at)"
            " values (%s, %s, 'order.read', %s, '2043-07-01')",
            [ours.id, SYSTEM_ACTOR, patient],
        )
        connection.commit()

    make(environment)

    with superuser(environment) as connection:
        assert place(connection, "access_log", "patient_id", patient) == "access_log_p204307"


def test_a_row_that_comes_while_its_month_is_made_is_moved_too(environment: Environment, ours: Planted) -> None:
    row = plain_row("results", ours.id, ours.rows, recorded_at=datetime(2044, 9, 9, tzinfo=UTC))
    late = plain_row("results", ours.id, ours.rows, recorded_at=datetime(2044, 9, 10, tzinfo=UTC))
    with environment.connect("lims_importer") as connection:
        act(connection, ours.id)
        insert(connection, "results", row)
        connection.commit()
        act(connection, ours.id)
        insert(connection, "results", late)
        made: list[int] = []
        maker = threading.Thread(target=lambda: made.append(make(environment)))
        maker.start()
        with superuser(environment) as watcher:
            wait_for_a_blocked_backend(watcher)
        connection.commit()
        maker.join(20)

    assert made
    assert made[0] >= 1
    with superuser(environment) as connection:
        assert {place(connection, "results", "id", each["id"]) for each in (row, late)} == {"results_p204409"}


def wait_for_a_blocked_backend(connection: Connection) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        blocked = connection.execute(
            "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        ).fetchone()
        connection.rollback()
        if blocked:
            return
        time.sleep(0.01)
    raise AssertionError("nobody waits for the lock")
