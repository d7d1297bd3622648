"""Specimens: collected for an order under new accession numbers, received once, or rejected with a reason."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from lims_api.catalogue import service as catalogue
from lims_api.core.clock import business_day
from lims_api.core.db import actor_of
from lims_api.core.db.numbers import next_number
from lims_api.core.ledger import publish
from lims_api.orders import service as orders
from lims_api.orders.models import OrderTest, OrderTestStatus
from lims_api.specimens.errors import (
    AccessionNumberTaken,
    LabelNotNeeded,
    NothingToCollect,
    SpecimenNotReceivable,
    SpecimenNotRejectable,
    UnknownSpecimen,
)
from lims_api.specimens.events import SpecimenCollected, SpecimenReceived, SpecimenRejected
from lims_api.specimens.models import TRANSITIONS, RejectionReason, Specimen, SpecimenStatus


def collect(
    session: Session, order_id: UUID, *, collected_at: datetime, labels: Mapping[str, str] | None = None
) -> list[tuple[Specimen, list[str]]]:
    """One container for each specimen type that the order's uncollected tests need, each with an accession number.

    `labels`: accession numbers that stand on containers already, by the container's name; the others get the next of
    the laboratory. Returns each container with the tests that are measured in it. Raises `NothingToCollect`,
    `LabelNotNeeded`, `AccessionNumberTaken`.
    """
    order = orders.get(session, order_id, lock=True)
    waiting = [test for test in orders.tests_of(session, order_id) if test.specimen_id is None]
    if not waiting:
        raise NothingToCollect("Every test of this order has its specimen.")
    defined = catalogue.definitions(session, {test.definition_id for test in waiting})
    groups: dict[tuple[str, str], list[OrderTest]] = {}
    for test in waiting:
        definition = defined[test.definition_id]
        groups.setdefault((definition.specimen_type, definition.container), []).append(test)
    labels = labels or {}
    _refuse_unneeded(labels, [container for _, container in groups])
    year = business_day(collected_at).year
    collected = []
    for (specimen_type, container), tests in groups.items():
        specimen = Specimen(
            organization_id=actor_of(session).organization_id,
            order_id=order.id,
            patient_id=order.patient_id,
            site_id=order.site_id,
            specimen_type=specimen_type,
            container=container,
            accession_number=labels.get(container) or _next_accession(session, year),
            status=SpecimenStatus.COLLECTED,
            collected_at=collected_at,
        )
        _add(session, specimen)
        for test in tests:
            test.specimen_id = specimen.id
        publish(session, SpecimenCollected(subject_id=specimen.id, order_id=order.id, collected_at=collected_at))
        collected.append((specimen, [test.test_code for test in tests]))
    return collected


def _refuse_unneeded(labels: Mapping[str, str], containers: list[str]) -> None:
    for container in labels:
        if containers.count(container) != 1:
            raise LabelNotNeeded(
                f"{containers.count(container)} containers '{container}' are to be collected for this order;"
                f" label one of: {', '.join(containers)}."
            )


def _next_accession(session: Session, year: int) -> str:
    """The next number that no label printed before bears."""
    while True:
        number = f"{year % 100:02d}{next_number(session, 'accession', year):08d}"
        if session.scalar(select(Specimen.id).where(Specimen.accession_number == number)) is None:
            return number


def _add(session: Session, specimen: Specimen) -> None:
    session.add(specimen)
    try:
        session.flush()
    except IntegrityError as reason:
        if "uq_specimens_organization_id_accession_number" in str(reason.orig):
            raise AccessionNumberTaken(
                f"Another specimen has the accession number {specimen.accession_number}; use another label."
            ) from None
        raise


def receive(session: Session, accession_number: str, *, received_at: datetime) -> Specimen:
    """Book a collected specimen into the laboratory. Receiving it twice is a conflict, not a repeat."""
    specimen = by_accession(session, accession_number, lock=True)
    if SpecimenStatus.RECEIVED not in TRANSITIONS[specimen.status]:
        raise SpecimenNotReceivable(f"{accession_number} is already {specimen.status}.", status_now=specimen.status)
    specimen.status, specimen.received_at = SpecimenStatus.RECEIVED, received_at
    publish(session, SpecimenReceived(subject_id=specimen.id, order_id=specimen.order_id, received_at=received_at))
    return specimen


def reject(session: Session, accession_number: str, *, reason: RejectionReason, rejected_at: datetime) -> Specimen:
    """Refuse a specimen; its tests that are not authorised yet wait for another collection."""
    specimen = by_accession(session, accession_number, lock=True)
    if SpecimenStatus.REJECTED not in TRANSITIONS[specimen.status]:
        raise SpecimenNotRejectable(f"{accession_number} is already {specimen.status}.", status_now=specimen.status)
    specimen.status, specimen.rejected_at, specimen.rejection_reason = SpecimenStatus.REJECTED, rejected_at, reason
    unfinished = select(OrderTest).where(
        OrderTest.specimen_id == specimen.id, OrderTest.status.in_([OrderTestStatus.ORDERED, OrderTestStatus.RESULTED])
    )
    for test in session.scalars(unfinished.order_by(OrderTest.id).with_for_update()):
        test.specimen_id, test.status = None, OrderTestStatus.ORDERED
    publish(session, SpecimenRejected(subject_id=specimen.id, order_id=specimen.order_id, rejection_reason=reason))
    return specimen


def by_accession(session: Session, accession_number: str, *, lock: bool = False) -> Specimen:
    """One specimen, or `UnknownSpecimen`."""
    query = select(Specimen).where(Specimen.accession_number == accession_number)
    found = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if found is None:
        raise UnknownSpecimen("There is no specimen of this accession number in this organization.")
    return found


def lock(session: Session, ids: Collection[UUID], *, status: SpecimenStatus | None = None) -> set[UUID]:
    """Lock specimens in the order of their ids; returns those of them that are in a state, or all."""
    query = select(Specimen.id, Specimen.status).where(Specimen.id.in_(ids)).order_by(Specimen.id).with_for_update()
    return {row.id for row in session.execute(query) if status in (None, row.status)}


def lock_by_accession(session: Session, accession_numbers: Collection[str]) -> dict[str, Specimen]:
    """The specimens of these accession numbers that exist, locked in the order of their ids."""
    if not accession_numbers:
        return {}
    query = select(Specimen).where(Specimen.accession_number.in_(accession_numbers)).order_by(Specimen.id)
    return {specimen.accession_number: specimen for specimen in session.scalars(query.with_for_update())}
