"""All that a batch of messages is judged by, fetched in a fixed number of statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from ingest.contract import Message, MessageKind
from lims_api.catalogue import service as catalogue
from lims_api.catalogue.schemas import Definition
from lims_api.core.clock import utc_now
from lims_api.core.crypto import Key
from lims_api.core.db import actor_of, keys_of
from lims_api.equipment import service as equipment
from lims_api.equipment.models import Analyser
from lims_api.equipment.service import Mapping
from lims_api.orders.models import OrderTest, OrderTestStatus
from lims_api.patients import service as patients
from lims_api.patients.models import Patient
from lims_api.qc import service as qc
from lims_api.qc.models import ControlLot
from lims_api.results.models import Result, ResultStatus
from lims_api.specimens import service as specimens
from lims_api.specimens.models import Specimen

if TYPE_CHECKING:
    from lims_api.results.judging import Candidate


@dataclass(frozen=True)
class Existing:
    """A result that its specimen has already."""

    id: UUID
    analyser_id: UUID | None
    observed_at: datetime
    run: str
    value_text: str
    version: int
    status: ResultStatus


@dataclass
class Knowledge:
    """Plain look-ups; nothing here asks the database again."""

    organization_id: UUID
    actor_id: UUID
    now: datetime
    offset_ms: int
    analysers: dict[str, Analyser]
    maps: dict[UUID, dict[str, Mapping]]
    specimens: dict[str, Specimen]
    order_tests: dict[tuple[UUID, str], OrderTest]
    definitions: dict[UUID, Definition]
    existing: dict[tuple[UUID, str], list[Existing]]
    patients: dict[UUID, Patient]
    identities: dict[UUID, Any]
    patient_keys: dict[UUID, Key]
    lots: dict[tuple[str, str], ControlLot]
    units: dict[str, str]
    taken: set[tuple[UUID, str, UUID, datetime, str, str]] = field(default_factory=set)

    def is_recorded(self, candidate: Candidate) -> bool:
        """Whether this very observation is recorded, in this batch or before: same specimen, test, analyser, time,
        run and value. Anything else is another measurement."""
        observation, code = candidate.observation, candidate.mapping.test_code
        key = (
            candidate.specimen.id, code, candidate.analyser.id, candidate.observed_at, observation.run,
            observation.value_text
        )  # fmt: skip
        if key in self.taken:
            return True
        self.taken.add(key)
        return any(
            (known.analyser_id, known.observed_at, known.run, known.value_text)
            == (candidate.analyser.id, candidate.observed_at, observation.run, observation.value_text)
            for known in self.existing.get((candidate.specimen.id, code), ())
        )


def gather(session: Session, messages: Sequence[Message], *, offset_ms: int) -> Knowledge:
    """Look up everything the messages name, locking their specimens in the order of their ids."""
    organization_id = actor_of(session).organization_id
    analysers = equipment.by_channel(session, {message.channel for message in messages})
    groups = [group for message in messages if message.kind is MessageKind.PATIENT for group in message.groups]
    found = specimens.lock_by_accession(session, {group.specimen for group in groups if group.specimen})
    specimen_ids = {specimen.id for specimen in found.values()}
    patient_ids = {specimen.patient_id for specimen in found.values()}
    order_tests = _order_tests(session, specimen_ids)
    people = {patient.id: patient for patient in session.scalars(select(Patient).where(Patient.id.in_(patient_ids)))}
    controls = {
        (group.control.material, group.control.lot)
        for message in messages if message.kind is MessageKind.CONTROL
        for group in message.groups if group.control
    }  # fmt: skip
    return Knowledge(
        organization_id=organization_id, actor_id=actor_of(session).actor_id, now=utc_now(), offset_ms=offset_ms,
        analysers=analysers, maps=equipment.code_maps(session, {analyser.id for analyser in analysers.values()}),
        specimens=found, order_tests=order_tests,
        definitions=catalogue.definitions(session, {test.definition_id for test in order_tests.values()}),
        existing=_existing(session, specimen_ids), patients=people,
        identities=patients.open_identity(session, list(people.values())),
        patient_keys=keys_of(session).patient_keys(organization_id, patient_ids),
        lots=qc.lots_named(session, controls) if controls else {},
        units={row.code: row.unit for row in catalogue.all_newest(session)} if controls else {},
    )  # fmt: skip


def _order_tests(session: Session, specimen_ids: set[UUID]) -> dict[tuple[UUID, str], OrderTest]:
    query = select(OrderTest).where(
        OrderTest.specimen_id.in_(specimen_ids), OrderTest.status != OrderTestStatus.CANCELLED
    )
    return {(test.specimen_id, test.test_code): test for test in session.scalars(query) if test.specimen_id}


def _existing(session: Session, specimen_ids: set[UUID]) -> dict[tuple[UUID, str], list[Existing]]:
    columns = (
        Result.specimen_id, Result.test_code, Result.id, Result.analyser_id, Result.occurred_at, Result.run,
        Result.value_text, Result.version, Result.status,
    )  # fmt: skip
    known: dict[tuple[UUID, str], list[Existing]] = {}
    if specimen_ids:
        for row in session.execute(select(*columns).where(Result.specimen_id.in_(specimen_ids))):
            existing = Existing(
                row.id, row.analyser_id, row.occurred_at, row.run, row.value_text, row.version, row.status
            )
            known.setdefault((row.specimen_id, row.test_code), []).append(existing)
    return known
