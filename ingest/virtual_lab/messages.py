"""What the virtual analyser says, in HL7 2.3.1 as a Mindray BS writes it (`ingest/instruments/mindray_bs.toml`).

Written without the gateway's own codec, so that one fault cannot hide in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ingest.virtual_lab.controls import INDIA
from ingest.virtual_lab.patients import Person

MAKER = "Mindray"
MODEL = "BS-480"
MOST_RESULTS = 10
PATIENT, CONTROL = "0", "2"
SEX_CODES = {"male": "M", "female": "F", "other": "O"}
BIRTH_FORMATS = {"day": "%Y%m%d", "month": "%Y%m", "year": "%Y"}
ESCAPES = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\r": " ", "\n": " "})


@dataclass(frozen=True, kw_only=True)
class SentResult:
    """One OBX: the analyser's code and the value as text, e.g. '0.90' or '>750'."""

    code: str
    name: str
    text: str
    unit: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PatientMessage:
    """The results of one specimen, at most ten; `stated` is who the analyser believes it is from."""

    specimen: str
    own_number: int
    stated: Person
    results: tuple[SentResult, ...]
    observed_at: datetime

    def segments(self) -> list[str]:
        """PID, OBR and the OBX."""
        observed = stamp(self.observed_at)
        return [
            _fields("PID", 1, "", escaped(self.stated.uhid), "", _name(self.stated.name), "", _birth(self.stated),
                    SEX_CODES.get(self.stated.sex, "")),
            _fields("OBR", 1, escaped(self.specimen), self.own_number, f"{MAKER}^{MODEL}", "", "", observed),
            *(_observation(place, result, observed) for place, result in enumerate(self.results, start=1)),
        ]  # fmt: skip

    kind = PATIENT


@dataclass(frozen=True, kw_only=True)
class ControlMessage:
    """One value of one level of a control; a Mindray BS sends no OBX for it, everything stands in the OBR."""

    material: str
    lot_number: str
    level: int
    code: str
    name: str
    text: str
    unit: str
    mean: float
    sd: float
    observed_at: datetime

    def segments(self) -> list[str]:
        """The OBR: code 2, name 3, time 7, material 13, lot 14, level 17, mean 18, sd 19, value 20, unit 21."""
        head = ("OBR", 1, self.code, escaped(self.name), f"{MAKER}^{MODEL}", "", "", stamp(self.observed_at))
        about = (escaped(self.material), escaped(self.lot_number), "", "", self.level, f"{self.mean:g}", f"{self.sd:g}")
        return [_fields(*head, *[""] * 5, *about, self.text, escaped(self.unit))]

    kind = CONTROL


class Sendable(Protocol):
    """Anything the analyser can say: its MSH-16 and the segments after MSH."""

    @property
    def kind(self) -> str:
        """MSH-16."""

    def segments(self) -> list[str]:
        """The segments after MSH."""


def rendered(message: Sendable, *, control_id: int, sent_at: datetime) -> bytes:
    """The bytes of one transmission, without the MLLP frame."""
    body = message.segments()
    charset = "ASCII" if all(segment.isascii() for segment in body) else "UNICODE UTF-8"
    header = _fields("MSH", "^~\\&", MAKER, MODEL, "", "", stamp(sent_at), "", "ORU^R01", control_id, "P", "2.3.1",
                     "", "", "", message.kind, "", charset)  # fmt: skip
    return "".join(f"{segment}\r" for segment in [header, *body]).encode("utf-8")


def stamp(moment: datetime) -> str:
    """An instant as the analyser writes it: its own, Indian, clock without an offset."""
    return moment.astimezone(INDIA).strftime("%Y%m%d%H%M%S")


def escaped(text: str) -> str:
    """Text that cannot be mistaken for a separator."""
    return text.translate(ESCAPES)


def _fields(*values: object) -> str:
    return "|".join(str(value) for value in values).rstrip("|")


def _name(name: str) -> str:
    *given, last = name.split()
    return escaped(last) + (f"^{escaped(' '.join(given))}" if given else "")


def _birth(person: Person) -> str:
    return person.birth_on.strftime(BIRTH_FORMATS[person.birth_precision])


def _observation(place: int, result: SentResult, observed: str) -> str:
    flags = "~".join(escaped(flag) for flag in result.flags)
    return _fields("OBX", place, "NM", escaped(result.code), escaped(result.name), escaped(result.text),
                   escaped(result.unit), "", flags, "", "", "F", "", "", observed)  # fmt: skip
