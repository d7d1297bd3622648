"""Reads observations and controls from ASTM records, where a profile says that they stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo

from ingest.astm.codec import Record
from ingest.contract import Control, Observation
from ingest.instruments.astm_profile import AstmProfile
from ingest.instruments.profile import first
from ingest.instruments.reading import moment, trusted
from ingest.instruments.values import number as number_of

Context = Mapping[str, Record]
COMMENTED = "COMMENT"
"""The flag of a value that the analyser commented on; the comment's text may name a person and is not copied."""
_NO_COMMENT = frozenset({"", "0"})


def is_control(context: Context, profile: AstmProfile) -> bool:
    """Whether the order is of a control: by a mark of the profile, or by the specimen's id."""
    rules = profile.control
    if any((first((mark.place,), context) or "") in mark.values for mark in rules.marks):
        return True
    specimen = first(profile.group.specimen, context) or ""
    return any(pattern.fullmatch(specimen) for pattern in rules.specimens)


def control_of(context: Context, profile: AstmProfile) -> Control | None:
    """Which control; `None` when its id does not say material, lot and level, and the core then asks a person."""
    rules = profile.control
    specimen = first(profile.group.specimen, context) or ""
    for pattern in rules.specimens:
        if found := pattern.fullmatch(specimen):
            named = {"material": rules.material, **found.groupdict()}
            if named["material"] and named.get("lot") and named.get("level") in {"1", "2", "3"}:
                return Control(material=named["material"], lot=str(named["lot"]), level=int(str(named["level"])))
    return None


class GroupReader:
    """Reads the R records of one specimen, each under the O before it and with the C records after it."""

    def __init__(self, profile: AstmProfile, zone: tzinfo) -> None:
        self._profile = profile
        self._zone = zone

    def observations(self, context: Context, records: Sequence[Record]) -> tuple[Observation, ...]:
        """Every value. What the analyser says of the whole specimen stands on each as a flag.

        An observation's number is that of its R among all of them, so that its bytes can be found again.
        """
        remarks = [code for record in records if (code := self._remark(record))]
        found: list[Observation] = []
        order, number = dict(context), 0
        for position, record in enumerate(records):
            if record.type == "O":
                order["O"] = record
            if record.type != "R":
                continue
            number += 1
            if self._is_value(record):
                flags = (*self._flags(record), *remarks, *_commented(records[position + 1 :]))
                found.append(self._observation(number, {**order, "R": record}, record, flags))
        return tuple(found)

    def _observation(self, sequence: int, context: Context, record: Record, flags: Iterable[str]) -> Observation:
        places = self._profile.observation
        code = first(places.code, context) or ""
        value_text = _value(record, places.value.field)
        comparator, value = number_of(value_text)
        return trusted(
            Observation,
            {
                "sequence": sequence,
                "code": code,
                "text": first(places.text, context) or self._profile.codes.get(code),
                "value_text": value_text,
                "value": value,
                "comparator": comparator,
                "unit": _value(record, places.unit.field) or None,
                "flags": tuple(flags),
                "status": first(places.status, context) or "F",
                "observed_at": moment(places.observed_at, context, self._zone),
                "run": first(places.run, context) or "",
            },
        )

    def _flags(self, record: Record) -> list[str]:
        place = self._profile.observation.flags
        return [flag.strip() for flag in record.repeats(place.field) if flag.strip()]

    def _remark(self, record: Record) -> str | None:
        """The code of an R that is no value and is marked as speaking of the whole specimen."""
        rules = self._profile.observation
        if record.type != "R" or rules.remark_flags.isdisjoint(self._flags(record)):
            return None
        if _value(record, rules.value.field) and not self._is_no_result(record):
            return None
        return first(rules.code, {"R": record})

    def _is_value(self, record: Record) -> bool:
        return not self._is_no_result(record) and self._remark(record) is None

    def _is_no_result(self, record: Record) -> bool:
        rules = self._profile.observation
        return rules.no_result is not None and bool(rules.no_result.fullmatch(first(rules.code, {"R": record}) or ""))


def _value(record: Record, field: int) -> str:
    """The one component that holds something, else the whole field with its separators; without padding."""
    sent = [part for part in record.components(field) if part.strip()]
    return (sent[0] if len(sent) == 1 else record.delimiters.unescaped(record.field(field)) if sent else "").strip()


def _commented(following: Sequence[Record]) -> list[str]:
    """Whether comment records of the analyser (source I, type I) stand right after a result."""
    for record in following:
        if record.type not in {"C", "M"}:
            break
        said = (record.get(4) or "").strip()
        if record.type == "C" and record.get(5) == "I" and said not in _NO_COMMENT:
            return [COMMENTED]
    return []
