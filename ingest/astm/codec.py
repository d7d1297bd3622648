"""ASTM E1394 tokens: a message becomes records, fields, repeats and components.

Nothing is judged: meaning is the profile's business. Delimiters are what the header declares (LIS02-A2 6.4.4): of two
analysers one writes `H|\\^&`, another `H|@^\\|`. Positions are the standard's own: 1 is the record's type.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_RECORD_END = re.compile("\r\n?|\n")
_HEX = re.compile(r"X((?:[0-9A-Fa-f]{2})+)")


class NotAstm(ValueError):
    """The text does not begin with a usable header record; the reason names no content."""


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The four of the header, all different."""

    field: str = "|"
    repeat: str = "\\"
    component: str = "^"
    escape: str = "&"

    def unescaped(self, text: str) -> str:
        """Escape sequences become what they stand for (LIS02-A2 6.4.6); what is none of them stays as it was sent."""
        if self.escape not in text:
            return text
        known = {"F": self.field, "S": self.component, "R": self.repeat, "E": self.escape}
        read, position = [], 0
        while (start := text.find(self.escape, position)) >= 0:
            end = text.find(self.escape, start + 1)
            code = text[start + 1 : end] if end > start else ""
            meaning = known.get(code) or _from_hex(code)
            if meaning is None:
                read.append(text[position : start + 1])
                position = start + 1
            else:
                read.append(text[position:start] + meaning)
                position = end + 1
        return "".join(read) + text[position:]

    def escaped(self, text: str) -> str:
        """Text in which no delimiter is taken for one."""
        codes = {self.field: "F", self.component: "S", self.repeat: "R", self.escape: "E"}
        return "".join(
            f"{self.escape}{codes[character]}{self.escape}" if character in codes else character for character in text
        )


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a message. `text` is as it was sent, without its end."""

    text: str
    delimiters: Delimiters

    @property
    def type(self) -> str:
        """H, P, O, R, C, M, Q, S or L; another letter is a maker's own."""
        return self.text[:1]

    def field(self, position: int) -> str:
        """A field as it was sent, escapes and repeats untouched; empty beyond the last. 1 is the record's type."""
        fields = self._header() if self.type == "H" else self.text.split(self.delimiters.field)
        return fields[position - 1] if 0 < position <= len(fields) else ""

    def _header(self) -> list[str]:
        """Its second field holds delimiters, which split nothing there."""
        end = self.text.find(self.delimiters.field, 5)
        if end < 0:
            return ["H", self.text[2:]]
        return ["H", self.text[2:end], *self.text[end + 1 :].split(self.delimiters.field)]

    def repeats(self, position: int) -> list[str]:
        """The repeats of a field as they were sent; none of an empty field."""
        field = self.field(position)
        return field.split(self.delimiters.repeat) if field else []

    def get(self, position: int, component: int = 1, repeat: int = 1) -> str | None:
        """One component with its escapes read; None where nothing was sent."""
        repeats = self.repeats(position)
        if not 0 < repeat <= len(repeats):
            return None
        components = repeats[repeat - 1].split(self.delimiters.component)
        return (
            self.delimiters.unescaped(components[component - 1]) or None if 0 < component <= len(components) else None
        )

    def components(self, position: int) -> list[str]:
        """All components of a field's first repeat, their escapes read; an absent one is empty."""
        (first, *_) = self.repeats(position) or [""]
        return [self.delimiters.unescaped(part) for part in first.split(self.delimiters.component)] if first else []


def parse(text: str) -> tuple[Record, ...]:
    """The records of one message in their order; `NotAstm` unless it begins with a header.

    Records end with CR; what was saved by a program may have LF or CR LF instead. Empty lines are no records.
    """
    lines = [line for line in _RECORD_END.split(text) if line]
    if not lines or not lines[0].startswith("H"):
        raise NotAstm("it does not begin with a header record")
    delimiters = _delimiters(lines[0])
    return tuple(Record(line, delimiters) for line in lines)


def _delimiters(header: str) -> Delimiters:
    declared = header[1:5]
    if len(declared) < 4 or len(set(declared)) < 4 or any(mark.isalnum() or mark.isspace() for mark in declared):
        raise NotAstm("its header declares no four different delimiters")
    return Delimiters(*declared)


def _from_hex(code: str) -> str | None:
    found = _HEX.fullmatch(code)
    return bytes.fromhex(found[1]).decode("latin-1") if found else None
