"""Everything that one machine runs, in one folder: server, keys, lake, files, models, and the environment they
share."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from lims_api.core.db.bootstrap import make_databases, make_roles, migrate, read_or_make_passwords
from lims_api.core.db.embedded import Cluster
from lims_api.core.keys import SCHEMA as KEYS_SCHEMA
from lims_api.core.keys import make_master_key
from lims_api.core.telemetry import TELEMETRY_OFF

PORTS = {"database": 21432, "api": 28080, "gateway": 22575, "dashboards": 28501, "dagster": 28300, "mlflow": 28500}
"""Wanted ports, all below the range that the kernel gives out; a taken one is replaced by the next free one."""


@dataclass(frozen=True)
class Installation:
    """A running server with everything made that the programs expect."""

    folder: Path
    cluster: Cluster
    passwords: dict[str, str]

    def url(self, role: str, database: str, *, driver: str = "postgresql+psycopg") -> str:
        """A role's way into a database."""
        return self.cluster.url(role, self.passwords[role], database, driver=driver)

    @property
    def state(self) -> Path:
        """What the last run found out, e.g. its ports."""
        return self.folder / "run"

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of every program of this installation."""
        own = {
            "LIMS_DATABASE_URL": self.url("lims_app", "lims"),
            "LIMS_SYSTEM_DATABASE_URL": self.url("lims_system", "lims"),
            "LIMS_IMPORTER_DATABASE_URL": self.url("lims_importer", "lims"),
            "LIMS_KEYS_URL": self.url("lims_keys", "keys"),
            "LIMS_MASTER_KEY_FILE": str(self.folder / "keys" / "master.key"),
            "LIMS_FILES_FOLDER": str(self.folder / "files"),
            "LIMS_MODELS_FOLDER": str(self.folder / "models"),
            "LIMS_LEDGER_URL": self.url("lims_capture", "lims", driver="postgresql"),
            "LIMS_LAKE_CATALOG_URL": self.url("lims_lake", "lake"),
            "LIMS_LAKE_FOLDER": str(self.folder / "lake"),
            "LIMS_WAREHOUSE_URL": self.url("lims_warehouse", "warehouse", driver="postgresql"),
            "LIMS_DAGSTER_URL": self.url("lims_dagster", "dagster", driver="postgresql+psycopg2"),
            "LIMS_DAGSTER_FOLDER": str(self.folder / "dagster"),
            "LIMS_MLFLOW_URL": self.url("lims_mlflow", "mlflow", driver="postgresql+psycopg2"),
            "LIMS_MLFLOW_FOLDER": str(self.folder / "mlflow"),
            "LIMS_DASHBOARD_KEY_FILE": str(self.folder / "keys" / "dashboard.key"),
            "LIMS_DASHBOARD_PUBLIC_KEY_FILE": str(self.folder / "keys" / "dashboard.pub"),
            "LIMS_MODEL_APPROVER": "Dr Example Pathologist (EXAMPLE)",
            "OMP_NUM_THREADS": "1",
        }
        return {**os.environ, **TELEMETRY_OFF, **own, **more}


def install(folder: Path) -> Installation:
    """Start (or join) the folder's server and make what is missing: roles, databases, schema, keys."""
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster.open(folder / "postgresql", port=None)
    passwords = read_or_make_passwords(folder / "keys" / "passwords.json")
    administrator = cluster.superuser_dsn()
    make_roles(administrator, passwords)
    make_databases(administrator)
    migrate(cluster.superuser_dsn("lims"))
    make_master_key(folder / "keys" / "master.key")
    _make_dashboard_keys(folder / "keys")
    installation = Installation(folder, cluster, passwords)
    with psycopg.connect(installation.url("lims_keys", "keys", driver="postgresql"), autocommit=True) as connection:
        connection.execute(KEYS_SCHEMA.encode())
    for name in ("run", "logs", "files", "lake", "models", "dagster", "mlflow", "spool"):
        (folder / name).mkdir(exist_ok=True)
    return installation


def free_port(wanted: int, *, taken: Iterable[int] = ()) -> int:
    """The wanted port, or the next that nobody listens on; always below 32768."""
    taken = set(taken)
    for port in range(wanted, 32768):
        if port in taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise OSError(f"no free port from {wanted} on")


def secret_file(file: Path, text: str | None = None) -> str:
    """A text kept 0600: written when given or missing, read otherwise."""
    if text is None and file.exists():
        return file.read_text().strip()
    text = text or secrets.token_urlsafe(18)
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(text)
    return text


def remember(folder: Path, name: str, facts: dict[str, object]) -> None:
    """Facts of this run for a person or another command, e.g. ports."""
    (folder / name).write_text(json.dumps(facts, indent=2) + "\n")


def _make_dashboard_keys(folder: Path) -> None:
    private, public = folder / "dashboard.key", folder / "dashboard.pub"
    if private.exists() and public.exists():
        return
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    secret_file(private, pem)
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
