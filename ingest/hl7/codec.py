"""HL7 v2 tokens: a body of bytes becomes segments, fields, repetitions, components and subcomponents.

Nothing is split before it is read, and nothing is judged: meaning is the profile's business (`ingest/instruments`).
HL7 v2.5.1 chapter 2: delimiters 2.5.4, escape sequences 2.7, character sets MSH-18 (table 0211).
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from functools import lru_cache

HEADER_BYTES = 4096
_SEGMENT_END = re.compile("\r\n?|\n")
_LINE_END = re.compile(rb"[\r\n]")
_UTF8_BOM = codecs.BOM_UTF8
_UTF16_BOMS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_CHARSETS = {
    "UNICODE UTF-8": "utf-8",
    "UNICODE": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "GB 18030-2000": "gb18030",
    **{f"8859/{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
}


class NotHl7(ValueError):
    """The bytes do not begin with a usable MSH segment; the reason names no content."""


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The separators as MSH-1 and MSH-2 declare them; one that is not declared is an empty string."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"

    def all(self) -> tuple[str, str, str, str]:
        """The four of MSH-2, in HL7's order."""
        return self.component, self.repetition, self.escape, self.subcomponent

    @property
    def declared(self) -> str:
        """MSH-2 as it would be sent."""
        return "".join(self.all())


STANDARD = Delimiters()


class Encoding:
    """How one message is written: its delimiters, and what follows from them for every segment."""

    __slots__ = ("charset", "delimiters", "marks", "special")

    def __init__(self, delimiters: Delimiters, charset: str) -> None:
        self.delimiters = delimiters
        self.charset = charset
        self.special = frozenset(delimiters.declared + '"')
        self.marks = tuple(mark or '"' for mark in delimiters.all())


class Segment:
    """One segment, split into fields when first asked. Field numbers are HL7's own (MSH-1 is the field separator)."""

    __slots__ = ("_encoding", "_fields", "name", "text")

    def __init__(self, text: str, encoding: Encoding) -> None:
        self.text = text
        self.name = text[:3]
        self._encoding = encoding
        self._fields: list[str] | None = None

    @property
    def fields(self) -> list[str]:
        """The fields as sent, escapes and repetitions untouched; index 0 is the segment's name."""
        if self._fields is None:
            separator = self._encoding.delimiters.field
            self._fields = self.text.split(separator)
            if self.name == "MSH":
                self._fields.insert(1, separator)
        return self._fields

    @property
    def is_plain(self) -> bool:
        """Whether every field is one value as it stands: nothing to split further, to unescape or to delete."""
        component, repetition, escape, subcomponent = self._encoding.marks
        text = self.text
        return not (component in text or repetition in text or escape in text or subcomponent in text or '"' in text)

    def raw(self, field: int) -> str:
        """A field as sent, or an empty string."""
        fields = self.fields
        return fields[field] if field < len(fields) else ""

    def get(self, field: int, component: int = 1, repetition: int = 1, subcomponent: int = 1) -> str | None:
        """One value, unescaped. `None`: nothing sent (no change); `""`: the sender says delete (HL7's two quotes)."""
        fields = self.fields
        if field >= len(fields):
            return None
        text = fields[field]
        if self._encoding.special.isdisjoint(text):
            return text or None if component == repetition == subcomponent == 1 else None
        return self._dig(text, component, repetition, subcomponent)

    def repetitions(self, field: int) -> list[str]:
        """The first component of every repetition that has one, unescaped."""
        text = self.raw(field)
        if not text or self._encoding.special.isdisjoint(text):
            return [text] if text else []
        count = len(_split(text, self._encoding.delimiters.repetition))
        values = (self.get(field, repetition=number) for number in range(1, count + 1))
        return [value for value in values if value]

    def components(self, field: int, repetition: int = 1) -> list[str]:
        """All components of one repetition, each in its first subcomponent, unescaped; an absent one is empty."""
        marks = self._encoding.delimiters
        text = _nth(self.raw(field), marks.repetition, repetition)
        parts = _split(text, marks.component) if text else []
        return [part and (self._value(_nth(part, marks.subcomponent, 1)) or "") for part in parts]

    def plain(self, field: int) -> str:
        """The whole field as one text: escapes resolved, its delimiters left as they were sent."""
        return unescape(self.raw(field), self._encoding.delimiters, self._encoding.charset)

    def _dig(self, text: str, component: int, repetition: int, subcomponent: int) -> str | None:
        if self.name == "MSH" and text is self.fields[2]:
            return text if component == repetition == subcomponent == 1 else None
        marks = self._encoding.delimiters
        for separator, number in (
            (marks.repetition, repetition),
            (marks.component, component),
            (marks.subcomponent, subcomponent),
        ):
            text = _nth(text, separator, number)
        return self._value(text)

    def _value(self, text: str) -> str | None:
        if text == '""':
            return ""
        return unescape(text, self._encoding.delimiters, self._encoding.charset) or None


class Er7Message:
    """A message in HL7's pipe ("ER7") encoding: its text, and segments that know where their bytes lie."""

    __slots__ = ("_begins", "_offset", "_segments", "body", "encoding", "text")

    def __init__(self, body: bytes, text: str, offset: int, encoding: Encoding) -> None:
        self.body = body
        self.text = text
        self.encoding = encoding
        self._offset = offset
        self._segments: list[Segment] | None = None
        self._begins: list[int] = []

    @property
    def segments(self) -> list[Segment]:
        """Every segment that is not empty, in order."""
        if self._segments is None:
            self._segments = self._split()
        return self._segments

    @property
    def header(self) -> Segment:
        """MSH, without splitting the rest."""
        if self._segments is not None:
            return self._segments[0]
        return Segment(_SEGMENT_END.split(self.text, maxsplit=1)[0], self.encoding)

    def starts(self) -> list[int]:
        """For every segment, the number of its first byte in `body`."""
        begins = self._begins if self.segments else []
        charset = self.encoding.charset
        if self.text.isascii() and not charset.startswith("utf-16"):
            return [self._offset + begin for begin in begins]
        return [min(self._offset + len(self.text[:begin].encode(charset)), len(self.body)) for begin in begins]

    def _split(self) -> list[Segment]:
        encoding, begins, begin = self.encoding, self._begins, 0
        segments = []
        pieces = _pieces(self.text) if "\n" in self.text else [(piece, 1) for piece in self.text.split("\r")]
        for piece, end in pieces:
            if piece and not piece.isspace():
                begins.append(begin)
                segments.append(Segment(piece, encoding))
            begin += len(piece) + end
        return segments


def parse(body: bytes) -> Er7Message:
    """Read a message, given without its MLLP frame. Raises `NotHl7` when it has no usable MSH."""
    offset = len(_UTF8_BOM) if body.startswith(_UTF8_BOM) else 0
    wide = _UTF16_BOMS.get(body[:2])
    if wide:
        text, charset, offset = body[2:].decode(wide, "replace"), wide, 2
    else:
        charset = charset_of(body[offset:])
        text, charset = _decode(body[offset:], charset)
    stripped = text.lstrip("\r\n\t \0")
    offset += len(text[: len(text) - len(stripped)].encode(charset))
    return Er7Message(body, stripped, offset, _encoding(_delimiters(stripped), charset))


def charset_of(body: bytes) -> str:
    """The Python codec that MSH-18 asks for; UTF-8 when it says nothing, ASCII, or something unknown."""
    head = body[:HEADER_BYTES].lstrip(b"\r\n\t \0")
    if not head.startswith(b"MSH") or len(head) < 9:
        return "utf-8"
    fields = _LINE_END.split(head, maxsplit=1)[0].split(head[3:4], 18)
    declared = fields[17].decode("latin-1").split("~")[0].strip().upper() if len(fields) > 17 else ""
    return _CHARSETS.get(declared, "utf-8")


def unescape(text: str, delimiters: Delimiters, charset: str = "utf-8") -> str:
    """Resolve escape sequences; one that is unknown or not closed stays as it was sent."""
    mark = delimiters.escape
    if not mark or mark not in text:
        return text
    return _escapes(mark).sub(lambda found: _resolve(found, delimiters, charset), text)


def escape(text: str, delimiters: Delimiters) -> str:
    """Make any text safe to stand inside a field; line ends become `\\.br\\`."""
    mark = delimiters.escape
    if not mark:
        return text
    table = {ord(separator): f"{mark}{letter}{mark}" for letter, separator in _letters(delimiters).items() if separator}
    return _SEGMENT_END.sub("\n", text).translate({**table, ord("\n"): f"{mark}.br{mark}"})


def _pieces(text: str) -> list[tuple[str, int]]:
    """Segment texts, each with the length of the line end after it."""
    found, start = [], 0
    for end in _SEGMENT_END.finditer(text):
        found.append((text[start : end.start()], end.end() - end.start()))
        start = end.end()
    return [*found, (text[start:], 0)]


def _delimiters(text: str) -> Delimiters:
    if not text.startswith("MSH") or len(text) < 5:
        raise NotHl7("no MSH segment")
    separator = text[3]
    declared = _SEGMENT_END.split(text[4:20], maxsplit=1)[0].split(separator)[0][:5]
    return _checked(separator, declared)


@lru_cache(maxsize=64)
def _checked(separator: str, declared: str) -> Delimiters:
    every = separator + declared
    if not declared or any(mark.isalnum() or mark.isspace() or mark == '"' for mark in every):
        raise NotHl7("MSH-1 and MSH-2 declare no usable delimiters")
    if len(set(every)) != len(every):
        raise NotHl7("MSH-1 and MSH-2 declare one delimiter twice")
    marks = [*declared[:4], "", "", ""]
    return Delimiters(separator, *marks[:4])


@lru_cache(maxsize=64)
def _encoding(delimiters: Delimiters, charset: str) -> Encoding:
    return Encoding(delimiters, charset)


def _decode(body: bytes, charset: str) -> tuple[str, str]:
    """The text and the codec that gave it: as declared, else UTF-8, else Latin-1, which takes any bytes."""
    for name in (charset, "utf-8"):
        try:
            return body.decode(name), name
        except UnicodeDecodeError:
            continue
    return body.decode("latin-1"), "latin-1"


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else [text]


def _nth(text: str, separator: str, number: int) -> str:
    if not separator or separator not in text:
        return text if number == 1 else ""
    parts = text.split(separator)
    return parts[number - 1] if number <= len(parts) else ""


def _letters(delimiters: Delimiters) -> dict[str, str]:
    return {
        "F": delimiters.field,
        "S": delimiters.component,
        "T": delimiters.subcomponent,
        "R": delimiters.repetition,
        "E": delimiters.escape,
    }


@lru_cache(maxsize=64)
def _escapes(mark: str) -> re.Pattern[str]:
    quoted = re.escape(mark)
    return re.compile(f"{quoted}([^{quoted}]*){quoted}")


def _resolve(found: re.Match[str], delimiters: Delimiters, charset: str) -> str:
    code = found[1]
    if code in {".br", ".sp"}:
        return "\n"
    if code in {"H", "N"}:
        return ""
    if code[:1] == "X":
        return _bytes(code[1:], charset) or found[0]
    return _letters(delimiters).get(code) or found[0]


def _bytes(digits: str, charset: str) -> str:
    try:
        return bytes.fromhex(digits).decode(charset, "replace")
    except ValueError:
        return ""
