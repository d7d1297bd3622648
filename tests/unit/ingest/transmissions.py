"""Transmissions of the tests."""

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from ingest.received import Received

DATA = Path(__file__).parents[2] / "data"
AT = datetime(2026, 1, 23, 8, 45, tzinfo=UTC)


def received(body: bytes, channel: str = "BS480-1", control_id: str = "1") -> Received:
    """A transmission as the spool hands it out."""
    return Received(channel, control_id, sha256(body).hexdigest(), AT, body)


def recorded(name: str) -> Received:
    """One of the transmissions in `tests/data`."""
    return received((DATA / name).read_bytes())


def oru(control_id: str, *segments: str, kind: str = "0", ends: str = "\r") -> bytes:
    """An ORU^R01 of a Mindray BS."""
    header = f"MSH|^~\\&|Mindray|BS-480|||20260123141503||ORU^R01|{control_id}|P|2.3.1||||{kind}||ASCII|||"
    return "".join(segment + ends for segment in (header, *segments)).encode()
