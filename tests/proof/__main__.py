"""`make proof`: what takes too long for every change. A step that is done is not done again until `--again`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
DONE = ROOT / "var" / "proof.json"
DEBIAN = Path("/usr/lib/postgresql/15/bin")
CORE = ["tests/integration/core", "tests/integration/patients", "tests/integration/results"]
KILLED = [
    "tests/integration/pipelines/test_capture_killed.py", "tests/integration/ingest/test_gateway_killed.py",
    "tests/integration/core/test_ledger_readers.py", "tests/e2e/test_killed_in_live_traffic.py",
]  # fmt: skip
STEPS: dict[str, tuple[list[str], dict[str, str]]] = {
    **{f"killed and raced, round {number}": (KILLED, {}) for number in range(1, 6)},
    "the core on Debian's PostgreSQL 15": (CORE, {"LIMS_PG_BIN": str(DEBIAN)}),
    "marts on DuckDB": (["tests/integration/pipelines/test_portability.py"], {}),
    "100,000 results re-derived from their bytes": (["tests/proof/lineage.py"], {}),
    "each role's day against the running demonstration": (["tests/proof/days.py"], {}),
}


def main() -> int:
    """Run the steps that are not done; 1 when one fails."""
    parser = argparse.ArgumentParser(prog="make proof ARGS=…", description=__doc__)
    parser.add_argument("--again", action="store_true", help="forget what was done")
    again = parser.parse_args().again
    done: dict[str, float] = json.loads(DONE.read_text()) if DONE.exists() and not again else {}
    DONE.parent.mkdir(exist_ok=True)
    failed = False
    for name, (tests, environment) in STEPS.items():
        if name in done:
            print(f"done before ({done[name]:.0f} s): {name}")
        elif "LIMS_PG_BIN" in environment and not DEBIAN.is_dir():
            print(f"SKIPPED, {DEBIAN} is not here: {name}")
        else:
            print(f"proving: {name} …", flush=True)
            started = time.monotonic()
            command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup", "-rP", *tests]
            passed = subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=False).returncode == 0
            failed |= not passed
            if passed:
                done[name] = time.monotonic() - started
                DONE.write_text(json.dumps(done, indent=2) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
