"""Background jobs and cron on PostgreSQL (procrastinate underneath).

A job is enqueued in the transaction of the change that asks for it: it exists if and only if that change does.
Arguments hold ids only, the organization first; the job opens `transaction()` for that organization itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from procrastinate import App, PsycopgConnector, RetryStrategy, SyncPsycopgConnector

from lims_api.core.db import SystemCaller, actor_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from lims_api.core.db import Database


@dataclass(frozen=True)
class Work:
    """What a job is given by the worker besides its arguments."""

    database: Database
    services: Any

    def caller(self, organization_id: UUID) -> SystemCaller:
        """The job, acting for one organization."""
        return SystemCaller(
            database=self.database, organization_id=organization_id, device="job", services=self.services
        )


Reaction = Callable[["Session", UUID, dict[str, Any]], None]


@dataclass(frozen=True)
class Subscriber:
    """A reaction to an event, named so that each event reaches it once."""

    name: str
    reaction: Reaction


@dataclass(frozen=True)
class Job:
    """A registered job. `run(work, organization_id, **ids)` must be safe to run twice."""

    name: str
    run: Callable[..., None]
    queue: str
    cron: str | None


REGISTRY: dict[str, Job] = {}
STALLED_SECONDS = 60.0
"""A worker that has not been heard of for so long is dead; they say something every ten seconds."""
SUBSCRIBERS: dict[str, list[Subscriber]] = {}
_defer_app = App(connector=SyncPsycopgConnector())


def subscribe(event: str, *, name: str) -> Callable[[Reaction], Reaction]:
    """React to an event of another domain: `reaction(session, subject_id, payload)` in a transaction of its own, once
    for each event (`core/relay.py`). Slow work is enqueued from it."""

    def register(reaction: Reaction) -> Reaction:
        SUBSCRIBERS.setdefault(event, []).append(Subscriber(name, reaction))
        return reaction

    return register


def job(*, name: str, queue: str = "default", cron: str | None = None) -> Callable[[Callable[..., None]], Job]:
    """Register a function as a job; with `cron` (UTC, five fields) it also runs by the clock, once over all workers."""

    def register(function: Callable[..., None]) -> Job:
        if name in REGISTRY:
            raise ValueError(f"two jobs are called {name}")
        REGISTRY[name] = Job(name, function, queue, cron)
        return REGISTRY[name]

    return register


def enqueue(session: Session, name: str, *, queue: str = "default", lock: str | None = None, **ids: UUID | str) -> None:
    """Ask for a job when this transaction commits. One lock's jobs never run at the same time."""
    connection = session.connection().connection.driver_connection
    arguments = {key: _id(name, key, value) for key, value in ids.items()}
    _defer_app.configure_task(name, queue=queue, lock=lock, connection=connection).defer(
        organization_id=str(actor_of(session).organization_id), **arguments
    )


def _id(job_name: str, key: str, value: UUID | str) -> str:
    try:
        return str(UUID(str(value)))
    except ValueError:
        raise TypeError(f"{job_name}: {key} must be an id; the queue is read across organizations") from None


def worker_app(url: str, work: Work) -> App:
    """The procrastinate application with every registered job; retried with growing pauses, ten times."""
    app = App(
        connector=PsycopgConnector(
            conninfo=url.replace("postgresql+psycopg://", "postgresql://", 1), kwargs={"options": "-csearch_path=jobs"}
        )
    )
    for registered in REGISTRY.values():
        _add(app, registered, work)

    async def rescue(timestamp: int) -> None:  # noqa: ARG001  procrastinate names it
        await retry_stalled(app)

    app.periodic(cron="* * * * *")(app.task(name="core.retry_stalled", queue="default")(rescue))
    return app


async def retry_stalled(app: App) -> int:
    """Give back the jobs of workers that died, and would else stay `doing` for ever; returns how many."""
    stalled = list(await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS))
    for each in stalled:
        await app.job_manager.retry_job(each)
    return len(stalled)


def _add(app: App, registered: Job, work: Work) -> None:
    if registered.cron is None:

        def run(organization_id: str, **ids: str) -> None:
            registered.run(work, UUID(organization_id), **{key: UUID(value) for key, value in ids.items()})

        app.task(
            name=registered.name, queue=registered.queue, retry=RetryStrategy(max_attempts=10, exponential_wait=3)
        )(run)
        return

    def tick(timestamp: int) -> None:  # noqa: ARG001  procrastinate names it
        registered.run(work)

    task = app.task(name=registered.name, queue=registered.queue, retry=3)(tick)
    app.periodic(cron=registered.cron)(task)
