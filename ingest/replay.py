"""Sends a capture again, byte for byte, as its analyser would: each frame waits for its answer.

What was captured without frames is framed first, unless raw records are asked for; nothing else is changed, a wrong
checksum goes out wrong.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from ingest.astm import link
from ingest.astm.receiver import ACK
from ingest.files import Found, messages
from ingest.hl7 import mllp
from ingest.hl7.codec import NotHl7
from ingest.hl7.codec import parse as parse_hl7

_TAKEN = frozenset({"AA", "CA"})
_MLLP = re.compile(rb"\x0b.*?\x1c\r", re.DOTALL)
_ASTM = re.compile(rb"\x05|\x04|\x02[^\x02\x03\x17]*[\x03\x17](?:[0-9A-Fa-f]{2})?(?:\r\n?|\n)?")
_NAMES = {b"\x06": "ACK", b"\x15": "NAK", b"\x05": "ENQ", b"\x04": "EOT", b"": "no answer"}


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back for one message or transmission, and whether it was taken."""

    answer: str
    taken: bool


def replay(data: bytes, line: socket.socket, *, unframed: bool = False) -> Iterator[Answered]:
    """Send everything in the capture; one answer a message (HL7) or transmission (ASTM). Raises `OSError`."""
    answers = _answers(data, line, unframed)
    first = next(answers, Answered("nothing to send: no whole frame in it", False))
    yield first
    yield from answers


def _answers(data: bytes, line: socket.socket, unframed: bool) -> Iterator[Answered]:
    if mllp.START in data:
        yield from (_in_mllp(frame[0], line) for frame in _MLLP.finditer(data))
    elif link.STX in data:
        yield from (_in_frames(transmission, line) for transmission in _transmissions(data))
    elif unframed:
        yield _raw(data, line)
    else:
        yield from (_bare(found, line) for found in messages(data))


def _bare(found: Found, line: socket.socket) -> Answered:
    if found.format == "hl7":
        return _in_mllp(mllp.framed(found.body), line)
    if found.format == "astm":
        return _in_frames([link.ENQ, *link.framed(found.body), link.EOT], line)
    return Answered("nothing to send: no message in it", False)


def _in_mllp(frame: bytes, line: socket.socket) -> Answered:
    """MSA-1 and MSA-3 of the answer."""
    line.sendall(frame)
    framer, heard = mllp.Framer(), list[mllp.Frame]()
    while not heard:
        data = _received(line, 65_536)
        if not data:
            return Answered("no answer", False)
        heard = framer.feed(data)
    try:
        answer = next((segment for segment in parse_hl7(heard[0].body).segments if segment.name == "MSA"), None)
    except NotHl7:
        answer = None
    if answer is None:
        return Answered("an answer without MSA", False)
    code = answer.get(1) or ""
    return Answered(" ".join(part for part in (code, answer.get(3)) if part), code in _TAKEN)


def _transmissions(data: bytes) -> Iterator[list[bytes]]:
    """ENQ, frames as they were captured, EOT; a capture of frames alone so gets the ENQ and EOT that it lacks."""
    frames: list[bytes] = []
    for token in (found[0] for found in _ASTM.finditer(data)):
        if token in (link.ENQ, link.EOT):
            if frames:
                yield [link.ENQ, *frames, link.EOT]
            frames = []
        else:
            frames.append(token)
    if frames:
        yield [link.ENQ, *frames, link.EOT]


def _in_frames(transmission: list[bytes], line: socket.socket) -> Answered:
    """The first answer that is not ACK ends it; a captured frame is never sent twice."""
    *asked, end = transmission
    for place, token in enumerate(asked):
        line.sendall(token)
        answer = _received(line, 1)
        if answer != ACK:
            line.sendall(end)
            what = "ENQ" if token == link.ENQ else f"frame {place} of {len(asked) - 1}"
            return Answered(f"{_NAMES.get(answer, repr(answer))} to {what}", False)
    line.sendall(end)
    return Answered(f"ACK to {len(asked) - 1} frames", True)


def _raw(data: bytes, line: socket.socket) -> Answered:
    line.sendall(data)
    answer = _received(line, 1)
    return Answered(_NAMES.get(answer, repr(answer)), answer == ACK)


def _received(line: socket.socket, most: int) -> bytes:
    """Nothing after the line's timeout, or when the other side hung up."""
    try:
        return line.recv(most)
    except TimeoutError:
        return b""
