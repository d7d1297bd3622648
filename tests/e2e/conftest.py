"""The demonstration's day, played once in small for every test that looks at what it left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import select

from lims_api.cli.installation import Installation, install
from lims_api.core.db import SystemCaller, open_database, transaction
from lims_api.core.db.embedded import destroy
from lims_api.core.keys import KeyStore, read_master_key
from lims_api.patients import service
from lims_api.patients.models import Patient
from lims_api.patients.schemas import Identity


@dataclass(frozen=True)
class Day:
    """An installation after its first day: its server runs, its programs have ended."""

    installation: Installation
    account: dict[str, Any]  # demo.json
    bytecode: dict[str, str]  # variables for programs of ours that a test starts

    @property
    def folder(self) -> Path:
        return self.installation.folder

    def rows(self, statement: str, *values: object, database: str = "lims") -> list[tuple[Any, ...]]:
        """What a superuser reads in one of the installation's databases."""
        with psycopg.connect(self.installation.cluster.superuser_dsn(database)) as connection:
            return connection.execute(statement.encode(), values).fetchall()

    def organization(self, code: str) -> UUID:
        """The organization's id; a skip, aloud, where the day was played without it."""
        found = self.rows("select id from lims.organizations where code = %s", code)
        if not found:
            pytest.skip(f"the demonstration has no organization '{code}': ../shared is not here")
        return UUID(str(found[0][0]))

    def people(self) -> dict[UUID, Identity]:
        """Everybody, of every organization, by id, opened as the application opens them."""
        keys = KeyStore(
            self.installation.url("lims_keys", "keys"), read_master_key(self.folder / "keys" / "master.key")
        )
        system = open_database(self.installation.url("lims_system", "lims"), keys)
        found: dict[UUID, Identity] = {}
        try:
            for (organization_id,) in self.rows("select id from lims.organizations"):
                with transaction(SystemCaller(database=system, organization_id=organization_id)) as session:
                    found |= service.open_identity(session, session.scalars(select(Patient)).all())
        finally:
            system.close()
            keys.close()
        return found


@pytest.fixture(scope="session")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """`make demo ONCE=1` in small. Tests that share it belong to the xdist group `demo`, or it is played twice."""
    folder, bytecode = tmp_path_factory.mktemp("demo"), tmp_path_factory.mktemp("bytecode")
    # a day starts thirty programs: compiling every package anew for each would take a third of the time
    kept = {"PYTHONPYCACHEPREFIX": str(bytecode), "PYTHONDONTWRITEBYTECODE": ""}
    try:
        account = _play(folder, kept)
        yield Day(install(folder), account, kept)
    finally:
        destroy(folder / "postgresql")
        for made in (folder, bytecode):
            shutil.rmtree(made, ignore_errors=True)


def _play(folder: Path, bytecode: dict[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "lims_api.cli", "demo", "--once", "--folder", str(folder)]
    done = subprocess.run(
        [*command, "--history", "2500", "--patients", "40"],
        capture_output=True,
        text=True,
        env=os.environ | bytecode,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    account: dict[str, Any] = json.loads((folder / "demo.json").read_text())
    return account
