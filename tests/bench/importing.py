"""`lims history import` of 300,000 results: the command as a person types it, from its start to its end."""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl

from ingest.virtual_lab.analytes import analytes
from ingest.virtual_lab.cohort import Origin
from ingest.virtual_lab.history import write_history
from lims_api.catalogue.files import example_catalogue
from lims_api.cli.installation import Installation, install
from lims_api.cli.seeding import Control, NewAnalyser, NewOrganization, seed
from lims_api.core.db import open_database
from lims_api.core.db.embedded import destroy
from lims_api.core.keys import KeyStore, read_master_key

ROUNDS, PATIENTS, RESULTS = 5, 16_000, 300_000


def measure() -> dict[str, float]:
    """Seconds for 300,000 results (what was made is a little more; the time is scaled), the importer's own CPU
    seconds and its memory; medians of five rounds, each into an empty installation."""
    folder = Path(tempfile.mkdtemp(prefix="nidan-bench-"))
    try:
        origin = Origin(seed=1, patients=PATIENTS, days=365, until=date(2026, 11, 1))
        made = write_history(folder / "history", origin, control_days=90)
        rounds = [_round(folder / "history", folder / f"round-{number}") for number in range(ROUNDS)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    scale = RESULTS / made.results
    return {
        "seconds": statistics.median(seconds for seconds, _ in rounds) * scale,
        "importer_cpu_seconds": statistics.median(cpu for _, cpu in rounds) * scale,
        "memory_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        "results": float(made.results),
    }


def _round(history: Path, folder: Path) -> tuple[float, float]:
    installation = install(folder)
    try:
        _seed(installation, history)
        command = [sys.executable, "-m", "lims_api.cli", "history", "import", str(history), "--organization", "bench"]
        before, started = os.times(), time.perf_counter()
        subprocess.run(command, env=installation.environment(), check=True, stdout=subprocess.DEVNULL)
        after, seconds = os.times(), time.perf_counter() - started
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        return seconds, cpu
    finally:
        installation.cluster.stop()
        destroy(folder / "postgresql")


def _seed(installation: Installation, history: Path) -> None:
    """An organization with what the history refers to: its tests, analysers and control lots."""
    columns = ["analyser", "material", "lot_number", "level", "test_code"]
    lots = pl.read_parquet(history / "controls.parquet", columns=columns).unique().sort(columns)
    by_code = {each.code: each for each in analytes()}
    wanted = NewOrganization(
        code="bench", name="Bench", tests=[test for test in example_catalogue().test if test.code in by_code],
        analysers=[
            NewAnalyser(code, code, "mindray_bs", code.lower(), {
                each.code: each.unit for each in analytes() if each.analyser == code
            })
            for code in sorted({each.analyser for each in analytes()})
        ],
        controls=[Control(*row, Decimal(100), Decimal(2)) for row in lots.unique([*columns[:3], "test_code"]).rows()],
    )  # fmt: skip
    master = installation.folder / "keys" / "master.key"
    keys = KeyStore(installation.url("lims_keys", "keys"), read_master_key(master))
    system = open_database(installation.url("lims_system", "lims"), keys)
    try:
        seed(system, installation.folder / "keys", wanted)
    finally:
        system.close()
        keys.close()


if __name__ == "__main__":
    print(measure())
