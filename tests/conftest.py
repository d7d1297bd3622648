"""The operational system for tests: a real PostgreSQL, migrated once, one database a worker, all roles as in
production."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from _pytest.nodeid import coerce_node_id

from lims_api.core.crypto import new_secret
from lims_api.core.db import Database, open_database
from lims_api.core.db.bootstrap import LOGIN_ROLES, make_roles, migrate
from lims_api.core.db.embedded import Cluster
from lims_api.core.keys import SCHEMA as KEYS_SCHEMA
from lims_api.core.keys import KeyStore
from tests.postgres import database, ensure_template

pytest_plugins = ["tests.postgres"]

OPERATIONAL = ("lims_app", "lims_system", "lims_importer", "lims_capture")
PASSWORDS = {role: f"{role}-for-tests" for role in LOGIN_ROLES}


@dataclass(frozen=True)
class Environment:
    """One migrated operational database with its key store, and every role's way in."""

    cluster: Cluster
    name: str
    keys_name: str
    master: bytes
    keys: KeyStore
    app: Database
    system: Database

    def url(self, role: str, *, driver: str = "postgresql+psycopg") -> str:
        """The URL of a role on the operational database (or `lims_keys` on the key store)."""
        target = self.keys_name if role == "lims_keys" else self.name
        return self.cluster.url(role, PASSWORDS[role], target, driver=driver)

    def connect(self, role: str, **options: bool) -> psycopg.Connection[tuple[object, ...]]:
        """A plain connection of a role, as hand-written SQL would have it."""
        return psycopg.connect(self.url(role, driver="postgresql"), **options)  # type: ignore[arg-type]

    @property
    def superuser_dsn(self) -> str:
        return self.cluster.superuser_dsn(self.name)


def _build(cluster: Cluster) -> str:
    def build(dsn: str) -> None:
        make_roles(dsn, PASSWORDS)
        migrate(dsn)

    return ensure_template(cluster, "lims_template", build)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep a group's tests on one worker: pytest 9.2 no longer reads the name that pytest-xdist 3.8 writes it to."""
    if not getattr(config.option, "loadgroup", False):
        return
    for item in items:
        mark = item.get_closest_marker("xdist_group")
        if mark is not None and not item.nodeid.endswith(f"@{mark.args[0]}"):
            item._id = coerce_node_id(f"{item.nodeid}@{mark.args[0]}")


@pytest.fixture(scope="session")
def environment(cluster: Cluster, worker: str) -> Iterator[Environment]:
    """The database of this worker. Each test makes organizations of its own, so that none sees another's rows."""
    with environment_of(cluster, worker) as made:
        yield made


@contextmanager
def environment_of(cluster: Cluster, suffix: str) -> Iterator[Environment]:
    """A migrated database and a key store of their own, with every role's way in."""
    template = _build(cluster)
    name, keys_name = f"lims_{suffix}", f"keys_{suffix}"
    with database(cluster, name, template=template) as dsn, database(cluster, keys_name) as keys_dsn:
        grant_connections(dsn, name)
        with psycopg.connect(keys_dsn, autocommit=True) as connection:
            connection.execute(f'alter database "{keys_name}" owner to lims_keys'.encode())
            connection.execute("grant all on schema public to lims_keys")
        keys_url = cluster.url("lims_keys", PASSWORDS["lims_keys"], keys_name, driver="postgresql")
        with psycopg.connect(keys_url, autocommit=True) as connection:
            connection.execute(KEYS_SCHEMA.encode())
        master = new_secret()
        keys = KeyStore(keys_url, master)
        app = open_database(cluster.url("lims_app", PASSWORDS["lims_app"], name), keys)
        system = open_database(cluster.url("lims_system", PASSWORDS["lims_system"], name), keys)
        yield Environment(cluster, name, keys_name, master, keys, app, system)
        app.close()
        system.close()
        keys.close()


def grant_connections(dsn: str, name: str) -> None:
    """What `make_databases` grants; a database made from a template has its own list."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f'revoke connect, temporary on database "{name}" from public'.encode())
        connection.execute((f'grant connect, temporary on database "{name}" to ' + ", ".join(OPERATIONAL)).encode())


@pytest.fixture
def shared() -> Path:
    """The folder of real data, or a skip where it does not exist."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("../shared is not here")
    return folder
