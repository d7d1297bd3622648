"""A profile of an analyser that speaks HL7: where it puts what we read, as data in a file beside this module."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Literal, NamedTuple, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ingest.contract import MessageKind

_PLACE = re.compile(r"(MSH|PID|PV1|ORC|OBR|SPM|OBX)-([1-9][0-9]?)(?:\.([1-9][0-9]?))?")


class Place(NamedTuple):
    """A position in a message: segment, field and component, all counted from 1 as HL7 does."""

    segment: str
    field: int
    component: int = 1


def place(text: object) -> object:
    """Read `OBX-3.4`; anything else is left for pydantic to refuse."""
    found = _PLACE.fullmatch(text) if isinstance(text, str) else None
    return Place(found[1], int(found[2]), int(found[3] or 1)) if found else text


At = Annotated[Place, BeforeValidator(place)]
Places = tuple[At, ...]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(Part):
    """What the profile was written from."""

    manual: str
    revision: str
    read: str


class Unverified(Part):
    """A statement of the profile that nobody has yet seen on a real analyser."""

    place: str
    claim: str


class MessageRules(Part):
    types: tuple[str, ...]
    version: str
    kind: At
    kinds: dict[str, MessageKind]


class AcknowledgementRules(Part):
    echo: tuple[int, ...] = Field(default=(), description="MSH fields that the answer repeats as they were sent")


class GroupPlaces(Part):
    specimen: Places


class IdentityPlaces(Part):
    patient_number: Places
    name: At
    birth_on: Places
    sex: Places
    sexes: dict[str, Literal["male", "female", "other"]]


class ObservationPlaces(Part):
    code: Places
    text: Places
    value: At
    unit: Places
    flags: At
    status: Places
    observed_at: Places
    run: Places = ()


class ControlPlaces(Part):
    material: Places
    lot: Places
    level: Places
    levels: dict[str, int]
    code: Places
    text: Places
    value: Places
    unit: Places
    observed_at: Places


class Column(NamedTuple):
    """Where one attribute of an observation stands: in the OBX itself, else in another segment."""

    here: tuple[tuple[int, int], ...]
    plain: tuple[int, ...]
    elsewhere: Places


class Columns(NamedTuple):
    """`ObservationPlaces`, sorted for reading one OBX after another; all its fields are below `width`."""

    code: Column
    text: Column
    unit: Column
    status: Column
    observed_at: Column
    run: Column
    value: int
    flags: int
    width: int


class Head(Part):
    """What every profile says, whatever its analyser speaks."""

    name: str
    maker: str
    models: tuple[str, ...]
    senders: re.Pattern[str] | None = Field(
        default=None, description="what such an analyser calls itself in its header: files are recognised by it"
    )
    source: Source
    codes: dict[str, str] = {}
    unverified: tuple[Unverified, ...] = ()


class Profile(Head):
    """One analyser model's dialect of HL7."""

    format: Literal["hl7"]
    message: MessageRules
    acknowledgement: AcknowledgementRules = AcknowledgementRules()
    group: GroupPlaces
    identity: IdentityPlaces
    observation: ObservationPlaces
    control: ControlPlaces | None = None

    @cached_property
    def columns(self) -> Columns:
        """The places of an observation, the OBX's own before all others."""
        places = self.observation
        return Columns(
            code=_column(places.code),
            text=_column(places.text),
            unit=_column(places.unit),
            status=_column(places.status),
            observed_at=_column(places.observed_at),
            run=_column(places.run),
            value=places.value.field,
            flags=places.flags.field,
            width=1 + max(place.field for place in self._in_observation()),
        )

    def _in_observation(self) -> Iterator[Place]:
        places = self.observation
        for several in (places.code, places.text, places.unit, places.status, places.observed_at, places.run):
            yield from several
        yield from (places.value, places.flags)


def _column(places: Places) -> Column:
    here = tuple((place.field, place.component) for place in places if place.segment == "OBX")
    plain = tuple(field for field, component in here if component == 1)
    return Column(here, plain, tuple(place for place in places if place.segment != "OBX"))


class Fields(Protocol):
    """A segment of HL7 or a record of ASTM."""

    def get(self, field: int, component: int = 1, /) -> str | None:
        """One component of a field, its escapes read."""

    def components(self, field: int, /) -> list[str]:
        """All components of a field, their escapes read."""


def first(places: tuple[Place, ...], segments: Mapping[str, Fields]) -> str | None:
    """What stands in the first place that holds something, without surrounding spaces; `None` when none does."""
    for segment, field, component in places:
        source = segments.get(segment)
        found = source.get(field, component) if source is not None else None
        if found and (found := found.strip()):
            return found
    return None
