"""All that an order's report prints, read once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from lims_api.catalogue import service as catalogue
from lims_api.catalogue.schemas import Definition
from lims_api.identity import service as identity
from lims_api.identity.models import User
from lims_api.orders.models import Order
from lims_api.organizations import service as organizations
from lims_api.organizations.models import Accreditation, Organization, Site
from lims_api.patients import service as patients
from lims_api.patients.models import Patient
from lims_api.patients.schemas import Identity
from lims_api.reports.wording import value_text
from lims_api.results.models import Result, ResultStatus, StandingAuthorisation
from lims_api.results.queries import HISTORY
from lims_api.specimens.models import Specimen


@dataclass(frozen=True)
class Person:
    """A signatory."""

    name: str
    registration: str


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """An order with all that its report prints. `signed_at` is by standing authorisation, `people` by user."""

    order: Order
    organization: Organization
    laboratory: Site
    accreditations: list[Accreditation]
    patient: Patient
    who: Identity
    results: list[Result]
    specimens: dict[UUID, Specimen]
    definitions: dict[UUID, Definition]
    previous: dict[str, tuple[str, datetime]]
    replaced: dict[UUID, Result]
    people: dict[UUID, Person]
    signed_at: dict[UUID, datetime]


def gather(session: Session, order: Order) -> Gathered:
    """The order's current authorised results, in the order of its tests, and what stands beside them."""
    current = select(Result).where(Result.order_id == order.id, Result.status == ResultStatus.AUTHORISED)
    results = list(session.scalars(current.order_by(Result.order_test_id)))
    specimens = session.scalars(select(Specimen).where(Specimen.id.in_({result.specimen_id for result in results})))
    definitions = catalogue.definitions(session, {result.definition_id for result in results})
    laboratory = organizations.laboratory_of(session, order.site_id)
    patient = patients.get(session, order.patient_id)
    return Gathered(
        order=order, organization=organizations.own(session), laboratory=laboratory,
        accreditations=organizations.accreditations(session, laboratory.id), patient=patient,
        who=patients.open_identity(session, [patient])[patient.id], results=results,
        specimens={specimen.id: specimen for specimen in specimens}, definitions=definitions,
        previous=_previous(session, order, definitions.values()), replaced=_replaced(session, results),
        people=_people(session, results), signed_at=_signed_at(session, results),
    )  # fmt: skip


def _replaced(session: Session, results: Iterable[Result]) -> dict[UUID, Result]:
    ids = {result.corrects_id for result in results if result.corrects_id}
    found = session.scalars(select(Result).where(Result.id.in_(ids), Result.authorised_at.is_not(None)))
    return {result.id: result for result in found}


def _previous(session: Session, order: Order, definitions: Iterable[Definition]) -> dict[str, tuple[str, datetime]]:
    """The patient's newest authorised value of each test before this order."""
    rows = session.execute(
        HISTORY,
        {"organization_id": order.organization_id, "patient_ids": [order.patient_id], "before": order.placed_at},
    )
    decimals = {item.code: item.decimals for item in definitions if not item.is_restricted}
    found: dict[str, tuple[str, datetime]] = {}
    for row in sorted(rows, key=lambda row: row.available_at):
        if row.status == ResultStatus.AUTHORISED and row.test_code in decimals:
            text = value_text(row.value, comparator=None, decimals=decimals[row.test_code], received="")
            found[row.test_code] = (text, row.available_at)
    return found


def _people(session: Session, results: Iterable[Result]) -> dict[UUID, Person]:
    ids = {result.signatory_id for result in results if result.signatory_id}
    registrations = session.execute(select(User.id, User.registration_number).where(User.id.in_(ids))).all()
    return {row.id: Person(identity.full_name(session, row.id), row.registration_number or "") for row in registrations}


def _signed_at(session: Session, results: Iterable[Result]) -> dict[UUID, datetime]:
    ids = {result.authorisation_id for result in results if result.authorisation_id}
    query = select(StandingAuthorisation.id, StandingAuthorisation.signed_at)
    return {row.id: row.signed_at for row in session.execute(query.where(StandingAuthorisation.id.in_(ids)))}
