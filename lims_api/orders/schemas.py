"""Placing an order."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import UUID7, AwareDatetime, BaseModel, Field, model_validator

from lims_api.core.i18n import Language
from lims_api.orders.models import Priority


class OrderIn(BaseModel):
    id: UUID7 | None = Field(default=None, description="made by the client, or by the laboratory if absent")
    patient_id: UUID
    site_id: UUID
    priority: Priority = Priority.ROUTINE
    tests: list[str] = Field(default=[], max_length=100, description="test codes")
    panel_codes: list[str] = Field(default=[], max_length=30, description="panels; their tests are ordered once each")
    placed_at: AwareDatetime | None = Field(default=None, description="when the order was taken; now if absent")
    language: Language | None = Field(default=None, description="of the report; the organization's if absent")

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if not self.tests and not self.panel_codes:
            raise ValueError("an order names at least one test or panel")
        return self


class OrderRef(BaseModel):
    id: UUID
    order_number: str
    due_at: datetime
