"""Calls of critical values: who told whom, and that it was read back. A call is a fact: it is never changed."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from lims_api.core.db import actor_of, keys_of
from lims_api.core.errors import IdTaken
from lims_api.core.ids import uuid7
from lims_api.core.ledger import publish
from lims_api.patients import service as patients
from lims_api.results.errors import NotCritical
from lims_api.results.events import CriticalCalled
from lims_api.results.flags import CRITICAL_FLAGS
from lims_api.results.models import CallOutcome, CriticalCall
from lims_api.results.service import get

INFORMED = "critical_calls.informed_sealed"


def record(
    session: Session,
    result_id: UUID,
    *,
    called_at: datetime,
    outcome: CallOutcome,
    informed: str | None,
    read_back: bool,
    id: UUID | None = None,
) -> CriticalCall:
    """The caller told, or tried to tell, a clinician of a critical value, also of a version that is superseded since.

    Who was told is sealed under the patient's key. Raises `UnknownResult`, `NotCritical`, `IdTaken`,
    `PatientIsErased`.
    """
    result = get(session, result_id)
    if result.flag not in CRITICAL_FLAGS:
        raise NotCritical("Only a critical value is called.", flag=result.flag)
    patients.get(session, result.patient_id, lock=True)
    call = CriticalCall(
        organization_id=actor_of(session).organization_id, id=id or uuid7(), result_id=result.id,
        order_id=result.order_id, patient_id=result.patient_id, called_at=called_at,
        called_by_id=actor_of(session).actor_id, outcome=outcome, read_back=read_back,
    )  # fmt: skip
    call.informed_sealed = _sealed(session, call, informed) if informed else None
    session.add(call)
    try:
        session.flush()
    except IntegrityError as reason:
        if "pk_critical_calls" in str(reason.orig):
            raise IdTaken("Another call has this id. Make a new one.") from None
        raise
    publish(
        session,
        CriticalCalled(subject_id=call.id, result_id=result.id, order_id=result.order_id, outcome=outcome),
    )
    return call


def opened(session: Session, calls: Collection[CriticalCall]) -> dict[UUID, str]:
    """Who was told, by call; absent where nobody was, or the patient is erased. Whoever shows it records that."""
    keys, organization_id = keys_of(session), actor_of(session).organization_id
    told = [call for call in calls if call.informed_sealed is not None]
    found = keys.patient_keys(organization_id, {call.patient_id for call in told}) if told else {}
    return {
        call.id: keys.unseal(call.informed_sealed or b"", found[call.patient_id], organization_id, INFORMED, call.id)
        for call in told
        if call.patient_id in found
    }


def _sealed(session: Session, call: CriticalCall, informed: str) -> bytes:
    key = keys_of(session).patient_key(call.organization_id, call.patient_id)
    return keys_of(session).seal(informed, key, call.organization_id, INFORMED, call.id)
