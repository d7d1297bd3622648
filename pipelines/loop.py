"""The light capture loop: ledger and outbox into the lake every few seconds, without Dagster."""

from collections.abc import Callable
from datetime import timedelta

import structlog
from adbc_driver_manager import Error as DriverError
from sqlalchemy.exc import OperationalError

from pipelines.capture import LEDGER, OUTBOX, Captured, bronze_table, capture
from pipelines.lake import LakeBusy, open_lake
from pipelines.settings import Settings, libpq

log = structlog.get_logger()


def capture_once(settings: Settings, *, patience: timedelta = timedelta(0)) -> dict[str, Captured]:
    """Capture every feed once; the answer is keyed by the lake's table. Raises as `capture` does."""
    lake = open_lake(settings)
    dsn = libpq(settings.ledger_url)
    return {feed.target: capture(dsn, bronze_table(lake, feed), feed, patience=patience) for feed in (LEDGER, OUTBOX)}


def capture_forever(settings: Settings, wait: Callable[[], bool]) -> None:
    """Capture until `wait()`, called after each round, answers True (stop).

    A database that is away for a while, or another capture at work, is a reason to try again; a changed source is not.
    """
    while True:
        try:
            found = capture_once(settings)
        except (DriverError, OperationalError, LakeBusy) as problem:
            log.warning("capture.postponed", reason=type(problem).__name__)
        else:
            log.info("capture.done", **{name: captured.rows for name, captured in found.items()})
        if wait():
            return
