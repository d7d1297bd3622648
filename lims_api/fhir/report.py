"""A laboratory report as plain values, before it becomes resources: names, numbers and times, no table, no clock."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The patient. `birth` is as precise as it is known: `1984`, `1984-03` or `1984-03-09`; empty when it is not."""

    id: UUID
    uhid: str
    name: str
    sex: str
    birth: str


@dataclass(frozen=True, kw_only=True)
class Laboratory:
    """Who examined; `organization_id` names the space that its numbers are unique in."""

    id: UUID
    organization_id: UUID
    code: str
    name: str
    address: str
    contact: str


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A signatory; `registration` is the medical council's number, empty when none is known."""

    id: UUID
    name: str
    registration: str


@dataclass(frozen=True, kw_only=True)
class SpecimenTaken:
    """One container."""

    id: UUID
    accession_number: str
    specimen_type: str
    collected_at: datetime | None
    received_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One result with the digits that are printed: `value` is the rounded number, None for a result in words.

    `low` and `high` have the same decimals; `interval` is their text. `flag` is L, H, LL, HH, N or None.
    """

    id: UUID
    specimen_id: UUID
    loinc: str
    name: str
    value: Decimal | None
    text: str
    comparator: str | None
    unit: str
    low: Decimal | None
    high: Decimal | None
    interval: str
    flag: str | None
    method: str
    is_corrected: bool
    authorised_at: datetime | None
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LaboratoryReport:
    """One version of a report; `supersedes` is the number of the version before, empty for the first."""

    id: UUID
    number: str
    version: int
    supersedes: str
    order_id: UUID
    order_number: str
    ordered_at: datetime
    issued_at: datetime
    language: str
    is_example: bool
    is_restricted: bool
    disciplines: tuple[str, ...]
    subject: Subject
    laboratory: Laboratory
    interpreters: tuple[Interpreter, ...]
    specimens: tuple[SpecimenTaken, ...]
    measurements: tuple[Measurement, ...]
