"""A kept HL7 transmission becomes the contract's `Message`: groups, identities, controls and observations, as sent.

Decoding never fails and never drops: what cannot be read is delivered with `error` set, its bytes whole, and parked by
the core. The bytes of the envelope and of all groups, joined, are the body as received.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo

from ingest.contract import Message, MessageKind, Observation, RecordGroup
from ingest.hl7.codec import Er7Message, NotHl7, Segment, parse
from ingest.instruments.profile import Profile, first
from ingest.instruments.reading import ObservationReader, control, controls, identity, measured, trusted
from ingest.received import INDIA, NOTHING_MEASURED, Received, undecodable

_GROUP_STARTS = frozenset({"PID", "PV1", "ORC", "OBR", "OBX", "SPM"})
_HL7_ACKNOWLEDGEMENT_WORDS = frozenset({"", "AL", "NE", "ER", "SU"})


@dataclass(slots=True)
class _Part:
    """The segments of one specimen: where they begin, those that speak for all, and its OBR and OBX in order."""

    first: int
    context: dict[str, Segment]
    results: list[Segment]

    @property
    def has_order(self) -> bool:
        return "OBR" in self.context

    @property
    def before_order(self) -> dict[str, Segment]:
        return {name: segment for name, segment in self.context.items() if name != "OBR"}


def decode(received: Received, profile: Profile, zone: tzinfo = INDIA) -> Message:
    """Read one transmission by its analyser's profile; times without an offset are of the analyser's `zone`."""
    try:
        er7 = parse(received.body)
    except NotHl7 as reason:
        return undecodable(received, str(reason))
    segments = er7.segments
    if "MSH" in er7.text[3:] and sum(segment.name == "MSH" for segment in segments) > 1:
        return undecodable(received, "more than one MSH in one transmission")
    parts = _parts(er7, profile)
    kinds = [kind for part in parts or [_Part(0, {"MSH": segments[0]}, [])] if (kind := _kind(part.context, profile))]
    if len(kinds) < max(1, len(parts)):
        return undecodable(received, "the profile does not know this kind of message", "hl7", message_type(segments[0]))
    return _message(received, er7, parts, kinds, profile, zone)


def message_type(header: Segment) -> str:
    """MSH-9 as code and event, e.g. `ORU^R01`; empty when there is none."""
    code, event = header.get(9) or "", header.get(9, 2) or ""
    return f"{code}^{event}" if event else code


def _message(
    received: Received,
    er7: Er7Message,
    parts: list[_Part],
    kinds: list[MessageKind],
    profile: Profile,
    zone: tzinfo,
) -> Message:
    starts = er7.starts()
    bounds = [starts[part.first] for part in parts] + [len(received.body)]
    groups: list[RecordGroup] = []
    for part, kind, start, end in zip(parts, kinds, bounds, bounds[1:], strict=False):
        groups.extend(_groups(part, received.body[start:end], kind, profile, zone))
    found = MessageKind.CALIBRATION in kinds or any(group.observations for group in groups)
    return trusted(
        Message,
        {
            "channel": received.channel,
            "control_id": received.control_id,
            "body_sha256": received.body_sha256,
            "received_at": received.received_at,
            "kind": kinds[0],
            "format": "hl7",
            "type": message_type(er7.segments[0]),
            "envelope": received.body[: bounds[0]],
            "groups": tuple(groups),
            "error": None if found else NOTHING_MEASURED,
        },
    )


def _parts(er7: Er7Message, profile: Profile) -> list[_Part]:
    """Cut where another patient (PID) or specimen (SPM, OBR) begins; an ORC goes with the OBR after it."""
    segments = er7.segments
    trailing = _trailing_specimens(segments) if (segments[0].get(9) or "") == "ORU" and "SPM" in er7.text else None
    parts: list[_Part] = []
    waiting: int | None = None
    for position, segment in enumerate(segments):
        name = segment.name
        if name == "OBX" and parts:
            parts[-1].results.append(segment)
            waiting = None
            continue
        if (not parts and name not in _GROUP_STARTS) or (name == "SPM" and trailing is not None):
            continue
        if name == "ORC" and waiting is None:
            waiting = position
        specimen = _specimen(position, trailing, parts)
        if not parts or _begins(parts[-1], segment, specimen, profile):
            begin = waiting if name == "OBR" and waiting is not None and parts else position
            parts.append(_Part(begin, _inherited(segments[0], parts, name), []))
        if name in {"OBR", "OBX"}:
            waiting = None
        _take(parts[-1], segment, specimen)
    return parts


def _specimen(position: int, trailing: dict[int, Segment] | None, parts: list[_Part]) -> Segment | None:
    """The SPM that an OBR at this position stands under: its own in an ORU, else the last one before it."""
    if trailing is not None:
        return trailing.get(position)
    return parts[-1].context.get("SPM") if parts else None


def _trailing_specimens(segments: list[Segment]) -> dict[int, Segment]:
    """Each OBR's SPM in an ORU, where it follows the OBR and its OBX (HL7 v2.5.1 7.3.1)."""
    found: dict[int, Segment] = {}
    order: int | None = None
    for position, segment in enumerate(segments):
        if segment.name in {"PID", "OBR"}:
            order = position if segment.name == "OBR" else None
        elif segment.name == "SPM" and order is not None:
            found.setdefault(order, segment)
    return found


def _begins(part: _Part, segment: Segment, specimen: Segment | None, profile: Profile) -> bool:
    """Whether this is of another patient, specimen or control than the part before; two unnamed are never one."""
    if segment.name == "PID":
        return part.has_order or "PID" in part.context
    if segment.name == "SPM":
        return part.has_order or "SPM" in part.context
    if segment.name != "OBR" or not part.has_order:
        return False
    there = {name: one for name, one in part.context.items() if name != "SPM"} | {"OBR": segment}
    if specimen is not None:
        there["SPM"] = specimen
    here = first(profile.group.specimen, there)
    same = here is not None and here == first(profile.group.specimen, part.context)
    return not same or _kind(there, profile) is MessageKind.CONTROL


def _inherited(header: Segment, parts: list[_Part], name: str) -> dict[str, Segment]:
    """A new specimen of the same patient keeps the PID; a new patient keeps nothing."""
    if parts and name in {"OBR", "SPM"} and "PID" in parts[-1].context:
        return {"MSH": header, "PID": parts[-1].context["PID"]}
    return {"MSH": header}


def _take(part: _Part, segment: Segment, specimen: Segment | None) -> None:
    if segment.name in {"OBR", "OBX"}:
        part.results.append(segment)
    if segment.name != "OBX":
        part.context.setdefault(segment.name, segment)
    if specimen is not None:
        part.context.setdefault("SPM", specimen)


def _groups(part: _Part, raw: bytes, kind: MessageKind, profile: Profile, zone: tzinfo) -> Iterator[RecordGroup]:
    if kind is MessageKind.CONTROL:
        yield from _controls(part, raw, profile, zone)
        return
    patient = kind is MessageKind.PATIENT
    yield trusted(
        RecordGroup,
        {
            "kind": kind,
            "specimen": first(profile.group.specimen, part.context) if patient else None,
            "identity": identity(part.context, profile.identity) if patient else None,
            "control": None,
            "observations": _observations(part, profile, zone),
            "raw": raw,
        },
    )


def _observations(part: _Part, profile: Profile, zone: tzinfo) -> tuple[Observation, ...]:
    """Every OBX, read together with the OBR that stands before it."""
    reader = ObservationReader(profile, zone)
    if part.results and part.results[0].name == "OBX":
        reader.order(part.before_order)
    found: list[Observation] = []
    for segment in part.results:
        if segment.name == "OBX":
            found.append(reader.observation(segment))
        else:
            reader.order({**part.context, "OBR": segment})
    return tuple(found)


def _controls(part: _Part, raw: bytes, profile: Profile, zone: tzinfo) -> Iterator[RecordGroup]:
    """One group a control. The first holds the bytes; a second control in the same OBR stands in the same ones."""
    observed = _observations(part, profile, zone)
    for index in range(1, (1 if observed else controls(part.context, profile)) + 1):
        yield trusted(
            RecordGroup,
            {
                "kind": MessageKind.CONTROL,
                "specimen": None,
                "identity": None,
                "control": control(part.context, index, profile),
                "observations": observed or tuple(measured(part.context, index, profile, zone)),
                "raw": raw if index == 1 else b"",
            },
        )


def _kind(context: Mapping[str, Segment], profile: Profile) -> MessageKind | None:
    """What the profile's place says; nothing, or one of HL7's own words for MSH-16, means a patient's specimen."""
    place = profile.message.kind
    source = context.get(place.segment)
    stated = (source.get(place.field, place.component) if source is not None else None) or ""
    if stated in _HL7_ACKNOWLEDGEMENT_WORDS:
        return MessageKind.PATIENT
    return profile.message.kinds.get(stated)
