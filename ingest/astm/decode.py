"""A kept ASTM transmission becomes the contract's `Message`: a group for every specimen, as sent.

As in HL7 nothing fails and nothing is dropped. A transmission without its terminator record (L) is not read for values:
what speaks against them may be just what is missing, and the analyser will send all of it again. Its groups carry bytes
and identity alone, and a person is asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo

from ingest.astm.codec import NotAstm, Record, parse
from ingest.astm.reading import GroupReader, control_of, is_control
from ingest.contract import Message, MessageKind, RecordGroup
from ingest.instruments.astm_profile import AstmProfile
from ingest.instruments.profile import first
from ingest.instruments.reading import identity, trusted
from ingest.received import INDIA, NOTHING_MEASURED, Received, undecodable

INCOMPLETE = "the transmission ended before its terminator record (L)"
_LINE = re.compile(rb"[^\r\n]+")


@dataclass(slots=True)
class _Part:
    """The records of one specimen: where they begin, the H, P and O that speak for all, and all of them in order."""

    first: int
    context: dict[str, Record]
    records: list[Record]


def text_of(body: bytes) -> str:
    """UTF-8, else Latin-1, which takes any bytes: the standard names no character set."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def message_type(records: Sequence[Record]) -> str:
    """`result`, `query` or `order`, by what is in it; `other` for a message of none of them."""
    types = {record.type for record in records}
    return next(
        (word for letter, word in (("R", "result"), ("Q", "query"), ("O", "order")) if letter in types), "other"
    )


def is_complete(records: Sequence[Record]) -> bool:
    """Whether the message has ended (LIS02-A2 11)."""
    return bool(records) and records[-1].type == "L"


def decode(received: Received, profile: AstmProfile, zone: tzinfo = INDIA) -> Message:
    """Read one transmission by its analyser's profile; times without an offset are of the analyser's `zone`."""
    try:
        records = parse(text_of(received.body))
    except NotAstm as reason:
        return undecodable(received, str(reason), "astm")
    if sum(record.type == "H" for record in records) > 1:
        return undecodable(received, "more than one header in one transmission", "astm", message_type(records))
    complete = is_complete(records)
    groups = _groups(received.body, records, profile, zone, complete=complete)
    kinds = {group.kind for group in groups}
    found = any(group.observations for group in groups)
    return trusted(
        Message,
        {
            "channel": received.channel,
            "control_id": received.control_id,
            "body_sha256": received.body_sha256,
            "received_at": received.received_at,
            "kind": MessageKind.CONTROL if kinds == {MessageKind.CONTROL} else MessageKind.PATIENT,
            "format": "astm",
            "type": message_type(records),
            "envelope": received.body[: _starts(received.body, records, profile)[0]],
            "groups": tuple(groups),
            "error": INCOMPLETE if not complete else None if found else NOTHING_MEASURED,
        },
    )


def _starts(body: bytes, records: Sequence[Record], profile: AstmProfile) -> list[int]:
    """Where each part's bytes begin, and where the last one's end."""
    begins = [line.start() for line in _LINE.finditer(body)]
    return [begins[part.first] for part in _parts(records, profile)] + [len(body)]


def _groups(
    body: bytes, records: Sequence[Record], profile: AstmProfile, zone: tzinfo, *, complete: bool
) -> list[RecordGroup]:
    starts = _starts(body, records, profile)
    return [
        _group(part, body[start:end], profile, zone, complete=complete)
        for part, start, end in zip(_parts(records, profile), starts, starts[1:], strict=False)
    ]


def _group(part: _Part, raw: bytes, profile: AstmProfile, zone: tzinfo, *, complete: bool) -> RecordGroup:
    controls = is_control(part.context, profile)
    return trusted(
        RecordGroup,
        {
            "kind": MessageKind.CONTROL if controls else MessageKind.PATIENT,
            "specimen": first(profile.group.specimen, part.context),
            "identity": None if controls else identity(part.context, profile.identity),
            "control": control_of(part.context, profile) if controls else None,
            "observations": GroupReader(profile, zone).observations(part.context, part.records) if complete else (),
            "raw": raw,
        },
    )


def _parts(records: Sequence[Record], profile: AstmProfile) -> list[_Part]:
    """Cut where another patient (P) or another specimen (O) begins; the terminator goes with the last."""
    parts: list[_Part] = []
    for position, record in enumerate(records):
        if not parts and record.type not in {"P", "O", "R", "Q"}:
            continue
        if not parts or _begins(parts[-1], record, profile):
            parts.append(_Part(position, _inherited(records[0], parts, record), []))
        parts[-1].records.append(record)
        if record.type in {"P", "O"}:
            parts[-1].context.setdefault(record.type, record)
    return parts


def _begins(part: _Part, record: Record, profile: AstmProfile) -> bool:
    """Whether this is of another patient, specimen or control than the part before; two unnamed are never one."""
    if record.type == "P":
        return "P" in part.context or "O" in part.context
    if record.type != "O" or "O" not in part.context:
        return False
    there = {**part.context, "O": record}
    here = first(profile.group.specimen, there)
    return here is None or here != first(profile.group.specimen, part.context) or is_control(there, profile)


def _inherited(header: Record, parts: Sequence[_Part], record: Record) -> dict[str, Record]:
    """A new specimen of the same patient keeps the P; a new patient keeps nothing."""
    if parts and record.type == "O" and "P" in parts[-1].context:
        return {"H": header, "P": parts[-1].context["P"]}
    return {"H": header}
