"""The stores of an installation for the pipelines: a migrated operational database, an empty lake and warehouse."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from lims_api.core.db.bootstrap import OWNS, make_databases
from lims_api.core.db.embedded import Cluster
from pipelines.settings import Settings
from tests.conftest import PASSWORDS, Environment, grant_connections
from tests.postgres import database

STORES = ("lake", "warehouse", "dagster", "mlflow")
EMPTY = """
drop schema if exists raw, staging, intermediate, clinical, operations, quality cascade;
drop table if exists iceberg_tables, iceberg_namespace_properties;
"""
Session = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="session")
def databases(environment: Environment, cluster: Cluster, worker: str) -> Iterator[dict[str, str]]:
    """Names of five databases of this worker's own, made once: making one takes longer than most tests."""
    prefix = f"pipelines_{worker}_"
    with ExitStack() as stack:
        dsn = stack.enter_context(database(cluster, f"{prefix}lims", template="lims_template"))
        grant_connections(dsn, f"{prefix}lims")
        for name in STORES:
            stack.enter_context(database(cluster, prefix + name))
        make_databases(cluster.superuser_dsn(), prefix=prefix, only=STORES)
        yield {name: prefix + name for name in ("lims", *STORES)}


@pytest.fixture
def stores(databases: dict[str, str], cluster: Cluster, tmp_path: Path) -> Settings:
    """Settings of the roles that an installation uses, on emptied stores and a fresh folder; the ledger has no rows."""
    with psycopg.connect(cluster.superuser_dsn(databases["lims"]), autocommit=True) as lims:
        lims.execute("truncate lims.ledger, lims.outbox")
    for name in ("lake", "warehouse"):
        with psycopg.connect(cluster.superuser_dsn(databases[name]), autocommit=True) as session:
            session.execute(EMPTY.encode())

    def url(role: str, name: str) -> SecretStr:
        return SecretStr(cluster.url(role, PASSWORDS[role], databases[name]))

    return Settings(
        ledger_url=url("lims_capture", "lims"),
        lake_catalog_url=url(OWNS["lake"], "lake"),
        warehouse_url=url(OWNS["warehouse"], "warehouse"),
        dagster_url=url(OWNS["dagster"], "dagster"),
        mlflow_url=url(OWNS["mlflow"], "mlflow"),
        lake_folder=str(tmp_path / "lake"),
        models_folder=tmp_path / "models",
        dagster_folder=tmp_path / "dagster",
        mlflow_folder=tmp_path / "mlflow",
    )


@pytest.fixture
def ledger_dsn(databases: dict[str, str], cluster: Cluster) -> str:
    """A way into the operational database that may write the ledger by hand, which no role of the installation may."""
    return cluster.superuser_dsn(databases["lims"])


@pytest.fixture
def ledger(stores: Settings, ledger_dsn: str) -> Iterator[Session]:
    """A session on the ledger's database, every statement its own transaction."""
    with psycopg.connect(ledger_dsn, autocommit=True) as connection:
        yield connection
