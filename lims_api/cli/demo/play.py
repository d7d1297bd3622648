"""The demonstration from an empty folder to the end of a laboratory's day."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from lims_api.cli.demo.account import Account, manifest
from lims_api.cli.demo.calling import Staff
from lims_api.cli.demo.ending import in_words, logins, summary_table
from lims_api.cli.demo.keepsakes import chart, reports
from lims_api.cli.demo.laboratories import CAPTURES, CDISC, STUDY, Lab, wanted
from lims_api.cli.demo.pathologist import look_through
from lims_api.cli.demo.stages import Stages, console
from lims_api.cli.installation import PORTS, free_port, install, remember
from lims_api.cli.processes import ProcessDied, Processes
from lims_api.cli.seeding import seed
from lims_api.core.clock import utc_now
from lims_api.core.db import open_database
from lims_api.core.keys import KeyStore, read_master_key
from lims_api.results.autoverification import RULES_VERSION

UNREPORTED = """
select count(*) from lims.orders o
 where o.status = 'completed'
   and exists (select 1 from lims.results r
                where r.organization_id = o.organization_id and r.order_id = o.id and r.entry = 'instrument')
   and not exists (select 1 from lims.reports p where p.organization_id = o.organization_id and p.order_id = o.id)
"""
REPORTED_LATER = ("lab", "history", "dashboards")
"""Commands whose report is a file, or a line of JSON that tells a person nothing here; their progress is shown."""
SIGNED_FOR = timedelta(days=90)
DELIVERED_WITHIN_SECONDS = 180


class Demonstration:
    """One run of `lims demo`."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.stages = options, Stages()
        self.labs: list[Lab] = []
        self.ports: dict[str, int] = {}
        self.reports: dict[str, dict[str, Any]] = {}
        self.environment: Mapping[str, str] = os.environ
        self.authorised = 0
        self.kept: dict[str, Path] = {}
        self.captures: dict[str, Any] = {}
        self.set_aside = 0

    def run(self) -> int:
        """Everything; 0 at its end. Raises `ProcessDied` and `CalledProcessError`."""
        started = time.monotonic()
        with self.stages.stage("install", "Starting PostgreSQL, making databases and keys"):
            self.installation = install(self.options.folder)
        try:
            with Processes(self.installation.folder / "logs") as self.processes:
                self._prepare()
                if not self.options.once:
                    self._open()
                self._day()
                self.stages.seconds["total"] = round(time.monotonic() - started, 1)
                self._tell()
                if not self.options.once:
                    self._stay()
        finally:
            self.installation.cluster.stop()
        return 0

    # stages

    def _prepare(self) -> None:
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
        with self.stages.stage("captures", "Recordings of real analysers are sent again, byte for byte"):
            self._captures(self.labs[0])
            # what the gateway never takes of them, such as questions, stays in its spool
            self.set_aside = self._spooled("refused")
        # what came before, the recordings too, is not of the day
        self.began = self._now()
        with self.stages.stage("day", f"{self.options.patients} patients come; the analysers send"):
            for lab in self.labs:
                self._play(lab)
        with self.stages.stage("deliver", "Waiting for the last result"):
            self._wait_until_delivered()
        with self.stages.stage("authorise", "The pathologist looks through what is held"):
            self.authorised = look_through(Staff(self.api, self.labs[0], "pathologist"))
            self._wait_until_delivered()
        with self.stages.stage("lake", "Capturing and modelling the day"):
            report = str(self.installation.state / "pipelines-2.json")
            self._lims("pipelines", "run", "--select", "capture,warehouse,gold", "--report", report)
        with self.stages.stage("keepsakes", "Fetching two reports, drawing a Levey-Jennings chart"):
            lab = self.labs[0]
            self.kept = reports(self.installation, lab, Staff(self.api, lab, "reception"))
            self.kept |= chart(self.installation, lab, self._lims)

    def _seed(self) -> None:
        self.environment = self.installation.environment()
        folder = self.installation.folder
        keys = KeyStore(self.installation.url("lims_keys", "keys"), read_master_key(folder / "keys" / "master.key"))
        database = open_database(self.installation.url("lims_system", "lims"), keys)
        past = wanted(folder / "demo", self._lims, seed=self.options.seed, patients=self.options.history)
        try:
            for new, history in past:
                seeded = seed(database, folder / "keys", new)
                self.labs.append(Lab(new.code, seeded, history, new.analysers))
        finally:
            database.close()
            keys.close()

    def _start(self) -> None:
        self.ports["api"] = self._port("api")
        environment = self.installation.environment(
            LIMS_REPORT_BASE_URL=self.api, LIMS_DASHBOARD_URL=f"http://127.0.0.1:{self._port('dashboards')}"
        )
        self.environment = environment
        self.processes.start("api", ["lims_api.cli", "serve", "--port", str(self.ports["api"])], environment)
        self.processes.start("worker", ["lims_api.cli", "work"], environment)
        self.processes.wait_for(f"{self.api}/healthz", seconds=90)
        for lab in self.labs:
            self._start_gateway(lab)

    def _start_gateway(self, lab: Lab) -> None:
        """One gateway a laboratory, one channel an analyser; it tries its ports when it binds them."""
        folder, state = self.installation.folder, self.installation.state
        config, ready = state / f"gateway-{lab.code}.toml", state / f"gateway-{lab.code}.json"
        taken = [int(address.rpartition(":")[2]) for other in self.labs for address in other.gateways.values()]
        for analyser in lab.analysers:
            taken.append(free_port(PORTS["gateway"], taken=taken))
            lab.gateways[analyser.channel] = f"127.0.0.1:{taken[-1]}"
        config.write_text(_gateway_config(lab))
        ready.unlink(missing_ok=True)
        self.processes.start(
            f"gateway-{lab.code}",
            ["lims_api.cli", "ingest", "run", "--config", str(config), "--core", self.api,
             "--spool", str(folder / "spool" / lab.code), "--api-key-file", str(lab.seeded.secrets / "gateway.key"),
             "--ready-file", str(ready)],
            self.environment,
        )  # fmt: skip
        self.processes.wait_for_file(ready)

    def _port(self, name: str) -> int:
        port = free_port(PORTS[name], taken=self.ports.values())
        if port != PORTS[name]:
            console.print(f"  port {PORTS[name]} is taken: {name} uses {port}")
        self.ports[name] = port
        return port

    def _sign(self, lab: Lab) -> None:
        champion = manifest(self.installation, lab)
        if champion is None:
            console.print(f"  {lab.code}: no champion model was deployed; every result will be held.")
            return
        pathologist = Staff(self.api, lab, "pathologist")
        offered = pathologist.get("/v1/tests")
        tests = [test["code"] for test in offered if test["kind"] == "numeric" and not test["is_restricted"]]
        body = {
            "rules_version": RULES_VERSION, "model_version": champion["version"], "test_codes": tests,
            "valid_to": (utc_now() + SIGNED_FOR).isoformat(),
        }  # fmt: skip
        pathologist.post("/v1/standing-authorisations", body)

    def _captures(self, lab: Lab) -> None:
        report = self.installation.state / "captures.json"
        folders = [str(folder) for folder in CAPTURES if folder.is_dir()]
        if not folders:
            console.print("  ../shared is not here: only our own recordings are sent.")
        technician = str(lab.seeded.secrets / "technician.password")
        self._lims(
            "lab", "captures", *folders, *self._front_desk(lab), *_to_each(lab), "--reader-password-file", technician,
            "--report", str(report),
        )  # fmt: skip
        self.captures = json.loads(report.read_text())

    def _front_desk(self, lab: Lab) -> list[str]:
        return [
            "--api", self.api, "--organization", lab.code, "--username", "reception", "--password-file",
            str(lab.seeded.secrets / "reception.password"), "--site", str(lab.seeded.site_id),
        ]  # fmt: skip

    def _play(self, lab: Lab) -> None:
        report = self.installation.state / f"day-{lab.code}.json"
        # each day of the demonstration continues the analyser's control ids
        first = str(self._sent_before(lab) + 1)
        common = [*self._front_desk(lab), "--report", str(report), "--first-control-id", first]
        if lab.code == STUDY:
            expected = self.installation.state / "cdisc-expected.json"
            to = lab.gateway(lab.analysers[0])
            self._lims("lab", "cdisc-live", str(CDISC), *common, "--to", to, "--expected", str(expected))
        else:
            self._lims(
                "lab", "day", *common, *_to_each(lab), "--seed", str(self.options.seed + int(first)), "--patients",
                str(self.options.patients), "--history", str(lab.history), "--speed", str(self._speed()),
                LIMS_TRUTH_URL=self.installation.url("lims_virtual_lab", "virtual_lab", driver="postgresql"),
            )  # fmt: skip
        self.reports[lab.code] = json.loads(report.read_text())

    def _speed(self) -> int:
        """Sixty times real time when somebody watches; as fast as can be when the account is all that counts."""
        return int(self.options.speed if self.options.speed is not None else 0 if self.options.once else 60)

    def _sent_before(self, lab: Lab) -> int:
        statement = "select count(*) from lims.instrument_messages where organization_id = %s"
        return self._one(statement, lab.seeded.organization_id)

    def _wait_until_delivered(self) -> None:
        until = time.monotonic() + DELIVERED_WITHIN_SECONDS
        while time.monotonic() < until:
            self.processes.check()
            if self._spooled("refused") > self.set_aside:
                raise ProcessDied("messages were refused; `lims ingest spool FOLDER` says which and why")
            waiting = self._spooled("kept")
            unreported = self._one(UNREPORTED)
            if not waiting and not unreported:
                return
            time.sleep(0.5)
        raise ProcessDied(
            f"after {DELIVERED_WITHIN_SECONDS} s {waiting} messages were not delivered and {unreported} orders not"
            " reported"
        )

    def _open(self) -> None:
        """Dashboards, Dagster and MLflow, so that the day can be watched."""
        self.ports["dagster"], self.ports["mlflow"] = self._port("dagster"), self._port("mlflow")
        environment = dict(self.environment) | {"LIMS_DAGSTER_PORT": str(self.ports["dagster"])}
        for name, command in (
            ("dashboards", ["dashboards", "--port", str(self.ports["dashboards"])]),
            ("dagster", ["pipelines", "serve"]),
            ("mlflow", ["mlflow", "--port", str(self.ports["mlflow"])]),
        ):
            self.processes.start(name, ["lims_api.cli", *command], environment)
        remember(self.installation.state, "ports.json", dict(self.ports))
        self._print_addresses()

    def _spooled(self, state: str) -> int:
        """Messages in the gateways' spools that are in this state."""
        spools = (str(self.installation.folder / "spool" / lab.code) for lab in self.labs)
        return sum(int(self._output("ingest", "spool", spool, "--json")["counts"][state]) for spool in spools)

    # the end

    def _tell(self) -> None:
        summary = Account(self.installation, self.labs, self.began, self.reports).whole() | {
            "authorised_by_hand": self.authorised, "seconds": self.stages.seconds, "urls": self._urls(),
            "kept": self.kept, "captures": self.captures,
        }  # fmt: skip
        target = self.installation.folder / "demo.json"
        target.write_text(json.dumps(summary, indent=2, default=str) + "\n")
        console.print()
        console.print(summary_table(summary))
        console.print(in_words(summary))
        for what, file in (*self.kept.items(), ("account", target)):
            console.print(f"{what.replace('_', ' '):16}{file}", soft_wrap=True, highlight=False)

    def _urls(self) -> dict[str, str]:
        gateways = {
            f"gateway_{lab.code}_{analyser.code}": lab.gateway(analyser)
            for lab in self.labs
            for analyser in lab.analysers
        }
        return {"app": f"{self.api}/app/", "api": self.api, "api_reference": f"{self.api}/docs"} | gateways

    def _stay(self) -> None:
        """Everything runs until Ctrl-C."""
        console.print()
        self._print_addresses()
        console.print()
        console.print(logins(self.labs, self.installation.folder))
        console.print("\nCtrl-C stops everything; the next `make demo` goes on with what is here.")
        while True:
            self.processes.check()
            time.sleep(1)

    def _print_addresses(self) -> None:
        for what, address in self._addresses():
            console.print(f"{what:14} {address}", soft_wrap=True)  # one line can be clicked

    def _addresses(self) -> list[tuple[str, str]]:
        lines = [(f"{lab.code} {one.code}", lab.gateway(one)) for lab in self.labs for one in lab.analysers]
        return [
            ("Staff's app", f"{self.api}/app/"),
            ("API", f"{self.api}/docs"),
            ("Dashboard", self._dashboard_link()),
            ("Dagster", f"http://127.0.0.1:{self.ports['dagster']}"),
            ("MLflow", f"http://127.0.0.1:{self.ports['mlflow']}"),
            *lines,
        ]

    def _dashboard_link(self) -> str:
        return str(Staff(self.api, self.labs[0], "manager").get("/v1/dashboard-link")["url"])

    # means

    @property
    def api(self) -> str:
        """The API's address."""
        return f"http://127.0.0.1:{self.ports['api']}"

    def _lims(self, *arguments: str, **secrets: str) -> None:
        """Another command of ours; its secrets go by the environment, which `ps` does not show to others."""
        command = [sys.executable, "-m", "lims_api.cli", *arguments]
        reported = subprocess.DEVNULL if arguments[0] in REPORTED_LATER else None
        subprocess.run(command, env=dict(self.environment) | secrets, check=True, stdout=reported)

    def _output(self, *arguments: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "lims_api.cli", *arguments]
        done = subprocess.run(command, env=dict(self.environment), check=True, stdout=subprocess.PIPE)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def _one(self, statement: str, *values: object) -> int:
        with psycopg.connect(self.installation.cluster.superuser_dsn("lims")) as connection:
            row = connection.execute(statement.encode(), values).fetchone()
            return int(row[0]) if row else 0

    def _now(self) -> datetime:
        """By the database's clock, which dates its rows."""
        with psycopg.connect(self.installation.cluster.superuser_dsn("lims")) as connection:
            row = connection.execute("select clock_timestamp()").fetchone()
            assert row is not None  # noqa: S101  a select without from
            moment: datetime = row[0]
            return moment


def _to_each(lab: Lab) -> list[str]:
    return [part for one in lab.analysers for part in ("--to", f"{one.code}={lab.gateway(one)}")]


def _gateway_config(lab: Lab) -> str:
    return "".join(
        f'[[channel]]\ncode = "{one.channel}"\nlisten = "{lab.gateway(one)}"\nprofile = "{one.model}"\n\n'
        for one in lab.analysers
    )
