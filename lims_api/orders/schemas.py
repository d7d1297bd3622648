"""Placing an order."""

from datetime import datetime
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from lims_api.orders.models import Priority


class OrderIn(BaseModel):
    patient_id: UUID
    site_id: UUID
    priority: Priority = Priority.ROUTINE
    tests: list[str] = Field(min_length=1, max_length=100, description="test codes")
    placed_at: AwareDatetime | None = Field(default=None, description="when the order was taken; now if absent")


class OrderRef(BaseModel):
    id: UUID
    order_number: str
    due_at: datetime
