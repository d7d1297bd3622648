"""A transmission between the spool and the core: as it was kept, or as the message that carries its bytes alone."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ingest.contract import Message

Name = tuple[str, str, str]
INDIA = ZoneInfo("Asia/Kolkata")
NOTHING_MEASURED = "no observation in it"


@dataclass(frozen=True, slots=True)
class Received:
    """A transmission as it was kept: the bytes, and what names them."""

    channel: str
    control_id: str
    body_sha256: str
    received_at: datetime
    body: bytes

    @property
    def name(self) -> Name:
        return self.channel, self.control_id, self.body_sha256


def undecodable(received: Received, reason: str, format: str = "hl7", sent_type: str = "") -> Message:
    """The message that carries the bytes alone, for a person to look at."""
    return Message(
        channel=received.channel,
        control_id=received.control_id,
        body_sha256=received.body_sha256,
        received_at=received.received_at,
        format=format,
        type=sent_type,
        envelope=b64encode(received.body),
        error=reason,
    )
