"""Released reports and their documents."""

from uuid import UUID

from fastapi import APIRouter, Response

from lims_api.core.db import transaction
from lims_api.core.http import Caller, requires
from lims_api.core.permissions import Permission
from lims_api.reports import service
from lims_api.reports.schemas import ReportOut

router = APIRouter(prefix="/v1", tags=["reports"])


@router.get("/orders/{order_id}/reports")
@requires(Permission.REPORT_READ)
def list_reports(order_id: UUID, caller: Caller) -> list[ReportOut]:
    """Every version of an order's report."""
    with transaction(caller) as session:
        return [ReportOut.model_validate(report) for report in service.reports_of(session, order_id)]


@router.get("/reports/{report_id}/pdf", response_class=Response, responses={200: {"content": {"application/pdf": {}}}})
@requires(Permission.REPORT_READ)
def get_pdf(report_id: UUID, caller: Caller) -> Response:
    """The document as it was released."""
    with transaction(caller) as session:
        return Response(service.pdf(session, report_id), media_type="application/pdf")
