"""The receiving end of an E1381 link as a state machine: bytes and time in, actions out.

CLSI LIS01-A2 6.5 with what real analysers need. ENQ is granted: the analyser has priority, and we never bid for the
line. Frames are numbered modulo 8 from 1; a repeat of the last frame is acknowledged and dropped; a bad checksum,
number or size is refused; thirty seconds of silence or EOT end a transmission. A frame is acknowledged only when the
caller says that it is durable.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from ingest.astm.link import ENQ, EOT, ETX, STX, checksum, joined

ACK, NAK = b"\x06", b"\x15"
MESSAGE_BYTES = 1024 * 1024
SILENCE_S = 30.0
WITHIN_FRAME = 1 / 6
"""What part of that may pass between two bytes of one frame; a sender waits longer before it begins anew."""
_CONTROL = re.compile(rb"[\x02\x04\x05]")
_FRAME_END = re.compile(rb"[\x02\x03\x17]")
_TERMINATED = re.compile(rb"(?:\A|[\r\n])L(?:[^A-Za-z0-9\r\n][^\r\n]*)?[\r\n]*\Z")
_RAW_END = re.compile(rb"[\r\n]L(?:[^A-Za-z0-9\r\n][^\r\n]*)?[\r\n]+|[\x02\x05]")


@dataclass(frozen=True, slots=True)
class Reply:
    """Send this to the analyser."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Keep:
    """Make this durable and say with `Receiver.kept` whether it is. `whole` is the message that it completes."""

    text: bytes
    whole: bytes | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """No more of this message will come. Of framed text, this is what has been acknowledged and is durable."""

    body: bytes


Action = Reply | Keep | Ended


@dataclass(frozen=True, slots=True)
class _Frame:
    """A sound frame: `key` tells a repeat from another frame of the same number."""

    number: int
    text: bytes
    ends: bool
    key: bytes


def terminated(body: bytes) -> bool:
    """Whether the last record is the terminator (L)."""
    return _TERMINATED.search(body) is not None


class Receiver:
    """One connection. After `feed`, `tick` or `close`, take actions with `step` until there is none."""

    def __init__(self, *, unframed: bool = False, most: int = MESSAGE_BYTES, silence: float = SILENCE_S) -> None:
        self._unframed, self._most, self._silence = unframed, most, silence
        self._buffer = bytearray()
        self._actions: deque[Action] = deque()
        self._pending: Keep | None = None
        self._frame: _Frame | None = None
        self._last: _Frame | None = None
        self._body = b""
        self._receiving = self._raw = False
        self._heard_at = 0.0
        self.refused = 0

    @property
    def deadline(self) -> float | None:
        """When silence ends the transmission; None while nothing is under way."""
        return self._heard_at + self._silence if self._receiving or self._raw else None

    def feed(self, data: bytes, now: float) -> None:
        """Bytes have come. A frame that stood still is not continued: its analyser began anew."""
        if self._receiving and now - self._heard_at > self._silence * WITHIN_FRAME:
            self._buffer.clear()
        self._heard_at = now
        self._buffer += data

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self.deadline is not None and now >= self.deadline:
            self.close()

    def close(self) -> None:
        """The analyser is silent or gone: idle again; what was acknowledged is handed over as it is."""
        if self._raw:
            self._body = bytes(self._buffer)
        self._buffer.clear()
        self._end()

    def step(self) -> Action | None:
        """The next thing to do; None when more bytes are needed, or a `Keep` waits for its answer."""
        while not self._actions and self._pending is None and self._buffer:
            if not (self._in_transfer() if self._receiving else self._in_raw() if self._raw else self._idle()):
                break
        return self._actions.popleft() if self._actions else None

    def kept(self, durable: bool) -> Reply:
        """The last `Keep` is durable, or is not: the analyser then keeps its copy."""
        asked, self._pending = self._pending, None
        if asked is None or not durable:
            self.refused += 1
            return Reply(NAK)
        self._body = b"" if asked.whole is not None else self._body + asked.text
        self._last, self._frame = self._frame or self._last, None
        return Reply(ACK)

    def _ask(self, keep: Keep) -> None:
        self._pending = keep
        self._actions.append(keep)

    def _end(self) -> None:
        """Idle."""
        if self._body.strip():
            self._actions.append(Ended(self._body))
        self._body = b""
        self._last = self._frame = self._pending = None
        self._receiving = self._raw = False

    def _idle(self) -> bool:
        """ENQ alone begins a transmission; where such analysers are expected, a header or a frame does too."""
        starts = b"\x05\x02H" if self._unframed else ENQ
        place = next((place for place, byte in enumerate(self._buffer) if byte in starts), len(self._buffer))
        del self._buffer[:place]
        first = bytes(self._buffer[:1])
        self._receiving, self._raw = first in (ENQ, STX), first == b"H"
        if first == ENQ:
            del self._buffer[:1]
            self._actions.append(Reply(ACK))
        return bool(first)

    def _in_raw(self) -> bool:
        """Records without frames, up to their terminator; then one ACK, which such an analyser may ignore."""
        found = _RAW_END.search(self._buffer)
        if found is None and len(self._buffer) <= self._most:
            return False
        begins_anew = found is None or found[0] in (STX, ENQ)
        end = len(self._buffer) if found is None else found.start() if begins_anew else found.end()
        text = bytes(self._buffer[:end])
        del self._buffer[:end]
        if begins_anew:
            self._body = text
            self._end()
        else:
            self._raw = False
            self._ask(Keep(text, text))
        return True

    def _in_transfer(self) -> bool:
        found = _CONTROL.search(self._buffer)
        if found is None:
            self._buffer.clear()
            return False
        del self._buffer[: found.start()]
        mark = self._buffer[:1]
        if mark == STX:
            return self._at_frame()
        del self._buffer[:1]
        self._end()
        if mark == ENQ:
            self._receiving = True
            self._actions.append(Reply(ACK))
        return True

    def _at_frame(self) -> bool:
        """Once it is there whole: refuse it, drop a repeat, or ask for it to be kept."""
        end = _FRAME_END.search(self._buffer, 1)
        if end is not None and end[0] == STX:
            del self._buffer[: end.start()]
            return True
        if end is None or len(self._buffer) < end.end() + 2:
            return self._overlong()
        summed, sent = bytes(self._buffer[1 : end.end()]), bytes(self._buffer[end.end() : end.end() + 2])
        del self._buffer[: end.end() + 2]
        frame = self._sound(summed, sent)
        if frame is None:
            self._refuse()
        elif self._last is not None and frame.key == self._last.key:
            self._actions.append(Reply(ACK))
        elif frame.number != ((self._last.number + 1) % 8 if self._last else 1):
            self._refuse()
        else:
            self._take(frame)
        return True

    def _overlong(self) -> bool:
        if len(self._buffer) <= self._most + 16:
            return False
        self._buffer.clear()
        self._refuse()
        return True

    def _sound(self, summed: bytes, sent: bytes) -> _Frame | None:
        if not summed[:1].isdigit() or summed[:1] > b"7" or checksum(summed) != sent.upper():
            return None
        text, ends = summed[1:-1], summed.endswith(ETX)
        if len(self._body) + len(text) > self._most or EOT in text or ENQ in text:
            return None
        return _Frame(int(summed[:1]), text, ends, summed)

    def _take(self, frame: _Frame) -> None:
        self._frame = frame
        whole = joined([(self._body, self._last is not None and self._last.ends), (frame.text, frame.ends)])
        self._ask(Keep(whole[len(self._body) :], whole if frame.ends and terminated(whole) else None))

    def _refuse(self) -> None:
        self.refused += 1
        self._actions.append(Reply(NAK))
