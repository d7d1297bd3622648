"""What `lims ingest decode` says of one message: its observations, or why there are none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import tzinfo
from hashlib import sha256
from typing import Any

from ingest.astm import structure
from ingest.astm.codec import NotAstm
from ingest.astm.codec import parse as parse_astm
from ingest.astm.decode import text_of
from ingest.clock import utc_now
from ingest.contract import Message, Observation, RecordGroup
from ingest.decode import decode
from ingest.files import NO_MESSAGE, Found
from ingest.hl7.acknowledgement import header
from ingest.hl7.codec import parse as parse_hl7
from ingest.instruments.astm_profile import AstmProfile
from ingest.instruments.profile import Profile
from ingest.instruments.shipped import recognised
from ingest.received import NOTHING_MEASURED, Received


def examined(found: Found, profile: Profile | AstmProfile | None, zone: tzinfo, *, validate: bool) -> dict[str, Any]:
    """The message as JSON says it; never raises for what stands in it.

    Without a profile it is read by the one of the model that its header names, else by the generic one.
    """
    if found.format is None:
        return _said(None, None, None, NO_MESSAGE, [])
    digest = sha256(found.body).hexdigest()
    sender, stated = _header(found)
    control_id = digest if found.format == "astm" else stated
    chosen = profile or recognised(found.format, sender)
    if chosen.format != found.format:
        wrong = f"it is {found.format}, and the profile {chosen.name} reads {chosen.format}"
        return _said(found.format, None, control_id, wrong, [])
    message = decode(Received("file", control_id or "", digest, utc_now(), found.body), chosen, zone)
    error = None if message.error == NOTHING_MEASURED else message.error
    if validate and error is None:
        error = found.faults[0] if found.faults else _problem(found)
    return _said(found.format, message.type or None, control_id, error, list(_observations(message)))


def _said(
    format: str | None, kind: str | None, control_id: str | None, error: str | None, observations: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "format": format,
        "type": kind,
        "control_id": control_id,
        "ok": error is None,
        "error": error,
        "observations": observations,
    }


def _header(found: Found) -> tuple[str, str | None]:
    """What the sender calls itself, and the message's own id."""
    if found.format == "astm":
        with suppress(NotAstm):
            return (parse_astm(text_of(found.body))[0].get(5) or "").strip(), None
        return "", None
    sent = header(found.body)
    return (" ".join(sent.sender).strip(), sent.control_id or None) if sent else ("", None)


def _observations(message: Message) -> Iterator[dict[str, Any]]:
    for group in message.groups:
        for observation in group.observations:
            yield _observation(group, observation)


def _observation(group: RecordGroup, one: Observation) -> dict[str, Any]:
    return {
        "specimen": group.specimen,
        "code": one.code,
        "text": one.text,
        "value": None if one.value is None else float(one.value),
        "comparator": one.comparator,
        "value_text": one.value_text,
        "unit": one.unit,
        "flag": one.flags[0] if one.flags else None,
        "status": one.status,
        "observed_at": one.observed_at.isoformat() if one.observed_at else None,
    }


def _problem(found: Found) -> str | None:
    """What is against the standard's structure, of a message that could be read."""
    return structure.problem(parse_astm(text_of(found.body))) if found.format == "astm" else _hl7_problem(found.body)


def _hl7_problem(body: bytes) -> str | None:
    """What hl7apy says; loaded only when asked for, because its tables are large.

    Of a message whose structure its tables do not have, the segments are checked each for itself.
    """
    from hl7apy.parser import parse_message

    try:
        message = parse_message(_for_hl7apy(body), find_groups=True)
        for part in [message] if getattr(message, "reference", None) else message.children:
            part.validate()
    except Exception as reason:  # noqa: BLE001 - whatever the library stumbles over, the message is not valid by it
        return " ".join(f"hl7apy: {reason or type(reason).__name__}".split())
    return None


def _for_hl7apy(body: bytes) -> str:
    """Segments ended by CR, without HL7 2.7's truncation mark, which it knows of 2.7 only and others send as well."""
    er7 = parse_hl7(body)
    first, *others = (segment.text for segment in er7.segments)
    marks = er7.encoding.delimiters
    _, declared, rest = first.split(marks.field, 2) if first.count(marks.field) > 1 else ("", "", "")
    header = marks.field.join((first[:3], declared[:4], rest)) if declared else first
    return "\r".join((header, *others))
