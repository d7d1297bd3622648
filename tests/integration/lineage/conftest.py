"""A laboratory whose transmissions are real bytes, with a lake and a warehouse of its own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from uuid import UUID

import psycopg
import pytest
from pydantic import SecretStr

from ingest.decode import decode
from ingest.instruments.shipped import load
from ingest.received import Received
from lims_api.cli.asking import Asked
from lims_api.core.clock import utc_now
from lims_api.core.db.bootstrap import OWNS, make_databases
from lims_api.core.db.embedded import Cluster
from lims_api.lineage import service as lineage
from lims_api.lineage.chain import Chain, Finding, Link, Step
from lims_api.lineage.gather import CodeMaps
from lims_api.lineage.ports import Programs
from pipelines import transform, warehouse
from pipelines.capture import LEDGER, bronze_table
from pipelines.lake import open_lake
from pipelines.loop import capture_once
from pipelines.settings import Settings, libpq
from tests.conftest import PASSWORDS
from tests.integration.laboratory import CHANNEL, USUAL, Drawn, Laboratory, Measured
from tests.postgres import database
from tests.unit.ingest.transmissions import oru, received

STORES = ("lake", "warehouse")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def stores(
    lab: Laboratory, cluster: Cluster, worker: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """An empty lake and warehouse beside the laboratory's database."""
    prefix, folder = f"lineage_{worker}_", tmp_path_factory.mktemp("lineage")
    with ExitStack() as stack:
        for name in STORES:
            stack.enter_context(database(cluster, prefix + name))
        make_databases(cluster.superuser_dsn(), prefix=prefix, only=STORES)

        def url(role: str, name: str) -> SecretStr:
            return SecretStr(cluster.url(role, PASSWORDS[role], name))

        yield Settings(
            ledger_url=url("lims_capture", lab.environment.name),
            lake_catalog_url=url(OWNS["lake"], f"{prefix}lake"),
            warehouse_url=url(OWNS["warehouse"], f"{prefix}warehouse"),
            dagster_url=SecretStr("postgresql://nowhere/none"),
            mlflow_url=SecretStr("postgresql://nowhere/none"),
            lake_folder=str(folder / "lake"),
        )


@pytest.fixture(scope="session")
def surroundings(lab: Laboratory, stores: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of the installation, for its programs."""
    master = tmp_path_factory.mktemp("keys") / "master.key"
    master.write_text(lab.environment.master.hex())
    master.chmod(0o600)
    environment, folder = lab.environment, lab.services.files_folder.parent
    own = {
        "LIMS_DATABASE_URL": environment.url("lims_app"), "LIMS_SYSTEM_DATABASE_URL": environment.url("lims_system"),
        "LIMS_KEYS_URL": environment.url("lims_keys"), "LIMS_MASTER_KEY_FILE": str(master),
        "LIMS_FILES_FOLDER": str(lab.services.files_folder), "LIMS_MODELS_FOLDER": str(folder / "models"),
        "LIMS_LAKE_FOLDER": stores.lake_folder,
    }  # fmt: skip
    urls = {f"LIMS_{name.upper()}": getattr(stores, name).get_secret_value()
            for name in ("ledger_url", "lake_catalog_url", "warehouse_url", "dagster_url", "mlflow_url")}  # fmt: skip
    return {**os.environ, **own, **urls}


@pytest.fixture(scope="session")
def reparse() -> Iterator[Asked]:
    """The gateway's program that reads again, once for all tests: it needs no installation."""
    with Asked("ingest", "reparse") as asked:
        yield asked


@dataclass(frozen=True)
class Bench:
    """The laboratory, what its analyser says, and the way to a chain."""

    lab: Laboratory
    stores: Settings
    surroundings: Mapping[str, str]
    reparse: Asked
    monkeypatch: pytest.MonkeyPatch

    def measure(self, *tests: str, values: Mapping[str, str] | None = None, drawn: Drawn | None = None) -> Measured:
        """A specimen measured: bytes as the analyser sends them, decoded by the gateway's own decoder, delivered."""
        drawn = drawn or self.lab.draw(*tests)
        body = self.body(drawn, values or {})
        kept = received(body, channel=CHANNEL, control_id=str(next(_numbers)))
        now = Received(kept.channel, kept.control_id, kept.body_sha256, utc_now(), kept.body)
        self.lab.deliver(decode(now, load("mindray_bs")))
        return Measured(self.lab, drawn)

    def body(self, drawn: Drawn, values: Mapping[str, str]) -> bytes:
        """One ORU^R01 of one specimen."""
        last, _, first = drawn.person.name.rpartition(" ")
        at = utc_now().strftime("%Y%m%d%H%M%S")
        return oru(
            str(next(_numbers)),
            f"PID|1||{drawn.person.uhid}||{first}^{last}||{drawn.person.birth_on:%Y%m%d}|M",
            f"OBR|1|{drawn.accession}|7|Mindray^BS-480|||{at}+0000",
            *(
                f"OBX|{place}|NM|{code}||{values.get(code, USUAL[code])}|{self._unit(code)}||N|||F|||{at}+0000"
                for place, code in enumerate(drawn.tests, start=1)
            ),
        )

    def _unit(self, code: str) -> str:
        return self.lab.definitions[code].unit

    def model(self) -> None:
        """Capture into the lake, load the warehouse, build its marts."""
        capture_once(self.stores)
        warehouse.load(libpq(self.stores.warehouse_url), bronze_table(open_lake(self.stores), LEDGER))
        failed = [node.unique_id for node in transform.build(self.stores) if not node.good]
        assert failed == []

    def chains(self, *result_ids: str | UUID, copies: bool = True, timezone: str = "Asia/Kolkata") -> list[Chain]:
        """Traced by the service, with both programs as they run in an installation."""
        for name, value in self.surroundings.items():
            self.monkeypatch.setenv(name, value)
        ids = [UUID(str(one)) for one in result_ids]
        with ExitStack() as stack, self.lab.session() as session:
            lake = stack.enter_context(Asked("pipelines", "trace")) if copies else None
            return lineage.trace(session, ids, Programs(self.reparse, lake, timezone), CodeMaps())

    def chain(self, result_id: str | UUID, *, copies: bool = True) -> Chain:
        """Of one result."""
        (found,) = self.chains(result_id, copies=copies)
        return found

    @contextmanager
    def behind_the_ledger(self) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """A superuser whose changes no trigger sees."""
        with psycopg.connect(self.lab.environment.superuser_dsn) as connection:
            connection.execute("set session_replication_role = replica")
            yield connection


@pytest.fixture
def bench(
    lab: Laboratory,
    stores: Settings,
    surroundings: dict[str, str],
    reparse: Asked,
    monkeypatch: pytest.MonkeyPatch,
) -> Bench:
    """The laboratory at work."""
    return Bench(lab, stores, surroundings, reparse, monkeypatch)


def link(chain: Chain, step: Step) -> Link:
    """One link of a chain."""
    return next(one for one in chain.links if one.step is step)


def found(chain: Chain, finding: Finding) -> set[str]:
    """The steps of which this was found."""
    return {str(one.step) for one in chain.links if one.finding is finding}


def differing(chain: Chain) -> set[str]:
    """The steps that differ."""
    return found(chain, Finding.DIFFERS)
