"""What an app holds: which orders, patients, controls and parked observations, and who newly comes in with a change."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from lims_api.core.clock import utc_now
from lims_api.sync.documents.part import seen_by
from lims_api.sync.scope import Scope

ORDERS = PATIENTS = timedelta(days=30)
RESULTS = timedelta(days=400)
CONTROLS = timedelta(days=60)
PARKED = timedelta(days=7)

_AT_SITE = "(cast(:site_id as uuid) is null or {o}.site_id = cast(:site_id as uuid))"
_RECENT = "({o}.placed_at > :recent or {o}.status = 'placed' or {o}.completed_at > :recent)"
_HELD = "select h.order_id from lims.results h where h.organization_id = :organization_id and h.status = 'held'"
_WORKED_ON = f"{_AT_SITE} and ({_RECENT} or {{o}}.id in ({_HELD}))".format(o="o")
"""Placed or finished of late, not finished, or with a result that waits for a person (a correction of an old one)."""

_ORDERS = text(f"""
select o.id from lims.orders o
where o.organization_id = :organization_id and {_WORKED_ON} and o.id > :after order by o.id limit :count
""")  # noqa: S608  constants
_PATIENTS = text(f"""
select p.id from lims.patients p
where p.organization_id = :organization_id and p.id > :after and p.status = 'active'
  and ((cast(:site_id as uuid) is null and p.recorded_at > :recent) or p.id in (
    select o.patient_id from lims.orders o where o.organization_id = :organization_id and {_WORKED_ON}))
order by p.id limit :count
""")  # noqa: S608  constants
_CONTROLS = text("""
select id from lims.control_results
where organization_id = :organization_id and occurred_at > :recent and id > :after order by id limit :count
""")
_PARKED = text("""
select id from lims.parked_observations
where organization_id = :organization_id and (resolved_at is null or resolved_at > :recent) and id > :after
order by id limit :count
""")

_ENTERING = text(f"""
select o.id, o.patient_id, not exists (
  select from lims.orders k
   where k.organization_id = o.organization_id and k.patient_id = o.patient_id and {_AT_SITE.format(o="k")}
     and k.id <> all (cast(:new_orders as uuid[]))
     and ({_RECENT.format(o="k")} or k.id in ({_HELD} and h.id <> all (cast(:changed_results as uuid[]))))
) and not exists (
  select from lims.patients p
   where p.organization_id = o.organization_id and p.id = o.patient_id and cast(:site_id as uuid) is null
     and p.recorded_at > :recent and p.id <> all (cast(:new_patients as uuid[]))
) as patient_is_new
from lims.orders o
where o.organization_id = :organization_id and {_WORKED_ON}
  and (o.id = any (cast(:new_orders as uuid[]))
       or (not coalesce({_RECENT.format(o="o")}, false)
           and o.id in ({_HELD} and h.id = any (cast(:changed_results as uuid[])))))
""")  # noqa: S608  constants


def order_ids(session: Session, scope: Scope, after: UUID, count: int) -> list[UUID]:
    """The next orders."""
    return _page(session, _ORDERS, scope, ORDERS, after, count)


def patient_ids(session: Session, scope: Scope, after: UUID, count: int) -> list[UUID]:
    """The next patients: of these orders, and those registered of late; at one site, of its orders alone."""
    return _page(session, _PATIENTS, scope, PATIENTS, after, count)


def control_ids(session: Session, scope: Scope, after: UUID, count: int) -> list[UUID]:
    """The next controls."""
    return _page(session, _CONTROLS, scope, CONTROLS, after, count)


def parked_ids(session: Session, scope: Scope, after: UUID, count: int) -> list[UUID]:
    """The next parked observations: those that wait, and those set aside of late."""
    return _page(session, _PARKED, scope, PARKED, after, count)


def since() -> datetime:
    """From when on results of a patient are held."""
    return utc_now() - RESULTS


def _page(session: Session, statement: object, scope: Scope, span: timedelta, after: UUID, count: int) -> list[UUID]:
    values = seen_by(scope, recent=utc_now() - span, after=after, count=count)
    return list(session.scalars(statement, values))  # type: ignore[call-overload]


def entering(
    session: Session,
    scope: Scope,
    *,
    new_orders: Collection[UUID],
    changed_results: Collection[UUID],
    new_patients: Collection[UUID],
) -> tuple[set[UUID], set[UUID]]:
    """Orders and patients that the app does not have yet, of which these changes make it have everything.

    A new order brings its patient with the results of the past, unless the patient was here already for another order
    or for being registered of late; a result that is held again brings back its order, which was finished long ago.
    """
    values = seen_by(
        scope, recent=utc_now() - ORDERS, new_orders=list(new_orders), changed_results=list(changed_results),
        new_patients=list(new_patients),
    )  # fmt: skip
    rows = session.execute(_ENTERING, values).all()
    return {row.id for row in rows}, {row.patient_id for row in rows if row.patient_is_new}
