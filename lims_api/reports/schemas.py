"""Reports as they are listed."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from lims_api.reports.models import ReportStatus


class ReportOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    order_id: UUID
    version: int
    status: ReportStatus
    sha256: str
    released_at: datetime
    supersedes_id: UUID | None
    is_example: bool
