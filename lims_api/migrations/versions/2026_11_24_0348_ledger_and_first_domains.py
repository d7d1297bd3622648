"""The ledger, row-level security, the gate, and the first domains' tables."""

from importlib.resources import files

import psycopg
import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


PROTECTED = (
    "analysers",
    "code_maps",
    "control_lots",
    "control_materials",
    "control_results",
    "control_targets",
    "files",
    "instrument_messages",
    "model_deployments",
    "order_tests",
    "orders",
    "parked_observations",
    "patients",
    "record_groups",
    "reference_intervals",
    "release_switches",
    "reports",
    "results",
    "roles",
    "sites",
    "specimens",
    "standing_authorisations",
    "test_definitions",
    "user_roles",
    "users",
)
BESIDE_THE_LEDGER = {"patient_tokens": True, "patient_numbers": True, "number_series": False}


def _execute(statements: str) -> None:
    """Many statements as they are: no parameters, so that `%` and `:` mean nothing."""
    connection = op.get_bind().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)  # noqa: S101  migrations run on psycopg
    connection.execute(statements.encode())


def _run(name: str) -> None:
    _execute((files("lims_api.migrations") / "sql" / name).read_text())


def upgrade() -> None:
    _run("0001_core.sql")
    _make_tables()
    _run("0001_gate.sql")
    run = op.get_bind().exec_driver_sql
    for table in PROTECTED:
        run(f"select lims.protect('{table}')")
    for table, deletable in BESIDE_THE_LEDGER.items():
        run(f"select lims.protect('{table}', in_ledger => false, deletable => {deletable})")
    run("select lims.make_partitions(6)")
    _make_job_queue()


def _make_job_queue() -> None:
    """procrastinate's own schema, apart from ours; its arguments hold ids alone."""
    run = _execute
    run("create schema jobs; grant usage on schema jobs to lims_app, lims_system; set local search_path = jobs")
    run(SchemaManager.get_schema())
    run(
        "grant select, insert on jobs.procrastinate_jobs to lims_app;"
        "grant insert on jobs.procrastinate_events to lims_app;"
        "grant usage on all sequences in schema jobs to lims_app, lims_system;"
        "grant select, insert, update, delete on all tables in schema jobs to lims_system;"
        "set local search_path = public"
    )


def _make_tables() -> None:
    op.create_table(
        "control_materials",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("manufacturer", sa.Text(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_control_materials")),
        sa.UniqueConstraint("organization_id", "name", name=op.f("uq_control_materials_organization_id_name")),
        schema="lims",
    )
    op.create_table(
        "files",
        sa.Column(
            "kind",
            sa.Enum("report", name="kind", native_enum=False, create_constraint=True, length=40, schema="lims"),
            nullable=False,
        ),
        sa.Column("patient_id", sa.Uuid(), nullable=True),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_files")),
        schema="lims",
    )
    op.create_index(op.f("ix_files_patient_id"), "files", ["patient_id"], unique=False, schema="lims")
    op.create_table(
        "model_deployments",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("deployed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_model_deployments")),
        sa.UniqueConstraint(
            "organization_id",
            "name",
            "version",
            "sha256",
            name=op.f("uq_model_deployments_organization_id_name_version_sha256"),
        ),
        schema="lims",
    )
    op.create_table(
        "organizations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_example", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("retention_days", sa.BigInteger(), server_default="1825", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organizations")),
        sa.UniqueConstraint("code", name=op.f("uq_organizations_code")),
        schema="lims",
    )
    op.create_table(
        "patients",
        sa.Column("uhid_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("name_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("phone_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("birth_sealed", sa.LargeBinary(), nullable=True),
        sa.Column(
            "sex",
            sa.Enum(
                "male",
                "female",
                "other",
                "unknown",
                name="sex",
                native_enum=False,
                create_constraint=True,
                length=40,
                schema="lims",
            ),
            nullable=False,
        ),
        sa.Column(
            "status",
            sa.Enum(
                "active", "erased", name="status", native_enum=False, create_constraint=True, length=40, schema="lims"
            ),
            server_default="active",
            nullable=False,
        ),
        sa.Column("legal_hold", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_patients")),
        schema="lims",
    )
    op.create_table(
        "release_switches",
        sa.Column(
            "scope",
            sa.Enum(
                "test",
                "analyser",
                "lab",
                name="scope",
                native_enum=False,
                create_constraint=True,
                length=40,
                schema="lims",
            ),
            nullable=False,
        ),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("is_off", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_by_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_release_switches")),
        schema="lims",
    )
    op.create_index(
        op.f("ix_release_switches_organization_id_scope_target_id"),
        "release_switches",
        ["organization_id", "scope", "target", "id"],
        unique=False,
        schema="lims",
    )
    op.create_table(
        "roles",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("permissions", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_roles")),
        sa.UniqueConstraint("organization_id", "code", name=op.f("uq_roles_organization_id_code")),
        schema="lims",
    )
    op.create_table(
        "sites",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "lab",
                "collection_centre",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=40,
                schema="lims",
            ),
            nullable=False,
        ),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "parent_id"],
            ["lims.sites.organization_id", "lims.sites.id"],
            name=op.f("fk_sites_parent_id_sites"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_sites")),
        sa.UniqueConstraint("organization_id", "code", name=op.f("uq_sites_organization_id_code")),
        schema="lims",
    )
    op.create_table(
        "test_definitions",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("loinc", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("decimals", sa.BigInteger(), nullable=False),
        sa.Column("specimen_type", sa.Text(), nullable=False),
        sa.Column("container", sa.Text(), nullable=False),
        sa.Column("discipline", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("reportable_low", sa.Numeric(), nullable=True),
        sa.Column("reportable_high", sa.Numeric(), nullable=True),
        sa.Column("delta_limit_percent", sa.Numeric(), nullable=True),
        sa.Column("delta_window_days", sa.BigInteger(), nullable=True),
        sa.Column("turnaround_minutes", sa.BigInteger(), nullable=False),
        sa.Column("is_restricted", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("is_example", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("approved_by_id", sa.Uuid(), nullable=True),
        sa.Column("approved_on", sa.Date(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_test_definitions")),
        sa.UniqueConstraint(
            "organization_id", "code", "version", name=op.f("uq_test_definitions_organization_id_code_version")
        ),
        schema="lims",
    )
    op.create_table(
        "users",
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("full_name_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("registration_number", sa.Text(), nullable=True),
        sa.Column(
            "kind",
            sa.Enum(
                "person", "machine", name="kind", native_enum=False, create_constraint=True, length=40, schema="lims"
            ),
            nullable=False,
        ),
        sa.Column("password_hash_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_users")),
        sa.UniqueConstraint("organization_id", "username", name=op.f("uq_users_organization_id_username")),
        schema="lims",
    )
    op.create_table(
        "access_tokens",
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "session", "api_key", name="kind", native_enum=False, create_constraint=True, length=40, schema="lims"
            ),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id", "user_id"],
            ["lims.users.organization_id", "lims.users.id"],
            name=op.f("fk_access_tokens_user_id_users"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["lims.organizations.id"], name=op.f("fk_access_tokens__organizations")
        ),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_access_tokens")),
        schema="lims",
    )
    op.create_index(
        op.f("ix_access_tokens_organization_id_user_id"),
        "access_tokens",
        ["organization_id", "user_id"],
        unique=False,
        schema="lims",
    )
    op.create_table(
        "analysers",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("serial_number", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "site_id"],
            ["lims.sites.organization_id", "lims.sites.id"],
            name=op.f("fk_analysers_site_id_sites"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_analysers")),
        sa.UniqueConstraint("organization_id", "channel", name=op.f("uq_analysers_organization_id_channel")),
        sa.UniqueConstraint("organization_id", "code", name=op.f("uq_analysers_organization_id_code")),
        schema="lims",
    )
    op.create_table(
        "control_lots",
        sa.Column("material_id", sa.Uuid(), nullable=False),
        sa.Column("lot_number", sa.Text(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "material_id"],
            ["lims.control_materials.organization_id", "lims.control_materials.id"],
            name=op.f("fk_control_lots_material_id_control_materials"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_control_lots")),
        sa.UniqueConstraint(
            "organization_id",
            "material_id",
            "lot_number",
            name=op.f("uq_control_lots_organization_id_material_id_lot_number"),
        ),
        schema="lims",
    )
    op.create_table(
        "number_series",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("year", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["lims.organizations.id"], name=op.f("fk_number_series__organizations")
        ),
        sa.PrimaryKeyConstraint("organization_id", "series", "year", name=op.f("pk_number_series")),
        schema="lims",
    )
    op.create_table(
        "orders",
        sa.Column("order_number", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column(
            "priority",
            sa.Enum(
                "routine",
                "urgent",
                "stat",
                name="priority",
                native_enum=False,
                create_constraint=True,
                length=40,
                schema="lims",
            ),
            nullable=False,
        ),
        sa.Column(
            "status",
            sa.Enum(
                "placed",
                "completed",
                "cancelled",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=40,
                schema="lims",
            ),
            nullable=False,
        ),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "patient_id"],
            ["lims.patients.organization_id", "lims.patients.id"],
            name=op.f("fk_orders_patient_id_patients"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "site_id"],
            ["lims.sites.organization_id", "lims.sites.id"],
            name=op.f("fk_orders_site_id_sites"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_orders")),
        sa.UniqueConstraint("organization_id", "order_number", name=op.f("uq_orders_organization_id_order_number")),
        schema="lims",
    )
    op.create_index(
        op.f("ix_orders_organization_id_patient_id"),
        "orders",
        ["organization_id", "patient_id"],
        unique=False,
        schema="lims",
    )
    op.create_table(
        "patient_numbers",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["lims.organizations.id"], name=op.f("fk_patient_numbers__organizations")
        ),
        sa.PrimaryKeyConstraint("organization_id", "token", name=op.f("pk_patient_numbers")),
        schema="lims",
    )
    op.create_index(
        op.f("ix_patient_numbers_patient_id"), "patient_numbers", ["patient_id"], unique=False, schema="lims"
    )
    op.create_table(
        "patient_tokens",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["lims.organizations.id"], name=op.f("fk_patient_tokens__organizations")
        ),
        sa.PrimaryKeyConstraint("organization_id", "token", "patient_id", name=op.f("pk_patient_tokens")),
        schema="lims",
    )
    op.create_index(op.f("ix_patient_tokens_patient_id"), "patient_tokens", ["patient_id"], unique=False, schema="lims")
    op.create_table(
        "reference_intervals",
        sa.Column("definition_id", sa.Uuid(), nullable=False),
        sa.Column("sex", sa.Text(), nullable=False),
        sa.Column("age_from_days", sa.BigInteger(), nullable=False),
        sa.Column("age_to_days", sa.BigInteger(), nullable=False),
        sa.Column("low", sa.Numeric(), nullable=True),
        sa.Column("high", sa.Numeric(), nullable=True),
        sa.Column("critical_low", sa.Numeric(), nullable=True),
        sa.Column("critical_high", sa.Numeric(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("approved_by_id", sa.Uuid(), nullable=True),
        sa.Column("approved_on", sa.Date(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("age_from_days < age_to_days", name=op.f("ck_reference_intervals_ages")),
        sa.ForeignKeyConstraint(
            ["organization_id", "definition_id"],
            ["lims.test_definitions.organization_id", "lims.test_definitions.id"],
            name=op.f("fk_reference_intervals_definition_id_test_definitions"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_reference_intervals")),
        sa.UniqueConstraint(
            "organization_id",
            "definition_id",
            "sex",
            "age_from_days",
            name=op.f("uq_reference_intervals_organization_id_definition_id_sex_age_from_days"),
        ),
        schema="lims",
    )
    op.create_table(
        "standing_authorisations",
        sa.Column("signatory_id", sa.Uuid(), nullable=False),
        sa.Column("rules_version", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("test_codes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "signatory_id"],
            ["lims.users.organization_id", "lims.users.id"],
            name=op.f("fk_standing_authorisations_signatory_id_users"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_standing_authorisations")),
        schema="lims",
    )
    op.create_table(
        "user_roles",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "role_id"],
            ["lims.roles.organization_id", "lims.roles.id"],
            name=op.f("fk_user_roles_role_id_roles"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "user_id"],
            ["lims.users.organization_id", "lims.users.id"],
            name=op.f("fk_user_roles_user_id_users"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_user_roles")),
        sa.UniqueConstraint(
            "organization_id", "user_id", "role_id", name=op.f("uq_user_roles_organization_id_user_id_role_id")
        ),
        schema="lims",
    )
    op.create_table(
        "code_maps",
        sa.Column("analyser_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("test_code", sa.Text(), nullable=False),
        sa.Column("unit_sent", sa.Text(), nullable=False),
        sa.Column("factor", sa.Numeric(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "analyser_id"],
            ["lims.analysers.organization_id", "lims.analysers.id"],
            name=op.f("fk_code_maps_analyser_id_analysers"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_code_maps")),
        sa.UniqueConstraint(
            "organization_id", "analyser_id", "code", name=op.f("uq_code_maps_organization_id_analyser_id_code")
        ),
        schema="lims",
    )
    op.create_table(
        "control_results",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("analyser_id", sa.Uuid(), nullable=False),
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("level", sa.BigInteger(), nullable=False),
        sa.Column("test_code", sa.Text(), nullable=False),
        sa.Column("value", sa.Numeric(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("mean", sa.Numeric(), nullable=False),
        sa.Column("sd", sa.Numeric(), nullable=False),
        sa.Column("z", sa.Double(), nullable=False),
        sa.Column("violated", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "accepted",
                "warning",
                "rejected",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=40,
                schema="lims",
            ),
            nullable=False,
        ),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "analyser_id"],
            ["lims.analysers.organization_id", "lims.analysers.id"],
            name=op.f("fk_control_results_analyser_id_analysers"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "lot_id"],
            ["lims.control_lots.organization_id", "lims.control_lots.id"],
            name=op.f("fk_control_results_lot_id_control_lots"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_control_results")),
        schema="lims",
    )
    op.create_index(
        op.f("ix_control_results_organization_id_analyser_id_test_code_occurred_at"),
        "control_results",
        ["organization_id", "analyser_id", "test_code", "occurred_at"],
        unique=False,
        schema="lims",
    )
    op.create_table(
        "control_targets",
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("level", sa.BigInteger(), nullable=False),
        sa.Column("test_code", sa.Text(), nullable=False),
        sa.Column("analyser_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("mean", sa.Numeric(), nullable=False),
        sa.Column("sd", sa.Numeric(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("approved_by_id", sa.Uuid(), nullable=True),
        sa.Column("approved_on", sa.Date(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("level between 1 and 3", name=op.f("ck_control_targets_level")),
        sa.CheckConstraint("sd > 0", name=op.f("ck_control_targets_sd")),
        sa.ForeignKeyConstraint(
            ["organization_id", "analyser_id"],
            ["lims.analysers.organization_id", "lims.analysers.id"],
            name=op.f("fk_control_targets_analyser_id_analysers"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "lot_id"],
            ["lims.control_lots.organization_id", "lims.control_lots.id"],
            name=op.f("fk_control_targets_lot_id_control_lots"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_control_targets")),
        sa.UniqueConstraint(
            "organization_id",
            "lot_id",
            "level",
            "test_code",
            "analyser_id",
            "version",
            name=op.f("uq_control_targets_organization_id_lot_id_level_test_code_analyser_id_version"),
        ),
        schema="lims",
    )
    op.create_table(
        "instrument_messages",
        sa.Column("analyser_id", sa.Uuid(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("control_id", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "outcome",
            sa.Enum(
                "recorded",
                "parked",
                name="outcome",
                native_enum=False,
                create_constraint=True,
                length=40,
                schema="lims",
            ),
            nullable=False,
        ),
        sa.Column("recorded", sa.BigInteger(), nullable=False),
        sa.Column("parked", sa.BigInteger(), nullable=False),
        sa.Column("error_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("envelope_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "analyser_id"],
            ["lims.analysers.organization_id", "lims.analysers.id"],
            name=op.f("fk_instrument_messages_analyser_id_analysers"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_instrument_messages")),
        sa.UniqueConstraint(
            "organization_id",
            "channel",
            "control_id",
            "body_sha256",
            name=op.f("uq_instrument_messages_organization_id_channel_control_id_body_sha256"),
        ),
        schema="lims",
    )
    op.create_table(
        "order_tests",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("test_code", sa.Text(), nullable=False),
        sa.Column("definition_id", sa.Uuid(), nullable=False),
        sa.Column("specimen_id", sa.Uuid(), nullable=True),
        sa.Column(
            "status",
            sa.Enum(
                "ordered",
                "resulted",
                "authorised",
                "cancelled",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=40,
                schema="lims",
            ),
            nullable=False,
        ),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "definition_id"],
            ["lims.test_definitions.organization_id", "lims.test_definitions.id"],
            name=op.f("fk_order_tests_definition_id_test_definitions"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "order_id"],
            ["lims.orders.organization_id", "lims.orders.id"],
            name=op.f("fk_order_tests_order_id_orders"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_order_tests")),
        sa.UniqueConstraint(
            "organization_id", "order_id", "test_code", name=op.f("uq_order_tests_organization_id_order_id_test_code")
        ),
        schema="lims",
    )
    op.create_index(
        op.f("ix_order_tests_organization_id_specimen_id"),
        "order_tests",
        ["organization_id", "specimen_id"],
        unique=False,
        schema="lims",
    )
    op.create_table(
        "reports",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "final", "amended", name="status", native_enum=False, create_constraint=True, length=40, schema="lims"
            ),
            nullable=False,
        ),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("content_sha256", sa.Text(), nullable=False),
        sa.Column("verification_code", sa.Text(), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("supersedes_id", sa.Uuid(), nullable=True),
        sa.Column("is_example", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "file_id"],
            ["lims.files.organization_id", "lims.files.id"],
            name=op.f("fk_reports_file_id_files"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "order_id"],
            ["lims.orders.organization_id", "lims.orders.id"],
            name=op.f("fk_reports_order_id_orders"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "patient_id"],
            ["lims.patients.organization_id", "lims.patients.id"],
            name=op.f("fk_reports_patient_id_patients"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_reports")),
        sa.UniqueConstraint(
            "organization_id",
            "order_id",
            "content_sha256",
            name=op.f("uq_reports_organization_id_order_id_content_sha256"),
        ),
        sa.UniqueConstraint(
            "organization_id", "order_id", "version", name=op.f("uq_reports_organization_id_order_id_version")
        ),
        schema="lims",
    )
    op.create_table(
        "specimens",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("accession_number", sa.Text(), nullable=False),
        sa.Column("specimen_type", sa.Text(), nullable=False),
        sa.Column("container", sa.Text(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "collected",
                "received",
                "rejected",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=40,
                schema="lims",
            ),
            nullable=False,
        ),
        sa.Column("collected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rejected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "rejection_reason",
            sa.Enum(
                "haemolysed",
                "clotted",
                "insufficient",
                "wrong_container",
                "unlabelled",
                "leaked",
                name="rejection_reason",
                native_enum=False,
                create_constraint=True,
                length=40,
                schema="lims",
            ),
            nullable=True,
        ),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "order_id"],
            ["lims.orders.organization_id", "lims.orders.id"],
            name=op.f("fk_specimens_order_id_orders"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "patient_id"],
            ["lims.patients.organization_id", "lims.patients.id"],
            name=op.f("fk_specimens_patient_id_patients"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "site_id"],
            ["lims.sites.organization_id", "lims.sites.id"],
            name=op.f("fk_specimens_site_id_sites"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_specimens")),
        sa.UniqueConstraint(
            "organization_id", "accession_number", name=op.f("uq_specimens_organization_id_accession_number")
        ),
        sa.UniqueConstraint(
            "organization_id",
            "id",
            "order_id",
            "patient_id",
            name=op.f("uq_specimens_organization_id_id_order_id_patient_id"),
        ),
        schema="lims",
    )
    op.create_index(
        op.f("ix_specimens_organization_id_order_id"),
        "specimens",
        ["organization_id", "order_id"],
        unique=False,
        schema="lims",
    )
    op.create_table(
        "parked_observations",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("group_position", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column(
            "reason",
            sa.Enum(
                "unknown_channel",
                "unreadable",
                "unknown_specimen",
                "specimen_not_received",
                "unknown_code",
                "not_ordered",
                "no_control_target",
                "not_numeric",
                "calibration",
                name="reason",
                native_enum=False,
                create_constraint=True,
                length=40,
                schema="lims",
            ),
            nullable=False,
        ),
        sa.Column("observation_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "message_id"],
            ["lims.instrument_messages.organization_id", "lims.instrument_messages.id"],
            name=op.f("fk_parked_observations_message_id_instrument_messages"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_parked_observations")),
        schema="lims",
    )
    op.create_index(
        op.f("ix_parked_observations_organization_id_resolved_at_id"),
        "parked_observations",
        ["organization_id", "resolved_at", "id"],
        unique=False,
        schema="lims",
    )
    op.create_table(
        "record_groups",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=True),
        sa.Column("specimen_id", sa.Uuid(), nullable=True),
        sa.Column("raw_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("identity_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "message_id"],
            ["lims.instrument_messages.organization_id", "lims.instrument_messages.id"],
            name=op.f("fk_record_groups_message_id_instrument_messages"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_record_groups")),
        schema="lims",
    )
    op.create_index(
        op.f("ix_record_groups_organization_id_message_id"),
        "record_groups",
        ["organization_id", "message_id"],
        unique=False,
        schema="lims",
    )
    op.create_table(
        "results",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("order_test_id", sa.Uuid(), nullable=False),
        sa.Column("specimen_id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("test_code", sa.Text(), nullable=False),
        sa.Column("loinc", sa.Text(), nullable=False),
        sa.Column("definition_id", sa.Uuid(), nullable=False),
        sa.Column("analyser_id", sa.Uuid(), nullable=True),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("observation_sequence", sa.BigInteger(), nullable=True),
        sa.Column("run", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "entry",
            sa.Enum(
                "instrument",
                "manual",
                "import",
                name="entry",
                native_enum=False,
                create_constraint=True,
                length=40,
                schema="lims",
            ),
            nullable=False,
        ),
        sa.Column("entered_by_id", sa.Uuid(), nullable=False),
        sa.Column("value_text", sa.Text(), nullable=False),
        sa.Column("value", sa.Numeric(), nullable=True),
        sa.Column("comparator", sa.Text(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("reference_low", sa.Numeric(), nullable=True),
        sa.Column("reference_high", sa.Numeric(), nullable=True),
        sa.Column("critical_low", sa.Numeric(), nullable=True),
        sa.Column("critical_high", sa.Numeric(), nullable=True),
        sa.Column("age_days", sa.BigInteger(), nullable=True),
        sa.Column("sex", sa.Text(), nullable=True),
        sa.Column("flag", sa.Text(), nullable=True),
        sa.Column("instrument_flags", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "held",
                "authorised",
                "superseded",
                "rejected",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=40,
                schema="lims",
            ),
            nullable=False,
        ),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("corrects_id", sa.Uuid(), nullable=True),
        sa.Column("correction_reason", sa.Text(), nullable=True),
        sa.Column("comment_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("reasons", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("evidence", sa.Text(), server_default="{}", nullable=False),
        sa.Column("risk", sa.Double(), nullable=True),
        sa.Column("model_version", sa.Text(), nullable=True),
        sa.Column("model_sha256", sa.Text(), nullable=True),
        sa.Column("rules_version", sa.Text(), nullable=True),
        sa.Column("authorisation_id", sa.Uuid(), nullable=True),
        sa.Column("signatory_id", sa.Uuid(), nullable=True),
        sa.Column("authorised_by_id", sa.Uuid(), nullable=True),
        sa.Column("authorised_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_automatic", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "definition_id"],
            ["lims.test_definitions.organization_id", "lims.test_definitions.id"],
            name=op.f("fk_results_definition_id_test_definitions"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "specimen_id", "order_id", "patient_id"],
            [
                "lims.specimens.organization_id",
                "lims.specimens.id",
                "lims.specimens.order_id",
                "lims.specimens.patient_id",
            ],
            name=op.f("fk_results_specimen_id_specimens"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", "recorded_at", name=op.f("pk_results")),
        schema="lims",
        postgresql_partition_by="RANGE (recorded_at)",
    )
    op.create_index(
        "ix_results_held",
        "results",
        ["organization_id", "id"],
        unique=False,
        schema="lims",
        postgresql_where="status = 'held'",
    )
    op.create_index(
        "ix_results_history",
        "results",
        ["organization_id", "patient_id", "test_code", "available_at"],
        unique=False,
        schema="lims",
    )
    op.create_index(
        op.f("ix_results_organization_id_order_id"),
        "results",
        ["organization_id", "order_id"],
        unique=False,
        schema="lims",
    )
    op.create_index(
        op.f("ix_results_organization_id_specimen_id"),
        "results",
        ["organization_id", "specimen_id"],
        unique=False,
        schema="lims",
    )


def downgrade() -> None:
    """Never: a migration does not lose a clinical row; go forward with the next one."""
    raise RuntimeError("migrations only go forward")
