"""An analyser, and the map from its codes to the laboratory's tests."""

from decimal import Decimal
from uuid import UUID

from sqlalchemy import Numeric, UniqueConstraint
from sqlalchemy.orm import Mapped

from lims_api.core.db import Record, belongs_to, open_column


class Analyser(Record):
    """One instrument at one site, known to the gateway by its channel."""

    __tablename__ = "analysers"
    __table_args__ = (
        UniqueConstraint("organization_id", "code"),
        UniqueConstraint("organization_id", "channel"),
        belongs_to("sites", "site_id"),
    )

    code: Mapped[str] = open_column()
    name: Mapped[str] = open_column()
    model: Mapped[str] = open_column()
    serial_number: Mapped[str | None] = open_column()
    channel: Mapped[str] = open_column()
    site_id: Mapped[UUID] = open_column()
    is_active: Mapped[bool] = open_column(server_default="true")


class CodeMap(Record):
    """What one of the analyser's codes means: which test, and how its unit becomes the test's."""

    __tablename__ = "code_maps"
    __table_args__ = (
        UniqueConstraint("organization_id", "analyser_id", "code"),
        belongs_to("analysers", "analyser_id"),
    )

    analyser_id: Mapped[UUID] = open_column()
    code: Mapped[str] = open_column()
    test_code: Mapped[str] = open_column()
    unit_sent: Mapped[str] = open_column()
    factor: Mapped[Decimal] = open_column(Numeric())
