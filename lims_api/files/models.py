"""What is known of a stored file."""

from enum import StrEnum
from uuid import UUID

from sqlalchemy.orm import Mapped

from lims_api.core.db import Record, open_column, status_column


class FileKind(StrEnum):
    REPORT = "report"


class StoredFile(Record):
    """One sealed file. `sha256` is of the plain bytes: what a recipient can compare."""

    __tablename__ = "files"

    kind: Mapped[FileKind] = status_column(FileKind, check="kind")
    patient_id: Mapped[UUID | None] = open_column(index=True)
    media_type: Mapped[str] = open_column()
    bytes: Mapped[int] = open_column()
    sha256: Mapped[str] = open_column()
