"""A specimen, known in the laboratory by its accession number."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from lims_api.core.db import Record, belongs_to, open_column, status_column


class SpecimenStatus(StrEnum):
    COLLECTED = "collected"
    RECEIVED = "received"
    REJECTED = "rejected"


TRANSITIONS = {
    SpecimenStatus.COLLECTED: {SpecimenStatus.RECEIVED, SpecimenStatus.REJECTED},
    SpecimenStatus.RECEIVED: {SpecimenStatus.REJECTED},
    SpecimenStatus.REJECTED: set(),
}


class RejectionReason(StrEnum):
    HAEMOLYSED = "haemolysed"
    CLOTTED = "clotted"
    INSUFFICIENT = "insufficient"
    WRONG_CONTAINER = "wrong_container"
    UNLABELLED = "unlabelled"
    LEAKED = "leaked"


class Specimen(Record):
    """One container of one specimen type."""

    __tablename__ = "specimens"
    __table_args__ = (
        UniqueConstraint("organization_id", "accession_number"),
        UniqueConstraint("organization_id", "id", "order_id", "patient_id"),
        belongs_to("orders", "order_id"),
        belongs_to("patients", "patient_id"),
        belongs_to("sites", "site_id"),
        Index(None, "organization_id", "order_id"),
    )

    order_id: Mapped[UUID] = open_column()
    patient_id: Mapped[UUID] = open_column()
    site_id: Mapped[UUID] = open_column()
    accession_number: Mapped[str] = open_column()
    specimen_type: Mapped[str] = open_column()
    container: Mapped[str] = open_column()
    status: Mapped[SpecimenStatus] = status_column(SpecimenStatus, check="status")
    collected_at: Mapped[datetime | None] = open_column()
    received_at: Mapped[datetime | None] = open_column()
    rejected_at: Mapped[datetime | None] = open_column()
    rejection_reason: Mapped[RejectionReason | None] = status_column(RejectionReason, check="rejection_reason")
