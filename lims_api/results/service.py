"""What people do with results: authorise, reject, correct by a new version, switch automatic release off."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from lims_api.catalogue import service as catalogue
from lims_api.catalogue.models import ResultKind
from lims_api.catalogue.schemas import Definition
from lims_api.core.clock import utc_now
from lims_api.core.db import actor_of, keys_of
from lims_api.core.ids import uuid7
from lims_api.core.ledger import publish
from lims_api.equipment import service as equipment
from lims_api.orders import service as orders
from lims_api.orders.models import OrderTest, OrderTestStatus
from lims_api.organizations import service as organizations
from lims_api.results.autoverification import RULES_VERSION, Reason
from lims_api.results.errors import (
    AuthorisationRefused,
    NotAuthorisable,
    NotVerifiable,
    OwnEntry,
    ResultNotCorrectable,
    ResultNotHeld,
    UnknownResult,
)
from lims_api.results.events import ReleaseSwitched, ResultAuthorised, ResultCorrected, ResultVerified
from lims_api.results.flags import flag
from lims_api.results.models import Entry, ReleaseSwitch, Result, ResultStatus, StandingAuthorisation, SwitchScope
from lims_api.results.recording import insert_rows
from lims_api.results.typed import typed_value
from lims_api.specimens import service as specimens
from lims_api.specimens.models import SpecimenStatus

EVERY_LAB = "*"

_FROZEN = (
    "organization_id", "patient_id", "order_id", "order_test_id", "specimen_id", "site_id", "test_code", "loinc",
    "definition_id", "analyser_id", "unit", "reference_low", "reference_high", "critical_low", "critical_high",
    "age_days", "sex", "rules_version",
)  # fmt: skip
"""What a corrected version keeps of the one it replaces."""


def get(session: Session, result_id: UUID) -> Result:
    """One result, or `UnknownResult`; a restricted one does not exist for who may not see it."""
    return _found(session, [result_id])[0]


def verify(session: Session, result_ids: Collection[UUID]) -> list[Result]:
    """Technical validation of held results; all of them or none. Who entered a value may not verify it, and a
    correction starts unverified."""
    found = _locked(session, result_ids)
    actor, now = actor_of(session).actor_id, utc_now()
    rejected = specimens.lock(session, {result.specimen_id for result in found}, status=SpecimenStatus.REJECTED)
    for result in found:
        if result.status is not ResultStatus.HELD:
            raise ResultNotHeld(f"A result is {result.status}.", result=str(result.id), status_now=result.status)
        if result.entered_by_id == actor:
            raise OwnEntry("Another person must verify what you entered.", result=str(result.id))
        if result.verified_at is not None:
            raise NotVerifiable("It was verified before.", result=str(result.id))
        if result.specimen_id in rejected:
            raise NotVerifiable("The specimen was rejected. Reject this result too.", result=str(result.id))
        result.verified_by_id, result.verified_at = actor, now
        publish(session, ResultVerified(subject_id=result.id, order_id=result.order_id, test_code=result.test_code))
    session.flush()
    return found


def authorise(session: Session, result_ids: Collection[UUID]) -> list[Result]:
    """A pathologist's word on held results; all of them or none. Who entered a value may not authorise it."""
    found = _locked(session, result_ids)
    actor, now = actor_of(session).actor_id, utc_now()
    definitions = catalogue.definitions(session, {result.definition_id for result in found})
    rejected = specimens.lock(session, {result.specimen_id for result in found}, status=SpecimenStatus.REJECTED)
    for result in found:
        _refuse_unless_authorisable(result, actor, definitions[result.definition_id])
        if result.specimen_id in rejected:
            raise NotAuthorisable("The specimen was rejected. Reject this result too.", result=str(result.id))
        result.status, result.authorised_by_id, result.authorised_at = ResultStatus.AUTHORISED, actor, now
        result.signatory_id = actor
        _supersede(session, result)
        publish(session, ResultAuthorised(subject_id=result.id, order_id=result.order_id, test_code=result.test_code))
    wanted = {result.order_test_id for result in found}
    for test in session.scalars(
        select(OrderTest).where(OrderTest.id.in_(wanted)).order_by(OrderTest.id).with_for_update()
    ):
        test.status = OrderTestStatus.AUTHORISED
    orders.complete_where_all_authorised(session, {result.order_id for result in found}, now)
    return found


def reject(session: Session, result_id: UUID) -> Result:
    """Set a held result aside, e.g. the worse of two measurements; it stays on record."""
    result = _locked(session, [result_id])[0]
    if result.status is not ResultStatus.HELD:
        raise ResultNotHeld(f"This result is {result.status}.", status_now=result.status)
    result.status = ResultStatus.REJECTED
    session.flush()
    _step_back(session, result.order_test_id)
    orders.complete_where_all_authorised(session, {result.order_id}, utc_now())
    return result


def correct(session: Session, result_id: UUID, *, value_text: str, reason: str, comment: str | None) -> Result:
    """A new version with another value, held until someone else authorises it; the old one stays valid until then."""
    old = _locked(session, [result_id])[0]
    newer = session.scalars(
        select(Result.id).where(Result.corrects_id == old.id, Result.status == ResultStatus.HELD)
    ).first()
    if old.status in (ResultStatus.SUPERSEDED, ResultStatus.REJECTED) or newer is not None:
        raise ResultNotCorrectable("A newer version of this result exists, or it was set aside. Correct the newest.")
    definition = catalogue.definitions(session, {old.definition_id})[old.definition_id]
    _, value = typed_value(definition, value_text)
    of_the_same = select(func.max(Result.version)).where(
        Result.specimen_id == old.specimen_id, Result.test_code == old.test_code
    )
    row: dict[str, Any] = {name: getattr(old, name) for name in _FROZEN}
    new_id = uuid7()
    row |= {
        "id": new_id, "occurred_at": old.occurred_at, "entry": Entry.MANUAL,
        "entered_by_id": actor_of(session).actor_id,
        "value_text": value_text, "value": value, "comparator": None, "unit": definition.unit,
        "flag": flag(value, None, old.reference_low, old.reference_high, old.critical_low, old.critical_high),
        "status": ResultStatus.HELD, "version": (session.scalar(of_the_same) or old.version) + 1,
        "corrects_id": old.id, "correction_reason": reason,
        "reasons": [Reason.CORRECTION], "instrument_flags": [], "run": "", "evidence": "{}", "is_automatic": False,
        "comment_sealed": _sealed(session, comment, old.patient_id, new_id) if comment else None,
    }  # fmt: skip
    if old.status is ResultStatus.HELD:
        old.status = ResultStatus.SUPERSEDED
        session.flush()
    insert_rows(session, "results", [row])
    return session.scalars(select(Result).where(Result.id == new_id)).one()


def switch_release(session: Session, scope: SwitchScope, target: str, *, off: bool, reason: str) -> ReleaseSwitch:
    """The red switch: automatic release off (or on again) from the next result on. `target` '*' is every laboratory;
    a target that does not exist is refused, for its switch would stop nothing."""
    target = _target(session, scope, target)
    switch = ReleaseSwitch(
        organization_id=actor_of(session).organization_id, scope=scope, target=target, is_off=off, reason=reason,
        set_by_id=actor_of(session).actor_id,
    )  # fmt: skip
    session.add(switch)
    session.flush()
    publish(session, ReleaseSwitched(subject_id=switch.id, scope=scope, target=target, is_off=off))
    return switch


def sign_standing_authorisation(
    session: Session, *, rules_version: str, model_version: str, test_codes: list[str], valid_to: datetime
) -> StandingAuthorisation:
    """The caller takes responsibility for automatic releases of these tests under these rules and this model."""
    now = utc_now()
    if rules_version != RULES_VERSION:
        raise AuthorisationRefused(
            f"The rules in force are version {RULES_VERSION}; sign those.", rules_version=RULES_VERSION
        )
    if not now < valid_to:
        raise AuthorisationRefused("`valid_to` must lie in the future.")
    for code in test_codes:
        test = catalogue.newest(session, code)
        if test.is_restricted or test.kind is not ResultKind.NUMERIC:
            kind = "restricted" if test.is_restricted else f"a {test.kind} result"
            raise AuthorisationRefused(f"{code} is {kind} and is never released automatically.", test=code)
    signed = StandingAuthorisation(
        organization_id=actor_of(session).organization_id, signatory_id=actor_of(session).actor_id,
        rules_version=rules_version, model_version=model_version, test_codes=sorted(set(test_codes)), signed_at=now,
        valid_from=now, valid_to=valid_to,
    )  # fmt: skip
    session.add(signed)
    session.flush()
    return signed


def _locked(session: Session, result_ids: Collection[UUID]) -> list[Result]:
    """Their specimens are locked first, as a delivery does it: who would wait for each other stands in one line."""
    specimens.lock(session, set(session.scalars(select(Result.specimen_id).where(Result.id.in_(result_ids)))))
    return _found(session, result_ids, lock=True)


def _found(session: Session, result_ids: Collection[UUID], *, lock: bool = False) -> list[Result]:
    """In the order of their ids; `UnknownResult` unless all exist for the caller."""
    query = select(Result).where(Result.id.in_(result_ids), Result.test_code.not_in(catalogue.hidden_codes(session)))
    query = query.order_by(Result.id)
    found = list(session.scalars(query.with_for_update() if lock else query))
    if len(found) != len(set(result_ids)):
        raise UnknownResult("One of these results does not exist in this organization.")
    return found


def _refuse_unless_authorisable(result: Result, actor: UUID, definition: Definition) -> None:
    if result.status is not ResultStatus.HELD:
        raise ResultNotHeld(f"A result is {result.status}.", result=str(result.id), status_now=result.status)
    if result.entered_by_id == actor:
        raise OwnEntry("Another person must authorise what you entered.", result=str(result.id))
    if not definition.is_approved:
        raise NotAuthorisable("The definition of this test is not approved.", result=str(result.id))
    if not _is_of_its_kind(result, definition):
        raise NotAuthorisable(
            "Correct the value first: it has no number, an unknown unit, or is none of the test's values.",
            result=str(result.id),
        )


def _is_of_its_kind(result: Result, definition: Definition) -> bool:
    """A number in the test's unit, one of a coded test's values, or any text of a text test."""
    if definition.kind is ResultKind.NUMERIC:
        return result.value is not None and result.unit == definition.unit
    if definition.kind is ResultKind.CODED:
        return result.value_text in definition.allowed_values
    return bool(result.value_text.strip())


def _supersede(session: Session, result: Result) -> None:
    """The version that this one replaces, and any other that was authorised, is no longer current."""
    others = select(Result).where(
        Result.specimen_id == result.specimen_id, Result.test_code == result.test_code, Result.id != result.id,
        Result.status.in_([ResultStatus.AUTHORISED, ResultStatus.HELD]), Result.version < result.version,
    )  # fmt: skip
    for other in session.scalars(others.order_by(Result.id).with_for_update()):
        if other.status is ResultStatus.AUTHORISED:
            event = ResultCorrected(
                subject_id=result.id, order_id=result.order_id, replaces_id=other.id, test_code=result.test_code
            )
            publish(session, event)
        other.status = ResultStatus.SUPERSEDED


def _step_back(session: Session, order_test_id: UUID) -> None:
    """After a result was set aside: the test is what its other results make it, or waits for another measurement."""
    query = select(Result.status).where(Result.order_test_id == order_test_id)
    left = set(session.scalars(query))
    test = session.scalars(select(OrderTest).where(OrderTest.id == order_test_id).with_for_update()).one()
    if test.status is OrderTestStatus.CANCELLED:
        return
    if ResultStatus.HELD in left:
        test.status = OrderTestStatus.RESULTED
    else:
        test.status = OrderTestStatus.AUTHORISED if ResultStatus.AUTHORISED in left else OrderTestStatus.ORDERED


def _target(session: Session, scope: SwitchScope, target: str) -> str:
    """As results name it."""
    if scope is SwitchScope.TEST:
        return catalogue.newest(session, target).code
    if scope is SwitchScope.ANALYSER:
        return str(equipment.get(session, _id(target)).id)
    return target if target == EVERY_LAB else str(organizations.site(session, _id(target)).id)


def _id(text: str) -> UUID:
    """Of nothing, when the text is no id."""
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)


def _sealed(session: Session, comment: str, patient_id: UUID, row_id: UUID) -> str:
    organization_id, keys = actor_of(session).organization_id, keys_of(session)
    key = keys.patient_key(organization_id, patient_id)
    return "\\x" + keys.seal(comment, key, organization_id, "results.comment_sealed", row_id).hex()
