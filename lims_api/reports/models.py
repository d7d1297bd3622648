"""A released report in one version."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from lims_api.core.db import Record, belongs_to, open_column, status_column


class ReportStatus(StrEnum):
    FINAL = "final"
    AMENDED = "amended"


class Report(Record):
    """The document of one completed order. An amendment is the next version; earlier ones are kept."""

    __tablename__ = "reports"
    __table_args__ = (
        UniqueConstraint("organization_id", "order_id", "version"),
        UniqueConstraint("organization_id", "order_id", "content_sha256"),
        belongs_to("orders", "order_id"),
        belongs_to("patients", "patient_id"),
        belongs_to("files", "file_id"),
        Index("ix_reports_verification_code", "verification_code"),
    )

    order_id: Mapped[UUID] = open_column()
    patient_id: Mapped[UUID] = open_column()
    version: Mapped[int] = open_column()
    status: Mapped[ReportStatus] = status_column(ReportStatus, check="status")
    file_id: Mapped[UUID] = open_column()
    sha256: Mapped[str] = open_column()
    content_sha256: Mapped[str] = open_column()
    verification_code: Mapped[str] = open_column()
    released_at: Mapped[datetime] = open_column()
    supersedes_id: Mapped[UUID | None] = open_column()
    is_example: Mapped[bool] = open_column(server_default="false")
