"""Alembic's environment: one transaction a migration, short lock timeouts, one migrator at a time."""

from alembic import context
from sqlalchemy import text

from lims_api.core.db import Base
from lims_api.migrations.tables import ALL_MODELS

SQL_MANAGED = {"ledger", "outbox", "access_log", "idempotency_keys", "event_receipts", "reader_positions"}
assert ALL_MODELS  # noqa: S101  importing them fills the metadata


def include(_object: object, name: str | None, kind: str, reflected: bool, _compare_to: object) -> bool:
    """Leave out what SQL makes: the ledger and its kin, and every partition."""
    if kind == "table" and reflected and name is not None:
        return name not in SQL_MANAGED and "_p2" not in name and not name.endswith("_default")
    return True


def run() -> None:
    connection = context.config.attributes["connection"]
    connection.execute(text("select pg_advisory_lock(7011)"))
    connection.execute(text("set lock_timeout = '5s'; set statement_timeout = '10min'; set timezone = 'UTC'"))
    connection.execute(text("create schema if not exists lims"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table_schema="lims",
        include_object=include,
        transaction_per_migration=True,
        compare_server_default=False,
        include_schemas=True,
        include_name=lambda name, kind, _parents: kind != "schema" or name == "lims",
    )
    try:
        with context.begin_transaction():
            context.run_migrations()
    finally:
        connection.rollback()
        connection.execute(text("select pg_advisory_unlock(7011)"))
        connection.commit()


run()
