"""The device that made a command and when, beside its key."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    bind = op.get_bind()
    bind.exec_driver_sql("alter table lims.idempotency_keys add column device uuid, add column made_at timestamptz")
    bind.exec_driver_sql("grant insert (device, made_at) on lims.idempotency_keys to lims_app, lims_system")


def downgrade() -> None:
    """Never: a migration does not lose a clinical row; go forward with the next one."""
    raise RuntimeError("migrations only go forward")
