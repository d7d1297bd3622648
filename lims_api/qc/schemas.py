"""Controls as they are typed and shown."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from lims_api.qc.models import ControlStatus


class ControlIn(BaseModel):
    analyser_id: UUID
    material: str
    lot_number: str
    level: int = Field(ge=1, le=3)
    test_code: str
    value: Decimal
    unit: str
    occurred_at: AwareDatetime


class ControlOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    test_code: str
    level: int
    z: float
    violated: list[str]
    status: ControlStatus
    occurred_at: datetime
