"""What a file holds of an analyser's messages: HL7 or ASTM, framed or bare, one or many, told by its bytes.

Every message is found, also where it cannot be read; a file without any gives one finding that says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ingest.astm import link
from ingest.hl7 import mllp

NO_MESSAGE = "no message in it"
_HEX_DUMP = re.compile(rb"\s*(?:[0-9A-Fa-f]{2}\s*){4,}")
_NAMED = {
    b"STX": 0x02, b"ETX": 0x03, b"EOT": 0x04, b"ENQ": 0x05, b"ACK": 0x06, b"LF": 0x0A, b"VT": 0x0B, b"SB": 0x0B,
    b"CR": 0x0D, b"NAK": 0x15, b"ETB": 0x17, b"FS": 0x1C, b"EB": 0x1C,
}  # fmt: skip
_NAME = re.compile(rb"[<\[](" + b"|".join(_NAMED) + rb")[>\]]")
_COMMENT = re.compile(rb"^#[^\r\n]*(?:\r\n?|\n|\Z)", re.MULTILINE)
_LINE_START = rb"(?:\A|(?<=[\r\n]))"
_MSH = re.compile(_LINE_START + rb"MSH")
_BATCH = re.compile(_LINE_START + rb"(?:FHS|BHS|BTS|FTS)[^\r\n]*(?:\r\n?|\n|\Z)")
_HEADER = re.compile(_LINE_START + rb"H[^\w\s]{4}")
_BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True, slots=True)
class Found:
    """One message's bytes out of their frames. `faults` are those of the frames; `format` is None for none at all."""

    format: str | None
    body: bytes
    faults: tuple[str, ...] = ()


def messages(data: bytes) -> list[Found]:
    """Every message of a file, in order."""
    data = _transcribed(_in_utf8(data))
    return list(_reading(data)(data)) or [Found(None, data, (NO_MESSAGE,))]


def _reading(data: bytes) -> Callable[[bytes], Iterator[Found]]:
    """How these bytes are to be taken apart."""
    if mllp.START in data:
        return _in_mllp
    if link.STX in data:
        return _in_frames
    return _bare_hl7 if _MSH.search(data) else _bare_astm


def _in_utf8(data: bytes) -> bytes:
    """Without a byte order mark, which a program put there when it saved the file."""
    for mark, codec in _BOMS.items():
        if data.startswith(mark):
            return data.decode(codec, "replace").encode()
    return data


def _transcribed(data: bytes) -> bytes:
    """The bytes that a transcript means: `#` comments out, `<STX>` and hexadecimal digits read."""
    if data.lstrip().startswith(b"#"):
        data = _COMMENT.sub(b"", data.lstrip())
    if _HEX_DUMP.fullmatch(data):
        return bytes.fromhex(data.decode("ascii"))
    if _NAME.search(data) and not any(mark in data for mark in (link.STX, mllp.START)):
        bare = re.sub(rb"[\r\n]+", b"", data) if b"<CR>" in data or b"[CR]" in data else data
        return _NAME.sub(lambda name: bytes([_NAMED[name[1]]]), bare)
    return data


def _in_mllp(data: bytes) -> Iterator[Found]:
    """Frame by frame. One that has no end is a message that was cut off."""
    for piece in data.split(mllp.START)[1:]:
        body, end, _ = piece.partition(mllp.END)
        faults = () if end else ("its MLLP frame has no end",)
        starts = [match.start() for match in _MSH.finditer(body)]
        if len(starts) < 2:
            yield Found("hl7", body, faults)
            continue
        for part in _cut(body, starts):
            yield Found("hl7", part, faults)


def _in_frames(data: bytes) -> Iterator[Found]:
    for transmission in link.unframed(data):
        starts = [match.start() for match in _HEADER.finditer(transmission.body)]
        if len(starts) < 2:
            yield Found("astm", transmission.body, transmission.faults)
            continue
        for part in _cut(transmission.body, starts):
            yield Found("astm", part, transmission.faults)


def _bare_hl7(data: bytes) -> Iterator[Found]:
    bare = _BATCH.sub(b"", data)
    for part in _cut(bare, [match.start() for match in _MSH.finditer(bare)]):
        yield Found("hl7", part)


def _bare_astm(data: bytes) -> Iterator[Found]:
    bare = data.translate(None, link.ENQ + link.EOT)
    for part in _cut(bare, [match.start() for match in _HEADER.finditer(bare)]):
        yield Found("astm", part)


def _cut(data: bytes, starts: Sequence[int]) -> list[bytes]:
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=False)]
