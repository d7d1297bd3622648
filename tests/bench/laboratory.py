"""A laboratory to measure: real server with fsync, one organization, twenty tests, a trained model, signed release."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl

from lims_api.adapters.ml_scores import ModelFolder
from lims_api.app import Services
from lims_api.cli.installation import Installation, free_port, install
from lims_api.cli.processes import Processes
from lims_api.cli.seeding import Control, NewAnalyser, NewOrganization, Seeded, example_tests, seed
from lims_api.core.clock import utc_now
from lims_api.core.db import Database, SystemCaller, open_database, transaction
from lims_api.core.db.embedded import destroy
from lims_api.core.keys import KeyStore, read_master_key
from lims_api.equipment import service as equipment
from lims_api.identity import service as identity
from lims_api.orders import service as orders
from lims_api.orders.schemas import OrderIn
from lims_api.patients import service as patients
from lims_api.patients.schemas import PatientIn
from lims_api.qc import service as qc
from lims_api.results import service as results
from lims_api.results.autoverification import RULES_VERSION
from lims_api.specimens import service as specimens
from ml.autoverification import register, train
from tests.integration.laboratory import TOLERATED_RISK
from tests.unit.ml.panels import made_up_results

TESTS = 20
ANALYSERS = 2
VALUES = {"GLU": "85", "CREA": "0.90", "BUN": "14", "NA": "140", "K": "4.2", "CL": "102", "ALT": "20", "AST": "22",
          "ALP": "80", "TBIL": "0.60"}  # fmt: skip


@dataclass(frozen=True)
class Ordered:
    """One order with its specimen, received."""

    order_id: UUID
    accession_number: str
    uhid: str
    name: str


@dataclass(frozen=True)
class BenchLaboratory:
    """What the measurements need."""

    installation: Installation
    seeded: Seeded
    system: Database
    processes: Processes
    environment: dict[str, str]
    api: str
    codes: tuple[str, ...]

    def token(self, username: str) -> str:
        """A session of one of the staff."""
        password = (self.seeded.secrets / f"{username}.password").read_text()
        body = {"organization": "bench", "username": username, "password": password}
        return str(self.post("/v1/sessions", body)["token"])

    def post(self, path: str, body: dict[str, Any], token: str = "") -> Any:
        """A write by a person."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(self.api + path, json.dumps(body).encode(), headers)  # noqa: S310  loopback
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  loopback
            return json.loads(answer.read())

    def caller(self, username: str | None = None) -> SystemCaller:
        """Services called directly, for setting things up."""
        organization = self.seeded.organization_id
        caller = SystemCaller(database=self.system, organization_id=organization)
        if username is None:
            return caller
        with transaction(caller) as session:
            actor = identity.user_named(session, username).id
        return SystemCaller(database=self.system, organization_id=organization, actor_id=actor)

    def receive_orders(self, count: int) -> list[Ordered]:
        """So many orders of twenty tests, one patient each, collected and received."""
        made = []
        with transaction(self.caller()) as session:
            for _ in range(count):
                now = utc_now()
                name = "Asha Example"
                person = patients.register(
                    session,
                    PatientIn(name=name, sex="female", birth_on=date(1980, 1, 1), birth_precision="day"),
                )
                order = orders.place(
                    session, OrderIn(patient_id=person.id, site_id=self.seeded.site_id, tests=list(self.codes))
                )
                ((specimen, _tests),) = specimens.collect(session, order.id, collected_at=now)
                specimens.receive(session, specimen.accession_number, received_at=now)
                uhid = patients.open_identity(session, [person])[person.id].uhid
                made.append(Ordered(order.id, specimen.accession_number, uhid, name))
        return made


@contextmanager
def laboratory(*, workers: int = 1) -> Iterator[BenchLaboratory]:
    """Made in a temporary folder, stopped and deleted at the end."""
    folder = Path(tempfile.mkdtemp(prefix="nidan-bench-"))
    installation = install(folder)
    keys = KeyStore(installation.url("lims_keys", "keys"), read_master_key(folder / "keys" / "master.key"))
    system = open_database(installation.url("lims_system", "lims"), keys)
    environment = installation.environment()
    try:
        with Processes(folder / "logs") as processes:
            codes = tuple(_codes())
            seeded = seed(system, folder / "keys", _organization(codes))
            port = free_port(24080)
            processes.start(
                "api", ["lims_api.cli", "serve", "--port", str(port), "--workers", str(workers)], environment
            )
            lab = BenchLaboratory(
                installation, seeded, system, processes, environment, f"http://127.0.0.1:{port}", codes
            )
            _put_in_control(lab)
            _sign(lab, _deploy(folder, seeded.organization_id))
            processes.wait_for(f"{lab.api}/healthz", seconds=90)
            yield lab
    finally:
        system.close()
        keys.close()
        installation.cluster.stop()
        destroy(folder / "postgresql")
        shutil.rmtree(folder, ignore_errors=True)


def _codes() -> Iterator[str]:
    """The ten example tests and ten more of the same kind."""
    for test in example_tests():
        yield test.code
    for number in range(TESTS - len(VALUES)):
        yield f"X{number:02d}"


def _organization(codes: tuple[str, ...]) -> NewOrganization:
    tests = example_tests()
    glucose = next(test for test in tests if test.code == "GLU")
    tests += [
        glucose.model_copy(update={"code": code, "name": f"Test {code}"}) for code in codes if code.startswith("X")
    ]
    controls = [
        Control("A1", "Bench control", "B1", level, code, Decimal(100), Decimal(2))
        for level in (1, 2)
        for code in codes
    ]
    first = NewAnalyser("A1", "Analyser 1", "mindray_bs", "bench-1", {test.code: test.unit for test in tests})
    return NewOrganization(code="bench", name="Bench", tests=tests, analysers=[first], controls=controls)


def _put_in_control(lab: BenchLaboratory) -> None:
    """More analysers like the first, and all measure their controls."""
    units = {test.code: test.unit for test in example_tests()}
    with transaction(lab.caller("pathologist")) as session:
        ((_, lot),) = qc.lots_named(session, {("Bench control", "B1")}).items()
        for number in range(2, ANALYSERS + 1):
            added = equipment.add_analyser(
                session, code=f"A{number}", name=f"Analyser {number}", model="mindray_bs", channel=f"bench-{number}",
                site_id=lab.seeded.site_id,
            )  # fmt: skip
            for code in lab.codes:
                equipment.map_code(session, added, code, test_code=code, unit_sent=units.get(code, "mg/dL"))
                for level in (1, 2):
                    qc.set_target(
                        session,
                        lot,
                        level,
                        code,
                        analyser_id=added.id,
                        mean=Decimal(100),
                        sd=Decimal(2),
                        source="bench",
                    )
    for number in range(ANALYSERS):
        _measure_controls(lab, number, units)


def _measure_controls(lab: BenchLaboratory, number: int, units: dict[str, str]) -> None:
    with transaction(lab.caller()) as session:
        analyser = equipment.all_analysers(session)[number]
        for level in (1, 2):
            for code in lab.codes:
                qc.record_by_hand(
                    session, "Bench control", "B1", level, qc.Measured(code, Decimal(100), units.get(code, "mg/dL")),
                    analyser_id=analyser.id,
                    occurred_at=utc_now(),
                )  # fmt: skip


def _deploy(folder: Path, organization_id: UUID) -> str:
    rows = made_up_results(1_500, seed=5).with_columns(organization_id=pl.lit(str(organization_id)))
    candidate = train.develop(rows)
    candidate = replace(candidate, decision=replace(candidate.decision, threshold=TOLERATED_RISK))
    target = folder / "models" / str(organization_id) / "autoverification"
    register.export(
        target, candidate, name="autoverification", version="bench", metrics={}, approved_by="bench",
        data_version="made up",
    )  # fmt: skip
    return "bench"


def _sign(lab: BenchLaboratory, version: str) -> None:
    with transaction(lab.caller("pathologist")) as session:
        results.sign_standing_authorisation(
            session, rules_version=RULES_VERSION, model_version=version, test_codes=list(lab.codes),
            valid_to=utc_now() + timedelta(days=1),
        )  # fmt: skip


def services(lab: BenchLaboratory) -> Services:
    """The services that a batch recorded in this process needs."""
    return Services(
        models=ModelFolder(lab.installation.folder / "models"), files_folder=lab.installation.folder / "files"
    )


def until(condition: Any, *, seconds: float) -> float:
    """Seconds until the condition holds."""
    started = time.perf_counter()
    while not condition():
        if time.perf_counter() - started > seconds:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.005)
    return time.perf_counter() - started
