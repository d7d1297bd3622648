"""All that a batch of messages is judged by, fetched in a fixed number of statements.

Plain values with slots, a look-up by test code: what is asked a thousand times a batch must not be an ORM attribute
or a dictionary of UUIDs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from ingest.contract import Message, MessageKind, Observation, StatedIdentity
from lims_api.catalogue import service as catalogue
from lims_api.catalogue.schemas import Definition
from lims_api.core.clock import business_day, utc_now
from lims_api.core.crypto import Key
from lims_api.core.db import actor_of, keys_of
from lims_api.equipment import service as equipment
from lims_api.equipment.service import Mapping
from lims_api.orders.models import OrderTest, OrderTestStatus
from lims_api.patients import service as patients
from lims_api.patients.age import age_days
from lims_api.patients.models import Patient
from lims_api.patients.schemas import Identity
from lims_api.qc import service as qc
from lims_api.qc.models import ControlLot
from lims_api.results.identity_check import agrees
from lims_api.results.models import Result, ResultStatus
from lims_api.specimens import service as specimens
from lims_api.specimens.models import SpecimenStatus


@dataclass(frozen=True, slots=True)
class Source:
    """An analyser that sends, and what its codes mean."""

    id: UUID
    site_id: UUID
    codes: dict[str, Mapping]


@dataclass(frozen=True, slots=True)
class Existing:
    """A result that its specimen has already."""

    id: UUID
    analyser_id: UUID | None
    observed_at: datetime
    run: str
    value_text: str
    version: int
    status: ResultStatus


@dataclass(frozen=True, slots=True)
class Earlier:
    """A result of another time or specimen of the same patient."""

    specimen_id: UUID
    test_code: str
    value: Decimal
    status: str
    available_at: datetime


@dataclass(frozen=True, slots=True)
class Ordered:
    """A test that was ordered of a specimen, by the definition of that day."""

    id: UUID
    definition: Definition


@dataclass(slots=True, kw_only=True)
class KnownSpecimen:
    """One specimen, its person, and what is recorded of it."""

    id: UUID
    order_id: UUID
    patient_id: UUID
    site_id: UUID
    is_received: bool
    collected_at: datetime | None
    sex: str
    identity: Identity | None
    ordered: dict[str, Ordered]
    existing: dict[str, list[Existing]]
    measured: Counter[str] = field(default_factory=Counter)
    newest: dict[str, tuple[int, UUID]] = field(default_factory=dict)
    taken: set[tuple[str, UUID, datetime, str, str]] = field(default_factory=set)

    def age_days(self, received: datetime) -> int | None:
        """The person's age on the day of collection; None when it cannot be told."""
        known = self.identity
        if known is None or known.birth_on is None or known.birth_precision is None:
            return None
        return age_days(known.birth_on, known.birth_precision, business_day(self.collected_at or received))

    def is_of(self, stated: StatedIdentity | None) -> bool | None:
        """Whether the person stated is the one registered; False also for a person who was erased."""
        return agrees(stated, self.identity, self.sex) if self.identity else False

    def has(self, code: str, analyser_id: UUID, observed_at: datetime, observation: Observation) -> bool:
        """Whether this very observation is recorded, in this batch or before: same specimen, test, analyser, time,
        run and value. Anything else is another measurement."""
        key = (code, analyser_id, observed_at, observation.run, observation.value_text)
        if key in self.taken:
            return True
        self.taken.add(key)
        return any(
            key == (code, known.analyser_id, known.observed_at, known.run, known.value_text)
            for known in self.existing.get(code, ())
        )

    def next_version(self, code: str, result_id: UUID) -> tuple[int, UUID | None]:
        """The version of a new result and which one it follows, also over the measurements of this batch, so that no
        two results of a specimen's test share a version."""
        known = [(existing.version, existing.id) for existing in self.existing.get(code, ())]
        version, follows = self.newest.get(code) or max(known, default=(0, None))
        self.newest[code] = (version + 1, result_id)
        return version + 1, follows


@dataclass
class Knowledge:
    """Plain look-ups; nothing here asks the database again."""

    organization_id: UUID
    actor_id: UUID
    now: datetime
    offset_ms: int
    sources: dict[str, Source]
    specimens: dict[str, KnownSpecimen]
    patient_keys: dict[UUID, Key]
    lots: dict[tuple[str, str], ControlLot]
    units: dict[str, str]


def gather(session: Session, messages: Sequence[Message], *, offset_ms: int) -> Knowledge:
    """Look up everything the messages name, locking their specimens in the order of their ids."""
    kinds = [(group.kind or message.kind, group) for message in messages for group in message.groups]
    groups = [group for kind, group in kinds if kind is MessageKind.PATIENT]
    controls = {
        (group.control.material, group.control.lot)
        for kind, group in kinds if kind is MessageKind.CONTROL and group.control
    }  # fmt: skip
    actor = actor_of(session)
    known = known_specimens(session, {group.specimen for group in groups if group.specimen})
    patient_ids = {specimen.patient_id for specimen in known.values()}
    return Knowledge(
        organization_id=actor.organization_id, actor_id=actor.actor_id, now=utc_now(), offset_ms=offset_ms,
        sources=_sources(session, {message.channel for message in messages}), specimens=known,
        patient_keys=keys_of(session).patient_keys(actor.organization_id, patient_ids),
        lots=qc.lots_named(session, controls) if controls else {},
        units={row.code: row.unit for row in catalogue.all_newest(session)} if controls else {},
    )  # fmt: skip


def _sources(session: Session, channels: set[str]) -> dict[str, Source]:
    analysers = equipment.by_channel(session, channels)
    codes = equipment.code_maps(session, {analyser.id for analyser in analysers.values()})
    return {
        channel: Source(analyser.id, analyser.site_id, codes[analyser.id]) for channel, analyser in analysers.items()
    }


def known_specimens(session: Session, accession_numbers: set[str]) -> dict[str, KnownSpecimen]:
    """What is known of these specimens by accession number, locked in the order of their ids."""
    found = specimens.lock_by_accession(session, accession_numbers)
    if not found:
        return {}
    ids = {specimen.id for specimen in found.values()}
    patient_ids = {specimen.patient_id for specimen in found.values()}
    people = {patient.id: patient for patient in session.scalars(select(Patient).where(Patient.id.in_(patient_ids)))}
    identities = patients.open_identity(session, list(people.values()))
    ordered, existing = _ordered(session, ids), _existing(session, ids)
    return {
        accession_number: KnownSpecimen(
            id=specimen.id, order_id=specimen.order_id, patient_id=specimen.patient_id, site_id=specimen.site_id,
            is_received=specimen.status is SpecimenStatus.RECEIVED, collected_at=specimen.collected_at,
            sex=people[specimen.patient_id].sex, identity=identities.get(specimen.patient_id),
            ordered=ordered.get(specimen.id, {}), existing=existing.get(specimen.id, {}),
        )
        for accession_number, specimen in found.items()
    }  # fmt: skip


def _ordered(session: Session, specimen_ids: set[UUID]) -> dict[UUID, dict[str, Ordered]]:
    query = select(OrderTest.specimen_id, OrderTest.test_code, OrderTest.id, OrderTest.definition_id).where(
        OrderTest.specimen_id.in_(specimen_ids), OrderTest.status != OrderTestStatus.CANCELLED
    )
    rows = session.execute(query).all()
    definitions = catalogue.definitions(session, {row.definition_id for row in rows})
    tests: dict[UUID, dict[str, Ordered]] = {}
    for specimen_id, code, order_test_id, definition_id in rows:
        if specimen_id is not None:
            tests.setdefault(specimen_id, {})[code] = Ordered(order_test_id, definitions[definition_id])
    return tests


def _existing(session: Session, specimen_ids: set[UUID]) -> dict[UUID, dict[str, list[Existing]]]:
    columns = (
        Result.specimen_id, Result.test_code, Result.id, Result.analyser_id, Result.occurred_at, Result.run,
        Result.value_text, Result.version, Result.status,
    )  # fmt: skip
    known: dict[UUID, dict[str, list[Existing]]] = {}
    for row in session.execute(select(*columns).where(Result.specimen_id.in_(specimen_ids))):
        existing = Existing(row.id, row.analyser_id, row.occurred_at, row.run, row.value_text, row.version, row.status)
        known.setdefault(row.specimen_id, {}).setdefault(row.test_code, []).append(existing)
    return known
