"""Carries events from the outbox to their subscribers: each reaction in a transaction of its own, once an event.

At least once by reading, once by the receipt: a relay killed anywhere starts again from its last position and skips
what has a receipt. After a restore (another system identifier) it starts from the beginning for the same reason.
"""

import json
from collections.abc import Sequence
from typing import Any

import structlog
from sqlalchemy import RowMapping, text

from lims_api.core.db import transaction
from lims_api.core.jobs import SUBSCRIBERS, Subscriber, Work
from lims_api.core.ledger import BEGINNING, read

log = structlog.get_logger()
READER = "relay"
_WHERE = text("select snapshot, system_identifier from lims.reader_positions where reader = :reader")
_SYSTEM = text("select system_identifier from pg_control_system()")
_MOVE = text(
    "insert into lims.reader_positions (reader, snapshot, system_identifier) values (:reader, :snapshot, :system)"
    " on conflict (reader) do update set snapshot = excluded.snapshot, system_identifier = excluded.system_identifier"
)
_RECEIPT = text(
    "insert into lims.event_receipts (organization_id, event_id, subscriber) values (:organization_id, :event_id,"
    " :subscriber)"
    " on conflict do nothing returning true"
)
_LOCK = text("select pg_try_advisory_xact_lock(7012)")


def relay(work: Work) -> int:
    """Hand every new event to its subscribers; returns how many reactions ran. One relay at a time over all workers."""
    engine = work.database.engine.execution_options(isolation_level="REPEATABLE READ")
    with engine.begin() as reading:
        if not reading.execute(_LOCK).scalar_one():
            return 0
        system = reading.execute(_SYSTEM).scalar_one()
        position = reading.execute(_WHERE, {"reader": READER}).one_or_none()
        since = position.snapshot if position and position.system_identifier == system else BEGINNING
        events, now = read(reading, since, table="outbox")
        ran, failed = _deliver(work, events)
        if not failed and (events or position is None):
            reading.execute(_MOVE, {"reader": READER, "snapshot": now, "system": system})
    return ran


def _deliver(work: Work, events: Sequence[RowMapping]) -> tuple[int, bool]:
    """How many reactions ran, and whether one failed: then the position stays, and the next relay tries it again.

    One that fails holds up no other: those that ran have their receipts and are skipped.
    """
    ran, failed = 0, False
    for event in events:
        for subscriber in SUBSCRIBERS.get(event["name"], ()):
            try:
                ran += _react(work, event, subscriber)
            except Exception as error:
                failed = True
                log.error("reaction failed", job=subscriber.name, exc_info=error)
    return ran, failed


def _react(work: Work, event: RowMapping, subscriber: Subscriber) -> int:
    payload: dict[str, Any] = json.loads(event["payload"])
    with transaction(work.caller(event["organization_id"])) as session:
        receipt = {
            "organization_id": event["organization_id"], "event_id": event["id"], "subscriber": subscriber.name,
        }  # fmt: skip
        if not session.execute(_RECEIPT, receipt).scalar():
            return 0
        subscriber.reaction(session, event["subject_id"], payload)
    return 1
