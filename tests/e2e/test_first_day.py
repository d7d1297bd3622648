"""The tutorial "first day": every command of it, as a reader types them, against the demonstration's laboratory."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lims_api.cli.installation import free_port
from lims_api.cli.processes import Processes
from tests.e2e.conftest import Day

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.timeout(900)]
TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorials" / "first-day.md"
PRINTED_API = "http://127.0.0.1:28080"


@pytest.fixture
def api(day: Day, tmp_path: Path) -> Iterator[str]:
    """The laboratory's API and worker, started again on what the day left."""
    port = free_port(24080)
    environment = day.installation.environment(
        LIMS_REPORT_BASE_URL=f"http://127.0.0.1:{port}", LIMS_DASHBOARD_URL="http://127.0.0.1:28501"
    )
    with Processes(tmp_path) as processes:
        processes.start("api", ["lims_api.cli", "serve", "--port", str(port)], environment | day.bytecode)
        processes.start("worker", ["lims_api.cli", "work"], environment | day.bytecode)
        processes.wait_for(f"http://127.0.0.1:{port}/healthz", seconds=90)
        yield f"http://127.0.0.1:{port}"


def commands() -> list[str]:
    """The page's bash blocks after `make demo`, which the fixture has played, in their order."""
    found: list[str] = re.findall(r"```bash\n(.*?)```", TUTORIAL.read_text("utf-8"), flags=re.DOTALL)
    assert found[0].strip() == "make demo"
    return found[1:]


@pytest.mark.req("0.5")
def test_the_first_days_commands_lead_from_signing_in_to_a_report(day: Day, api: str, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("the tutorial's reader has curl; this machine has not")
    (tmp_path / "var").symlink_to(day.folder)
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    # as typed into one terminal; after each block a line that says where it ends
    script = "".join(f"{block}\necho '--- end of block {number}'\n" for number, block in enumerate(commands(), 2))

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace(PRINTED_API, api)],
        cwd=tmp_path, env=os.environ | day.bytecode, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    signed_in, held, *_ = done.stdout.split("--- end of block")
    assert '"result:authorise"' in signed_in
    assert "outside_reference_interval" in held
    assert '"status": "authorised"' in done.stdout
    traced = done.stdout.split("--- end of block")[5]
    assert " ok, " in traced
    assert "differs" not in traced
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-1.7")
