"""`make demo ONCE=1` in small: the installed command, every program in a process of its own, over real sockets."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lims_api.core.db.embedded import destroy

pytestmark = pytest.mark.xdist_group("demo")
KEYS = {
    "patients", "orders", "specimens", "results_sent", "results_recorded", "results_lost", "results_duplicated",
    "auto_released", "held", "reports", "ledger_rows", "bronze_rows", "marts", "model", "seconds", "urls",
}  # fmt: skip


def demo(folder: Path) -> dict[str, Any]:
    """Play it once; what it left in demo.json."""
    command = [sys.executable, "-m", "lims_api.cli", "demo", "--once", "--folder", str(folder)]
    done = subprocess.run(
        [*command, "--history", "1200", "--patients", "40"], capture_output=True, text=True, env=os.environ, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    account: dict[str, Any] = json.loads((folder / "demo.json").read_text())
    return account


@pytest.mark.timeout(900)
@pytest.mark.req("0.2")
@pytest.mark.req("0.6")
@pytest.mark.req("11.9")
def test_a_day_leaves_nothing_lost_and_the_lake_holds_the_whole_ledger(tmp_path: Path) -> None:
    try:
        account = demo(tmp_path)

        assert account.keys() >= KEYS
        assert account["results_sent"] == account["results_recorded"] + account["results_parked"] > 0
        assert (account["results_lost"], account["results_duplicated"]) == (0, 0)
        assert account["auto_released"] + account["held"] == account["results_recorded"]
        assert account["auto_released"] > 0
        assert account["reports"] > 0
        assert account["bronze_rows"] == account["ledger_rows"] > 0
        assert all(rows > 0 for rows in account["marts"].values())
        assert account["model"]["alias"] == "champion"
    finally:
        destroy(tmp_path / "postgresql")
