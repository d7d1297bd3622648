"""Jobs: there if and only if the change is, run once, by the worker's role, with ids alone."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
import pytest
from procrastinate import App

from lims_api.core.db import SystemCaller, transaction
from lims_api.core.ids import uuid7
from lims_api.core.jobs import REGISTRY, Work, enqueue, job, retry_stalled, worker_app
from lims_api.organizations.models import Site, SiteKind
from tests.conftest import Environment
from tests.factories import organization


class RolledBack(Exception):
    pass


@dataclass
class Ran:
    """What the jobs of these tests did."""

    notes: list[tuple[UUID, UUID]] = field(default_factory=list)
    failures: int = 0
    ticks: int = 0


@pytest.fixture
def ran() -> Iterator[Ran]:
    """Registers the jobs `test.note`, `test.fail` and `test.tick`, each second; and forgets them."""
    ran, before = Ran(), dict(REGISTRY)
    REGISTRY.clear()

    @job(name="test.note", queue="notes")
    def note(work: Work, organization_id: UUID, site_id: UUID) -> None:
        with transaction(SystemCaller(database=work.database, organization_id=organization_id)) as session:
            found = session.get(Site, (organization_id, site_id))
            assert found is not None
            ran.notes.append((organization_id, found.id))

    @job(name="test.fail", queue="failing")
    def fail(work: Work, organization_id: UUID, site_id: UUID) -> None:
        ran.failures += 1
        raise RolledBack

    @job(name="test.tick", queue="ticks", cron="* * * * * */1")
    def tick(work: Work) -> None:
        ran.ticks += 1

    yield ran
    REGISTRY.clear()
    REGISTRY.update(before)


async def _work(app: App, queue: str, seconds: float | None) -> None:
    async with app.open_async():
        running = app.run_worker_async(queues=[queue], wait=seconds is not None, install_signal_handlers=False)
        if seconds is None:
            await running
            return
        worker = asyncio.create_task(running)
        await asyncio.sleep(seconds)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


def work(environment: Environment, queue: str, *, seconds: float | None = None) -> None:
    """A worker on one queue, until it is empty or for some seconds."""
    app = worker_app(environment.url("lims_system"), Work(environment.system, None))
    asyncio.run(_work(app, queue, seconds))


def open_site(environment: Environment, tenant: UUID, name: str, *, keep: bool = True, **ids: Any) -> UUID:
    """One transaction of the application: a site, and a job about it."""
    site = Site(organization_id=tenant, code=str(uuid7()), name="Centre", kind=SiteKind.LAB)
    try:
        with transaction(SystemCaller(database=environment.app, organization_id=tenant)) as session:
            session.add(site)
            session.flush()
            enqueue(session, name, queue=REGISTRY[name].queue, **({"site_id": site.id} | ids))
            if not keep:
                raise RolledBack
    except RolledBack:
        pass
    return site.id


def queued(environment: Environment, tenant: UUID) -> list[tuple[Any, ...]]:
    with psycopg.connect(environment.superuser_dsn) as connection:
        return connection.execute(
            "select task_name, status::text, args from jobs.procrastinate_jobs where args->>'organization_id' = %s",
            [str(tenant)],
        ).fetchall()


@pytest.mark.req("2.1.1")
def test_a_job_exists_if_and_only_if_its_change_does(environment: Environment, ran: Ran) -> None:
    tenant = organization(environment)

    open_site(environment, tenant, "test.note", keep=False)
    after_roll_back = queued(environment, tenant)
    site = open_site(environment, tenant, "test.note")

    assert after_roll_back == []
    assert queued(environment, tenant) == [
        ("test.note", "todo", {"organization_id": str(tenant), "site_id": str(site)})
    ]


def test_a_job_is_not_seen_before_its_change_commits(environment: Environment, ran: Ran) -> None:
    tenant = organization(environment)

    with transaction(SystemCaller(database=environment.app, organization_id=tenant)) as session:
        enqueue(session, "test.note", queue="never worked on", site_id=uuid7())
        before = queued(environment, tenant)

    assert before == []
    assert len(queued(environment, tenant)) == 1


def test_a_worker_runs_each_job_once_for_its_own_organization(environment: Environment, ran: Ran) -> None:
    tenants = [organization(environment) for _ in range(2)]
    wanted = [(tenant, open_site(environment, tenant, "test.note")) for tenant in tenants for _ in range(3)]

    work(environment, "notes")
    work(environment, "notes")

    assert sorted(ran.notes) == sorted(set(ran.notes)), "once"
    assert set(wanted) <= set(ran.notes)
    assert {status for tenant in tenants for _, status, _ in queued(environment, tenant)} == {"succeeded"}


def test_a_job_that_fails_is_kept_to_be_tried_again(environment: Environment, ran: Ran) -> None:
    tenant = organization(environment)
    open_site(environment, tenant, "test.fail")

    work(environment, "failing")

    assert ran.failures == 1
    with psycopg.connect(environment.superuser_dsn) as connection:
        row = connection.execute(
            "select status::text, attempts, scheduled_at > now() from jobs.procrastinate_jobs where task_name ="
            " 'test.fail'"
        ).fetchone()
    assert row == ("todo", 1, True)


def test_a_job_by_the_clock_runs_once_a_tick_over_two_workers(environment: Environment, ran: Ran) -> None:
    app = worker_app(environment.url("lims_system"), Work(environment.system, None))
    crons = {entry.task.name: entry.cron for entry in app.periodic_registry.periodic_tasks.values()}
    assert crons == {"test.tick": "* * * * * */1", "core.retry_stalled": "* * * * *"}

    async def both() -> None:
        apps = [worker_app(environment.url("lims_system"), Work(environment.system, None)) for _ in range(2)]
        await asyncio.gather(*(_work(app, "ticks", 3.2) for app in apps))

    asyncio.run(both())

    with psycopg.connect(environment.superuser_dsn) as connection:
        asked = connection.execute(
            "select args->>'timestamp', status::text from jobs.procrastinate_jobs where task_name = 'test.tick'"
        ).fetchall()
    assert len({second for second, _ in asked}) == len(asked) >= 3, "each tick was asked for once"
    assert ran.ticks == sum(status == "succeeded" for _, status in asked) >= len(asked) - 1


@pytest.mark.parametrize(("silent_for", "status"), [("5 minutes", "todo"), ("5 seconds", "doing")])
def test_a_job_whose_worker_was_killed_is_done_by_the_next(
    environment: Environment, ran: Ran, silent_for: str, status: str
) -> None:
    """What a kill leaves: the job `doing`, and a worker that says nothing any more."""
    tenant = organization(environment)
    site = open_site(environment, tenant, "test.note")
    with environment.connect("lims_system") as connection:
        connection.execute("set search_path = jobs")
        worker = connection.execute(
            "insert into procrastinate_workers (last_heartbeat) values (now() - %s::interval) returning id",
            [silent_for],
        ).fetchone()
        assert worker is not None
        taken = connection.execute("select task_name from procrastinate_fetch_job_v2('{notes}', %s)", [worker[0]])
        assert taken.fetchone() == ("test.note",)

    async def rescue() -> None:
        app = worker_app(environment.url("lims_system"), Work(environment.system, None))
        async with app.open_async():
            await retry_stalled(app)

    asyncio.run(rescue())
    assert [row[1] for row in queued(environment, tenant)] == [status]
    work(environment, "notes")

    assert ((tenant, site) in ran.notes) == (status == "todo")


@pytest.mark.req("4.4.3")
@pytest.mark.parametrize("value", ["Asha Rao", "9876543210", "", "26-000123", 42, None, b"x"])
def test_a_jobs_arguments_are_ids_and_nothing_else(environment: Environment, ran: Ran, value: Any) -> None:
    tenant = organization(environment)

    with pytest.raises(TypeError, match="must be an id") as refusal:
        open_site(environment, tenant, "test.note", site_id=value)

    assert not isinstance(value, str) or not value or value not in str(refusal.value)
    assert queued(environment, tenant) == []


def test_two_jobs_cannot_have_one_name(ran: Ran) -> None:
    with pytest.raises(ValueError, match=r"test\.note"):
        job(name="test.note")(lambda: None)


RIGHTS = {
    "take a job": "select * from procrastinate_fetch_job_v2('{notes}', 1)",
    "change a job": "update procrastinate_jobs set args = '{}'",
    "delete a job": "delete from procrastinate_jobs",
    "finish a job": "select procrastinate_finish_job_v1(1, 'succeeded', false)",
    "be a worker": "insert into procrastinate_workers default values",
    "set the clock's marks": "delete from procrastinate_periodic_defers",
    "change the queue's functions": "create or replace function jobs.procrastinate_notify_queue_job_inserted_v1()"
    " returns trigger language plpgsql as 'begin return new; end'",
}


@pytest.mark.parametrize("right", RIGHTS)
def test_the_application_may_ask_for_jobs_and_do_nothing_else_with_them(environment: Environment, right: str) -> None:
    with environment.connect("lims_app") as connection:
        connection.execute("set search_path = jobs")

        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(RIGHTS[right].encode())
