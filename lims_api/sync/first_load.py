"""The whole working set, in pages: what is small at once, then controls, orders and patients by their ids."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from lims_api.core.permissions import Permission
from lims_api.sync import working_set
from lims_api.sync.cursor import Place
from lims_api.sync.documents import catalogue, orders, patients, qc, results, staff
from lims_api.sync.documents.part import Part
from lims_api.sync.scope import Scope

ENOUGH = 2_000
"""A page ends with the stage that makes it so many documents."""

Filling = Callable[[Session, Scope, Part, list[UUID]], None]
Listing = Callable[[Session, Scope, UUID, int], list[UUID]]


@dataclass(frozen=True)
class Stage:
    """So many subjects at a time: which come next, and what is sent of them."""

    count: int
    listing: Listing
    filling: Filling


def load(session: Session, scope: Scope, place: Place) -> tuple[Part, Place | None]:
    """The documents from `place` on, and the place behind them; None at the end."""
    part = Part()
    if place.stage == 0:
        _fixed(session, scope, part)
        place = Place(1)
    while place.stage <= len(_STAGES):
        stage = _STAGES[place.stage - 1]
        ids = stage.listing(session, scope, place.after, stage.count)
        if ids:
            stage.filling(session, scope, part, ids)
        full = len(ids) == stage.count
        place = Place(place.stage, ids[-1]) if full else Place(place.stage + 1)
        if part.size >= ENOUGH:
            break
    return part, place if place.stage <= len(_STAGES) else None


def _fixed(session: Session, scope: Scope, part: Part) -> None:
    staff.me(scope, part)
    if scope.may(Permission.SITE_READ):
        staff.sites(session, scope, part)
        staff.users(session, scope, part)
        results.switches(session, scope, part)
    if scope.may(Permission.ANALYSER_READ):
        staff.analysers(session, scope, part)
    if scope.may(Permission.CATALOGUE_READ):
        catalogue.tests(session, scope, part, None)
        catalogue.panels(session, scope, part, None)
    if scope.may(Permission.CONTROL_READ):
        qc.control_targets(session, scope, part)


def _parked(session: Session, scope: Scope, part: Part, ids: list[UUID]) -> None:
    if scope.may(Permission.MESSAGE_READ):
        results.parked(session, scope, part, ids)


def _controls(session: Session, scope: Scope, part: Part, ids: list[UUID]) -> None:
    if scope.may(Permission.CONTROL_READ):
        qc.controls(session, scope, part, ids)


def _orders(session: Session, scope: Scope, part: Part, ids: list[UUID]) -> None:
    if scope.may(Permission.ORDER_READ):
        orders.orders(session, scope, part, ids)
    if scope.may(Permission.SPECIMEN_READ):
        orders.specimens(session, scope, part, order_ids=ids)
    if scope.may(Permission.REPORT_READ):
        orders.reports(session, scope, part, order_ids=ids)


def _patients(session: Session, scope: Scope, part: Part, ids: list[UUID]) -> None:
    if scope.may(Permission.PATIENT_READ):
        patients.patients(session, scope, part, ids)
    if scope.may(Permission.RESULT_READ):
        since = working_set.since()
        results.results_of_patients(session, scope, part, ids, since)
        results.critical_calls(session, scope, part, patient_ids=ids, since=since)


_STAGES = (
    Stage(500, working_set.parked_ids, _parked),
    Stage(1_000, working_set.control_ids, _controls),
    Stage(300, working_set.order_ids, _orders),
    Stage(50, working_set.patient_ids, _patients),
)
