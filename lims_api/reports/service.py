"""Reports: released once an order is complete, amended by the next version, read back as stored."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from lims_api.catalogue import service as catalogue
from lims_api.core.access import saw
from lims_api.core.clock import utc_now
from lims_api.core.db import actor_of
from lims_api.core.errors import Forbidden
from lims_api.core.ids import uuid7
from lims_api.core.ledger import publish
from lims_api.core.permissions import Permission
from lims_api.files import service as files
from lims_api.files.models import FileKind
from lims_api.orders import service as orders
from lims_api.orders.models import OrderStatus
from lims_api.patients import service as patients
from lims_api.patients.models import PatientStatus
from lims_api.reports.attachment import fhir_document
from lims_api.reports.content import content_of, fingerprint
from lims_api.reports.errors import OrderNotComplete, UnknownReport
from lims_api.reports.events import ReportReleased
from lims_api.reports.gathering import gather
from lims_api.reports.layout import ReportContent
from lims_api.reports.models import Report, ReportStatus
from lims_api.reports.render import render


def release(session: Session, order_id: UUID) -> Report:
    """The report of a complete order in its newest version. The same content again is the same report."""
    order = orders.get(session, order_id, lock=True)
    if order.status is not OrderStatus.COMPLETED:
        raise OrderNotComplete(f"The order is {order.status}. Its report follows the last authorisation.")
    patients.get(session, order.patient_id, lock=True)
    earlier = reports_of(session, order_id)
    found, now = gather(session, order), utc_now()
    content = content_of(found, version=len(earlier) + 1, issued_at=now)
    if earlier and earlier[-1].content_sha256 == _content_sha256(content, earlier[:-1]):
        return earlier[-1]
    content_sha256 = _content_sha256(content, earlier)
    report_id, code = uuid7(), secrets.token_urlsafe(12)
    document = render(_verifiable(session, content, code), fhir_document(content, found, report_id))
    stored = files.store(
        session, session.info["services"].files_folder, kind=FileKind.REPORT, content=document,
        media_type="application/pdf", patient_id=order.patient_id,
    )  # fmt: skip
    report = Report(
        id=report_id, organization_id=actor_of(session).organization_id, order_id=order.id, patient_id=order.patient_id,
        version=content.version, status=ReportStatus(content.status), file_id=stored.id, sha256=stored.sha256,
        content_sha256=content_sha256, verification_code=code, released_at=now,
        supersedes_id=earlier[-1].id if earlier else None, is_example=content.is_example,
    )  # fmt: skip
    session.add(report)
    session.flush()
    publish(
        session,
        ReportReleased(
            subject_id=report.id, order_id=order.id, patient_id=order.patient_id, report_version=report.version,
            status=report.status,
        ),
    )  # fmt: skip
    return report


def reports_of(session: Session, order_id: UUID) -> list[Report]:
    """Every version of an order's report, oldest first."""
    orders.get(session, order_id)
    return list(session.scalars(select(Report).where(Report.order_id == order_id).order_by(Report.version)))


def pdf(session: Session, report_id: UUID) -> bytes:
    """The stored document, byte for byte as released."""
    report = session.scalars(select(Report).where(Report.id == report_id)).one_or_none()
    if report is None:
        raise UnknownReport("There is no such report in this organization.")
    if patients.get(session, report.patient_id).status is PatientStatus.ERASED:
        raise UnknownReport("The patient was erased; their reports cannot be opened.")
    _refuse_restricted(session, report)
    saw(session, "report.read", report.patient_id, report.id)
    return files.read(session, session.info["services"].files_folder, report.file_id)


def _content_sha256(content: ReportContent, before: Sequence[Report]) -> str:
    """Of the content and of the version before: corrected there and back again is another report, not the earlier."""
    chain = before[-1].content_sha256.encode() if before else b""
    return hashlib.sha256(chain + fingerprint(content)).hexdigest()


def _refuse_restricted(session: Session, report: Report) -> None:
    """The document shows every result of its order, and so needs the permission of the restricted ones."""
    hidden = set(catalogue.hidden_codes(session))
    if any(test.test_code in hidden for test in orders.tests_of(session, report.order_id)):
        needed = Permission.RESTRICTED_READ.value
        raise Forbidden(f"This needs the permission {needed}: the report holds a restricted test.", permission=needed)


def _verifiable(session: Session, content: ReportContent, code: str) -> ReportContent:
    return replace(content, verification=f"{session.info['services'].report_base_url}/verify/{code}")
