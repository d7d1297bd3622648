"""MLLP: frames of `<VT> message <FS><CR>` on TCP, each answered on the connection that it came by.

HL7 v2.5.1 appendix C (Minimal Lower Layer Protocol). Bytes outside frames are discarded; the end of a connection is
never taken for the end of a message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from ingest.listener import Connections, Listener

START, END = b"\x0b", b"\x1c\r"
HEAD_KEPT = 64 * 1024
FRAME_BYTES = 1024 * 1024
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Frame:
    """One message. Of an oversized one only the beginning is here."""

    body: bytes
    oversized: bool = False


@dataclass(frozen=True, slots=True)
class Limits(Connections):
    """Sizes in bytes, times in seconds."""

    frame_bytes: int = FRAME_BYTES
    within_frame: float = 30.0
    between_frames: float = 3600.0


Answering = Callable[[Frame], Awaitable[bytes]]


def framed(message: bytes) -> bytes:
    """A message as it goes on the wire."""
    return START + message + END


class Framer:
    """Finds frames in a stream of bytes, however the stream is cut."""

    def __init__(self, limit: int = FRAME_BYTES) -> None:
        self._limit = limit
        self._body: bytearray | None = None
        self._oversized = False
        self.discarded = 0

    @property
    def inside(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self._body is not None

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that these bytes complete, in order."""
        frames: list[Frame] = []
        position = 0
        while position < len(data):
            position = self._outside(data, position) if self._body is None else self._within(data, position, frames)
        return frames

    def _outside(self, data: bytes, position: int) -> int:
        start = data.find(START, position)
        end = len(data) if start < 0 else start
        self.discarded += len(data[position:end].strip(b"\r\n"))
        if start >= 0:
            self._body, self._oversized = bytearray(), False
        return end + 1

    def _within(self, data: bytes, position: int, frames: list[Frame]) -> int:
        """Take bytes up to the frame's end. A VT inside: the sender began anew, what came before is dropped."""
        body = self._body
        if body is None:
            return position
        if body.endswith(END[:1]) and data[position : position + 1] == END[1:]:
            frames.append(Frame(bytes(body[:-1]), self._oversized))
            self._body = None
            return position + 1
        end, restart = data.find(END, position), data.find(START, position)
        if restart >= 0 and (end < 0 or restart < end):
            self.discarded += len(body) + restart - position
            self._body, self._oversized = bytearray(), False
            return restart + 1
        if end < 0:
            self._add(body, data[position:])
            return len(data)
        self._add(body, data[position:end])
        frames.append(Frame(bytes(body), self._oversized))
        self._body = None
        return end + len(END)

    def _add(self, body: bytearray, data: bytes) -> None:
        """Keep what fits; of a frame beyond the limit, its head and the last byte, which may be half of its end."""
        body.extend(data)
        if self._oversized or len(body) > self._limit:
            self._oversized = True
            del body[min(HEAD_KEPT, self._limit) : -1]


class Conversation:
    """One connection. Frames that arrive together are worked on together and answered in order."""

    def __init__(self, answering: Answering, limits: Limits, name: str) -> None:
        self._answering = answering
        self._limits = limits
        self._name = name
        self._framer = Framer(limits.frame_bytes)

    @property
    def patience(self) -> float:
        """Seconds."""
        return self._limits.within_frame if self._framer.inside else self._limits.between_frames

    async def hear(self, data: bytes) -> bytes:
        """The answers to the messages that these bytes complete."""
        discarded = self._framer.discarded
        frames = self._framer.feed(data)
        if self._framer.discarded > discarded:
            log.warning("bytes_outside_frames", channel=self._name, count=self._framer.discarded - discarded)
        answers = await asyncio.gather(*(self._answering(frame) for frame in frames))
        return b"".join(framed(answer) for answer in answers)

    async def silence(self) -> bool:
        """Who falls silent is hung up on."""
        return False

    async def end(self) -> None:
        """What was not framed whole was not acknowledged: the sender has it."""


def listener(answering: Answering, limits: Limits | None = None, name: str = "") -> Listener:
    """A port that answers every frame on the connection that it came by."""
    chosen = limits or Limits()
    return Listener(lambda: Conversation(answering, chosen, name), chosen, name)
