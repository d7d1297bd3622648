"""An ASTM analyser at the bench, driven byte by byte."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from ingest.astm.link import ENQ, EOT, framed


class Bench:
    """One connection; every answer is one byte."""

    def __init__(self, port: int, timeout: float = 5.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)

    def say(self, data: bytes) -> bytes:
        """Send and return the next byte; nothing when the gateway hung up."""
        self.socket.sendall(data)
        return self.socket.recv(1)

    def transmit(self, body: bytes, size: int = 240) -> list[bytes]:
        """ENQ, every frame, EOT: the answers."""
        answers = self.begin(framed(body, size))
        self.socket.sendall(EOT)
        return answers

    def begin(self, frames: Sequence[bytes]) -> list[bytes]:
        """ENQ and these frames: the answers."""
        return [self.say(data) for data in (ENQ, *frames)]

    def close(self) -> None:
        self.socket.close()
