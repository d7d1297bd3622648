"""The virtual analyser's connection: an MLLP client over a real socket that behaves, and misbehaves, as analysers do.

One message is outstanding at a time. Without an answer the same bytes are sent again under the same control id; after
AE ("keep your copy") too, a little later; AR is final. Faults are drawn from a seeded generator.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ingest.clock import Clock, utc_now
from ingest.virtual_lab.messages import Sendable, rendered

START, END = b"\x0b", b"\x1c\r"
LONGEST_ANSWER = 65_536


class GatewayUnreachable(Exception):
    """Nobody took the connection for the whole of the analyser's patience."""


class NoAnswer(Exception):
    """The connection ended, or the time was up, before an answer to this message came."""


@dataclass(frozen=True, kw_only=True)
class Faults:
    """How often the analyser says a message twice, cuts the line before it hears the answer, and (where frames have a
    checksum) a frame is damaged on its way."""

    duplicate_share: float = 0.0
    cut_share: float = 0.0
    damage_share: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long the analyser waits, in seconds, and how often it sends one message."""

    answer: float = 15.0
    connection: float = 60.0
    pause: float = 0.5
    attempts: int = 20


@dataclass(frozen=True, kw_only=True)
class Numbered:
    """A message with its control id (MSH-10)."""

    control_id: int
    message: Sendable


@dataclass(kw_only=True)
class Tally:
    """What happened on the line. `given_up` are the control ids of messages never accepted."""

    messages: int = 0
    transmissions: int = 0
    accepted: int = 0
    refused_for_now: int = 0
    rejected: int = 0
    unanswered: int = 0
    duplicates: int = 0
    cuts: int = 0
    damaged: int = 0
    connections: int = 0
    given_up: list[int] = field(default_factory=list)


def numbered(messages: Sequence[Sendable], *, first: int = 1, reboot_after: int | None = None) -> list[Numbered]:
    """Count the control ids up from `first`; after a reboot they start at 1 again, for other messages."""
    if reboot_after is None or reboot_after >= len(messages):
        return [Numbered(control_id=number, message=message) for number, message in enumerate(messages, start=first)]
    before = numbered(messages[:reboot_after], first=first)
    return before + numbered(messages[reboot_after:])


def dial(address: tuple[str, int], patience: Patience) -> socket.socket:
    """A connection, tried again for as long as patience lasts. Raises `GatewayUnreachable`."""
    end = time.monotonic() + patience.connection
    while True:
        try:
            return socket.create_connection(address, timeout=patience.answer)
        except OSError as error:
            if time.monotonic() + patience.pause > end:
                raise GatewayUnreachable(f"{address[0]}:{address[1]}") from error
            time.sleep(patience.pause)


class Analyser:
    """One analyser on one line. Use as a context manager; `transmit` may be called several times."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        faults: Faults | None = None,
        patience: Patience | None = None,
        seed: int = 0,
        clock: Clock = utc_now,
    ) -> None:
        self.tally = Tally()
        self._address = (host, port)
        self._faults = faults or Faults()
        self._patience = patience or Patience()
        self._rng = np.random.default_rng([seed, 21])
        self._clock = clock
        self._line: socket.socket | None = None
        self._heard = b""

    def __enter__(self) -> Analyser:
        return self

    def __exit__(self, *_: object) -> None:
        self._hang_up()

    def transmit(self, messages: Sequence[Numbered], progress: Callable[[], None] = lambda: None) -> Tally:
        """Send each message until it is accepted or rejected; `progress` is called after each. Returns the tally.

        Raises `GatewayUnreachable`.
        """
        for one in messages:
            body = rendered(one.message, control_id=one.control_id, sent_at=self._clock())
            self.tally.messages += 1
            if not self._deliver(body, str(one.control_id)):
                self.tally.given_up.append(one.control_id)
            progress()
        return self.tally

    def _deliver(self, body: bytes, control_id: str) -> bool:
        cut = self._rng.random() < self._faults.cut_share
        twice = self._rng.random() < self._faults.duplicate_share
        for _ in range(self._patience.attempts):
            answer = self._once(body, control_id, cut=cut)
            cut = False
            if answer == "AA":
                self.tally.accepted += 1
                if twice:
                    self.tally.duplicates += 1
                    self._once(body, control_id)
                return True
            if answer == "AR":
                self.tally.rejected += 1
                return False
            if answer == "AE":
                self.tally.refused_for_now += 1
                time.sleep(self._patience.pause)
        return False

    def _once(self, body: bytes, control_id: str, *, cut: bool = False) -> str | None:
        """Send once; the answer's code, or `None` where none came."""
        try:
            line = self._connected()
            line.sendall(START + body + END)
            self.tally.transmissions += 1
            if cut:
                self.tally.cuts += 1
                raise NoAnswer
            return self._answer(line, control_id)
        except (NoAnswer, OSError):
            self.tally.unanswered += 1
            self._hang_up()
            return None

    def _answer(self, line: socket.socket, control_id: str) -> str:
        """The code of the answer to this control id; answers to earlier messages are passed over."""
        end = time.monotonic() + self._patience.answer
        while True:
            for code, about in self._answers():
                if about == control_id:
                    return code
            left = end - time.monotonic()
            if left <= 0 or len(self._heard) > LONGEST_ANSWER:
                raise NoAnswer
            line.settimeout(left)
            part = line.recv(4096)
            if not part:
                raise NoAnswer
            self._heard += part

    def _answers(self) -> Iterator[tuple[str, str]]:
        """MSA-1 and MSA-2 of every complete answer heard so far."""
        while END in self._heard:
            frame, self._heard = self._heard.split(END, 1)
            for segment in frame.rpartition(START)[2].decode("utf-8", "replace").split("\r"):
                fields = segment.split("|")
                if fields[0] == "MSA" and len(fields) > 2:
                    yield fields[1], fields[2]

    def _connected(self) -> socket.socket:
        if self._line is None:
            self._line = dial(self._address, self._patience)
            self._heard = b""
            self.tally.connections += 1
        return self._line

    def _hang_up(self) -> None:
        if self._line is not None:
            with contextlib.suppress(OSError):
                self._line.close()
            self._line = None
