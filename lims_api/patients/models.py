"""A patient, and the blind tokens by which the sealed row is found."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped

from lims_api.core.db import Model, Record, open_column, sealed_column, status_column


class Sex(StrEnum):
    MALE = "male"
    FEMALE = "female"
    OTHER = "other"
    UNKNOWN = "unknown"


class PatientStatus(StrEnum):
    ACTIVE = "active"
    ERASED = "erased"


class Patient(Record):
    """A person. Everything that identifies them is ciphertext under their own key."""

    __tablename__ = "patients"

    uhid_sealed: Mapped[bytes] = sealed_column()
    name_sealed: Mapped[bytes] = sealed_column()
    phone_sealed: Mapped[bytes | None] = sealed_column()
    birth_sealed: Mapped[bytes | None] = sealed_column()
    sex: Mapped[Sex] = status_column(Sex, check="sex")
    status: Mapped[PatientStatus] = status_column(PatientStatus, check="status", server_default="active")
    legal_hold: Mapped[bool] = open_column(server_default="false")
    erased_at: Mapped[datetime | None] = open_column()


class PatientNumber(Model):
    """The UHID's blind token: unique in the organization. Never in the ledger, deleted on erasure."""

    __tablename__ = "patient_numbers"

    organization_id: Mapped[UUID] = open_column(ForeignKey("organizations.id"), primary_key=True)
    token: Mapped[int] = open_column(primary_key=True)
    patient_id: Mapped[UUID] = open_column(index=True)


class PatientToken(Model):
    """One blind token of one patient. Under row-level security, never in the ledger, deleted on erasure (ADR 0004)."""

    __tablename__ = "patient_tokens"

    organization_id: Mapped[UUID] = open_column(ForeignKey("organizations.id"), primary_key=True)
    token: Mapped[int] = open_column(primary_key=True)
    patient_id: Mapped[UUID] = open_column(primary_key=True, index=True)
