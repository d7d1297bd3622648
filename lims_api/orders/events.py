"""What happens to orders."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from lims_api.core.ledger import Event


@dataclass(frozen=True, kw_only=True)
class OrderPlaced(Event):
    name = "order.placed"

    patient_id: UUID
    site_id: UUID
    placed_at: datetime


@dataclass(frozen=True, kw_only=True)
class OrderCompleted(Event):
    """Every test of the order is authorised."""

    name = "order.completed"

    patient_id: UUID
    completed_at: datetime
