"""ASTM E1381 frames: `<STX> number text <ETB|ETX> checksum <CR> <LF>`, between an ENQ and an EOT.

CLSI LIS01-A2 6.3. A frame that ends in ETB is followed by more of the same message, one that ends in ETX is its last;
numbers run 1 to 7, then 0. The checksum is the sum of the bytes from the number to ETB or ETX, modulo 256, in hex.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

STX, ETX, EOT, ENQ, ETB = (bytes([code]) for code in (0x02, 0x03, 0x04, 0x05, 0x17))
TEXT_BYTES = 240
"""The most a frame's text may have (LIS01-A2 6.3.1.2); what analysers send is often longer and is read all the same."""
_FRAME = re.compile(
    rb"\x02(?P<summed>(?P<number>[0-7])(?P<text>[^\x02\x03\x17]*)(?P<end>[\x03\x17]))(?P<sum>[0-9A-Fa-f]{2})?"
)
_BESIDE = b"\x06\x15 \t\r\n"
"""What may stand between frames: line ends, and the answers where both directions were recorded."""
_TRANSMISSION_END = re.compile(rb"[\x04\x05]+")


@dataclass(frozen=True, slots=True)
class Transmission:
    """What stood between an ENQ and an EOT, out of its frames, and what was wrong with them."""

    body: bytes
    faults: tuple[str, ...] = ()


def checksum(summed: bytes) -> bytes:
    """Of a frame from its number to ETB or ETX, both included: two upper-case hex digits."""
    return b"%02X" % (sum(summed) % 256)


def framed(body: bytes, size: int = TEXT_BYTES) -> list[bytes]:
    """The frames of one message, none with more than `size` bytes of text. An empty message is one empty frame."""
    pieces = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
    frames = []
    for index, piece in enumerate(pieces):
        summed = b"%d" % ((index + 1) % 8) + piece + (ETX if index == len(pieces) - 1 else ETB)
        frames.append(STX + summed + checksum(summed) + b"\r\n")
    return frames


def unframed(capture: bytes) -> list[Transmission]:
    """What a capture of an analyser's bytes holds, transmission by transmission.

    A frame that was sent again counts once. A wrong checksum, a number out of turn and bytes beside the frames are
    named as faults, and the text is given all the same: whether to trust it is the reader's decision. A capture without
    any frame is taken for the records alone.
    """
    if STX not in capture:
        body = _TRANSMISSION_END.sub(b"", capture)
        return [Transmission(body)] if body.strip() else []
    return [_joined(part) for part in _TRANSMISSION_END.split(capture) if part.strip(_BESIDE)]


def _joined(part: bytes) -> Transmission:
    strays: list[str] = []
    kept: list[tuple[re.Match[bytes], str | None]] = []
    for match in _frames(part, strays):
        fault = _fault(match)
        if kept and match["number"] == kept[-1][0]["number"]:
            if kept[-1][1] is not None:  # it was refused and sent again
                kept[-1] = match, fault
                continue
            if match["summed"] == kept[-1][0]["summed"]:
                continue
        kept.append((match, fault))
    faults = [fault for _, fault in kept if fault] + strays
    expected = 1
    for match, _ in kept:
        number = int(match["number"])
        if number != expected:
            faults.append(f"frame {number} stands where {expected} should")
        expected = (number + 1) % 8
    return Transmission(joined([(match["text"], match["end"] == ETX) for match, _ in kept]), tuple(faults))


def joined(texts: Sequence[tuple[bytes, bool]]) -> bytes:
    """The text of frames, each with whether it ended in ETX.

    Some analysers send each record in a frame that ends in ETX, without the record's CR: it is put back between them.
    """
    body, apart = b"", False
    for text, ends in texts:
        body += b"\r" + text if apart and text[:1] not in (b"", b"\r", b"\n") else text
        apart = ends and body[-1:] not in (b"", b"\r", b"\n")
    return body


def _fault(match: re.Match[bytes]) -> str | None:
    number = int(match["number"])
    if match["sum"] is None:
        return f"frame {number} has no checksum"
    return None if checksum(match["summed"]) == match["sum"].upper() else f"frame {number} has a wrong checksum"


def _frames(part: bytes, faults: list[str]) -> Iterator[re.Match[bytes]]:
    """The frames in their order; `faults` is told of bytes that stand beside them."""
    position = 0
    for match in _FRAME.finditer(part):
        if part[position : match.start()].strip(_BESIDE):
            faults.append("bytes stand beside the frames")
        position = match.end()
        yield match
    if part[position:].strip(_BESIDE):
        faults.append("bytes stand beside the frames")
