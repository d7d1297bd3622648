"""Answers to a message, always built by hl7apy: AA taken, AE not stored (send again), AR can never be taken.

hl7apy needs milliseconds for one answer, so each kind of answer is built once, with marks where the time and the
control id belong, and the marks are filled in; a test holds the filled one equal to a freshly built one.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from hl7apy import SUPPORTED_LIBRARIES
from hl7apy.core import Message, Segment
from hl7apy.exceptions import HL7apyException

from ingest.hl7.codec import STANDARD, Delimiters, NotHl7, parse

DEFAULT_VERSION = "2.5.1"
_TIME_MARK, _ID_MARK = "20000101000000", "NIDAN0CONTROL0ID0MARK"
_ENVIRONMENT = {"SEGMENT": "\r", "GROUP": "\r"}


class Answer(StrEnum):
    """HL7 table 0008, original mode."""

    TAKEN = "AA"
    FAILED = "AE"
    REFUSED = "AR"


@dataclass(frozen=True, slots=True)
class Condition:
    """HL7 table 0357: what MSA-6 and ERR say."""

    code: int
    text: str


ACCEPTED = Condition(0, "Message accepted")
REQUIRED_FIELD_MISSING = Condition(101, "Required field missing")
UNSUPPORTED_TYPE = Condition(200, "Unsupported message type")
INTERNAL_ERROR = Condition(207, "Application internal error")


@dataclass(frozen=True, slots=True)
class Header:
    """The fields of MSH that routing and answering need, as they were sent, escapes and all."""

    delimiters: Delimiters = STANDARD
    charset: str = "utf-8"
    sender: tuple[str, str] = ("", "")
    receiver: tuple[str, str] = ("", "")
    type: str = ""
    event: str = ""
    control_id: str = ""
    processing: str = ""
    version: str = ""
    echo: tuple[tuple[int, str], ...] = ()


def header(body: bytes, echo: tuple[int, ...] = ()) -> Header | None:
    """MSH of a message, or `None` when it has none that can be used; `echo` names fields that answers repeat."""
    try:
        er7 = parse(body)
    except NotHl7:
        return None
    msh = er7.header
    return Header(
        delimiters=er7.encoding.delimiters,
        charset=er7.encoding.charset,
        sender=(msh.raw(3), msh.raw(4)),
        receiver=(msh.raw(5), msh.raw(6)),
        type=msh.get(9) or "",
        event=msh.get(9, 2) or "",
        control_id=msh.raw(10).strip(),
        processing=msh.raw(11),
        version=msh.get(12) or "",
        echo=tuple((field, msh.raw(field)) for field in echo if msh.raw(field)),
    )


def acknowledgement(to: Header, answer: Answer, condition: Condition, at: datetime) -> bytes:
    """The answer to the message that has this header, ready to be framed. The control id goes back as it came."""
    before, *pieces = _template(_kind_of(to), answer, condition)
    text = before
    for mark, piece in pieces:
        text += (f"{at:%Y%m%d%H%M%S}" if mark == _TIME_MARK else to.control_id) + piece
    return text.encode(to.charset, "replace")


def fresh(to: Header, answer: Answer, condition: Condition, time: str, control_id: str) -> str:
    """An answer built by hl7apy from nothing, segments ended by CR."""
    try:
        return _build(to, answer, condition, time, control_id)
    except (HL7apyException, ValueError):
        # What the sender calls itself can be more than hl7apy takes; it still must hear the code and its own id.
        plain = Header(version=to.version, charset=to.charset)
        return _build(plain, answer, condition, time, control_id)


def _kind_of(to: Header) -> Header:
    """The header without what differs from message to message."""
    return Header(
        delimiters=to.delimiters,
        sender=to.sender,
        receiver=to.receiver,
        event=to.event,
        processing=to.processing,
        version=to.version,
        echo=to.echo,
    )


@lru_cache(maxsize=512)
def _template(to: Header, answer: Answer, condition: Condition) -> tuple[str, *tuple[tuple[str, str], ...]]:
    """An answer cut at its marks: the text before the first, then each mark with the text after it."""
    text = fresh(to, answer, condition, _TIME_MARK, _ID_MARK)
    first, *others = text.split(_TIME_MARK)
    pieces: list[tuple[str, str]] = []
    for other in others:
        after, *rest = other.split(_ID_MARK)
        pieces.append((_TIME_MARK, after))
        pieces.extend((_ID_MARK, piece) for piece in rest)
    return (first, *pieces)


def _build(to: Header, answer: Answer, condition: Condition, time: str, control_id: str) -> str:
    version = to.version if to.version in SUPPORTED_LIBRARIES else DEFAULT_VERSION
    marks = to.delimiters
    message = Message("ACK", version=version, encoding_chars=_encoding(marks))
    names = dict(zip((3, 4, 5, 6), (*to.receiver, *to.sender), strict=True))
    kind = f"ACK{marks.component}{to.event}" if to.event else "ACK"
    for field, value in {**names, 7: time, 9: kind, 10: control_id, 11: to.processing or "P", **dict(to.echo)}.items():
        _put(message.msh, field, value)
    for field, value in {1: answer.value, 2: control_id, 3: condition.text, 6: str(condition.code)}.items():
        _put(message.msa, field, value)
    if answer is not Answer.TAKEN:
        _error(message.add_segment("ERR"), condition, version, marks)
    return str(message.to_er7(trailing_children=False)) + "\r"


def _error(segment: Segment, condition: Condition, version: str, marks: Delimiters) -> None:
    """ERR-1 before HL7 2.5, ERR-3 and the severity ERR-4 since."""
    if version < "2.5":
        _put(segment, 1, marks.component * 3 + (marks.subcomponent or " ").join((str(condition.code), condition.text)))
    else:
        _put(segment, 3, marks.component.join((str(condition.code), condition.text, "HL70357")))
        _put(segment, 4, "E")


def _put(segment: Segment, field: int, value: str) -> None:
    """Set a field, if this version of HL7 has it and there is something to set."""
    if value:
        with suppress(HL7apyException):
            setattr(segment, f"{segment.name.lower()}_{field}", value)


def _encoding(marks: Delimiters) -> dict[str, str]:
    names = ("FIELD", "COMPONENT", "REPETITION", "ESCAPE", "SUBCOMPONENT")
    chosen = (marks.field, *marks.all())
    if not all(chosen):
        chosen = (STANDARD.field, *STANDARD.all())
    return {**dict(zip(names, chosen, strict=True)), **_ENVIRONMENT}
