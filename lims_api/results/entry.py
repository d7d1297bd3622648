"""Values that a person reads off and types: held like an analyser's, for somebody else to look at."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from ingest.contract import Observation
from lims_api.catalogue import service as catalogue
from lims_api.core.clock import utc_now
from lims_api.core.db import actor_of
from lims_api.core.ids import uuid7
from lims_api.equipment.service import Mapping as CodeMapping
from lims_api.orders.models import OrderTest
from lims_api.results.autoverification import Facts, Reason, reasons_to_hold
from lims_api.results.errors import ResultExists, ResultNotEnterable, UnknownOrderTest
from lims_api.results.judging import Value, Verdict, delta_of, earlier_results
from lims_api.results.knowledge import Earlier, KnownSpecimen, Ordered, known_specimens
from lims_api.results.measurement import measured_facts
from lims_api.results.models import Entry, Result, ResultStatus
from lims_api.results.recording import follow_up, insert_rows, result_row
from lims_api.results.schemas import ValueIn
from lims_api.results.typed import typed_value
from lims_api.specimens.models import Specimen

CURRENT = (ResultStatus.HELD, ResultStatus.AUTHORISED)


def enter(session: Session, values: Sequence[ValueIn], *, measured_at: datetime) -> list[Result]:
    """Results of ordered tests whose specimens are received, typed in the tests' units; all of them or none.

    Each is held as a `manual_entry`, and for whatever the rules find besides. A test that has a result is corrected,
    not entered again. Raises `UnknownOrderTest`, `ResultNotEnterable`, `ResultExists`, `NotANumber`, `NotAllowed`.
    """
    now = utc_now()
    wanted = {value.order_test_id: value.value_text.strip() for value in values}
    found = [_value(each, wanted, measured_at) for each in _ordered(session, wanted)]
    history = earlier_results(session, {value.specimen.patient_id for value in found}, before=now)
    is_ahead = measured_at > now + timedelta(seconds=session.info["services"].clock_tolerance_seconds)
    judged = [(value, _judged(value, history, now, is_ahead=is_ahead)) for value in found]
    actor = actor_of(session)
    origin = {"organization_id": actor.organization_id, "entered_by_id": actor.actor_id, "entry": Entry.MANUAL}
    insert_rows(session, "results", [result_row(value, verdict, now, **origin) for value, verdict in judged])
    follow_up(session, judged, now)
    rows = session.scalars(select(Result).where(Result.id.in_([value.id for value in found])))
    by_test = {row.order_test_id: row for row in rows}
    return [by_test[order_test_id] for order_test_id in wanted]


def _ordered(session: Session, wanted: Collection[UUID]) -> list[tuple[KnownSpecimen, Ordered]]:
    """Each test with its specimen, which is locked: of two who enter a value at once, the later one finds a result."""
    rows = select(OrderTest.id, OrderTest.specimen_id).where(
        OrderTest.id.in_(wanted), OrderTest.test_code.not_in(catalogue.hidden_codes(session))
    )
    specimen_of = {row.id: row.specimen_id for row in session.execute(rows)}
    if len(specimen_of) != len(wanted):
        raise UnknownOrderTest("One of these tests is not ordered in this organization.")
    numbers = select(Specimen.accession_number).where(Specimen.id.in_(set(specimen_of.values())))
    known = known_specimens(session, set(session.scalars(numbers)))
    ready = {
        ordered.id: (specimen, ordered)
        for specimen in known.values()
        if specimen.is_received
        for ordered in specimen.ordered.values()
    }
    for order_test_id in wanted:
        if order_test_id not in ready:
            raise ResultNotEnterable(
                "Receive the test's specimen first; a cancelled test takes no result.", order_test=str(order_test_id)
            )
    return [ready[order_test_id] for order_test_id in wanted]


def _value(of: tuple[KnownSpecimen, Ordered], wanted: Mapping[UUID, str], measured_at: datetime) -> Value:
    specimen, ordered = of
    definition, typed = ordered.definition, wanted[ordered.id]
    if any(existing.status in CURRENT for existing in specimen.existing.get(definition.code, ())):
        raise ResultExists(
            f"{definition.code} has a result. Correct it, or reject it first.", order_test=str(ordered.id)
        )
    comparator, number = typed_value(definition, typed, censored=True)
    observation = Observation(
        sequence=0, code=definition.code, value_text=typed, value=number, comparator=comparator, unit=definition.unit,
        observed_at=measured_at,
    )  # fmt: skip
    return Value(
        id=uuid7(), specimen=specimen, ordered=ordered, observation=observation, observed_at=measured_at,
        mapping=CodeMapping(definition.code, unit_sent=definition.unit, factor=Decimal(1)),
        age_days=specimen.age_days(measured_at),
    )  # fmt: skip


def _judged(value: Value, history: dict[UUID, list[Earlier]], now: datetime, *, is_ahead: bool) -> Verdict:
    """Held because a person typed it, then for what its measurement says; gates of analysers do not apply."""
    verdict, definition = value.verdict(), value.ordered.definition
    change = delta_of(value, verdict, history, now)
    facts = Facts(
        **measured_facts(value.observation, verdict.measured, definition, value.specimen.sex, value.age_days),
        in_control=None, identity_agrees=True, switched_off=False, is_authorised=True, model_usable=True,
        model_holds=False, is_restricted=definition.is_restricted, is_approved=definition.is_approved,
        clock_agrees=not is_ahead, is_repeat=verdict.corrects_id is not None,
        delta_exceeded=change is not None and change.exceeded,
    )  # fmt: skip
    verdict.reasons = [Reason.MANUAL_ENTRY, *reasons_to_hold(facts)]
    verdict.evidence = {"delta_percent": round(float(change.percent), 1)} if change else {}
    return verdict
