"""What a report says, as plain values and texts. No database, no clock, no markup: everything printed is decided here.

Content follows ISO 15189:2022 7.4.1.6 (report content), 7.4.1.7 (additional information) and 7.4.1.8 (amendments).
"""

import unicodedata
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from lims_api.core.i18n import Language, words

ZERO_WIDTH_SPACE = "\u200b"
LONGEST_WORD = 24
COLUMNS = {"value": 12, "unit": 8, "interval": 15, "previous": 12}  # characters that a column of the table holds
DIRECTION_MARKS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c")
VIRAMA = 9  # its canonical combining class, in every Indic script
JOINERS = frozenset("\u200c\u200d")
OWN_FORM = frozenset({"groups", "issued_at", "verification"})  # not printed as they are


class ReportStatus(StrEnum):
    """A report is issued once as final; every later version is an amended report (7.4.1.8)."""

    FINAL = "final"
    AMENDED = "amended"


@dataclass(frozen=True, kw_only=True)
class Laboratory:
    """Who examined (7.4.1.6 b). `accreditation` is the line of the certificate, empty when nothing is in scope."""

    name: str
    address: str
    contact: str = ""
    accreditation: str = ""


@dataclass(frozen=True, kw_only=True)
class Patient:
    """Who was examined (7.4.1.6 d): printed on every page."""

    name: str
    uhid: str
    age: str
    sex: str


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """What was examined and when it was taken (7.4.1.6 f and g). Times are texts made by `moment_text`."""

    accession_number: str
    specimen_type: str
    collected: str
    received: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """One result as printed. `flag` is L, H, LL, HH, N or None; `marks` become numbered notes below the results.

    `in_english` is the test's English name, below a translated one; `previous` is the patient's last value with its
    date (`previous_text`); `corrected_from` is what the earlier version of this report said.
    """

    test: str
    in_english: str = ""
    value: str
    unit: str
    interval: str
    method: str = ""
    flag: str | None = None
    is_critical: bool = False
    previous: str = ""
    previous_on: str = ""
    corrected_from: str = ""
    comment: str = ""
    marks: tuple[str, ...] = ()

    @property
    def is_abnormal(self) -> bool:
        """Outside its reference interval or critical: printed bold."""
        return self.is_critical or self.flag in {"L", "H", "LL", "HH", "A"}


@dataclass(frozen=True, kw_only=True)
class Group:
    """The results of one discipline from one specimen."""

    title: str
    specimen: Specimen
    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True)
class Signatory:
    """Who answers for the release (7.4.1.6 l). `statement` is made by `release_statement`."""

    name: str
    registration: str
    statement: str


@dataclass(frozen=True, kw_only=True)
class ReportContent:
    """One version of one report. `issued_at` dates the file itself; `reported` is the same moment as text."""

    laboratory: Laboratory
    report_number: str
    version: int
    status: ReportStatus
    patient: Patient
    referring_doctor: str
    order_number: str
    reported: str
    issued_at: datetime
    groups: tuple[Group, ...]
    signatories: tuple[Signatory, ...]
    is_example: bool
    language: Language = Language.ENGLISH
    amendment_reason: str = ""
    supersedes: str = ""
    notes: tuple[str, ...] = ()
    verification: str = ""


def breakable(text: str, longest: int = LONGEST_WORD) -> str:
    """Words longer than `longest` get invisible break points, so that nothing runs over its neighbour.

    Control characters and marks that turn the direction of writing are taken out: they could show a value as another.
    """
    visible = "".join(character for character in text if character.isspace() or not _is_control(character))
    return " ".join(ZERO_WIDTH_SPACE.join(_pieces(word, longest)) for word in visible.split())


def printed(content: ReportContent) -> dict[str, Any]:
    """The content as the template reads it: JSON values only, marks numbered, abnormal lines told apart."""
    lines = [line for group in content.groups for line in group.lines]
    marks = list(dict.fromkeys(mark for line in lines for mark in line.marks))
    specimens = list(dict.fromkeys(group.specimen for group in content.groups))
    return {
        **_texts({name: value for name, value in asdict(content).items() if name not in OWN_FORM}),
        "groups": [_printed_group(group, marks) for group in content.groups],
        "specimens": [_texts(asdict(specimen)) for specimen in specimens],
        "marks": _texts(marks),
        "has_flags": any(line.is_abnormal for line in lines),
        "has_critical": any(line.is_critical for line in lines),
        "words": dict(words(content.language).texts),
    }


def _printed_group(group: Group, marks: list[str]) -> dict[str, Any]:
    lines = [
        {
            **_texts(asdict(line)),
            "is_abnormal": line.is_abnormal,
            "marks": sorted(marks.index(mark) + 1 for mark in line.marks),
        }
        for line in group.lines
    ]
    return {"title": breakable(group.title), "specimen": _texts(asdict(group.specimen)), "lines": lines}


def _texts(values: Any, longest: int = LONGEST_WORD) -> Any:
    """Every text of a nested value made breakable for the column that it stands in."""
    if isinstance(values, str):
        return breakable(values, longest)
    if isinstance(values, dict):
        return {name: _texts(value, COLUMNS.get(name, LONGEST_WORD)) for name, value in values.items()}
    return [_texts(value) for value in values] if isinstance(values, (list, tuple)) else values


def _pieces(word: str, longest: int) -> list[str]:
    pieces = []
    while len(word) > longest:
        cut = next((at for at in range(longest, 0, -1) if _may_part(word[at - 1], word[at])), longest)
        pieces.append(word[:cut])
        word = word[cut:]
    return [*pieces, word]


def _may_part(before: str, after: str) -> bool:
    """Not between a letter and the signs that shape it: a vowel sign, a virama and what it joins, a joiner."""
    is_joined = unicodedata.combining(before) == VIRAMA or not JOINERS.isdisjoint((before, after))
    return not is_joined and not unicodedata.category(after).startswith("M")


def _is_control(character: str) -> bool:
    """Cc, and of Cf the marks of direction; the joiners that Indic scripts are written with stay."""
    return unicodedata.category(character) == "Cc" or character in DIRECTION_MARKS
