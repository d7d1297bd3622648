"""Results as people see them: an order, the held worklist, what is parked."""

from typing import Any, TypeVar
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from ingest.contract import StatedIdentity
from lims_api.catalogue import service as catalogue
from lims_api.core.access import saw, saw_many
from lims_api.core.crypto import CannotUnseal
from lims_api.core.db import Caller, actor_of, keys_of
from lims_api.core.http import read_row
from lims_api.patients import service as patients
from lims_api.patients.sealing import Sealer
from lims_api.results.identity_check import differences
from lims_api.results.models import InstrumentMessage, RecordGroup, Result
from lims_api.results.queries import ORDER, WHOSE_ORDER, heard, held, parked, waiting_for_a_call
from lims_api.results.schemas import (
    HeardMessage,
    HeardPage,
    HeldDetail,
    HeldPage,
    HeldResult,
    Mismatch,
    OrderView,
    ParkedItem,
    ParkedPage,
    WaitingCall,
    WaitingPage,
)
from lims_api.results.service import get

PAGE = 100
Row = TypeVar("Row", bound=BaseModel)


def order_view(caller: Caller, order_id: UUID) -> Response:
    """One order with its results, in one round trip."""
    row = read_row(caller, ORDER, {"order_id": order_id}, action="order.read", whose=WHOSE_ORDER)
    body, patient_id, name_sealed, organization_id = row
    view = OrderView.model_validate_json(body)
    keys = caller.database.keys
    key = keys.patient_keys(organization_id, [patient_id]).get(patient_id) if name_sealed is not None else None
    if key is not None:
        view.patient_name = Sealer(keys, key, organization_id, patient_id).open("name_sealed", bytes(name_sealed))
    return Response(OrderView.__pydantic_serializer__.to_json(view), media_type="application/json")


def held_page(session: Session, after: UUID | None) -> HeldPage:
    """What waits for a person, oldest first; restricted tests only for who may see them."""
    query = held().where(Result.test_code.not_in(catalogue.hidden_codes(session)))
    rows = _page(session, query, Result.id, after)
    saw_many(session, "result.list", [row.patient_id for row in rows[:PAGE]])
    return HeldPage(items=[HeldResult.model_validate(row) for row in rows[:PAGE]], next=_next(rows))


def waiting_page(session: Session, after: UUID | None) -> WaitingPage:
    """Critical results of which nobody has been told, oldest first; restricted tests only for who may see them."""
    query = waiting_for_a_call().where(Result.test_code.not_in(catalogue.hidden_codes(session)))
    rows = _page(session, query, Result.id, after)
    saw_many(session, "result.list", [row.patient_id for row in rows[:PAGE]])
    return WaitingPage(items=[WaitingCall.model_validate(row) for row in rows[:PAGE]], next=_next(rows))


def parked_page(session: Session, after: UUID | None) -> ParkedPage:
    """Observations that could not be recorded, oldest first."""
    query = parked()
    rows = _page(session, query, query.selected_columns.id, after)
    return ParkedPage(items=[ParkedItem.model_validate(row) for row in rows[:PAGE]], next=_next(rows))


def heard_page(session: Session, after: UUID | None) -> HeardPage:
    """What analysers sent and what became of it, in the order of delivery."""
    rows = _page(session, heard(), InstrumentMessage.id, after)
    return HeardPage(items=[HeardMessage.model_validate(row) for row in rows[:PAGE]], next=_next(rows))


def held_detail(session: Session, result_id: UUID) -> HeldDetail:
    """One result, and each way in which the analyser's identity differs from the registration."""
    result = get(session, result_id)
    saw(session, "result.read", result.patient_id, result.id)
    return HeldDetail(result=HeldResult.model_validate(result), identity=_mismatches(session, result))


def _mismatches(session: Session, result: Result) -> list[Mismatch]:
    registered = patients.open_identity(session, [patients.get(session, result.patient_id)]).get(result.patient_id)
    if registered is None:
        return []
    found = (differences(stated, registered, result.sex or "") for stated in _stated(session, result))
    unlike = dict.fromkeys(each for of_group in found for each in of_group)
    return [Mismatch(field=each.field, stated=each.stated, registered=each.registered) for each in unlike]


def _stated(session: Session, result: Result) -> list[StatedIdentity]:
    """What each group of the message that names this specimen states of its person."""
    query = select(RecordGroup).where(
        RecordGroup.message_id == result.message_id, RecordGroup.specimen_id == result.specimen_id
    )
    keys, organization_id = keys_of(session), actor_of(session).organization_id
    stated = []
    for group in session.scalars(query.where(RecordGroup.identity_sealed.is_not(None)).order_by(RecordGroup.position)):
        try:
            key = keys.patient_key(organization_id, result.patient_id)
            opened = keys.unseal(
                group.identity_sealed or b"", key, organization_id, "record_groups.identity_sealed", group.id
            )
        except CannotUnseal:
            continue
        stated.append(StatedIdentity.model_validate_json(opened.encode("latin-1")))
    return stated


def _page(session: Session, query: Select[Any], key: Any, after: UUID | None) -> list[Any]:
    if after is not None:
        query = query.where(key > after)
    return list(session.scalars(query.limit(PAGE + 1)))


def _next(rows: list[Any]) -> UUID | None:
    return rows[PAGE - 1].id if len(rows) > PAGE else None
