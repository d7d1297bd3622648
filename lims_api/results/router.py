"""Messages from gateways, results for people, and the red switch."""

from collections.abc import Iterable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from ingest.contract import Batch, BatchReceipt
from lims_api.core.clock import utc_now
from lims_api.core.db import transaction
from lims_api.core.http import Caller, command, requires
from lims_api.core.permissions import Permission
from lims_api.results import calls, entry, parked, reading, service
from lims_api.results.models import Result
from lims_api.results.recording import record_batch
from lims_api.results.schemas import (
    Authorisation,
    CallIn,
    CallRef,
    Correction,
    HeardPage,
    HeldDetail,
    HeldPage,
    OrderView,
    ParkedPage,
    ParkedRef,
    ResultRef,
    ResultRefs,
    ResultsIn,
    SettingAside,
    StandingIn,
    StandingOut,
    SwitchIn,
    SwitchOut,
    Verification,
    WaitingPage,
)

router = APIRouter(prefix="/v1", tags=["results"])
After = Annotated[UUID | None, Query(description="the `next` of the page before")]


@router.post("/ingest/messages", response_model=BatchReceipt)
@requires(Permission.MESSAGE_DELIVER)
def deliver_messages(body: Batch, caller: Caller) -> Response:
    """A gateway delivers up to 50 messages: all are recorded or parked, or none. A repeat changes nothing."""
    return command(
        caller,
        lambda session: BatchReceipt(
            batch_id=body.id, receipts=tuple(record_batch(session, body)), core_clock=utc_now()
        ),
    )


@router.get("/ingest/messages")
@requires(Permission.MESSAGE_READ)
def list_messages(caller: Caller, after: After = None) -> HeardPage:
    """What analysers sent, and how much of each message was recorded and parked."""
    with transaction(caller) as session:
        return reading.heard_page(session, after)


@router.get("/orders/{order_id}", response_model=OrderView)
@requires(Permission.RESULT_READ)
def get_order(order_id: UUID, caller: Caller) -> Response:
    """One order with its current results."""
    return reading.order_view(caller, order_id)


@router.get("/results/held")
@requires(Permission.RESULT_READ)
def list_held(caller: Caller, after: After = None) -> HeldPage:
    """The worklist of held results."""
    with transaction(caller) as session:
        return reading.held_page(session, after)


@router.get("/results/{result_id}")
@requires(Permission.RESULT_READ)
def get_result(result_id: UUID, caller: Caller) -> HeldDetail:
    """One result, with the reasons it is held for."""
    with transaction(caller) as session:
        return reading.held_detail(session, result_id)


@router.post("/results", status_code=201, response_model=ResultRefs)
@requires(Permission.RESULT_ENTER)
def enter_results(body: ResultsIn, caller: Caller) -> Response:
    """Enter values by hand, all or none; each is held until others verify and authorise it."""
    return command(
        caller,
        lambda session: _refs(entry.enter(session, body.values, measured_at=body.measured_at)),
        status=201,
    )


@router.post("/results/verify", response_model=ResultRefs)
@requires(Permission.RESULT_VERIFY)
def verify_results(body: Verification, caller: Caller) -> Response:
    """Validate held results technically, all or none."""
    return command(caller, lambda session: _refs(service.verify(session, body.result_ids)))


@router.post("/results/authorise", response_model=ResultRefs)
@requires(Permission.RESULT_AUTHORISE)
def authorise_results(body: Authorisation, caller: Caller) -> Response:
    """Authorise held results, all or none."""
    return command(caller, lambda session: _refs(service.authorise(session, body.result_ids)))


@router.post("/results/{result_id}/reject", response_model=ResultRef)
@requires(Permission.RESULT_AUTHORISE)
def reject_result(result_id: UUID, caller: Caller) -> Response:
    """Set a held result aside."""
    return command(caller, lambda session: ResultRef.model_validate(service.reject(session, result_id)))


@router.post("/results/{result_id}/correct", status_code=201, response_model=ResultRef)
@requires(Permission.RESULT_CORRECT)
def correct_result(result_id: UUID, body: Correction, caller: Caller) -> Response:
    """Correct a result by a new version, which someone else must authorise."""
    return command(
        caller,
        lambda session: ResultRef.model_validate(
            service.correct(session, result_id, value_text=body.value_text, reason=body.reason, comment=body.comment)
        ),
        status=201,
    )


@router.post("/critical-calls", status_code=201, response_model=CallRef)
@requires(Permission.CRITICAL_CALL)
def record_call(body: CallIn, caller: Caller) -> Response:
    """Record that somebody was told of a critical value and read it back, or was not reached."""
    return command(caller, lambda session: CallRef.model_validate(calls.record(session, **dict(body))), status=201)


@router.get("/critical-calls/waiting")
@requires(Permission.RESULT_READ)
def list_waiting_calls(caller: Caller, after: After = None) -> WaitingPage:
    """Current critical results of which nobody has been told."""
    with transaction(caller) as session:
        return reading.waiting_page(session, after)


@router.get("/parked")
@requires(Permission.MESSAGE_READ)
def list_parked(caller: Caller, after: After = None) -> ParkedPage:
    """What analysers sent that could not be recorded."""
    with transaction(caller) as session:
        return reading.parked_page(session, after)


@router.post("/parked/{parked_id}/set-aside", response_model=ParkedRef)
@requires(Permission.PARKED_RESOLVE)
def set_parked_aside(parked_id: UUID, body: SettingAside, caller: Caller) -> Response:
    """Take a parked observation off the list, for a reason; it stays on record."""
    return command(
        caller, lambda session: ParkedRef.model_validate(parked.set_aside(session, parked_id, reason=body.reason))
    )


@router.post("/release-switches", status_code=201, response_model=SwitchOut)
@requires(Permission.RELEASE_SWITCH)
def switch_release(body: SwitchIn, caller: Caller) -> Response:
    """Stop automatic release, or allow it again."""
    return command(
        caller,
        lambda session: SwitchOut(
            id=service.switch_release(session, body.scope, body.target, off=body.off, reason=body.reason).id,
            off=body.off,
        ),
        status=201,
    )


@router.post("/standing-authorisations", status_code=201, response_model=StandingOut)
@requires(Permission.AUTHORISATION_SIGN)
def sign_standing_authorisation(body: StandingIn, caller: Caller) -> Response:
    """Sign for automatic releases under named rules and a named model, until a date."""
    return command(
        caller,
        lambda session: StandingOut.model_validate(service.sign_standing_authorisation(session, **body.model_dump())),
        status=201,
    )


def _refs(results: Iterable[Result]) -> ResultRefs:
    return ResultRefs(results=[ResultRef.model_validate(result) for result in results])
