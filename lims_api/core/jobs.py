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

from lims_api.core.db import actor_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from lims_api.core.db import Database


@dataclass(frozen=True)
class Work:
    """What a job is given by the worker besides its arguments."""

    database: Database
    services: Any


@dataclass(frozen=True)
class Job:
    """A registered job. `run(work, organization_id, **ids)` must be safe to run twice."""

    name: str
    run: Callable[..., None]
    queue: str
    cron: str | None


REGISTRY: dict[str, Job] = {}
_defer_app = App(connector=SyncPsycopgConnector())


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
    arguments = {key: str(value) for key, value in ids.items()}
    _defer_app.configure_task(name, queue=queue, lock=lock, connection=connection).defer(
        organization_id=str(actor_of(session).organization_id), **arguments
    )


def worker_app(url: str, work: Work) -> App:
    """The procrastinate application with every registered job; retried with growing pauses, ten times."""
    app = App(
        connector=PsycopgConnector(
            conninfo=url.replace("postgresql+psycopg://", "postgresql://", 1), kwargs={"options": "-csearch_path=jobs"}
        )
    )
    for registered in REGISTRY.values():
        _add(app, registered, work)
    return app


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
