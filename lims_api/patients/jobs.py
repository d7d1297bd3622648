"""What the worker does for patients."""

from uuid import UUID

from lims_api.core.db import SystemCaller, transaction
from lims_api.core.jobs import Work, job
from lims_api.patients import erasure


@job(name=erasure.DESTROY_KEYS)
def destroy_keys(work: Work, organization_id: UUID, *, patient_id: UUID) -> None:
    """The second step of an erasure, if it did not come to it; never for a patient who is not marked."""
    with transaction(SystemCaller(database=work.database, organization_id=organization_id)) as session:
        erased = erasure.is_erased(session, patient_id)
    if erased:
        work.database.keys.destroy_patient(organization_id, patient_id)
