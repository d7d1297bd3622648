"""MLLP: frames of `<VT> message <FS><CR>` on TCP, each answered on the connection that it came by.

HL7 v2.5.1 appendix C (Minimal Lower Layer Protocol). Bytes outside frames are discarded; the end of a connection is
never taken for the end of a message.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from ingest.logs import fault

START, END = b"\x0b", b"\x1c\r"
READ_SIZE = 64 * 1024
HEAD_KEPT = 64 * 1024
FRAME_BYTES = 1024 * 1024
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Frame:
    """One message. Of an oversized one only the beginning is here."""

    body: bytes
    oversized: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    frame_bytes: int = FRAME_BYTES
    within_frame: float = 30.0
    between_frames: float = 3600.0
    writing: float = 30.0
    closing: float = 5.0
    connections: int = 256


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


class Listener:
    """One TCP port. Every frame is answered in order; frames that arrive together are worked on together."""

    def __init__(self, answering: Answering, limits: Limits | None = None, name: str = "") -> None:
        self._answering = answering
        self._limits = limits or Limits()
        self._name = name
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._reading: set[asyncio.Task[None]] = set()
        self._closing = False
        self.address = ("", 0)

    async def start(self, host: str, port: int) -> None:
        """Listen; raises `OSError` when the port cannot be had."""
        self._server = await asyncio.start_server(self._connected, host, port, limit=READ_SIZE)
        self.address = self._server.sockets[0].getsockname()[:2]

    async def close(self) -> None:
        """Stop listening and reading; what has been received is still kept and answered."""
        self._closing = True
        if self._server is not None:
            self._server.close()
        for task in tuple(self._reading):
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections, timeout=self._limits.closing)
        for task in tuple(self._connections):
            task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= self._limits.connections:
            log.warning("connection_refused", channel=self._name, connections=len(self._connections))
            writer.close()
            return
        self._connections.add(task)
        try:
            await self._converse(task, reader, writer)
        except asyncio.CancelledError:
            log.info("connection_closed_by_us", channel=self._name)
        except (OSError, TimeoutError) as failure:
            log.info("connection_lost", channel=self._name, reason=type(failure).__name__)
        except Exception as failure:  # noqa: BLE001 - the outer loop of a connection; unanswered, the sender sends again
            log.error("connection_failed", channel=self._name, **fault(failure))
        finally:
            self._connections.discard(task)
            writer.close()

    async def _converse(
        self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        _keep_alive(writer)
        framer = Framer(self._limits.frame_bytes)
        while not self._closing and (data := await self._read(task, reader, framer)):
            discarded = framer.discarded
            frames = framer.feed(data)
            if framer.discarded > discarded:
                log.warning("bytes_outside_frames", channel=self._name, count=framer.discarded - discarded)
            if frames:
                answers = await asyncio.gather(*(self._answering(frame) for frame in frames))
                writer.write(b"".join(framed(answer) for answer in answers))
                async with asyncio.timeout(self._limits.writing):
                    await writer.drain()

    async def _read(self, task: asyncio.Task[None], reader: asyncio.StreamReader, framer: Framer) -> bytes:
        limits = self._limits
        self._reading.add(task)
        try:
            async with asyncio.timeout(limits.within_frame if framer.inside else limits.between_frames):
                return await reader.read(READ_SIZE)
        finally:
            self._reading.discard(task)


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Let the system find out about an analyser that was switched off."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
