"""Recordings of analysers sent into a running gateway: known specimens are matched, the others parked, both shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ingest.virtual_lab import captures
from ingest.virtual_lab.analytes import analytes
from ingest.virtual_lab.cli import app
from lims_api.catalogue.files import example_catalogue
from lims_api.cli.installation import free_port, install
from lims_api.cli.processes import Processes
from lims_api.cli.seeding import NewAnalyser, NewOrganization, Seeded, seed
from lims_api.core.db import open_database
from lims_api.core.db.embedded import destroy
from lims_api.core.keys import KeyStore, read_master_key


@dataclass(frozen=True)
class Running:
    """A laboratory of three analysers with its API and gateway."""

    arguments: list[str]
    dsn: str
    folder: Path

    def play(self, *folders: Path) -> dict[str, Any]:
        """Run `lims lab captures`; its report."""
        report = self.folder / "captures.json"
        assert app(["captures", *map(str, folders), *self.arguments, "--report", str(report)]) == 0
        said: dict[str, Any] = json.loads(report.read_text())
        return said

    def count(self, statement: str) -> int:
        with psycopg.connect(self.dsn) as connection:
            row = connection.execute(statement.encode()).fetchone()
            return int(row[0]) if row else 0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("captures")
    folder.chmod(0o755)
    installation = install(folder)
    keys = KeyStore(installation.url("lims_keys", "keys"), read_master_key(folder / "keys" / "master.key"))
    system = open_database(installation.url("lims_system", "lims"), keys)
    environment = installation.environment(LIMS_MODEL_REQUIRED="false")
    try:
        with Processes(folder / "logs") as processes:
            seeded = seed(system, folder / "keys", _organization())
            port = free_port(29_100)
            processes.start("api", ["lims_api.cli", "serve", "--port", str(port)], environment)
            lines = _gateway(processes, environment, folder, seeded, f"http://127.0.0.1:{port}")
            processes.wait_for(f"http://127.0.0.1:{port}/healthz", seconds=90)
            arguments = [
                "--api", f"http://127.0.0.1:{port}", "--organization", "rec", "--username", "reception",
                "--password-file", str(seeded.secrets / "reception.password"), "--site", str(seeded.site_id),
                "--reader-password-file", str(seeded.secrets / "technician.password"), *lines,
            ]  # fmt: skip
            yield Running(arguments, installation.cluster.superuser_dsn("lims"), folder)
    finally:
        system.close()
        keys.close()
        destroy(folder / "postgresql")


def _organization() -> NewOrganization:
    units = {each.code: each.unit for each in analytes()}
    analysers = [
        NewAnalyser(
            code,
            code,
            model,
            code.lower(),
            {each.code: units[each.code] for each in analytes() if each.analyser == code},
        )
        for code, model in captures.PROFILES.items()
    ]
    tests = [test for test in example_catalogue().test if test.code in units]
    return NewOrganization(code="rec", name="Recordings", tests=tests, analysers=analysers, controls=[])


def _gateway(processes: Processes, environment: dict[str, str], folder: Path, seeded: Seeded, core: str) -> list[str]:
    ready, config, lines = folder / "ready", folder / "gateway.toml", list[str]()
    text = f'core = "{core}"\nspool = "{folder / "spool" / "rec"}"\napi_key_file = "{seeded.secrets / "gateway.key"}"\n'
    ports: list[int] = []
    for code, profile in captures.PROFILES.items():
        ports.append(free_port(29_200, taken=ports))
        text += f'[[channel]]\ncode = "{code.lower()}"\nlisten = "127.0.0.1:{ports[-1]}"\nprofile = "{profile}"\n'
        lines += ["--to", f"{code}=127.0.0.1:{ports[-1]}"]
    config.write_text(text)
    arguments = ["lims_api.cli", "ingest", "run", "--config", str(config), "--ready-file", str(ready)]
    processes.start("gateway", arguments, environment)
    processes.wait_for_file(ready)
    return lines


@pytest.mark.req("1.7.2")
def test_our_own_recordings_are_matched_parked_or_refused_as_each_deserves(running: Running) -> None:
    said = running.play()

    cbc, chemistry, unknown, damaged = said["of"]
    assert (cbc["line"], cbc["registered"], cbc["taken"]) == ("XN1000-1", ["EX-CBC-0001"], 1)
    assert (cbc["recorded"], cbc["parked"]) == (7, 0)
    assert (chemistry["line"], chemistry["registered"]) == ("BS480-1", ["EX-CHEM-0001"])
    assert (chemistry["recorded"], chemistry["parked"]) == (5, 0)
    assert (unknown["taken"], unknown["recorded"], unknown["parked"]) == (1, 0, 2)
    assert (damaged["taken"], damaged["recorded"], damaged["left_out"]) == (0, 0, ["EX-CBC-0002"])
    assert running.count("select count(*) from lims.results where entry = 'instrument'") == 12
    assert running.count("select count(*) from lims.results where status <> 'held'") == 0


@pytest.mark.req("1.7.2")
def test_the_same_recordings_again_change_nothing(running: Running) -> None:
    before = running.play()
    counts = [running.count(f"select count(*) from lims.{table}") for table in ("results", "orders", "patients")]

    again = running.play()

    assert again == before
    assert counts == [
        running.count(f"select count(*) from lims.{table}") for table in ("results", "orders", "patients")
    ]


def test_recordings_of_real_analysers_lose_nothing_that_was_taken(running: Running, shared: Path) -> None:
    said = running.play(shared / "data" / "astm", shared / "data" / "hl7v2" / "analyzers")

    files = {one["file"]: one for one in said["of"]}
    assert said["files"] == 39
    assert [one["file"] for one in said["of"] if one["unheard"]] == []
    assert said["recorded"] > 12
    assert said["parked"] > 100
    matched = [one for one in files.values() if one["recorded"] and not one["file"].startswith("own/")]
    assert matched
    assert all(one["registered"] for one in matched)
