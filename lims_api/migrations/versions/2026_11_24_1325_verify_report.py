"""A report can be verified by the code on it, without signing in; no table changes."""

from importlib.resources import files

import psycopg
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)  # noqa: S101  migrations run on psycopg
    connection.execute((files("lims_api.migrations") / "sql" / "0003_verify_report.sql").read_bytes())


def downgrade() -> None:
    """Never: a migration does not lose a clinical row; go forward with the next one."""
    raise RuntimeError("migrations only go forward")
