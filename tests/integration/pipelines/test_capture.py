"""What the capture brings into the lake, and what it refuses."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table

from pipelines.capture import LEDGER, NUMBER, OUTBOX, SNAPSHOT, CaptureSourceChanged, bronze_table, capture
from pipelines.lake import LakeBusy, only_writer, open_lake
from pipelines.settings import Settings, libpq

Session = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def lake(stores: Settings) -> SqlCatalog:
    return open_lake(stores)


@pytest.fixture
def bronze(lake: SqlCatalog) -> Table:
    return bronze_table(lake, LEDGER)


def write(session: Session, *bodies: str) -> None:
    for body in bodies:
        session.execute(
            "insert into lims.ledger (organization_id, table_name, row_id, op, body, actor_id, device, ip)"
            " values (%s, 'results', %s, 'I', %s, %s, 'bench 3', '10.0.0.7')",
            (uuid4(), uuid4(), body, uuid4()),
        )


def bodies(bronze: Table) -> list[str]:
    return sorted(bronze.refresh().scan(selected_fields=("body",)).to_arrow()["body"].to_pylist())


@pytest.mark.req("2.1.1")
def test_a_committed_row_is_captured_once(stores: Settings, ledger: Session, bronze: Table) -> None:
    write(ledger, "a", "b")

    first = capture(libpq(stores.ledger_url), bronze)
    second = capture(libpq(stores.ledger_url), bronze)

    assert (first.rows, second.rows) == (2, 0)
    assert bodies(bronze) == ["a", "b"]


def test_a_row_arrives_in_the_lake_as_it_stands_in_the_ledger(stores: Settings, ledger: Session, bronze: Table) -> None:
    write(ledger, '{"after": {"value": 5.10, "name": "Śrī"}}')
    capture(libpq(stores.ledger_url), bronze)

    columns = "seq, xid::text::bigint, organization_id::text, row_id::text, op, body, actor_id::text, recorded_at"
    expected = ledger.execute(f"select {columns} from lims.ledger").fetchone()
    row = bronze.refresh().scan().to_arrow().to_pylist()[0]

    names = ("seq", "xid", "organization_id", "row_id", "op", "body", "actor_id", "recorded_at")
    assert tuple(row[name] for name in names) == expected


def test_a_row_of_a_transaction_that_was_open_during_a_capture_is_brought_by_the_next(
    stores: Settings, ledger: Session, ledger_dsn: str, bronze: Table
) -> None:
    with psycopg.connect(ledger_dsn) as slow:
        write(slow, "slow")
        write(ledger, "quick")
        before = capture(libpq(stores.ledger_url), bronze)
        slow.commit()

    after = capture(libpq(stores.ledger_url), bronze)

    assert (before.rows, after.rows) == (1, 1)
    assert bodies(bronze) == ["quick", "slow"]


def test_a_row_of_a_transaction_still_open_after_two_captures_is_not_lost(
    stores: Settings, ledger: Session, ledger_dsn: str, bronze: Table
) -> None:
    with psycopg.connect(ledger_dsn) as slow:
        write(slow, "slow")
        for body in ("quick", "quicker"):
            write(ledger, body)
            capture(libpq(stores.ledger_url), bronze)
        slow.commit()

    capture(libpq(stores.ledger_url), bronze)

    assert bodies(bronze) == ["quick", "quicker", "slow"]


def test_a_rolled_back_row_never_arrives(stores: Settings, ledger: Session, ledger_dsn: str, bronze: Table) -> None:
    with psycopg.connect(ledger_dsn) as regretful:
        write(regretful, "undone")
        capture(libpq(stores.ledger_url), bronze)
        regretful.rollback()

    capture(libpq(stores.ledger_url), bronze)

    assert bodies(bronze) == []


def test_a_capture_that_finds_nothing_commits_nothing(stores: Settings, ledger: Session, bronze: Table) -> None:
    write(ledger, "a")
    capture(libpq(stores.ledger_url), bronze)
    metadata = bronze.refresh().metadata_location

    found = capture(libpq(stores.ledger_url), bronze)

    assert found.rows == 0
    assert bronze.refresh().metadata_location == metadata


def test_offset_and_rows_are_in_the_same_commit(stores: Settings, ledger: Session, bronze: Table) -> None:
    write(ledger, "a")

    found = capture(libpq(stores.ledger_url), bronze)

    assert bronze.refresh().properties[SNAPSHOT] == found.snapshot
    assert bronze.properties[NUMBER] == "1"
    assert len(bronze.snapshots()) == 1


def test_more_rows_than_one_chunk_are_still_one_commit(stores: Settings, ledger: Session, bronze: Table) -> None:
    ledger.execute(
        "insert into lims.ledger (organization_id, table_name, row_id, op, body, actor_id)"
        " select gen_random_uuid(), 'results', gen_random_uuid(), 'I', repeat('x', 50), gen_random_uuid()"
        " from generate_series(1, 250000)"
    )
    versions = len(bronze.metadata.metadata_log)

    found = capture(libpq(stores.ledger_url), bronze)

    assert found.rows == 250_000
    assert len(bronze.refresh().metadata.metadata_log) == versions + 1
    assert len(bronze.snapshots()) > 1
    assert bronze.scan().count() == 250_000


def test_a_stale_writer_is_refused_instead_of_repeating_rows(
    stores: Settings, ledger: Session, lake: SqlCatalog, bronze: Table
) -> None:
    stale = lake.load_table(LEDGER.target)
    write(ledger, "a")
    capture(libpq(stores.ledger_url), bronze)
    rows = bronze.refresh().scan().to_arrow()

    with pytest.raises(CommitFailedException), stale.transaction() as change:
        change.append(rows)

    assert bodies(bronze) == ["a"]


def test_two_captures_never_run_at_once(stores: Settings, ledger: Session, lake: SqlCatalog, bronze: Table) -> None:
    write(ledger, "a")

    with only_writer(lake, LEDGER.target, patience=timedelta(0)), pytest.raises(LakeBusy):
        capture(libpq(stores.ledger_url), bronze_table(open_lake(stores), LEDGER))

    assert capture(libpq(stores.ledger_url), bronze).rows == 1


def test_a_ledger_that_was_created_anew_is_refused(stores: Settings, ledger: Session, bronze: Table) -> None:
    write(ledger, "a")
    capture(libpq(stores.ledger_url), bronze)
    with another_ledger(ledger), pytest.raises(CaptureSourceChanged, match="restored, promoted or re-created"):
        capture(libpq(stores.ledger_url), bronze)


def test_a_transaction_counter_behind_the_last_capture_is_refused(
    stores: Settings, ledger: Session, bronze: Table
) -> None:
    """A dump restored onto a new cluster: every row would look new, at every capture."""
    write(ledger, "a")
    capture(libpq(stores.ledger_url), bronze)
    with bronze.refresh().transaction() as change:
        change.set_properties({SNAPSHOT: "9000000000:9000000000:"})

    with pytest.raises(CaptureSourceChanged, match="Advance the counter first"):
        capture(libpq(stores.ledger_url), bronze)

    assert bodies(bronze) == ["a"]


@contextmanager
def another_ledger(session: Session) -> Iterator[None]:
    """A ledger that looks like ours, with the same rows, but is not the one that the lake was filled from."""
    session.execute("alter table lims.ledger rename to ledger_before")
    session.execute("create table lims.ledger as select * from lims.ledger_before")
    session.execute("grant select on lims.ledger to lims_capture")
    try:
        yield
    finally:
        session.execute("drop table lims.ledger")
        session.execute("alter table lims.ledger_before rename to ledger")


def test_the_capture_role_can_neither_write_the_ledger_nor_read_a_patient(stores: Settings, ledger: Session) -> None:
    with psycopg.connect(libpq(stores.ledger_url), autocommit=True) as capturer:
        for statement in ("delete from lims.ledger", "select * from lims.patients", "select * from lims.results"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                capturer.execute(statement.encode())


def test_the_outbox_is_captured_the_same_way(stores: Settings, ledger: Session, lake: SqlCatalog) -> None:
    ledger.execute(
        "insert into lims.outbox (id, organization_id, name, version, subject_id, payload, actor_id)"
        " values (gen_random_uuid(), gen_random_uuid(), 'result.authorised', 1, gen_random_uuid(), '{}',"
        " gen_random_uuid())"
    )
    outbox = bronze_table(lake, OUTBOX)

    found = capture(libpq(stores.ledger_url), outbox, OUTBOX)

    assert found.rows == 1
    assert outbox.refresh().scan().to_arrow()["name"].to_pylist() == ["result.authorised"]


@pytest.mark.req("4.1.3")
def test_no_value_that_could_tell_a_person_is_kept_in_the_manifests(
    stores: Settings, ledger: Session, bronze: Table
) -> None:
    write(ledger, "Asha Kulkarni")
    capture(libpq(stores.ledger_url), bronze)
    kept = {"seq", "xid", "capture", "recorded_at", "organization_id", "table_name"}

    bounds = bronze.refresh().inspect.files().to_pylist()[0]["readable_metrics"]

    assert {name for name, metric in bounds.items() if metric["lower_bound"] is not None} == kept


def test_the_table_is_partitioned_by_month_alone(bronze: Table) -> None:
    assert [str(field.transform) for field in bronze.spec().fields] == ["month"]
    assert bronze.schema().as_arrow().names == LEDGER.schema.names
    assert pa.types.is_timestamp(bronze.schema().as_arrow().field("recorded_at").type)
