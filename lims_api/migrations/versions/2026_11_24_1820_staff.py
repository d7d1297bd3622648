"""Prices, the site a user works at, technical validation, calls of critical values, and what was set aside."""

import sqlalchemy as sa
from alembic import op

from lims_api.core.ids import SYSTEM_ACTOR

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CHANGED = ("test_definitions", "panels", "users", "results", "parked_observations", "critical_calls")
GIVEN = {
    "technician": ("critical:call", "parked:resolve", "result:enter", "result:verify"),
    "pathologist": ("critical:call", "result:verify"),
}
"""New permissions of the roles that a laboratory was seeded with; whoever signs in gets `sync:use`."""

_GIVE = sa.text("""
update lims.roles r set permissions = (
  select array_agg(p.permission order by p.permission collate "C")
    from (select unnest(r.permissions) union select unnest(cast(:given as text[]))) as p(permission))
 where r.code = cast(:code as text) or (cast(:code as text) is null and 'session:end' = any (r.permissions))
""")


def upgrade() -> None:
    for table in ("test_definitions", "panels"):
        op.add_column(table, sa.Column("list_price", sa.Numeric(), nullable=True), schema="lims")
        op.create_check_constraint(op.f(f"ck_{table}_list_price"), table, "list_price >= 0", schema="lims")
    _place_users()
    _validate_results()
    _set_parked_aside()
    _make_critical_calls()
    for table in CHANGED:
        op.get_bind().exec_driver_sql(f"select lims.protect('{table}')")
    op.execute("revoke update on lims.critical_calls from lims_app, lims_system, lims_importer")
    _give_permissions()


def _place_users() -> None:
    op.add_column("users", sa.Column("site_id", sa.Uuid(), nullable=True), schema="lims")
    op.create_foreign_key(
        op.f("fk_users_site_id_sites"),
        "users",
        "sites",
        ["organization_id", "site_id"],
        ["organization_id", "id"],
        source_schema="lims",
        referent_schema="lims",
    )


def _validate_results() -> None:
    op.add_column("results", sa.Column("verified_by_id", sa.Uuid(), nullable=True), schema="lims")
    op.add_column("results", sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True), schema="lims")
    op.create_index(
        "ix_results_critical",
        "results",
        ["organization_id", "id"],
        schema="lims",
        postgresql_where=sa.text("flag in ('LL', 'HH')"),
    )


def _set_parked_aside() -> None:
    codes = ("not_ours", "duplicate", "wrong_barcode", "calibration_run", "recorded_otherwise")
    kind = sa.Enum(*codes, name="resolution", native_enum=False, create_constraint=True, length=40)
    op.add_column("parked_observations", sa.Column("resolution", kind, nullable=True), schema="lims")
    op.add_column("parked_observations", sa.Column("resolved_by_id", sa.Uuid(), nullable=True), schema="lims")


def _make_critical_calls() -> None:
    outcome = sa.Enum("informed", "not_reached", name="outcome", native_enum=False, create_constraint=True, length=40)
    op.create_table(
        "critical_calls",
        sa.Column("result_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("called_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("called_by_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", outcome, nullable=False),
        sa.Column("informed_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("read_back", sa.Boolean(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "order_id"],
            ["lims.orders.organization_id", "lims.orders.id"],
            name=op.f("fk_critical_calls_order_id_orders"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "patient_id"],
            ["lims.patients.organization_id", "lims.patients.id"],
            name=op.f("fk_critical_calls_patient_id_patients"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_critical_calls")),
        schema="lims",
    )
    op.create_index(
        op.f("ix_critical_calls_organization_id_result_id"),
        "critical_calls",
        ["organization_id", "result_id"],
        schema="lims",
    )


def _give_permissions() -> None:
    """Roles are the laboratory's data: what is given stands in its ledger, as the system's act."""
    op.execute(sa.text("select set_config('lims.actor_id', :actor, true)").bindparams(actor=str(SYSTEM_ACTOR)))
    for code, given in (*GIVEN.items(), (None, ("sync:use",))):
        op.get_bind().execute(_GIVE, {"code": code, "given": list(given)})


def downgrade() -> None:
    """Never: a migration does not lose a clinical row; go forward with the next one."""
    raise RuntimeError("migrations only go forward")
