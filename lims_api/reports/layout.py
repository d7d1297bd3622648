"""What a report says, as plain values and texts. No database, no clock, no markup: everything printed is decided here.

Content follows ISO 15189:2022 7.4.1.6 (report content), 7.4.1.7 (additional information) and 7.4.1.8 (amendments).
"""

import unicodedata
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any

IST = timezone(timedelta(hours=5, minutes=30), "IST")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
EN_DASH = "\u2013"
ZERO_WIDTH_SPACE = "\u200b"
NOT_ESTABLISHED = "Not established"
LONGEST_WORD = 24
COLUMNS = {"value": 12, "unit": 8, "interval": 15, "previous": 12}  # characters that a column of the table holds
DIRECTION_MARKS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c")
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

    `previous` is the patient's last value with its date (`previous_text`); `corrected_from` is what the earlier
    version of this report said.
    """

    test: str
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
    amendment_reason: str = ""
    supersedes: str = ""
    notes: tuple[str, ...] = ()
    verification: str = ""


def moment_text(moment: datetime | None) -> str:
    """An instant as the laboratory's calendar and clock say it, `24-Nov-2026 14:05 IST`; empty when not known.

    Raises ValueError for a naive datetime: it names no instant.
    """
    if moment is None:
        return ""
    if moment.tzinfo is None:
        raise ValueError("A printed time needs a timezone.")
    local = moment.astimezone(IST)
    return f"{local.day:02d}-{MONTHS[local.month - 1]}-{local.year:04d} {local.hour:02d}:{local.minute:02d} IST"


def date_text(moment: datetime | None) -> str:
    """The laboratory's calendar day of an instant, `24-Nov-2026`."""
    return moment_text(moment).partition(" ")[0]


def number_text(value: float | Decimal, decimals: int) -> str:
    """A number with the decimals of its test's definition, half up, ASCII digits, dot, never `-0`.

    A float is read by its shortest decimal form, so that 0.125 and "0.125" round alike.
    Raises ValueError unless finite.
    """
    number = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    if not number.is_finite():
        raise ValueError("A printed result must be a finite number.")
    rounded = number.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    return f"{abs(rounded) if rounded.is_zero() else rounded:f}"


def value_text(value: float | Decimal | None, *, comparator: str | None, decimals: int, received: str) -> str:
    """The printed result: the comparator is kept (`<0.10`); without a number, the text the analyser sent."""
    if value is None:
        return received
    return f"{comparator or ''}{number_text(value, decimals)}"


def interval_text(low: float | Decimal | None, high: float | Decimal | None, decimals: int) -> str:
    """A reference interval, `70 - 99` with an en dash, `up to 40`, `from 60`, or that none is established."""
    if low is not None and high is not None:
        return f"{number_text(low, decimals)} {EN_DASH} {number_text(high, decimals)}"
    if high is not None:
        return f"up to {number_text(high, decimals)}"
    return NOT_ESTABLISHED if low is None else f"from {number_text(low, decimals)}"


def age_text(age_days: int | None) -> str:
    """Age as a clinician reads it: days to four weeks, months to two years, then years; empty when not known."""
    if age_days is None:
        return ""
    if age_days < 28:
        return f"{age_days} d"
    if age_days < 731:
        return f"{int(age_days / 30.4375)} mo"
    return f"{int(age_days / 365.25)} y"


def sex_text(sex: str | None) -> str:
    """The administrative sex as printed."""
    return sex.capitalize() if sex else "Not stated"


def previous_text(value: str, moment: datetime) -> dict[str, str]:
    """The two fields of a `Line` that hold the earlier value of the same test: `Line(..., **previous_text(...))`."""
    return {"previous": value, "previous_on": date_text(moment)}


def release_statement(name: str, *, is_automatic: bool) -> str:
    """Who released, and how: an automatic release names the person whose standing authorisation covers it."""
    if is_automatic:
        return f"Released automatically under the standing authorisation of {name}"
    return f"Examined and authorised by {name}"


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
    }


def _printed_group(group: Group, marks: list[str]) -> dict[str, Any]:
    lines = [
        {
            **_texts(asdict(line)),
            "is_abnormal": line.is_abnormal,
            "marks": [marks.index(mark) + 1 for mark in line.marks],
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
    return [word[at : at + longest] for at in range(0, len(word), longest)]


def _is_control(character: str) -> bool:
    """Cc, and of Cf the marks of direction; the joiners that Indic scripts are written with stay."""
    return unicodedata.category(character) == "Cc" or character in DIRECTION_MARKS
