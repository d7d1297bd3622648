"""All that the links of one result are made of: plain values, gathered before anything is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from ingest.contract import Message, Observation
from lims_api.catalogue.schemas import Definition
from lims_api.equipment.service import Mapping as CodeMapping
from lims_api.reports.models import Report
from lims_api.results.models import Entry as EntryKind
from lims_api.results.models import InstrumentMessage, RecordGroup, Result, StandingAuthorisation
from lims_api.results.ports import Risk


@dataclass(frozen=True)
class Reading:
    """A transmission read again: by which profile, what it says, and where each measurement stands in the bytes."""

    profile: str
    profile_sha256: str
    message: Message
    places: Sequence[Sequence[tuple[int, int]]]


@dataclass(frozen=True)
class Kept:
    """A stored message, opened as far as it opens: without `body`, `closed` says why and `is_altered` whether by force;
    without `reading`, `unread` says why."""

    row: InstrumentMessage
    groups: Sequence[RecordGroup]
    raws: Sequence[bytes] = ()
    body: bytes | None = None
    closed: str = ""
    is_altered: bool = False
    reading: Reading | None = None
    unread: str = ""


@dataclass(frozen=True)
class Measured:
    """The observation that a result is of, in its message read again, and its place in the bytes."""

    observation: Observation
    group: int
    place: tuple[int, int] | None


@dataclass(frozen=True)
class CodeAt:
    """What an analyser's code meant when the result was recorded; `seq` is the ledger row that says so."""

    mapping: CodeMapping
    seq: int | None
    changed_since: bool


@dataclass(frozen=True)
class Version:
    """One result of a specimen's test: what another version, a later delta check and the model need to know of it."""

    id: UUID
    patient_id: UUID
    specimen_id: UUID
    test_code: str
    version: int
    status: str
    value: Decimal | None
    corrects_id: UUID | None
    recorded_at: datetime
    available_at: datetime
    authorised_at: datetime | None
    entry: EntryKind
    comparator: str | None
    reference_low: Decimal | None
    reference_high: Decimal | None
    sex: str | None
    age_days: int | None


@dataclass(frozen=True)
class Entry:
    """One ledger row of a result."""

    seq: int
    xid: int
    op: str
    body_sha256: str
    body: Mapping[str, Any]
    actor_id: UUID
    reason: str | None
    recorded_at: datetime


@dataclass(frozen=True)
class ReportFile:
    """A report that shows the result. `problem` says what is wrong with its file, `erased` that nothing opens it."""

    report: Report
    order_number: str
    problem: str = ""
    erased: bool = False
    line: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Copied:
    """What the lake and the warehouse answered; `None` of it when they were not asked or did not answer."""

    captured: str
    loaded: int
    bronze: Sequence[Mapping[str, Any]]
    mart: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Known:
    """One result and everything around it."""

    result: Result
    row: Mapping[str, Any]
    definition: Definition
    accession_number: str
    analyser: str | None
    kept: Kept | None
    measured: Measured | None
    code: CodeAt | None
    versions: Sequence[Version]
    earlier: Sequence[Version]
    authorisation: StandingAuthorisation | None
    threshold: float | None
    scored: Risk | None
    reports: Sequence[ReportFile]
    entries: Sequence[Entry]
    copied: Copied | None
