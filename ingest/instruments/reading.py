"""Reads observations, controls and identities from segments, where a profile says that they stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from functools import cache
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel

from ingest.contract import Control, Observation, StatedIdentity
from ingest.hl7.codec import Segment
from ingest.instruments.profile import Column, Fields, IdentityPlaces, Place, Places, Profile, first
from ingest.instruments.values import day, instant, number

Context = Mapping[str, Segment]
_new, _put = object.__new__, object.__setattr__
_MODEL = TypeVar("_MODEL", bound=BaseModel)


class OfOrder(NamedTuple):
    """What the segments around an order say of each observation that does not say it itself."""

    code: str
    text: str | None
    unit: str | None
    status: str
    run: str
    observed_at: datetime | None


class ObservationReader:
    """Reads OBX after OBX; what a profile seeks in other segments is read once an order, not once an observation."""

    def __init__(self, profile: Profile, zone: tzinfo) -> None:
        self._columns = profile.columns
        self._codes = profile.codes
        self._zone = zone
        self._order = OfOrder("", None, None, "F", "", None)
        self._count = 0

    def order(self, context: Context) -> None:
        """The OBX that follow belong to these segments."""
        columns = self._columns
        self._order = OfOrder(
            code=first(columns.code.elsewhere, context) or "",
            text=first(columns.text.elsewhere, context),
            unit=first(columns.unit.elsewhere, context),
            status=first(columns.status.elsewhere, context) or "F",
            run=first(columns.run.elsewhere, context) or "",
            observed_at=moment(columns.observed_at.elsewhere, context, self._zone),
        )

    def observation(self, segment: Segment) -> Observation:
        """One OBX, as the analyser sent it."""
        self._count += 1
        return self._of_plain(segment.fields) if segment.is_plain else self._of_any(segment)

    def _of_plain(self, fields: list[str]) -> Observation:
        """An OBX without a component, a repetition or an escape, the analysers' usual case: a field is a value."""
        columns, order = self._columns, self._order
        if len(fields) < columns.width:
            fields = fields + [""] * (columns.width - len(fields))
        code = _plain(fields, columns.code.plain) or order.code
        value_text = fields[columns.value]
        comparator, value = number(value_text)
        flags, time = fields[columns.flags], _plain(fields, columns.observed_at.plain)
        return trusted(
            Observation,
            {
                "sequence": self._count,
                "code": code,
                "text": _plain(fields, columns.text.plain) or order.text or self._codes.get(code),
                "value_text": value_text,
                "value": value,
                "comparator": comparator,
                "unit": _plain(fields, columns.unit.plain) or order.unit,
                "flags": (flags,) if flags else (),
                "status": _plain(fields, columns.status.plain) or order.status,
                "observed_at": (instant(time, self._zone) if time else None) or order.observed_at,
                "run": (_plain(fields, columns.run.plain) if columns.run.plain else None) or order.run,
            },
        )

    def _of_any(self, segment: Segment) -> Observation:
        columns, order = self._columns, self._order
        code = _pick(segment, columns.code) or order.code
        comparator, value = number(_numeric(segment, columns.value))
        time = _pick(segment, columns.observed_at)
        return trusted(
            Observation,
            {
                "sequence": self._count,
                "code": code,
                "text": _pick(segment, columns.text) or order.text or self._codes.get(code),
                "value_text": segment.plain(columns.value),
                "value": value,
                "comparator": comparator,
                "unit": _pick(segment, columns.unit) or order.unit,
                "flags": tuple(segment.repetitions(columns.flags)),
                "status": _pick(segment, columns.status) or order.status,
                "observed_at": (instant(time, self._zone) if time else None) or order.observed_at,
                "run": _pick(segment, columns.run) or order.run,
            },
        )


def _plain(fields: list[str], numbers: tuple[int, ...]) -> str | None:
    for field in numbers:
        found = fields[field].strip()
        if found:
            return found
    return None


def _pick(segment: Segment, column: Column) -> str | None:
    for field, component in column.here:
        found = segment.get(field, component)
        if found and (found := found.strip()):
            return found
    return None


def _numeric(segment: Segment, field: int) -> str:
    """HL7's structured numeric (SN) keeps comparator and number apart; with a second number it is no number."""
    if segment.raw(2) != "SN":
        return segment.plain(field)
    parts = segment.components(field)
    return "".join(parts) if len(parts) <= 2 else ""


def identity(context: Mapping[str, Fields], places: IdentityPlaces) -> StatedIdentity | None:
    """Who the message says the specimen is from; `None` when it says nothing."""
    source = context.get(places.name.segment)
    if source is None:
        return None
    stated = {
        "patient_number": first(places.patient_number, context),
        "name": " ".join(" ".join(source.components(places.name.field)).split()) or None,
        "sex": places.sexes.get(first(places.sex, context) or ""),
        "birth_on": day(first(places.birth_on, context)),
    }
    return trusted(StatedIdentity, stated) if any(stated.values()) else None


def controls(context: Context, profile: Profile) -> int:
    """How many controls the order speaks of: at least one."""
    order, places = context.get("OBR"), profile.control
    return max(1, len(order.components(places.material[0].field))) if order is not None and places else 1


def control(context: Context, index: int, profile: Profile) -> Control | None:
    """The order's control number `index`; `None` when it is not fully named, and the core then asks a person."""
    places = profile.control
    if places is None:
        return None
    material, lot = _nth(places.material, index, context), _nth(places.lot, index, context)
    level = places.levels.get(_nth(places.level, index, context) or "")
    return Control(material=material, lot=lot, level=level) if material and lot and level else None


def measured(context: Context, index: int, profile: Profile, zone: tzinfo) -> Iterator[Observation]:
    """The value that the order itself carries for its control number `index`."""
    places = profile.control
    value_text = _nth(places.value, index, context) if places else None
    if places is None or value_text is None:
        return
    code = first(places.code, context) or ""
    comparator, value = number(value_text)
    yield Observation(
        sequence=index,
        code=code,
        text=first(places.text, context) or profile.codes.get(code),
        value_text=value_text,
        value=value,
        comparator=comparator,
        unit=_nth(places.unit, index, context) or first(places.unit, context),
        observed_at=moment(places.observed_at, context, zone),
    )


def moment(places: Places, context: Mapping[str, Fields], zone: tzinfo) -> datetime | None:
    """The first of the places that holds an instant."""
    for place in places:
        text = first((place,), context)
        if text and (found := instant(text, zone)) is not None:
            return found
    return None


def trusted(model: type[_MODEL], values: dict[str, Any]) -> _MODEL:
    """What `model_construct` makes of values for all fields, five times faster; a test compares `model_validate`."""
    made = _new(model)
    _put(made, "__dict__", values)
    _put(made, "__pydantic_fields_set__", _fields(model))
    _put(made, "__pydantic_extra__", None)
    _put(made, "__pydantic_private__", None)
    return made


@cache
def _fields(model: type[BaseModel]) -> set[str]:
    """One set for all objects of a frozen model: pydantic copies it before it changes it."""
    return set(model.model_fields)


def _nth(places: Places, index: int, context: Context) -> str | None:
    return first(tuple(Place(place.segment, place.field, index) for place in places), context)
