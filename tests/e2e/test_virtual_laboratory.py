"""A simulated past goes into an organization by the application's own import, run from the virtual laboratory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Day

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.timeout(900)]
SOME = "GLU,CREA,BUN,NA,K,CL,HGB,MCV,TSH,HBA1C"


def _lab(day: Day, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lims_api.cli", "lab", *arguments]
    environment = os.environ | day.installation.environment() | day.bytecode
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.req("7.2.1")
def test_a_simulated_past_is_imported_once(day: Day, tmp_path: Path) -> None:
    past = ["simulate", "--out", str(tmp_path), "--patients", "25", "--days", "30", "--seed", "99"]
    made = json.loads(_lab(day, *past, "--tests", SOME, "--until", "2024-06-01").stdout)
    before = day.rows("select count(*) from lims.results")[0][0]

    once, again = (_lab(day, "import-history", str(tmp_path), "--organization", "demo") for _ in range(2))

    assert (once.returncode, again.returncode) == (0, 0), once.stderr + again.stderr
    assert json.loads(once.stdout)["results"] == made["results"] > 0
    assert json.loads(again.stdout)["results"] == 0
    assert day.rows("select count(*) from lims.results")[0][0] == before + made["results"]


@pytest.mark.req("7.2.1")
def test_a_past_of_an_unknown_organization_is_refused_whole(day: Day, tmp_path: Path) -> None:
    _lab(day, "simulate", "--out", str(tmp_path), "--patients", "25", "--days", "30", "--until", "2023-06-01")
    before = day.rows("select count(*) from lims.results")

    done = _lab(day, "import-history", str(tmp_path), "--organization", "nowhere")

    assert done.returncode == 1
    assert "there is no organization 'nowhere'" in done.stderr
    assert day.rows("select count(*) from lims.results") == before
