"""Orders: placed with the definitions in force, completed when every test is authorised."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from lims_api.catalogue import service as catalogue
from lims_api.core.clock import business_day, utc_now
from lims_api.core.db import actor_of
from lims_api.core.db.numbers import next_number
from lims_api.core.errors import IdTaken
from lims_api.core.ids import uuid7
from lims_api.core.ledger import publish
from lims_api.orders.errors import UnknownOrder
from lims_api.orders.events import OrderCompleted, OrderPlaced
from lims_api.orders.models import Order, OrderStatus, OrderTest, OrderTestStatus
from lims_api.orders.schemas import OrderIn
from lims_api.organizations import service as organizations
from lims_api.patients import service as patients


def place(session: Session, wanted: OrderIn) -> Order:
    """A new order: each test, also of its panels, once under its newest definition, due by its turnaround target.

    Raises `IdTaken` when another order has the id that the client made.
    """
    organization_id = actor_of(session).organization_id
    patient = patients.get(session, wanted.patient_id, lock=True)
    site = organizations.site(session, wanted.site_id)
    codes = dict.fromkeys([*wanted.tests, *catalogue.tests_of_panels(session, wanted.panel_codes)])
    tests = [catalogue.newest(session, code) for code in codes]
    placed_at = wanted.placed_at or utc_now()
    due = {test.code: placed_at + timedelta(minutes=test.turnaround_minutes) for test in tests}
    year = business_day(placed_at).year
    order = Order(
        organization_id=organization_id,
        id=wanted.id or uuid7(),
        patient_id=patient.id,
        site_id=site.id,
        priority=wanted.priority,
        order_number=f"{year % 100:02d}-{next_number(session, 'order', year):07d}",
        status=OrderStatus.PLACED,
        placed_at=placed_at,
        occurred_at=placed_at,
        due_at=max(due.values()),
        report_language=wanted.language or organizations.own(session).report_language,
    )
    _add(session, order)
    session.add_all(
        OrderTest(
            organization_id=organization_id,
            order_id=order.id,
            test_code=test.code,
            definition_id=test.id,
            status=OrderTestStatus.ORDERED,
            due_at=due[test.code],
        )
        for test in tests
    )
    publish(session, OrderPlaced(subject_id=order.id, patient_id=patient.id, site_id=site.id, placed_at=placed_at))
    return order


def _add(session: Session, order: Order) -> None:
    session.add(order)
    try:
        session.flush()
    except IntegrityError as reason:
        if "pk_orders" in str(reason.orig):
            raise IdTaken("Another order has this id. Make a new one.") from None
        raise


def get(session: Session, order_id: UUID, *, lock: bool = False) -> Order:
    """One order, or `UnknownOrder`."""
    query = select(Order).where(Order.id == order_id)
    found = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if found is None:
        raise UnknownOrder("There is no such order in this organization.")
    return found


def tests_of(session: Session, order_id: UUID) -> list[OrderTest]:
    """An order's tests, by code."""
    return list(session.scalars(select(OrderTest).where(OrderTest.order_id == order_id).order_by(OrderTest.test_code)))


_LOCK = text("""
select id from lims.orders where organization_id = :organization_id and id = any (:order_ids) order by id for update
""")
_COMPLETE = text("""
update lims.orders o set status = 'completed', completed_at = :at
 where o.organization_id = :organization_id and o.id in (
   select w.id from lims.orders w
    where w.organization_id = :organization_id and w.id = any (:order_ids) and w.status = 'placed'
      and not exists (select 1 from lims.order_tests t where t.organization_id = w.organization_id and t.order_id = w.id
                         and t.status not in ('authorised', 'cancelled'))
    order by w.id for update)
returning o.id, o.patient_id
""")


def complete_where_all_authorised(session: Session, order_ids: Collection[UUID], at: datetime) -> list[UUID]:
    """Complete the orders whose every test is authorised now; returns those completed by this call.

    The orders are locked before a statement of its own looks at their tests: of two transactions that authorise the
    last two tests at the same time, the later one sees both.
    """
    session.flush()
    tenant = actor_of(session).organization_id
    session.execute(_LOCK, {"organization_id": tenant, "order_ids": list(order_ids)})
    done = session.execute(_COMPLETE, {"organization_id": tenant, "order_ids": list(order_ids), "at": at}).all()
    publish(session, *(OrderCompleted(subject_id=row.id, patient_id=row.patient_id, completed_at=at) for row in done))
    return [row.id for row in done]
