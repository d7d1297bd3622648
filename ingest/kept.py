"""What the spool is given and what it gives back: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from ingest.received import Received


class State(StrEnum):
    KEPT = "kept"
    DELIVERED = "delivered"
    REFUSED = "refused"
    PURGED = "purged"


class Keeping(StrEnum):
    """What became of an incoming transmission, or of a piece of one. All four are durable."""

    NEW = "new"
    REPEAT = "repeat"
    NEW_WITH_REUSED_ID = "new-with-reused-id"
    PIECE = "piece"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A transmission to keep; `refusal` says why it will never be delivered, if so.

    `line` names the pieces that it was kept as while it grew, and `alarm` what a person must hear of it.
    """

    channel: str
    control_id: str
    body: bytes
    received_at: datetime
    refusal: str | None = None
    line: str = ""
    alarm: str | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """One acknowledged frame of a transmission that goes on; `line` is one connection's transmission."""

    line: str
    channel: str
    text: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What is there of a transmission that nobody will continue."""

    line: str
    channel: str
    received_at: datetime
    body: bytes


@dataclass(frozen=True, slots=True)
class PendingBatch:
    """What is sent together, again and again under the same id, until the core answers."""

    id: UUID
    sent_at: datetime
    clock_offset_ms: int | None
    transmissions: tuple[Received, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A transmission set aside."""

    channel: str
    control_id: str
    body_sha256: str
    received_at: datetime
    problem: str
