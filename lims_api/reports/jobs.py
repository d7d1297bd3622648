"""Rendering, away from the request that completed the order."""

from uuid import UUID

from lims_api.core.db import transaction
from lims_api.core.jobs import Work, job
from lims_api.reports import service


def _release(work: Work, organization_id: UUID, order_id: UUID) -> None:
    """Render and release the report of a complete order; twice is once."""
    with transaction(work.caller(organization_id)) as session:
        service.release(session, order_id)


RELEASE = job(name="reports.release", queue="reports")(_release)
