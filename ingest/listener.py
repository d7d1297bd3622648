"""A TCP port for analysers, whatever they speak: connections are limited, logged and closed in one way."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from ingest.logs import fault

READ_SIZE = 64 * 1024
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Connections:
    """How many, and how long writing and closing may take, in seconds."""

    connections: int = 256
    writing: float = 30.0
    closing: float = 5.0


class Conversation(Protocol):
    """What one connection's protocol does with what it hears."""

    @property
    def patience(self) -> float:
        """How many seconds it listens before it calls it silence."""

    async def hear(self, data: bytes) -> bytes:
        """What to send for these bytes."""

    async def silence(self) -> bool:
        """Whether to go on listening."""

    async def end(self) -> None:
        """The connection is over, however it ended."""


class Listener:
    """One TCP port."""

    def __init__(self, conversation: Callable[[], Conversation], limits: Connections, name: str = "") -> None:
        self._conversation = conversation
        self._limits = limits
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
        conversation = self._conversation()
        try:
            await self._converse(conversation, task, reader, writer)
        except asyncio.CancelledError:
            log.info("connection_closed_by_us", channel=self._name)
        except (OSError, TimeoutError) as failure:
            log.info("connection_lost", channel=self._name, reason=type(failure).__name__)
        except Exception as failure:  # noqa: BLE001 - the outer loop of a connection; unanswered, the sender sends again
            log.error("connection_failed", channel=self._name, **fault(failure))
        finally:
            await conversation.end()
            self._connections.discard(task)
            writer.close()

    async def _converse(
        self,
        conversation: Conversation,
        task: asyncio.Task[None],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        _keep_alive(writer)
        while not self._closing:
            data = await self._read(conversation.patience, task, reader)
            if data == b"" or (data is None and not await conversation.silence()):
                return
            if data and (answer := await conversation.hear(data)):
                writer.write(answer)
                async with asyncio.timeout(self._limits.writing):
                    await writer.drain()

    async def _read(self, patience: float, task: asyncio.Task[None], reader: asyncio.StreamReader) -> bytes | None:
        """What came; nothing when the other side has hung up, None after silence."""
        self._reading.add(task)
        try:
            async with asyncio.timeout(patience):
                return await reader.read(READ_SIZE)
        except TimeoutError:
            return None
        finally:
            self._reading.discard(task)


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Let the system find out about an analyser that was switched off."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
