"""A profile of an analyser that speaks ASTM: where it puts what we read, as data. Places are written `R-3.5`."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from ingest.instruments.profile import Head, IdentityPlaces, Part, Place

_PLACE = re.compile(r"([HPOR])-([1-9][0-9]?)(?:\.([1-9][0-9]?))?")


def place(text: object) -> object:
    """Read `R-3.5`: record, field and component, counted as the standard does; 1 is the record's type."""
    found = _PLACE.fullmatch(text) if isinstance(text, str) else None
    return Place(found[1], int(found[2]), int(found[3] or 1)) if found else text


At = Annotated[Place, BeforeValidator(place)]
Places = tuple[At, ...]


class LinkRules(Part):
    unframed: bool = Field(default=False, description="records without ENQ and frames are taken too")


class GroupPlaces(Part):
    specimen: Places


class AstmIdentityPlaces(IdentityPlaces):
    patient_number: Places
    name: At
    birth_on: Places
    sex: Places


class ObservationRules(Part):
    code: Places
    text: Places = ()
    value: At
    unit: At
    flags: At
    status: Places
    observed_at: Places
    run: Places = ()
    no_result: re.Pattern[str] | None = Field(default=None, description="codes that are pictures or remarks, no values")
    remark_flags: frozenset[str] = Field(
        default=frozenset(), description="flags by which an R that is no value speaks of the whole specimen"
    )


class Mark(Part):
    place: At
    values: frozenset[str]


class ControlRules(Part):
    marks: tuple[Mark, ...]
    specimens: tuple[re.Pattern[str], ...] = Field(
        description="specimen ids of controls, with the groups `material`, `lot` and `level`"
    )
    material: str | None = Field(default=None, description="the material where the specimen id names none")


class AstmProfile(Head):
    """One analyser model's dialect of ASTM E1394."""

    format: Literal["astm"]
    link: LinkRules = LinkRules()
    group: GroupPlaces
    identity: AstmIdentityPlaces
    observation: ObservationRules
    control: ControlRules
