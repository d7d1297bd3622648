"""Names by language, kinds of results, intervals by pregnancy, and panels."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

CHANGED = ("test_definitions", "reference_intervals", "panels", "panel_tests")


def upgrade() -> None:
    _widen_definitions()
    _widen_intervals()
    _make_panels()
    for table in CHANGED:
        op.get_bind().exec_driver_sql(f"select lims.protect('{table}')")


def _widen_definitions() -> None:
    kinds = sa.Enum("numeric", "coded", "text", name="kind", native_enum=False, create_constraint=True, length=40)
    for column in (
        sa.Column("translations", JSONB(), server_default="{}", nullable=False),
        sa.Column("kind", kinds, server_default="numeric", nullable=False),
        sa.Column("allowed_values", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
    ):
        op.add_column("test_definitions", column, schema="lims")


def _widen_intervals() -> None:
    states = ("any", "not_pregnant", "trimester_1", "trimester_2", "trimester_3")
    kind = sa.Enum(*states, name="pregnancy", native_enum=False, create_constraint=True, length=40)
    op.add_column(
        "reference_intervals", sa.Column("pregnancy", kind, server_default="any", nullable=False), schema="lims"
    )
    bands = op.get_bind().exec_driver_sql(
        "select conname from pg_constraint where conrelid = 'lims.reference_intervals'::regclass and contype = 'u'"
    )
    op.drop_constraint(bands.scalar_one(), "reference_intervals", schema="lims")  # its name was cut to 63 letters
    op.create_unique_constraint(
        "uq_reference_intervals_band",
        "reference_intervals",
        ["organization_id", "definition_id", "sex", "pregnancy", "age_from_days"],
        schema="lims",
    )


def _make_panels() -> None:
    op.create_table(
        "panels",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("translations", JSONB(), server_default="{}", nullable=False),
        sa.Column("is_example", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("approved_by_id", sa.Uuid(), nullable=True),
        sa.Column("approved_on", sa.Date(), nullable=True),
        *_record(),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_panels")),
        sa.UniqueConstraint("organization_id", "code", "version", name=op.f("uq_panels_organization_id_code_version")),
        schema="lims",
    )
    op.create_table(
        "panel_tests",
        sa.Column("panel_id", sa.Uuid(), nullable=False),
        sa.Column("test_code", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        *_record(),
        sa.ForeignKeyConstraint(
            ["organization_id", "panel_id"],
            ["lims.panels.organization_id", "lims.panels.id"],
            name=op.f("fk_panel_tests_panel_id_panels"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_panel_tests")),
        sa.UniqueConstraint(
            "organization_id", "panel_id", "test_code", name=op.f("uq_panel_tests_organization_id_panel_id_test_code")
        ),
        schema="lims",
    )


def _record() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )


def downgrade() -> None:
    """Never: a migration does not lose a clinical row; go forward with the next one."""
    raise RuntimeError("migrations only go forward")
