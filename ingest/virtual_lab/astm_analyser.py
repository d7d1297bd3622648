"""A virtual analyser that speaks ASTM: an E1381 sender over a real socket that behaves, and misbehaves, as they do.

ENQ, one frame at a time, each sent again until it is acknowledged (six times at most), EOT. A transmission that was
not acknowledged to its end is sent again whole. Faults are drawn from a seeded generator.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Sequence

import numpy as np

from ingest.clock import Clock, utc_now
from ingest.virtual_lab.analyser import Faults, NoAnswer, Numbered, Patience, Tally, dial
from ingest.virtual_lab.astm_messages import DIALECTS, rendered

STX, ETX, EOT, ENQ, ACK, NAK, ETB = (bytes([code]) for code in (2, 3, 4, 5, 6, 0x15, 0x17))
RETRANSMISSIONS = 6


def frames(body: bytes, size: int) -> list[bytes]:
    """The body's frames, numbered from 1 modulo 8, the last one ended by ETX."""
    texts = [body[start : start + size] for start in range(0, len(body), size)]
    made = []
    for number, text in enumerate(texts, start=1):
        summed = str(number % 8).encode() + text + (ETX if number == len(texts) else ETB)
        made.append(STX + summed + f"{sum(summed) & 0xFF:02X}".encode() + b"\r\n")
    return made


class AstmAnalyser:
    """One analyser on one line. Use as a context manager; `transmit` may be called several times."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        dialect: str,
        faults: Faults | None = None,
        patience: Patience | None = None,
        seed: int = 0,
        clock: Clock = utc_now,
    ) -> None:
        self.tally = Tally()
        self._address = (host, port)
        self._dialect = DIALECTS[dialect]
        self._faults = faults or Faults()
        self._patience = patience or Patience()
        self._rng = np.random.default_rng([seed, 22])
        self._clock = clock
        self._line: socket.socket | None = None

    def __enter__(self) -> AstmAnalyser:
        return self

    def __exit__(self, *_: object) -> None:
        self._hang_up()

    def transmit(self, messages: Sequence[Numbered], progress: Callable[[], None] = lambda: None) -> Tally:
        """Send each message until it is acknowledged to its end; `progress` is called after each. Returns the tally.

        Raises `GatewayUnreachable`.
        """
        for one in messages:
            body = rendered(one.message, self._dialect, sent_at=self._clock())
            self.tally.messages += 1
            if not self.deliver(body):
                self.tally.given_up.append(one.control_id)
            progress()
        return self.tally

    def deliver(self, body: bytes) -> bool:
        """Whether these records were acknowledged to their end, at last."""
        sent = frames(body, self._dialect.frame_text)
        cut = self._cut_before(len(sent))
        twice = self._drawn(self._faults.duplicate_share)
        for _ in range(self._patience.attempts):
            done = self._once(sent, cut_before=cut, twice=twice)
            cut = None
            if done:
                self.tally.accepted += 1
                if twice:
                    self.tally.duplicates += 1
                    self._once(sent)
                return True
            time.sleep(self._patience.pause)
        return False

    def _once(self, sent: Sequence[bytes], *, cut_before: int | None = None, twice: bool = False) -> bool:
        """Send the whole transmission once; `cut_before` is the frame at which the line is cut, in its middle."""
        try:
            line = self._connected()
            self.tally.transmissions += 1
            if not self._granted(line):
                return False
            for place, frame in enumerate(sent):
                if place == cut_before:
                    line.sendall(frame[: len(frame) // 2])
                    self.tally.cuts += 1
                    raise NoAnswer
                if not self._frame(line, frame, twice=twice):
                    line.sendall(EOT)
                    return False
            line.sendall(EOT)
        except (NoAnswer, OSError):
            self.tally.unanswered += 1
            self._hang_up()
            return False
        return True

    def _granted(self, line: socket.socket) -> bool:
        """Bid for the line. Who is busy, or bids as well, is asked again later."""
        line.sendall(ENQ)
        if self._answer(line) == ACK:
            return True
        self.tally.refused_for_now += 1
        return False

    def _frame(self, line: socket.socket, frame: bytes, *, twice: bool) -> bool:
        """Send a frame until it is acknowledged; EOT from the gateway asks for a pause and acknowledges too."""
        if self._drawn(self._faults.damage_share):
            self.tally.damaged += 1
            line.sendall(self._damaged(frame))
            if self._answer(line) != NAK:
                raise NoAnswer
        for _ in range(1 + RETRANSMISSIONS):
            line.sendall(frame)
            if self._answer(line) in (ACK, EOT):
                if twice:
                    line.sendall(frame)
                    return self._answer(line) in (ACK, EOT)
                return True
            self.tally.refused_for_now += 1
        self.tally.rejected += 1
        return False

    def _damaged(self, frame: bytes) -> bytes:
        """One byte of the text is another printable one."""
        place = int(self._rng.integers(2, len(frame) - 5))
        other = 0x41 + (frame[place] + 1) % 26
        return frame[:place] + bytes([other if other != frame[place] else other + 1]) + frame[place + 1 :]

    def _answer(self, line: socket.socket) -> bytes:
        line.settimeout(self._patience.answer)
        answer = line.recv(1)
        if not answer:
            raise NoAnswer
        return answer

    def _drawn(self, share: float) -> bool:
        return bool(self._rng.random() < share)

    def _cut_before(self, count: int) -> int | None:
        return int(self._rng.integers(count)) if self._drawn(self._faults.cut_share) else None

    def _connected(self) -> socket.socket:
        if self._line is None:
            self._line = dial(self._address, self._patience)
            self.tally.connections += 1
        return self._line

    def _hang_up(self) -> None:
        if self._line is not None:
            with contextlib.suppress(OSError):
                self._line.close()
            self._line = None
