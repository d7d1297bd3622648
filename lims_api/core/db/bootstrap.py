"""Roles and databases of a new server, and the schema brought up to date."""

from __future__ import annotations

import json
import os
import secrets
from importlib.resources import files
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import create_engine

DATABASES = ("lims", "keys", "warehouse", "lake", "dagster", "mlflow", "virtual_lab")

LOGIN_ROLES = {
    "lims_app": "nobypassrls",
    "lims_system": "bypassrls",
    "lims_importer": "bypassrls",
    "lims_capture": "bypassrls",
    "lims_keys": "nobypassrls",
    "lims_warehouse": "nobypassrls",
    "lims_lake": "nobypassrls",
    "lims_dagster": "nobypassrls",
    "lims_mlflow": "nobypassrls",
    "lims_virtual_lab": "nobypassrls",
}
"""Who logs in, and whether row-level security binds them. The application's role is bound."""

OWNER_ROLES = {"lims_owner": "nobypassrls", "lims_ledger": "nobypassrls", "lims_gate": "bypassrls"}
"""Who owns tables and functions; nobody logs in as these."""

OWNS = {
    "keys": "lims_keys",
    "warehouse": "lims_warehouse",
    "lake": "lims_lake",
    "dagster": "lims_dagster",
    "mlflow": "lims_mlflow",
    "virtual_lab": "lims_virtual_lab",
}
MAY_CONNECT = {"lims": ("lims_app", "lims_system", "lims_importer", "lims_capture"), "warehouse": ("lims_app",)}


def read_or_make_passwords(file: Path) -> dict[str, str]:
    """The login roles' passwords, kept 0600; made once."""
    if file.exists():
        known: dict[str, str] = json.loads(file.read_text())
    else:
        known = {}
    missing = [role for role in LOGIN_ROLES if role not in known]
    if missing:
        known |= {role: secrets.token_urlsafe(24) for role in missing}
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file.with_suffix(".new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as out:
            json.dump(known, out)
        file.with_suffix(".new").rename(file)
    return known


def make_roles(superuser_dsn: str, passwords: dict[str, str]) -> None:
    """Create what is missing, and set passwords; safe to repeat."""
    with psycopg.connect(superuser_dsn, autocommit=True) as connection:
        present = {row[0] for row in connection.execute("select rolname from pg_roles")}
        for role, bypass in (OWNER_ROLES | LOGIN_ROLES).items():
            verb = "alter" if role in present else "create"
            login = "nologin" if role in OWNER_ROLES else "login"
            statement = sql.SQL("{} role {} {} nosuperuser nocreatedb nocreaterole {}").format(
                sql.SQL(verb), sql.Identifier(role), sql.SQL(login), sql.SQL(bypass)
            )
            connection.execute(statement)
            if role in LOGIN_ROLES:
                connection.execute(
                    sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(passwords[role]))
                )
        connection.execute("grant lims_app to lims_system")


def make_databases(superuser_dsn: str, *, prefix: str = "", only: tuple[str, ...] = DATABASES) -> None:
    """Create the databases that are missing; each opens to its own roles alone."""
    with psycopg.connect(superuser_dsn, autocommit=True) as connection:
        present = {row[0] for row in connection.execute("select datname from pg_database")}
        for name in only:
            database = sql.Identifier(prefix + name)
            if prefix + name not in present:
                connection.execute(sql.SQL("create database {}").format(database))
            connection.execute(sql.SQL("revoke connect, temporary on database {} from public").format(database))
            if name in OWNS:
                connection.execute(
                    sql.SQL("alter database {} owner to {}").format(database, sql.Identifier(OWNS[name]))
                )
            for role in MAY_CONNECT.get(name, ()):
                connection.execute(
                    sql.SQL("grant connect, temporary on database {} to {}").format(database, sql.Identifier(role))
                )


def alembic_config() -> Config:
    """Alembic, pointed at the migrations that are shipped with the package."""
    config = Config()
    config.set_main_option("script_location", str(files("lims_api") / "migrations"))
    config.set_main_option("file_template", "%%(year)d_%%(month).2d_%%(day).2d_%%(hour).2d%%(minute).2d_%%(slug)s")
    return config


def migrate(superuser_dsn: str) -> None:
    """Bring the schema to the newest version; one transaction a migration, one migrator at a time."""
    engine = create_engine(_sqlalchemy(superuser_dsn))
    try:
        with engine.connect() as connection:
            config = alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def _sqlalchemy(dsn: str) -> str:
    return dsn.replace("postgresql://", "postgresql+psycopg://", 1)
