"""Every command of an app: the permission it needs, the body it takes, and the domain's service that does it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from sqlalchemy.orm import Session

from lims_api.core.permissions import Permission
from lims_api.orders import service as orders
from lims_api.orders.schemas import OrderIn, OrderRef
from lims_api.patients import service as patients
from lims_api.patients.schemas import PatientIn, PatientRef
from lims_api.qc import service as qc
from lims_api.qc.schemas import ControlIn, ControlOut
from lims_api.results import calls, entry, parked
from lims_api.results import service as results
from lims_api.results.models import Result
from lims_api.results.schemas import (
    Authorisation,
    CallIn,
    CallRef,
    ParkedRef,
    ResultRef,
    ResultRefs,
    ResultsIn,
    SwitchIn,
    SwitchOut,
    Verification,
)
from lims_api.specimens import service as specimens
from lims_api.specimens.schemas import Collected, Collection, Container, SpecimenOut
from lims_api.sync.schemas import ParkedAside, ResultCorrection, ResultRejection, SpecimenReceipt, SpecimenRejection


@dataclass(frozen=True)
class Kind:
    """One kind of command. `work` gets a body that `schema` has checked; what it replies is stored in clear."""

    permission: Permission
    schema: type[BaseModel]
    work: Callable[[Session, Any], BaseModel]
    status: int = 200


def _register(session: Session, body: PatientIn) -> PatientRef:
    return PatientRef.model_validate(patients.register(session, body))


def _place(session: Session, body: OrderIn) -> OrderRef:
    return OrderRef.model_validate(orders.place(session, body), from_attributes=True)


def _collect(session: Session, body: Collection) -> Collected:
    labels = {label.container: label.accession_number for label in body.labels}
    drawn = specimens.collect(session, body.order_id, collected_at=body.collected_at, labels=labels)
    return Collected(
        specimens=[
            Container(**SpecimenOut.model_validate(specimen).model_dump(), tests=tests) for specimen, tests in drawn
        ]
    )


def _receive(session: Session, body: SpecimenReceipt) -> SpecimenOut:
    return SpecimenOut.model_validate(specimens.receive(session, body.accession_number, received_at=body.received_at))


def _reject_specimen(session: Session, body: SpecimenRejection) -> SpecimenOut:
    return SpecimenOut.model_validate(
        specimens.reject(session, body.accession_number, reason=body.reason, rejected_at=body.rejected_at)
    )


def _refs(found: Iterable[Result]) -> ResultRefs:
    return ResultRefs(results=[ResultRef.model_validate(result) for result in found])


def _enter(session: Session, body: ResultsIn) -> ResultRefs:
    return _refs(entry.enter(session, body.values, measured_at=body.measured_at))


def _verify(session: Session, body: Verification) -> ResultRefs:
    return _refs(results.verify(session, body.result_ids))


def _authorise(session: Session, body: Authorisation) -> ResultRefs:
    return _refs(results.authorise(session, body.result_ids))


def _call(session: Session, body: CallIn) -> CallRef:
    return CallRef.model_validate(calls.record(session, **dict(body)))


def _set_aside(session: Session, body: ParkedAside) -> ParkedRef:
    return ParkedRef.model_validate(parked.set_aside(session, body.id, reason=body.reason))


def _reject_result(session: Session, body: ResultRejection) -> ResultRef:
    return ResultRef.model_validate(results.reject(session, body.result_id))


def _correct(session: Session, body: ResultCorrection) -> ResultRef:
    corrected = results.correct(
        session, body.result_id, value_text=body.value_text, reason=body.reason, comment=body.comment
    )
    return ResultRef.model_validate(corrected)


def _record_control(session: Session, body: ControlIn) -> ControlOut:
    value = qc.Measured(body.test_code, body.value, body.unit)
    recorded = qc.record_by_hand(
        session, body.material, body.lot_number, body.level, value,
        analyser_id=body.analyser_id, occurred_at=body.occurred_at,
    )  # fmt: skip
    return ControlOut.model_validate(recorded)


def _switch(session: Session, body: SwitchIn) -> SwitchOut:
    switch = results.switch_release(session, body.scope, body.target, off=body.off, reason=body.reason)
    return SwitchOut(id=switch.id, off=switch.is_off)


COMMANDS = {
    "controls.record": Kind(Permission.CONTROL_RECORD, ControlIn, _record_control, 201),
    "critical_calls.record": Kind(Permission.CRITICAL_CALL, CallIn, _call, 201),
    "orders.place": Kind(Permission.ORDER_PLACE, OrderIn, _place, 201),
    "parked.set_aside": Kind(Permission.PARKED_RESOLVE, ParkedAside, _set_aside),
    "patients.register": Kind(Permission.PATIENT_REGISTER, PatientIn, _register, 201),
    "release.switch": Kind(Permission.RELEASE_SWITCH, SwitchIn, _switch, 201),
    "results.authorise": Kind(Permission.RESULT_AUTHORISE, Authorisation, _authorise),
    "results.correct": Kind(Permission.RESULT_CORRECT, ResultCorrection, _correct, 201),
    "results.enter": Kind(Permission.RESULT_ENTER, ResultsIn, _enter, 201),
    "results.reject": Kind(Permission.RESULT_AUTHORISE, ResultRejection, _reject_result),
    "results.verify": Kind(Permission.RESULT_VERIFY, Verification, _verify),
    "specimens.collect": Kind(Permission.SPECIMEN_COLLECT, Collection, _collect, 201),
    "specimens.receive": Kind(Permission.SPECIMEN_RECEIVE, SpecimenReceipt, _receive),
    "specimens.reject": Kind(Permission.SPECIMEN_REJECT, SpecimenRejection, _reject_specimen),
}
"""By name, sorted."""
