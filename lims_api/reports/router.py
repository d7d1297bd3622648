"""Released reports and their documents."""

from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from lims_api.core.db import transaction
from lims_api.core.http import Caller, requires
from lims_api.core.permissions import Permission
from lims_api.reports import service, verification
from lims_api.reports.schemas import ReportOut

router = APIRouter(prefix="/v1", tags=["reports"])
public = APIRouter(tags=["reports"])
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


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


@public.get("/verify/{code}", response_class=HTMLResponse, responses={404: {"content": {"text/html": {}}}})
def verify(code: str, request: Request) -> HTMLResponse:
    """Whether a printed report is ours and still stands, for whoever scans its QR code; no person and no result."""
    found = verification.find(request.state.database, code)
    return HTMLResponse(verification.page(found), status_code=200 if found else 404, headers=_HEADERS)
