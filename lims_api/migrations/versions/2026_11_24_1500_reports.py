"""The language of a report, the letterhead of a laboratory, and what its accreditation covers."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

CHANGED = ("orders", "sites", "accreditations")


def upgrade() -> None:
    _add_language("organizations")
    _add_language("orders")
    op.add_column("sites", sa.Column("contact", sa.Text(), nullable=True), schema="lims")
    _make_accreditations()
    for table in CHANGED:
        op.get_bind().exec_driver_sql(f"select lims.protect('{table}')")


def _add_language(table: str) -> None:
    languages = sa.Enum("en", "hi", name="report_language", native_enum=False, create_constraint=True, length=40)
    op.add_column(table, sa.Column("report_language", languages, server_default="en", nullable=False), schema="lims")


def _make_accreditations() -> None:
    op.create_table(
        "accreditations",
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.Column("test_codes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("valid_from <= valid_to", name=op.f("ck_accreditations_days")),
        sa.ForeignKeyConstraint(
            ["organization_id", "site_id"],
            ["lims.sites.organization_id", "lims.sites.id"],
            name=op.f("fk_accreditations_site_id_sites"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_accreditations")),
        sa.UniqueConstraint(
            "organization_id", "site_id", "certificate", "valid_from", name="uq_accreditations_certificate"
        ),
        schema="lims",
    )


def downgrade() -> None:
    """Never: a migration does not lose a clinical row; go forward with the next one."""
    raise RuntimeError("migrations only go forward")
