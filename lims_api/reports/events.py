"""What happens to reports."""

from dataclasses import dataclass
from uuid import UUID

from lims_api.core.ledger import Event


@dataclass(frozen=True, kw_only=True)
class ReportReleased(Event):
    name = "report.released"

    order_id: UUID
    patient_id: UUID
    report_version: int
    status: str
