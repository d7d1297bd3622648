"""What happens to specimens."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from lims_api.core.ledger import Event


@dataclass(frozen=True, kw_only=True)
class SpecimenCollected(Event):
    name = "specimen.collected"

    order_id: UUID
    collected_at: datetime


@dataclass(frozen=True, kw_only=True)
class SpecimenReceived(Event):
    name = "specimen.received"

    order_id: UUID
    received_at: datetime


@dataclass(frozen=True, kw_only=True)
class SpecimenRejected(Event):
    name = "specimen.rejected"

    order_id: UUID
    rejection_reason: str
