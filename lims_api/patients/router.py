"""Patients: registered, read, searched. What a search looks for travels in the body, never in the address."""

from uuid import UUID

from fastapi import APIRouter, Response

from lims_api.core.db import transaction
from lims_api.core.http import Caller, command, requires
from lims_api.core.permissions import Permission
from lims_api.patients import service
from lims_api.patients.schemas import PatientHits, PatientIn, PatientOut, PatientRef, PatientSearch

router = APIRouter(prefix="/v1/patients", tags=["patients"])


@router.post("", status_code=201, response_model=PatientRef)
@requires(Permission.PATIENT_REGISTER)
def register_patient(body: PatientIn, caller: Caller) -> Response:
    """Register a person; the reply holds the id alone."""
    return command(caller, lambda session: PatientRef.model_validate(service.register(session, body)), status=201)


@router.post("/search")
@requires(Permission.PATIENT_READ)
def search_patients(body: PatientSearch, caller: Caller) -> PatientHits:
    """Find patients by UHID, phone or parts of the name. Reads only: it needs no Idempotency-Key."""
    with transaction(caller) as session:
        return service.find(session, **dict(body))


@router.get("/{patient_id}")
@requires(Permission.PATIENT_READ)
def read_patient(patient_id: UUID, caller: Caller) -> PatientOut:
    """A patient's card."""
    return service.card(caller, patient_id)
