"""From the bytes to the observation: what was received, read again, against what was recorded; pure."""

from __future__ import annotations

from hashlib import sha256

from lims_api.lineage.chain import Finding, Link, Step, absent, compared
from lims_api.lineage.known import Kept, Known, Reading
from lims_api.results.models import Entry

_WITHOUT_MESSAGE = {
    Entry.MANUAL: "entered by a person",
    Entry.IMPORT: "imported history: the source has its origin",
}
_ORIGIN = (Step.TRANSMISSION, Step.MESSAGE, Step.RECORD, Step.OBSERVATION)


def origin(known: Known) -> list[Link]:
    """Transmission, message, record and observation."""
    why = _WITHOUT_MESSAGE.get(known.result.entry)
    if why is not None:
        return [absent(step, why) for step in _ORIGIN]
    if known.kept is None:
        missing = compared(Step.TRANSMISSION, [("message", known.result.message_id or "a message", None)])
        return [missing, *(absent(step, "its message is missing") for step in _ORIGIN[1:])]
    return [_transmission(known.kept), *_read_again(known, known.kept)]


def _transmission(kept: Kept) -> Link:
    row = kept.row
    facts = {
        "sha256": row.body_sha256, "channel": row.channel, "control_id": row.control_id,
        "received_at": row.received_at, "message_id": row.id, "groups": len(kept.groups),
    }  # fmt: skip
    if kept.body is None:
        if kept.is_altered:
            return compared(Step.TRANSMISSION, [("sealed bytes", "as they were sealed", kept.closed)], facts)
        return absent(Step.TRANSMISSION, kept.closed, facts)
    facts |= {"bytes": len(kept.body)}
    return compared(Step.TRANSMISSION, [("sha256", sha256(kept.body).hexdigest(), row.body_sha256)], facts)


def _read_again(known: Known, kept: Kept) -> list[Link]:
    if kept.reading is None:
        why = "its bytes do not open" if kept.body is None else kept.unread
        return [absent(step, why) for step in _ORIGIN[1:]]
    return [_message(known, kept, kept.reading), _record(known, kept), _observation(known)]


def _message(known: Known, kept: Kept, reading: Reading) -> Link:
    row, message = kept.row, reading.message
    pairs = [
        ("kind", str(message.kind), row.kind),
        ("format", message.format, row.format),
        ("type", message.type, row.type),
        ("groups", [sha256(group.raw).hexdigest() for group in message.groups], _hashes(kept)),
        ("specimen", _specimen(known, message.groups), known.accession_number),
    ]
    return compared(Step.MESSAGE, pairs, {"profile": reading.profile, "profile_sha256": reading.profile_sha256})


def _hashes(kept: Kept) -> list[str]:
    return [sha256(raw).hexdigest() for raw in kept.raws]


def _specimen(known: Known, groups: object) -> str | None:
    """Of the group that the result's observation stands in, or of the first that is the specimen's."""
    assert isinstance(groups, tuple)  # noqa: S101  of a contract's message
    named = [group.specimen for group in groups]
    if known.measured is not None:
        return str(named[known.measured.group])
    return next((name for name in named if name == known.accession_number), named[0] if named else None)


def _record(known: Known, kept: Kept) -> Link:
    measured = known.measured
    sequence = known.result.observation_sequence
    if measured is None:
        return compared(Step.RECORD, [("observation", None, f"{sequence} of specimen {known.accession_number}")])
    facts = {"group": measured.group, "sequence": sequence}
    if measured.place is None or kept.body is None:
        return Link(Step.RECORD, Finding.OK, facts | {"place": "not told by its records"})
    offset, length = measured.place
    text = kept.body[offset : offset + length].decode("utf-8", "replace")
    return Link(Step.RECORD, Finding.OK, facts | {"offset": offset, "length": length, "text": text})


def _observation(known: Known) -> Link:
    result, measured, kept = known.result, known.measured, known.kept
    if measured is None or kept is None:
        return absent(Step.OBSERVATION, "not found in the transmission")
    observation = measured.observation
    pairs = [
        ("value_text", observation.value_text, result.value_text),
        ("comparator", observation.comparator, result.comparator),
        ("run", observation.run, result.run),
        ("instrument_flags", list(observation.flags), list(result.instrument_flags)),
        ("observed_at", observation.observed_at or kept.row.received_at, result.occurred_at),
    ]
    facts = {
        "code": observation.code, "value_text": observation.value_text, "value": observation.value,
        "unit": observation.unit, "status": observation.status, "observed_at": observation.observed_at,
    }  # fmt: skip
    return compared(Step.OBSERVATION, pairs, facts)
