"""Erasing a person: the row is marked and its tokens deleted, then the keys are destroyed, and nothing opens any copy.

Between the two steps a crash leaves a person who is marked, found by nothing and shown nowhere, but whose key exists.
The job that the first step enqueues in its own transaction destroys it; so does running `erase_patient` again.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from lims_api.core.clock import business_day, utc_now
from lims_api.core.db import Caller, SystemCaller, actor_of, transaction
from lims_api.core.jobs import enqueue
from lims_api.core.ledger import publish
from lims_api.patients import queries
from lims_api.patients.errors import PatientUnknown, RetentionNotOver, UnderLegalHold
from lims_api.patients.events import PatientErased
from lims_api.patients.models import Patient, PatientStatus

DESTROY_KEYS = "patients.destroy_keys"


def erase_patient(caller: Caller | SystemCaller, patient_id: UUID) -> int:
    """Erase a person for good; returns how many keys were destroyed. Safe to repeat, also after a crash in between.

    Raises `UnderLegalHold`, and `RetentionNotOver` with the day from which it may be asked again. In other processes a
    key can stay in memory for 30 seconds more; no route opens the row of a patient who is marked.
    """
    with transaction(caller) as session:
        erase(session, patient_id)
        organization_id = actor_of(session).organization_id
    return caller.database.keys.destroy_patient(organization_id, patient_id)


def erase(session: Session, patient_id: UUID) -> None:
    """Mark a patient as erased and delete what they are found by; their keys must be destroyed after the commit.

    Waits for orders being placed (`service.get(lock=True)`) and counts them. An erased patient is left as they are.
    """
    patient = _locked(session, patient_id)
    if patient.status is PatientStatus.ERASED:
        return
    _refuse_while_kept(session, patient)
    patient.status, patient.erased_at = PatientStatus.ERASED, utc_now()
    session.flush()
    queries.forget(session, patient.organization_id, patient_id)
    publish(session, PatientErased(subject_id=patient_id))
    enqueue(session, DESTROY_KEYS, patient_id=patient_id)


def is_erased(session: Session, patient_id: UUID) -> bool:
    """Whether this patient of the organization is marked as erased."""
    status = session.scalar(
        select(Patient.status).where(
            Patient.organization_id == actor_of(session).organization_id, Patient.id == patient_id
        )
    )
    return status is PatientStatus.ERASED


def _locked(session: Session, patient_id: UUID) -> Patient:
    patient = session.scalars(
        select(Patient)
        .where(Patient.organization_id == actor_of(session).organization_id, Patient.id == patient_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if patient is None:
        raise PatientUnknown("There is no such patient in this organization.")
    return patient


def _refuse_while_kept(session: Session, patient: Patient) -> None:
    if patient.legal_hold:
        raise UnderLegalHold("Lift the legal hold first; it was set for a proceeding.")
    last, retention_days = queries.last_record(session, patient.organization_id, patient.id)
    if last is None:
        return
    keep_until = business_day(last) + timedelta(days=retention_days)
    if business_day(utc_now()) < keep_until:
        raise RetentionNotOver(
            f"The records must be kept until {keep_until}; ask again then.", keep_until=keep_until.isoformat()
        )
