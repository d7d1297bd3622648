"""Patients as they are registered, shown and searched."""

import unicodedata
from datetime import date
from typing import Annotated, Self
from uuid import UUID

from phonenumbers import NumberParseException, PhoneNumberFormat, format_number, is_valid_number, parse
from pydantic import UUID7, AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from lims_api.patients.age import BirthPrecision
from lims_api.patients.models import PatientStatus, Sex
from lims_api.patients.spelling import JOINERS, words

REGION = "IN"


def _name(typed: str) -> str:
    """One line in NFC; what a person typed, not how."""
    name = " ".join(unicodedata.normalize("NFC", typed).split())
    if not name.translate(dict.fromkeys(map(ord, JOINERS))).isprintable() or not words(name):
        raise PydanticCustomError("name", "A name is one line of letters")
    return name


def phone_number(typed: str) -> str:
    """A phone number in E.164; without a country's prefix it is an Indian one."""
    try:
        number = parse(typed, REGION)
    except NumberParseException:
        number = None
    if number is None or not is_valid_number(number):
        raise PydanticCustomError("phone", "Write the phone number as 98xxx xxxxx or, from abroad, +44 7xxx xxxxxx")
    return str(format_number(number, PhoneNumberFormat.E164))


Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_name)]
Phone = Annotated[str, StringConstraints(max_length=40), AfterValidator(phone_number)]
Uhid = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9./_-]{0,39}$")]


class PatientIn(BaseModel):
    """Who is to be registered. Without a UHID the laboratory gives the next one."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    id: UUID7 | None = Field(default=None, description="made by the client, or by the laboratory if absent")
    uhid: Uhid | None = None
    name: Name
    phone: Phone | None = None
    sex: Sex
    birth_on: date | None = None
    birth_precision: BirthPrecision | None = None

    @model_validator(mode="after")
    def _birth_is_whole(self) -> Self:
        if (self.birth_on is None) != (self.birth_precision is None):
            raise PydanticCustomError("birth", "Give birth_on and birth_precision (day, month or year), or neither")
        return self


class PatientRef(BaseModel):
    """The reply to a write: it is stored in clear, so it names nobody."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID


class Identity(BaseModel):
    """Who a patient is, opened. Never logged: `repr` and errors show nothing of it."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    uhid: str = Field(repr=False)
    name: str = Field(repr=False)
    phone: str | None = Field(default=None, repr=False)
    birth_on: date | None = Field(default=None, repr=False)
    birth_precision: BirthPrecision | None = Field(default=None, repr=False)


class PatientOut(BaseModel):
    """A patient's card. An erased patient has an id, a sex and a status, and nothing else is known."""

    id: UUID
    uhid: str | None
    name: str | None
    phone: str | None
    sex: Sex
    birth_on: date | None
    birth_precision: BirthPrecision | None
    status: PatientStatus


class PatientHit(BaseModel):
    """One line of a search's answer."""

    id: UUID
    uhid: str
    name: str
    phone: str | None
    sex: Sex
    birth_on: date | None
    birth_precision: BirthPrecision | None


class PatientSearch(BaseModel):
    """One thing to look for. It travels in the body: an address is written to logs."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    uhid: Uhid | None = None
    phone: Phone | None = None
    name: Annotated[str, StringConstraints(max_length=200)] | None = None
    cursor: UUID | None = None

    @model_validator(mode="after")
    def _one_criterion(self) -> Self:
        if sum(value is not None for value in (self.uhid, self.phone, self.name)) != 1:
            raise PydanticCustomError("search", "Search by exactly one of uhid, phone and name")
        return self


class PatientHits(BaseModel):
    """The best hits first. `refine`: there may be better ones; type more of the name, or go on behind `cursor`."""

    hits: list[PatientHit]
    refine: bool
    cursor: UUID | None
