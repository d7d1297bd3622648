"""What the virtual analysers say in ASTM E1394: as a Sysmex XN writes it, or as the standard says.

Written without the gateway's own codec, so that one fault cannot hide in both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ingest.virtual_lab.messages import (
    BIRTH_FORMATS,
    SEX_CODES,
    ControlMessage,
    PatientMessage,
    Sendable,
    SentResult,
    stamp,
)

Order = tuple[str, str, tuple[SentResult, ...], datetime]
"""Specimen id, action code (N normal, Q control), results, and when they were measured."""
ESCAPES = {"&": "&E&", "|": "&F&", "^": "&S&", "\\": "&R&"}
SPECIMEN_WIDTH = 22


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How one model writes its records; `frame_text` is how many bytes of them it puts into a frame."""

    header: Callable[[datetime], str]
    patient: Callable[[PatientMessage], str]
    order: Callable[[Order], str]
    test: Callable[[str], str]
    frame_text: int


def rendered(message: Sendable, dialect: Dialect, *, sent_at: datetime) -> bytes:
    """The records of one message, each ended by CR."""
    patient = dialect.patient(message) if isinstance(message, PatientMessage) else "P|1"
    order = _order(message)
    results = [_result(place, each, dialect, order[3]) for place, each in enumerate(order[2], start=1)]
    records = [dialect.header(sent_at), patient, dialect.order(order), *results, "L|1|N"]
    return "".join(f"{record}\r" for record in records).encode("utf-8")


def escaped(text: str) -> str:
    """Text that cannot be mistaken for a separator, nor for a byte of the link's own."""
    return "".join(ESCAPES.get(mark, mark if mark >= " " else " ") for mark in text)


def _order(message: Sendable) -> Order:
    if isinstance(message, PatientMessage):
        return message.specimen, "N", message.results, message.observed_at
    if isinstance(message, ControlMessage):
        name = f"QC-{message.material}-{message.lot_number}-{message.level}"
        result = SentResult(code=message.code, name=message.name, text=message.text, unit=message.unit)
        return name, "Q", (result,), message.observed_at
    raise TypeError(f"an ASTM analyser does not send a {type(message).__name__}")


def _result(place: int, result: SentResult, dialect: Dialect, observed_at: datetime) -> str:
    flags = "\\".join(escaped(flag) for flag in result.flags) or "N"
    test, unit = dialect.test(escaped(result.code)), escaped(result.unit)
    return f"R|{place}|{test}|{escaped(result.text)}|{unit}||{flags}||F||||{stamp(observed_at)}"


def _about(message: PatientMessage) -> tuple[str, str, str, str]:
    """Last name, given names, birth date and sex."""
    person = message.stated
    *given, last = person.name.split()
    birth = person.birth_on.strftime(BIRTH_FORMATS[person.birth_precision])
    return escaped(last), escaped(" ".join(given)), birth, SEX_CODES.get(person.sex, "U")


def _sysmex_patient(message: PatientMessage) -> str:
    last, given, birth, sex = _about(message)
    return f"P|1|||{escaped(message.stated.uhid)}|^{given}^{last}||{birth}|{sex}"


def _sysmex_order(order: Order) -> str:
    specimen, action, results, _ = order
    tests = "\\".join(f"^^^^{escaped(result.code)}" for result in results)
    return f"O|1||^^{escaped(specimen).rjust(SPECIMEN_WIDTH)}^B|{tests}|||||||{action}||||||||||||||F"


def _standard_patient(message: PatientMessage) -> str:
    last, given, birth, sex = _about(message)
    return f"P|1|{escaped(message.stated.uhid)}|||{last}^{given}||{birth}|{sex}"


def _standard_order(order: Order) -> str:
    specimen, action, results, observed_at = order
    tests = "\\".join(f"^^^{escaped(result.code)}" for result in results)
    return f"O|1|{escaped(specimen)}||{tests}|R||{stamp(observed_at)}||||{action}||||||||||||||F"


DIALECTS = {
    "sysmex_xn": Dialect(
        header=lambda _: "H|\\^&|||    XN-1000^00-24^11001^^^^A1234||||||||E1394-97",
        patient=_sysmex_patient,
        order=_sysmex_order,
        test=lambda code: f"^^^^{code}^1",
        frame_text=64_000,
    ),
    "generic_astm": Dialect(
        header=lambda at: f"H|\\^&|||IMM-1^Virtual^1.0|||||LIS||P|LIS2-A2|{stamp(at)}",
        patient=_standard_patient,
        order=_standard_order,
        test=lambda code: f"^^^{code}",
        frame_text=240,
    ),
}
