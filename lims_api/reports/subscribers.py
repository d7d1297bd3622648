"""What reports does when others' events happen."""

from uuid import UUID

from sqlalchemy.orm import Session

from lims_api.core.jobs import enqueue, subscribe
from lims_api.orders import service as orders
from lims_api.orders.models import OrderStatus


@subscribe("order.completed", name="reports.release")
def when_completed(session: Session, subject_id: UUID, _payload: dict[str, str]) -> None:
    """A complete order is reported."""
    enqueue(session, "reports.release", queue="reports", lock=f"order:{subject_id}", order_id=subject_id)


@subscribe("result.corrected", name="reports.amend")
def when_corrected(session: Session, _subject_id: UUID, payload: dict[str, str]) -> None:
    """A corrected result amends the report of a complete order."""
    order_id = UUID(payload["order_id"])
    if orders.get(session, order_id).status is OrderStatus.COMPLETED:
        enqueue(session, "reports.release", queue="reports", lock=f"order:{order_id}", order_id=order_id)
