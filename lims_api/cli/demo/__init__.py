"""`lims demo`: a laboratory's day from an analyser's bytes to a report, a mart and a model, on this machine."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

from lims_api.cli.demo.play import Demonstration
from lims_api.cli.demo.stages import console
from lims_api.cli.processes import ProcessDied, until_told_to_stop

HISTORY_PATIENTS = 2000


def app(argv: list[str]) -> int:
    """Play the demonstration; without `--once` everything keeps running until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="lims demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end when the day is over; the result lies in demo.json")
    parser.add_argument("--folder", type=Path, default=Path("var"), help="where everything is kept")
    parser.add_argument("--patients", type=int, default=200, help="patients of the day")
    parser.add_argument("--history", type=int, default=HISTORY_PATIENTS, help="patients of the past 90 days")
    parser.add_argument(
        "--speed",
        type=int,
        help="of the day: 60 is an hour in a minute, 0 as fast as can be (default 60; with --once 0)",
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    try:
        with until_told_to_stop():
            return Demonstration(options).run()
    except KeyboardInterrupt:
        console.print("\nStopped.")
        return 130
    except (ProcessDied, subprocess.CalledProcessError) as reason:
        console.print(f"[red]The demonstration failed:[/red] {reason}", highlight=False)
        return 1
