"""The worker: background jobs, cron, and the relay of events to their subscribers."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading

import structlog
from sqlalchemy import text

from lims_api.app import key_store, services_of
from lims_api.core.db import open_database
from lims_api.core.jobs import Work, job, retry_stalled, worker_app
from lims_api.core.relay import relay
from lims_api.core.settings import settings
from lims_api.core.telemetry import configure_logs
from lims_api.patients import jobs as _patient_jobs
from lims_api.reports import jobs as _report_jobs
from lims_api.reports import subscribers as _report_subscribers

log = structlog.get_logger()
REGISTERED = (_patient_jobs, _report_jobs, _report_subscribers)
RELAY_SECONDS = 0.2
AGAIN_SECONDS = 2.0


def _make_partitions(work: Work) -> None:
    with work.database.engine.begin() as connection:
        made: int = connection.execute(text("select lims.make_partitions(6)")).scalar_one()
    log.info("partitions made", count=made)


MAKE_PARTITIONS = job(name="core.make_partitions", cron="17 20 * * *")(_make_partitions)


def _forget_replies(work: Work) -> None:
    """Replies to requests; an app's command is answered for ever, since a device may come back after months."""
    old = text("delete from lims.idempotency_keys where created_at < now() - interval '30 days' and device is null")
    with work.database.engine.begin() as connection:
        connection.execute(old)


FORGET_REPLIES = job(name="core.forget_replies", cron="37 20 * * *")(_forget_replies)


def _rewrite_keys(work: Work) -> None:
    work.database.keys.rewrite()


REWRITE_KEYS = job(name="core.rewrite_keys", cron="57 20 * * *")(_rewrite_keys)


def relay_loop(work: Work, stop: threading.Event) -> None:
    """Until told to stop. Whatever a round failed with, e.g. a database that is away, the next one tries again."""
    while not stop.wait(RELAY_SECONDS):
        try:
            relay(work)
        except Exception as error:
            log.error("relay failed", exc_info=error)
            stop.wait(2)


async def run(work: Work, url: str) -> None:
    """Jobs and relay until SIGTERM or SIGINT, over every absence of the database."""
    stop, told = threading.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    relaying = threading.Thread(target=relay_loop, args=(work, stop), name="relay", daemon=True)
    relaying.start()
    try:
        while not told.is_set():
            await _work_until(told, work, url)
    finally:
        stop.set()
        relaying.join(timeout=5)


async def _work_until(told: asyncio.Event, work: Work, url: str) -> None:
    """One life of the job worker: it ends by itself, without an error, when it can listen to the database no more."""
    app = worker_app(url, work)
    try:
        async with app.open_async():
            await retry_stalled(app)
            working = asyncio.create_task(
                app.run_worker_async(concurrency=2, fetch_job_polling_interval=1.0, install_signal_handlers=False)
            )
            waiting = asyncio.create_task(told.wait())
            await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
            for task in (working, waiting):
                task.cancel()
            await asyncio.gather(working, waiting, return_exceptions=True)
    except Exception as error:
        log.error("jobs stopped", exc_info=error)
    if not told.is_set():
        log.warning("jobs begin again")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(told.wait(), AGAIN_SECONDS)


def main() -> int:
    """`lims work`."""
    configure_logs()
    chosen = settings()
    url = (chosen.system_database_url or chosen.database_url).get_secret_value()
    database = open_database(url, key_store(chosen), connections=chosen.threads)
    log.info("worker started")
    asyncio.run(run(Work(database, services_of(chosen)), url))
    return 0
