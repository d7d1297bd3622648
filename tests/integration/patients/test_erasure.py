"""Erasing a person reaches every copy at once: the key is gone. Retention and legal hold come first."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from multiprocessing import get_context
from uuid import UUID

import psycopg
import pytest

from lims_api.core.clock import business_day, utc_now
from lims_api.core.crypto import CannotUnseal
from lims_api.core.db import SystemCaller, open_database, transaction
from lims_api.core.ids import uuid7
from lims_api.core.jobs import Work
from lims_api.core.keys import KeyStore, NoKey
from lims_api.orders.models import Order, OrderStatus, Priority
from lims_api.organizations.models import Site, SiteKind
from lims_api.patients import erasure, service
from lims_api.patients.errors import PatientIsErased, PatientUnknown, RetentionNotOver, UnderLegalHold
from lims_api.patients.jobs import destroy_keys
from lims_api.patients.sealing import Sealer
from tests.conftest import Environment

from .conftest import Desk

NAME, PHONE, UHID, BORN = "Zubeida Quraishi", "+919820054321", "ZQ-0815", "1951-12-27"


@pytest.fixture
def patient_id(desk: Desk) -> UUID:
    answer = desk.register(name=NAME, phone=PHONE, uhid=UHID, birth_on=BORN, birth_precision="day")
    return UUID(answer.json()["id"])


@pytest.fixture
def caller(environment: Environment, desk: Desk) -> SystemCaller:
    return SystemCaller(database=environment.app, organization_id=desk.organization_id)


def place_order(environment: Environment, organization_id: UUID, patient_id: UUID, *, days_ago: int) -> None:
    """An order as the importer leaves it: known to the laboratory so many days ago."""
    with transaction(SystemCaller(database=environment.system, organization_id=organization_id)) as session:
        site = Site(organization_id=organization_id, code=uuid7().hex, name="Laboratory", kind=SiteKind.LAB)
        session.add(site)
        session.flush()
        session.add(order_of(organization_id, patient_id, site.id))
    then = utc_now() - timedelta(days=days_ago)
    with psycopg.connect(environment.superuser_dsn) as connection:
        connection.execute("select set_config('lims.actor_id', %s, false)", (str(uuid7()),))
        connection.execute("update lims.orders set available_at = %s where patient_id = %s", (then, patient_id))


def order_of(organization_id: UUID, patient_id: UUID, site_id: UUID) -> Order:
    now = utc_now()
    return Order(
        organization_id=organization_id,
        order_number=uuid7().hex,
        patient_id=patient_id,
        site_id=site_id,
        priority=Priority.ROUTINE,
        status=OrderStatus.PLACED,
        placed_at=now,
        due_at=now,
        occurred_at=now,
    )


def keep_for(environment: Environment, organization_id: UUID, days: int) -> None:
    with psycopg.connect(environment.superuser_dsn) as connection:
        connection.execute("select set_config('lims.actor_id', %s, false)", (str(uuid7()),))
        connection.execute("update lims.organizations set retention_days = %s where id = %s", (days, organization_id))


def everything(environment: Environment) -> Iterator[tuple[str, str]]:
    """Every row of every table of the operational database and the key store, as text."""
    for dsn in (environment.superuser_dsn, environment.cluster.superuser_dsn(environment.keys_name)):
        with psycopg.connect(dsn) as connection:
            tables = connection.execute(
                "select quote_ident(schemaname) || '.' || quote_ident(tablename) from pg_tables"
                " where schemaname not in ('pg_catalog', 'information_schema')"
            ).fetchall()
            for (table,) in tables:
                for (row,) in connection.execute(f"select t::text from {table} t".encode()):
                    yield table, row


def holding(environment: Environment, *fragments: str) -> set[str]:
    """The tables that hold one of the fragments, as text or as the hex of its UTF-8."""
    looked_for = [form.lower() for fragment in fragments for form in (fragment, fragment.encode().hex())]
    return {table for table, row in everything(environment) if any(form in row.lower() for form in looked_for)}


def keys_left(environment: Environment, patient_id: UUID) -> int:
    with psycopg.connect(environment.cluster.superuser_dsn(environment.keys_name)) as connection:
        row = connection.execute("select count(*) from patient_keys where patient_id = %s", (patient_id,)).fetchone()
    assert row is not None
    return int(row[0])


def tokens_left(environment: Environment, patient_id: UUID) -> int:
    count = (
        "select (select count(*) from lims.patient_tokens where patient_id = %(id)s)"
        " + (select count(*) from lims.patient_numbers where patient_id = %(id)s)"
    )
    with psycopg.connect(environment.superuser_dsn) as connection:
        row = connection.execute(count, {"id": patient_id}).fetchone()
    assert row is not None
    return int(row[0])


def events(environment: Environment, patient_id: UUID) -> list[str]:
    with psycopg.connect(environment.superuser_dsn) as connection:
        rows = connection.execute("select name from lims.outbox where subject_id = %s order by seq", (patient_id,))
        return [row[0] for row in rows]


# What lies in the database


def test_no_table_holds_a_person_in_clear(environment: Environment, desk: Desk, patient_id: UUID) -> None:
    desk.read(patient_id)
    desk.search(name=NAME)
    desk.search(phone=PHONE)

    assert holding(environment, *NAME.split(), PHONE, PHONE[3:], UHID, BORN) == set()
    assert "lims.patients" in holding(environment, str(patient_id))  # the search itself works


def test_the_ledger_holds_ciphertext_and_no_token(environment: Environment, desk: Desk, patient_id: UUID) -> None:
    with psycopg.connect(environment.superuser_dsn) as connection:
        tokens = connection.execute(
            "select token from lims.patient_tokens where patient_id = %(id)s"
            " union select token from lims.patient_numbers where patient_id = %(id)s",
            {"id": patient_id},
        ).fetchall()
        bodies = connection.execute("select table_name, body from lims.ledger where row_id = %s", (patient_id,))
        rows = bodies.fetchall()
        beside = connection.execute(
            "select count(*) from lims.ledger where table_name in ('patient_tokens', 'patient_numbers')"
        ).fetchone()

    assert [table for table, _ in rows] == ["patients"]
    assert '"name_sealed": "\\\\\\\\x01' in rows[0][1].replace("\\\\", "\\\\\\\\") or "\\\\x01" in rows[0][1]
    assert len(tokens) >= 15
    assert not any(str(token) in rows[0][1] for (token,) in tokens)
    assert beside == (0,)


# Erasure


def test_an_erased_person_is_found_shown_and_opened_by_nothing(
    environment: Environment, desk: Desk, caller: SystemCaller, patient_id: UUID
) -> None:
    with transaction(caller) as session:
        row = service.get(session, patient_id)
    key = environment.keys.patient_key(desk.organization_id, patient_id)

    destroyed = erasure.erase_patient(caller, patient_id)

    assert destroyed == 1
    assert keys_left(environment, patient_id) == 0
    assert tokens_left(environment, patient_id) == 0
    assert desk.found(name=NAME) == desk.found(phone=PHONE) == desk.found(uhid=UHID) == []
    card = desk.read(patient_id).json()
    assert (card["status"], card["name"], card["uhid"], card["phone"], card["birth_on"]) == ("erased", *[None] * 4)
    with transaction(caller) as session:
        assert service.open_identity(session, [service.get(session, patient_id), row]) == {}
    with pytest.raises(NoKey):
        environment.keys.patient_key(desk.organization_id, patient_id)
    with pytest.raises(NoKey):  # another process, with nothing in memory
        fresh_keys(environment).patient_key(desk.organization_id, patient_id)
    another = environment.keys.organization_key(desk.organization_id)
    with pytest.raises(CannotUnseal):
        Sealer(environment.keys, another, desk.organization_id, patient_id).identity(row)
    assert key.secret.hex() not in "".join(text for _, text in everything(environment))


def fresh_keys(environment: Environment) -> KeyStore:
    return KeyStore(environment.url("lims_keys", driver="postgresql"), environment.master, connections=1)


def test_after_an_erasure_the_ledger_still_has_the_row_as_ciphertext(
    environment: Environment, caller: SystemCaller, patient_id: UUID
) -> None:
    erasure.erase_patient(caller, patient_id)

    with psycopg.connect(environment.superuser_dsn) as connection:
        rows = connection.execute(
            "select op, body::jsonb -> 'after' ->> 'status', body::jsonb -> 'after' ->> 'name_sealed' like '\\\\x01%%'"
            " from lims.ledger where row_id = %s order by seq",
            (patient_id,),
        ).fetchall()
    assert rows == [("I", "active", True), ("U", "erased", True)]
    assert holding(environment, *NAME.split(), PHONE, UHID) == set()


def test_a_second_erasure_changes_nothing(environment: Environment, caller: SystemCaller, patient_id: UUID) -> None:
    erasure.erase_patient(caller, patient_id)

    assert erasure.erase_patient(caller, patient_id) == 0
    assert events(environment, patient_id) == ["patient.registered", "patient.erased"]


def test_the_number_and_the_person_can_be_registered_anew(desk: Desk, caller: SystemCaller, patient_id: UUID) -> None:
    erasure.erase_patient(caller, patient_id)

    anew = desk.register(name=NAME, uhid=UHID)

    assert anew.status_code == 201
    assert desk.found(uhid=UHID) == [anew.json()["id"]] != [str(patient_id)]


def test_another_laboratorys_patient_cannot_be_erased(
    environment: Environment, another_desk: Desk, patient_id: UUID
) -> None:
    with pytest.raises(PatientUnknown):
        erasure.erase_patient(
            SystemCaller(database=environment.app, organization_id=another_desk.organization_id), patient_id
        )

    assert keys_left(environment, patient_id) == 1


# What comes first


@pytest.mark.req("12.6")
def test_records_that_must_be_kept_are_kept_and_the_day_is_told(
    environment: Environment, desk: Desk, caller: SystemCaller, patient_id: UUID
) -> None:
    place_order(environment, desk.organization_id, patient_id, days_ago=1000)
    keep_for(environment, desk.organization_id, 1001)

    with pytest.raises(RetentionNotOver) as refused:
        erasure.erase_patient(caller, patient_id)

    assert refused.value.facts == {"keep_until": (business_day(utc_now()) + timedelta(days=1)).isoformat()}
    assert desk.found(name=NAME) == [str(patient_id)]
    assert keys_left(environment, patient_id) == 1


def test_when_the_time_is_over_the_person_is_erased(
    environment: Environment, desk: Desk, caller: SystemCaller, patient_id: UUID
) -> None:
    place_order(environment, desk.organization_id, patient_id, days_ago=1000)
    keep_for(environment, desk.organization_id, 1000)

    assert erasure.erase_patient(caller, patient_id) == 1


@pytest.mark.req("12.6")
def test_a_legal_hold_keeps_a_person_whose_time_is_over(
    environment: Environment, caller: SystemCaller, patient_id: UUID
) -> None:
    with transaction(caller) as session:
        service.get(session, patient_id, lock=True).legal_hold = True

    with pytest.raises(UnderLegalHold):
        erasure.erase_patient(caller, patient_id)

    assert keys_left(environment, patient_id) == 1


def test_an_order_placed_meanwhile_is_counted(
    environment: Environment, desk: Desk, caller: SystemCaller, patient_id: UUID
) -> None:
    """The erasure waits for the order that holds the patient, and then sees it."""
    with transaction(replace(caller, database=environment.system)) as session:
        site = Site(organization_id=desk.organization_id, code="L1", name="Laboratory", kind=SiteKind.LAB)
        session.add(site)
    refusals: list[Exception] = []

    def erase_now() -> None:
        try:
            erasure.erase_patient(caller, patient_id)
        except RetentionNotOver as refused:
            refusals.append(refused)

    eraser = threading.Thread(target=erase_now)
    with transaction(caller) as session:
        service.get(session, patient_id, lock=True)
        eraser.start()
        wait_until_blocked(environment)
        session.add(order_of(desk.organization_id, patient_id, site.id))
    eraser.join(timeout=20)

    assert [type(refused) for refused in refusals] == [RetentionNotOver]
    assert keys_left(environment, patient_id) == 1


def test_an_order_that_comes_after_the_erasure_is_refused(
    environment: Environment, caller: SystemCaller, patient_id: UUID
) -> None:
    outcomes: list[str] = []

    def order_now() -> None:
        try:
            with transaction(caller) as session:
                service.get(session, patient_id)
                service.get(session, patient_id, lock=True)
        except PatientIsErased:
            outcomes.append("refused")

    orderer = threading.Thread(target=order_now)
    with transaction(caller) as session:
        erasure.erase(session, patient_id)
        orderer.start()
        wait_until_blocked(environment)
    orderer.join(timeout=20)

    assert outcomes == ["refused"]


def wait_until_blocked(environment: Environment) -> None:
    """Until somebody waits for a lock in this database."""
    waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    with psycopg.connect(environment.superuser_dsn, autocommit=True) as connection:
        for _ in range(2000):
            row = connection.execute(waiting).fetchone()
            if row and row[0]:
                return
            connection.execute("select pg_sleep(0.005)")
    raise AssertionError("nobody waited for the lock")


# Crashes


@pytest.mark.parametrize("again", ["command", "job"])
def test_a_crash_between_the_two_steps_is_made_good(
    environment: Environment, desk: Desk, caller: SystemCaller, patient_id: UUID, again: str
) -> None:
    """The process is killed after the commit, before the keys are destroyed."""
    die_after_commit(environment, desk.organization_id, patient_id)
    assert keys_left(environment, patient_id) == 1
    assert tokens_left(environment, patient_id) == 0
    assert desk.found(name=NAME) == []
    assert desk.read(patient_id).json()["name"] is None

    if again == "command":
        erasure.erase_patient(caller, patient_id)
    else:
        run_enqueued_jobs(environment, desk.organization_id)

    assert keys_left(environment, patient_id) == 0
    assert events(environment, patient_id) == ["patient.registered", "patient.erased"]


def test_a_crash_before_the_commit_erases_nobody(
    environment: Environment, desk: Desk, caller: SystemCaller, patient_id: UUID
) -> None:
    def erase_and_fail() -> None:
        with transaction(caller) as session:
            erasure.erase(session, patient_id)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        erase_and_fail()

    assert desk.found(name=NAME) == [str(patient_id)]
    assert keys_left(environment, patient_id) == 1
    assert events(environment, patient_id) == ["patient.registered"]


def test_the_job_does_not_touch_a_patient_who_is_not_erased(
    environment: Environment, desk: Desk, patient_id: UUID
) -> None:
    destroy_keys.run(Work(environment.system, None), desk.organization_id, patient_id=patient_id)

    assert keys_left(environment, patient_id) == 1


def run_enqueued_jobs(environment: Environment, organization_id: UUID) -> None:
    """What a worker would run for this organization."""
    with psycopg.connect(environment.superuser_dsn) as connection:
        jobs = connection.execute(
            "select task_name, args from jobs.procrastinate_jobs where args ->> 'organization_id' = %s",
            (str(organization_id),),
        ).fetchall()
    assert [name for name, _ in jobs] == [destroy_keys.name]
    for _, arguments in jobs:
        destroy_keys.run(Work(environment.system, None), organization_id, patient_id=UUID(arguments["patient_id"]))


def die_after_commit(environment: Environment, organization_id: UUID, patient_id: UUID) -> None:
    """Another process erases, and is killed by SIGKILL at the moment it turns to the key store."""
    arguments = (
        environment.url("lims_app"),
        environment.url("lims_keys", driver="postgresql"),
        environment.master,
        organization_id,
        patient_id,
    )
    process = get_context("spawn").Process(target=_erase_and_die, args=arguments)
    process.start()
    process.join(timeout=60)
    assert process.exitcode == -signal.SIGKILL


def _erase_and_die(url: str, keys_url: str, master: bytes, organization_id: UUID, patient_id: UUID) -> None:
    class DyingKeyStore(KeyStore):
        def destroy_patient(self, organization_id: UUID, patient_id: UUID) -> int:  # noqa: ARG002
            os.kill(os.getpid(), signal.SIGKILL)
            return 0

    database = open_database(url, DyingKeyStore(keys_url, master, connections=1), connections=1)
    erasure.erase_patient(SystemCaller(database=database, organization_id=organization_id), patient_id)
