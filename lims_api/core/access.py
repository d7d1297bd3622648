"""Reads of patient data, each in `access_log`."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

SAW = """
insert into lims.access_log
  (organization_id, actor_id, session_id, device, ip, request_id, action, patient_id, subject_id)
select lims.tenant(), nullif(current_setting('lims.actor_id', true), '')::uuid,
       nullif(current_setting('lims.session_id', true), '')::uuid, nullif(current_setting('lims.device', true), ''),
       nullif(current_setting('lims.ip', true), ''), nullif(current_setting('lims.request_id', true), ''), """

_ONE = text(SAW + ":action, cast(:patient_id as uuid), cast(:subject_id as uuid)")
_MANY = text(SAW + ":action, patient_id, null from unnest(cast(:patient_ids as uuid[])) as patient_id")


def saw(session: Session, action: str, patient_id: UUID | None, subject_id: UUID | None = None) -> None:
    """Record that the caller read one patient's data."""
    session.execute(_ONE, {"action": action, "patient_id": patient_id, "subject_id": subject_id})


def saw_many(session: Session, action: str, patient_ids: list[UUID]) -> None:
    """Record that the caller read a list with these patients on it."""
    if patient_ids:
        session.execute(_MANY, {"action": action, "patient_ids": sorted(set(patient_ids))})
