"""`lims demo`: a laboratory's day from an analyser's bytes to a report, a mart and a model, on this machine."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
from pyiceberg.catalog.sql import SqlCatalog
from rich.console import Console

from lims_api.cli.installation import PORTS, free_port, install, remember, secret_file
from lims_api.cli.processes import ProcessDied, Processes, until_told_to_stop
from lims_api.cli.seeding import Control, NewAnalyser, NewOrganization, Seeded, definitions, example_tests, seed
from lims_api.core.clock import utc_now
from lims_api.core.db import open_database
from lims_api.core.ids import uuid7
from lims_api.core.keys import KeyStore, read_master_key
from lims_api.results.autoverification import RULES_VERSION

console = Console()
CDISC = Path("../shared/data/lab_datasets/cdisc_pilot")
HISTORY_PATIENTS = 2000
UNREPORTED = """
select count(*) from lims.orders o
 where o.status = 'completed'
   and exists (select 1 from lims.results r
                where r.organization_id = o.organization_id and r.order_id = o.id and r.entry = 'instrument')
   and not exists (select 1 from lims.reports p where p.organization_id = o.organization_id and p.order_id = o.id)
"""
DISTINCT_RESULTS = """
select count(*) from (select distinct specimen_id, test_code, analyser_id, occurred_at, run, value_text
from lims.results where entry = 'instrument' and recorded_at >= %s) as one
"""


@dataclass
class Stages:
    """How long each stage took; each is announced before it starts."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def stage(self, name: str, what: str) -> Iterator[None]:
        console.print(f"[bold]{what}[/bold] …")
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 1)
        console.print(f"  [green]done[/green] in {self.seconds[name]} s")


def app(argv: list[str]) -> int:
    """Play the demonstration; without `--once` everything keeps running until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="lims demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end when the day is over; the result lies in demo.json")
    parser.add_argument("--folder", type=Path, default=Path("var"), help="where everything is kept")
    parser.add_argument("--patients", type=int, default=200, help="patients of the day")
    parser.add_argument("--history", type=int, default=HISTORY_PATIENTS, help="patients of the past year")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    try:
        with until_told_to_stop():
            return _Demo(options).run()
    except KeyboardInterrupt:
        console.print("\nStopped.")
        return 130
    except (ProcessDied, subprocess.CalledProcessError) as reason:
        console.print(f"[red]The demonstration failed:[/red] {reason}", highlight=False)
        return 1


@dataclass
class _Lab:
    """One organization of the demonstration and its gateway."""

    code: str
    seeded: Seeded
    history: Path
    gateway_port: int = 0  # found when its gateway starts: until then another program could take it


class _Demo:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.stages = options, Stages()
        self.labs: list[_Lab] = []
        self.ports: dict[str, int] = {}
        self.reports: dict[str, dict[str, Any]] = {}
        self.signed: dict[str, bool] = {}

    def run(self) -> int:
        started = time.monotonic()
        with self.stages.stage("install", "Starting PostgreSQL, making databases and keys"):
            self.installation = install(self.options.folder)
        try:
            with Processes(self.installation.folder / "logs") as self.processes:
                self._prepare()
                self._day()
                self.stages.seconds["total"] = round(time.monotonic() - started, 1)
                summary = self._summary()
                target = self.installation.folder / "demo.json"
                target.write_text(json.dumps(summary, indent=2, default=str) + "\n")
                self._tell(summary, target)
                if not self.options.once:
                    self._stay()
        finally:
            self.installation.cluster.stop()
        return 0

    # stages

    def _prepare(self) -> None:
        self.environment = self.installation.environment()
        with self.stages.stage("seed", "Making the laboratories"):
            self._seed()
        with self.stages.stage("history", "Importing the past"):
            for lab in self.labs:
                self._lims("history", "import", str(lab.history), "--organization", lab.code)
        with self.stages.stage("start", "Starting the API, the worker and the gateways"):
            self._start()
        with self.stages.stage("train", "Capturing to the lake, modelling, training"):
            self._lims("pipelines", "run", "--report", str(self.installation.state / "pipelines-1.json"))
        with self.stages.stage("sign", "Signing the standing authorisations"):
            for lab in self.labs:
                self._sign(lab)

    def _day(self) -> None:
        self.began = self._now()
        with self.stages.stage("day", f"{self.options.patients} patients come; the analyser sends"):
            for lab in self.labs:
                self._play(lab)
        with self.stages.stage("deliver", "Waiting for the last result and report"):
            self._wait_until_delivered()
        with self.stages.stage("lake", "Capturing and modelling the day"):
            self._lims(
                "pipelines", "run", "--select", "capture,warehouse,gold", "--report",
                str(self.installation.state / "pipelines-2.json"),
            )  # fmt: skip

    def _seed(self) -> None:
        folder = self.installation.folder
        keys = KeyStore(self.installation.url("lims_keys", "keys"), read_master_key(folder / "keys" / "master.key"))
        database = open_database(self.installation.url("lims_system", "lims"), keys)
        try:
            for wanted, history in self._organizations():
                seeded = seed(database, folder / "keys", wanted)
                self.labs.append(_Lab(wanted.code, seeded, history))
        finally:
            database.close()
            keys.close()

    def _organizations(self) -> Iterator[tuple[NewOrganization, Path]]:
        history = self.installation.folder / "demo" / "history"
        if not (history / "results.parquet").exists():
            self._lims(
                "lab",
                "history",
                str(history),
                "--seed",
                str(self.options.seed),
                "--patients",
                str(self.options.history),
            )
        tests = example_tests()
        yield self._organization("demo", "Nidan Demo Laboratory", tests, "BS480-1", "bench-1"), history
        if not CDISC.is_dir():
            console.print("  ../shared is not here: the organization of the CDISC pilot's patients is left out.")
            return
        study = self.installation.folder / "demo" / "cdisc"
        if not (study / "results.parquet").exists():
            self._lims("lab", "cdisc", str(CDISC), str(study))
        own = definitions(json.loads((study / "catalogue.json").read_text()))
        yield self._organization("cdisc", "CDISC Pilot Study Laboratory", own, "BS480-C", "bench-c"), study

    def _organization(self, code: str, name: str, tests: list[Any], analyser: str, channel: str) -> NewOrganization:
        units = {test.code: test.unit for test in tests}
        one = NewAnalyser(analyser, "Chemistry analyser", "mindray_bs", channel, units)
        return NewOrganization(code=code, name=name, tests=tests, analysers=[one], controls=self._controls(analyser))

    def _controls(self, analyser: str) -> list[Control]:
        """The targets that the virtual laboratory's control lots were given."""
        columns = ("material", "lot_number", "level", "test_code", "mean", "sd")
        rows = pl.read_parquet(
            self.installation.folder / "demo" / "history" / "controls.parquet", columns=list(columns)
        )
        return [
            Control(analyser, material, lot, level, code, Decimal(repr(mean)), Decimal(repr(sd)))
            for material, lot, level, code, mean, sd in rows.select(columns).unique().sort(columns).iter_rows()
        ]

    def _start(self) -> None:
        self.ports["api"] = self._port("api")
        self.environment["LIMS_REPORT_BASE_URL"] = f"http://127.0.0.1:{self.ports['api']}"
        self.environment["LIMS_DASHBOARD_URL"] = f"http://127.0.0.1:{self._port('dashboards')}"
        self.processes.start("api", ["lims_api.cli", "serve", "--port", str(self.ports["api"])], self.environment)
        self.processes.start("worker", ["lims_api.cli", "work"], self.environment)
        self.processes.wait_for(f"{self.api}/healthz", seconds=90)
        for lab in self.labs:
            lab.gateway_port = free_port(PORTS["gateway"], taken=[other.gateway_port for other in self.labs])
            ready = self.installation.state / f"gateway-{lab.code}.json"
            ready.unlink(missing_ok=True)
            self.processes.start(
                f"gateway-{lab.code}",
                ["lims_api.cli", "ingest", "run", "--listen", f"127.0.0.1:{lab.gateway_port}", "--channel",
                self._channel(lab),
                 "--profile", "mindray_bs", "--core", self.api, "--spool",
                 str(self.installation.folder / "spool" / lab.code),
                 "--api-key-file", str(lab.seeded.secrets / "gateway.key"), "--ready-file", str(ready)],
                self.environment,
            )  # fmt: skip
            self.processes.wait_for_file(ready)

    def _port(self, name: str) -> int:
        port = free_port(PORTS[name], taken=self.ports.values())
        if port != PORTS[name]:
            console.print(f"  port {PORTS[name]} is taken: {name} uses {port}")
        self.ports[name] = port
        return port

    def _sign(self, lab: _Lab) -> None:
        manifest = self._manifest(lab)
        if manifest is None:
            console.print(f"  {lab.code}: no champion model was deployed; every result will be held.")
            self.signed[lab.code] = False
            return
        tests = [test["code"] for test in self._call(lab, "pathologist", "GET", "/v1/tests")]
        valid_to = (utc_now() + timedelta(days=90)).isoformat()
        body = {
            "rules_version": RULES_VERSION, "model_version": manifest["version"], "test_codes": tests,
            "valid_to": valid_to,
        }  # fmt: skip
        self._call(lab, "pathologist", "POST", "/v1/standing-authorisations", body)
        self.signed[lab.code] = True

    def _play(self, lab: _Lab) -> None:
        report = self.installation.state / f"day-{lab.code}.json"
        common = [
            "--api", self.api, "--organization", lab.code, "--username", "reception", "--password-file",
            str(lab.seeded.secrets / "reception.password"), "--site", str(lab.seeded.site_id),
            "--to", f"127.0.0.1:{lab.gateway_port}", "--report", str(report),
        ]  # fmt: skip
        # each day of the demonstration continues the analyser's control ids
        first = str(self._sent_before(lab) + 1)
        if lab.code == "cdisc":
            expected = self.installation.state / "cdisc-expected.json"
            self._lims(
                "lab", "cdisc-live", str(CDISC), *common, "--expected", str(expected), "--first-control-id", first
            )
        else:
            self._lims(
                "lab", "simulate", *common, "--seed", str(self.options.seed + int(first)), "--patients",
                str(self.options.patients), "--history", str(lab.history), "--first-control-id", first,
                LIMS_TRUTH_URL=self.installation.url("lims_virtual_lab", "virtual_lab", driver="postgresql"),
            )  # fmt: skip
        self.reports[lab.code] = json.loads(report.read_text())

    def _sent_before(self, lab: _Lab) -> int:
        return int(
            self._one(
                "select count(*) from lims.instrument_messages where organization_id = %s", lab.seeded.organization_id
            )
        )

    def _wait_until_delivered(self) -> None:
        spools = [str(self.installation.folder / "spool" / lab.code) for lab in self.labs]
        until = time.monotonic() + 180
        while time.monotonic() < until:
            self.processes.check()
            held_back = [self._output("ingest", "spool", spool, "--json")["counts"] for spool in spools]
            if any(counts["refused"] for counts in held_back):
                raise ProcessDied("the core refused messages; `lims ingest spool FOLDER` says which and why")
            waiting = sum(counts["kept"] for counts in held_back)
            unreported = self._one(UNREPORTED)
            if not waiting and not unreported:
                return
            time.sleep(0.5)
        raise ProcessDied(f"after 180 s {waiting} messages were not delivered and {unreported} orders not reported")

    # what happened

    def _now(self) -> datetime:
        """By the database's clock, which dates its rows."""
        with psycopg.connect(self.installation.cluster.superuser_dsn("lims")) as connection:
            row = connection.execute("select clock_timestamp()").fetchone()
            assert row is not None  # noqa: S101  a select without from
            moment: datetime = row[0]
            return moment

    def _summary(self) -> dict[str, Any]:
        with psycopg.connect(self.installation.cluster.superuser_dsn("lims")) as connection:

            def count(statement: str, *values: object) -> int:
                row = connection.execute(statement.encode(), values).fetchone()
                return int(row[0]) if row else 0

            # of this run alone: what an earlier day left must not make up for a result that this one lost
            live = "from lims.results where entry = 'instrument' and recorded_at >= %s"
            recorded = count(f"select count(*) {live}", self.began)
            distinct = count(DISTINCT_RESULTS, self.began)
            parked = count(
                "select count(*) from lims.parked_observations p join lims.instrument_messages m"
                " on m.organization_id = p.organization_id and m.id = p.message_id"
                " where m.kind = 'patient' and p.recorded_at >= %s",
                self.began,
            )
            sent = sum(report["results_sent"] for report in self.reports.values())
            return {
                "patients": count("select count(*) from lims.patients"),
                "orders": count("select count(*) from lims.orders"),
                "specimens": count("select count(*) from lims.specimens"),
                "results_sent": sent,
                "results_recorded": recorded,
                "results_parked": parked,
                "results_lost": sent - recorded - parked,
                "results_duplicated": recorded - distinct,
                "auto_released": count(f"select count(*) {live} and is_automatic", self.began),
                "held": count(f"select count(*) {live} and status = 'held'", self.began),
                "reports": count("select count(*) from lims.reports"),
                "ledger_rows": count("select count(*) from lims.ledger"),
                "bronze_rows": self._bronze_rows(),
                "marts": self._marts(),
                "model": self._model(self.labs[0]),
                "organizations": {lab.code: self._organization_summary(count, lab) for lab in self.labs},
                "seconds": self.stages.seconds,
                "urls": self._urls(),
            }

    def _organization_summary(self, count: Any, lab: _Lab) -> dict[str, Any]:
        own = lab.seeded.organization_id
        live = "from lims.results where organization_id = %s and entry = 'instrument' and recorded_at >= %s"
        return {
            "results_recorded": count(f"select count(*) {live}", own, self.began),
            "auto_released": count(f"select count(*) {live} and is_automatic", own, self.began),
            "held": count(f"select count(*) {live} and status = 'held'", own, self.began),
            "reports": count("select count(*) from lims.reports where organization_id = %s", own),
            "model": self._model(lab),
            "day": self.reports.get(lab.code),
        }

    def _bronze_rows(self) -> int:
        """Counted in the lake, not in what the capture said."""
        lake = SqlCatalog(
            "lake",
            uri=self.installation.url("lims_lake", "lake"),
            warehouse=(self.installation.folder / "lake").as_uri(),
        )
        return int(lake.load_table("bronze.ledger").scan().count())

    def _marts(self) -> dict[str, int]:
        with psycopg.connect(self.installation.url("lims_warehouse", "warehouse", driver="postgresql")) as connection:
            tables = connection.execute(
                "select schemaname || '.' || tablename from pg_tables"
                " where schemaname in ('clinical', 'operations', 'quality', 'finance') order by 1"
            ).fetchall()
            return {
                name: connection.execute(f"select count(*) from {name}".encode()).fetchone()[0]  # type: ignore[index]  # noqa: S608  names of the catalogue
                for (name,) in tables
            }

    def _model(self, lab: _Lab) -> dict[str, Any] | None:
        manifest = self._manifest(lab)
        if manifest is None:
            return None
        return {
            "name": manifest["name"], "version": manifest["version"], "alias": "champion",
            "metrics": manifest["metrics"],
        }  # fmt: skip

    def _urls(self) -> dict[str, str]:
        return {"api": self.api, "api_reference": f"{self.api}/docs"} | {
            f"gateway_{lab.code}": f"mllp://127.0.0.1:{lab.gateway_port}" for lab in self.labs
        }

    def _tell(self, summary: dict[str, Any], target: Path) -> None:
        console.print(
            f"\n[bold]{summary['results_recorded']}[/bold] results recorded of {summary['results_sent']} sent"
            f" ({summary['results_parked']} parked, {summary['results_lost']} lost, {summary['results_duplicated']}"
            f" twice);"
            f" {summary['auto_released']} released automatically, {summary['held']} held; {summary['reports']} reports;"
            f" {summary['seconds']['total']} s in all. The whole account: {target}"
        )

    def _stay(self) -> None:
        """Dashboards, Dagster and MLflow join; everything runs until Ctrl-C."""
        environment = self.environment
        self.processes.start(
            "dashboards", ["lims_api.cli", "dashboards", "--port", str(self.ports["dashboards"])], environment
        )
        self.ports["dagster"], self.ports["mlflow"] = self._port("dagster"), self._port("mlflow")
        environment["LIMS_DAGSTER_PORT"] = str(self.ports["dagster"])
        self.processes.start("dagster", ["lims_api.cli", "pipelines", "serve"], environment)
        self.processes.start("mlflow", ["lims_api.cli", "mlflow", "--port", str(self.ports["mlflow"])], environment)
        remember(self.installation.state, "ports.json", dict(self.ports))
        demo = self.labs[0].seeded.secrets
        console.print(f"\nAPI         {self.api}/docs")
        console.print(f"Dashboard   {self._dashboard_link()}", soft_wrap=True)  # one line can be clicked
        console.print(f"Dagster     http://127.0.0.1:{self.ports['dagster']}")
        console.print(f"MLflow      http://127.0.0.1:{self.ports['mlflow']}")
        console.print(
            f"Passwords   {demo}/*.password (organization 'demo'; users reception, technician, pathologist, manager)",
            soft_wrap=True,
        )
        console.print("\nCtrl-C stops everything; the next `make demo` goes on with what is here.")
        while True:
            self.processes.check()
            time.sleep(1)

    def _dashboard_link(self) -> str:
        return str(self._call(self.labs[0], "manager", "GET", "/v1/dashboard-link")["url"])

    # means

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"

    def _channel(self, lab: _Lab) -> str:
        return "bench-c" if lab.code == "cdisc" else "bench-1"

    def _manifest(self, lab: _Lab) -> dict[str, Any] | None:
        folder = self.installation.folder / "models" / str(lab.seeded.organization_id) / "autoverification"
        file = folder / "manifest.json"
        return json.loads(file.read_text()) if file.exists() else None

    def _lims(self, *arguments: str, **secrets: str) -> None:
        """Another command of ours; its secrets go by the environment, which `ps` does not show to others."""
        command = [sys.executable, "-m", "lims_api.cli", *arguments]
        subprocess.run(command, env=self.environment_now() | secrets, check=True)

    def _output(self, *arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "lims_api.cli", *arguments],
            env=self.environment_now(),
            check=True,
            stdout=subprocess.PIPE,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def environment_now(self) -> dict[str, str]:
        return getattr(self, "environment", None) or dict(os.environ)

    def _one(self, statement: str, *values: object) -> int:
        with psycopg.connect(self.installation.cluster.superuser_dsn("lims")) as connection:
            row = connection.execute(statement.encode(), values).fetchone()
            return int(row[0]) if row else 0

    def _call(self, lab: _Lab, user: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        password = secret_file(lab.seeded.secrets / f"{user}.password")
        session = _http(
            "POST", f"{self.api}/v1/sessions", {"organization": lab.code, "username": user, "password": password}
        )
        return _http(method, f"{self.api}{path}", body, token=session["token"])


def _http(method: str, url: str, body: dict[str, Any] | None, *, token: str = "") -> Any:
    headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid7())}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=30) as answer:  # noqa: S310  loopback
        return json.loads(answer.read() or b"null")
