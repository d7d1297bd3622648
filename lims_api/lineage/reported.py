"""The reports that show a result, their files opened and hashed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from lims_api.files import service as files
from lims_api.files.errors import FileAltered, FileErased, FileLost
from lims_api.lineage.attached import line_of
from lims_api.lineage.known import ReportFile, Version
from lims_api.lineage.standing import shown_by
from lims_api.orders.models import Order
from lims_api.reports.models import Report
from lims_api.results.models import Result


@dataclass(frozen=True)
class StoredReport:
    """A report's row, and its file opened once for all results that it shows."""

    report: Report
    order_number: str
    content: bytes | None
    problem: str = ""
    erased: bool = False


def reports_of(session: Session, order_ids: set[UUID]) -> dict[UUID, list[StoredReport]]:
    """Every report of the orders, oldest first, each file opened and hashed."""
    query = select(Report, Order.order_number).join(Order, Order.id == Report.order_id)
    found: dict[UUID, list[StoredReport]] = {}
    for report, order_number in session.execute(query.where(Report.order_id.in_(order_ids)).order_by(Report.version)):
        found.setdefault(report.order_id, []).append(_opened(session, report, order_number))
    return found


def _opened(session: Session, report: Report, order_number: str) -> StoredReport:
    try:
        content = files.read(session, session.info["services"].files_folder, report.file_id)
    except FileErased:
        return StoredReport(report, order_number, None, erased=True)
    except (FileAltered, FileLost) as reason:
        return StoredReport(report, order_number, None, problem=reason.title)
    digest = sha256(content).hexdigest()
    problem = "" if digest == report.sha256 else f"its sha256 is {digest}, of the report {report.sha256}"
    return StoredReport(report, order_number, content, problem=problem)


def that_show(result: Result, versions: Sequence[Version], stored: Sequence[StoredReport]) -> list[ReportFile]:
    """Those that show the result, each with its line for computers."""
    own = next(one for one in versions if one.id == result.id)
    return [
        ReportFile(one.report, one.order_number, one.problem, one.erased, line_of(one.content, result.id))
        for one in stored if shown_by(own, list(versions), one.report.released_at)
    ]  # fmt: skip
