"""`lims pipelines run | serve | trace` and `lims capture`."""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import ValidationError

from pipelines.instance import environment
from pipelines.run import STAGES, Step, run
from pipelines.settings import Settings


def app(argv: Sequence[str] | None = None) -> int:
    """`lims pipelines`: run the data's way once, or serve Dagster.

    Returns the exit code: 0 done, 1 failed, 2 not configured.
    """
    parser = argparse.ArgumentParser(
        "lims pipelines", description="Move the ledger through lake, warehouse and models."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    once = commands.add_parser("run", help="run the stages once, in this process")
    once.add_argument("--select", type=_stages, default=tuple(STAGES), metavar="STAGE,…", help=", ".join(STAGES))
    once.add_argument("--approver", help="who signs for a model that passed its gates")
    once.add_argument("--report", type=Path, metavar="FILE", help="write what was done as JSON")
    commands.add_parser("serve", help="Dagster's pages, schedules and daemon on loopback")
    commands.add_parser("trace", help="where copies of results lie: questions and answers, JSON by line")
    given = parser.parse_args(argv)
    return _configured({"run": _run, "serve": _serve, "trace": _trace}[given.command], given)


def capture_app(argv: Sequence[str] | None = None) -> int:
    """`lims capture`: carry the ledger into the lake until stopped. Returns the exit code."""
    parser = argparse.ArgumentParser("lims capture", description="Carry new ledger rows into the lake, each once.")
    parser.add_argument("--every", type=float, default=30.0, metavar="SECONDS", help="pause between captures")
    parser.add_argument("--once", action="store_true", help="capture once and end")
    return _configured(_capture, parser.parse_args(argv))


def _stages(text: str) -> tuple[str, ...]:
    asked = text.split(",")
    if unknown := [stage for stage in asked if stage not in STAGES]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(STAGES)}")
    return tuple(stage for stage in STAGES if stage in asked)


def _configured(action: Callable[[Settings, argparse.Namespace], int], given: argparse.Namespace) -> int:
    """Do it with the settings, or name the ones that are missing or wrong."""
    try:
        settings = Settings()
    except ValidationError as problem:
        wrong = ", ".join(f"LIMS_{'_'.join(map(str, error['loc'])).upper()}" for error in problem.errors())
        print(f"missing or wrong: {wrong}", file=sys.stderr)
        return 2
    return action(settings, given)


def _run(settings: Settings, given: argparse.Namespace) -> int:
    if given.approver:
        # Assets read their settings themselves, so that they do the same here and under Dagster's daemon.
        os.environ["LIMS_MODEL_APPROVER"] = given.approver
    report = run(settings, given.select, say=_say)
    print(f"{'done' if report.succeeded else 'FAILED':40} {report.seconds:6.1f} s")
    if given.report:
        given.report.write_text(json.dumps(asdict(report), indent=2))
    return 0 if report.succeeded else 1


def _say(step: Step) -> None:
    rows = sum(step.rows.values())
    told = [f"{step.name:40} {step.seconds:6.1f} s"]
    told += [f"{rows:,} rows"] if rows else []
    told += [step.problem] if step.problem else []
    told += [f"check failed: {check}" for check in step.failed_checks]
    print("  ".join(told), flush=True)


def _serve(settings: Settings, _: argparse.Namespace) -> int:
    """Dagster's web pages, daemon and code server, until SIGTERM or Ctrl-C; they end with this process."""
    command = [sys.executable, "-m", "dagster", "dev", "-m", "pipelines.definitions"]
    address = ["--host", "127.0.0.1", "--port", str(settings.dagster_port)]
    dagster = subprocess.Popen([*command, *address], env={**os.environ, **environment(settings)})

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: dagster.send_signal(signal.SIGINT))
    return dagster.wait()


def _trace(settings: Settings, _: argparse.Namespace) -> int:
    from pipelines.trace import Copies, Unreachable, answers

    try:
        for answer in answers(sys.stdin, Copies(settings)):
            print(answer, flush=True)
    except Unreachable as problem:
        print(f"lims pipelines trace: {problem}", file=sys.stderr)
        return 1
    return 0


def _capture(settings: Settings, given: argparse.Namespace) -> int:
    from pipelines.loop import capture_forever, capture_once

    if given.once:
        for name, found in capture_once(settings).items():
            print(f"{name:40} {found.rows:,} rows")
        return 0
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    capture_forever(settings, lambda: stop.wait(given.every))
    return 0


if __name__ == "__main__":
    raise SystemExit(app())
