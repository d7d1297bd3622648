"""`lims lab`: simulate a past, import it, play a day, and the same with the CDISC pilot study's data."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from ingest.clock import utc_now
from ingest.virtual_lab import captures, cdisc, cdisc_live, cdisc_reference, play
from ingest.virtual_lab.analyser import Analyser, Faults, GatewayUnreachable, Patience
from ingest.virtual_lab.analytes import codes
from ingest.virtual_lab.cohort import Origin
from ingest.virtual_lab.controls import INDIA
from ingest.virtual_lab.day import ERROR_SHARE, plan_day
from ingest.virtual_lab.front_desk import CoreUnreachable, FrontDesk, RequestRefused, UnexpectedAnswer
from ingest.virtual_lab.history import write_history
from ingest.virtual_lab.lines import SPEAKS, Address, Numbering, connected
from ingest.virtual_lab.truth import TruthExposed


class ImportFailed(Exception):
    """The application's import refused; what it said stands above."""


EXPECTED_FAILURES = (
    CoreUnreachable,
    GatewayUnreachable,
    ImportFailed,
    OSError,
    RequestRefused,
    TruthExposed,
    UnexpectedAnswer,
    httpx.HTTPError,
    httpx.InvalidURL,
    psycopg.Error,
)
CHEMISTRY = "BS480-1"
console = Console(stderr=True)


def app(argv: Sequence[str] | None = None) -> int:
    """Run one `lims lab` command; 0 when it did what it says, 1 when it could not, 2 for wrong arguments."""
    try:
        options = _parser().parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        report = options.run(options)
    except EXPECTED_FAILURES as failure:
        console.print(f"lims lab {options.command}: {type(failure).__name__}: {failure}", markup=False, style="red")
        return 1
    print(json.dumps(report, indent=2))
    return 1 if report.get("line", {}).get("given_up") else 0


def _simulate(options: argparse.Namespace) -> dict[str, Any]:
    origin = Origin(
        seed=options.seed,
        patients=options.patients,
        days=options.days,
        until=options.until or _india_today(),
        tests=options.tests,
    )
    started = time.monotonic()
    with console.status("simulating") as shown:
        counts = write_history(options.out, origin, control_days=options.control_days, progress=shown.update)
    return {"folder": str(options.out), **asdict(counts), "seconds": round(time.monotonic() - started, 2)}


def _import_history(options: argparse.Namespace) -> dict[str, Any]:
    """By the application's own command, in a process of its own: this package imports nothing of it."""
    command = [sys.executable, "-m", "lims_api.cli", "history", "import", str(options.folder)]
    done = subprocess.run(
        [*command, "--organization", options.organization], stdout=subprocess.PIPE, check=False, text=True
    )
    if done.returncode:
        raise ImportFailed(f"lims history import ended with {done.returncode}; nothing was imported")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _day(options: argparse.Namespace) -> dict[str, Any]:
    addresses = dict(options.to)
    plan = plan_day(
        options.seed,
        options.patients,
        on=_india_today(),
        history=options.history,
        error_share=options.error_share,
        control_out=options.control_out,
        analysers_up=tuple(addresses),
    )
    lines = connected(addresses, faults=_faults(options), patience=_patience(options), seed=options.seed)
    with _desk(options) as desk, lines as up, _progress() as bar:
        bench = play.Bench(
            desk=desk,
            lines=up,
            site_id=options.site,
            store=play.TruthStore(url=None if options.truth_file else options.truth_url, file=options.truth_file),
            numbering={code: Numbering(options.first_control_id, options.reboot_after) for code in up},
        )
        shown = {"desk_progress": bar("front desk", len(plan.visits)), "line_progress": bar("analysers", None)}
        report = play.play(plan, bench, speed=options.speed, **shown)
    _write(options.report, report)
    return report


def _cdisc(options: argparse.Namespace) -> dict[str, Any]:
    counts = cdisc.write_history(options.source, options.folder, whole=options.whole)
    catalogue = cdisc_reference.reference_catalogue(options.source)
    _write(options.folder / "catalogue.json", catalogue)
    return {
        "folder": str(options.folder),
        **asdict(counts),
        "intervals": sum(len(test["intervals"]) for test in catalogue),
    }


def _cdisc_live(options: argparse.Namespace) -> dict[str, Any]:
    draws = cdisc.live_draws(options.source)[: options.patients]
    with _desk(options) as desk, _analyser(options) as analyser, _progress() as bar:
        report, expected = cdisc_live.play(
            draws,
            desk=desk,
            analyser=analyser,
            site_id=options.site,
            first_control_id=options.first_control_id,
            in_the_past=not options.collected_now,
            desk_progress=bar("front desk", len(draws)),
            line_progress=bar("analyser", None),
        )
    _write(options.expected, [asdict(row) for row in expected])
    _write(options.report, report)
    return report


def _captures(options: argparse.Namespace) -> dict[str, Any]:
    found = captures.sources(options.folders)
    lines = dict(options.to)
    with _desk(options) as desk, _reader(options) as reader, _progress() as bar:
        played = captures.play(
            found, desk=desk, reader=reader, lines=lines, site_id=options.site,
            progress=bar("captures", len(found)),
        )  # fmt: skip
    head, *rows = captures.table(played)
    first, *others = head
    numbers = (Column(name, min_width=len(name), justify="right") for name in others[1:])
    shown = Table(Column(first, no_wrap=True), Column(others[0], min_width=8), *numbers)
    for row in rows:
        shown.add_row(*row)
    console.print(shown)
    report = captures.report(played)
    _write(options.report, report)
    return report


@contextmanager
def _reader(options: argparse.Namespace) -> Iterator[FrontDesk]:
    password = options.reader_password_file.read_text(encoding="utf-8").partition("\n")[0].strip()
    with FrontDesk(options.api) as reader:
        reader.sign_in(organization=options.organization, username=options.reader, password=password)
        yield reader


@contextmanager
def _desk(options: argparse.Namespace) -> Iterator[FrontDesk]:
    password = options.password_file.read_text(encoding="utf-8").partition("\n")[0].strip()
    with FrontDesk(options.api) as desk:
        desk.sign_in(organization=options.organization, username=options.username, password=password)
        yield desk


def _analyser(options: argparse.Namespace) -> Analyser:
    host, port = dict(options.to)[CHEMISTRY]
    return Analyser(host, port, faults=_faults(options), patience=_patience(options), seed=options.seed)


def _faults(options: argparse.Namespace) -> Faults:
    return Faults(duplicate_share=options.duplicates, cut_share=options.cuts)


def _patience(options: argparse.Namespace) -> Patience:
    return Patience(answer=options.answer_timeout)


@contextmanager
def _progress() -> Iterator[Callable[[str, int | None], Callable[[], None]]]:
    columns = (TextColumn("{task.description:12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as shown:

        def bar(what: str, total: int | None) -> Callable[[], None]:
            task = shown.add_task(what, total=total)
            return lambda: shown.advance(task)

        yield bar


def _write(path: Path | None, content: object) -> None:
    if path is not None:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _india_today() -> date:
    return utc_now().astimezone(INDIA).date()


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a number of at least 1 expected, not {text!r}")
    return int(text)


def _tests(text: str) -> tuple[str, ...]:
    unknown = sorted(set(text.split(",")) - set(codes()))
    if unknown:
        raise argparse.ArgumentTypeError(f"not measured here: {', '.join(unknown)}; known are {', '.join(codes())}")
    return tuple(text.split(","))


def _line(text: str) -> tuple[str, Address]:
    """CODE=HOST:PORT; without a code it is the chemistry analyser's."""
    code, _, address = text.rpartition("=")
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"HOST:PORT or CODE=HOST:PORT expected, not {text!r}")
    if (code or CHEMISTRY) not in SPEAKS:
        raise argparse.ArgumentTypeError(f"no analyser {code}; there are {', '.join(SPEAKS)}")
    return code or CHEMISTRY, (host, int(port))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lims lab", description="A virtual laboratory: patients, history, a day, an analyser."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    past = commands.add_parser("simulate", help="write a laboratory's past as Parquet, and its truth beside it")
    past.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the files; it is made")
    past.add_argument("--days", type=_count, default=90)
    past.add_argument("--patients", type=_count, default=2000)
    past.add_argument("--seed", type=int, default=1)
    past.add_argument("--until", type=date.fromisoformat, help="first day after the past (default: today)")
    past.add_argument("--control-days", type=_count, help="controls of the last days only (default: of all)")
    past.add_argument("--tests", type=_tests, default=(), metavar="CODE,CODE", help="only these tests (default: all)")
    past.set_defaults(run=_simulate)

    load = commands.add_parser("import-history", help="import such a folder: runs `lims history import`")
    load.add_argument("folder", type=Path, metavar="DIR")
    load.add_argument("--organization", required=True, metavar="CODE")
    load.set_defaults(run=_import_history)

    day = commands.add_parser("day", help="play a day: front desk over the API, analyser over a socket")
    _live_arguments(day)
    day.add_argument("--seed", type=int, default=1)
    day.add_argument("--patients", type=int, default=200)
    day.add_argument("--history", type=Path, help="folder of `lims lab simulate`, for patients who come again")
    day.add_argument("--error-share", type=float, default=ERROR_SHARE, help="share of specimens with an injected error")
    day.add_argument("--control-out", choices=codes(), help="a test whose second control level is far outside")
    day.add_argument("--speed", type=float, default=0.0, help="60: an hour in a minute (default 0: as fast as can be)")
    day.add_argument("--reboot-after", type=int, help="restart the control ids at 1 after so many messages")
    known = os.environ.get("LIMS_TRUTH_URL")
    truth = day.add_mutually_exclusive_group(required=known is None)
    truth.add_argument(
        "--truth-url", default=known, help="PostgreSQL database for the truth, not the application's; or LIMS_TRUTH_URL"
    )
    truth.add_argument("--truth-file", type=Path, help="Parquet file for the truth, readable by its owner only")
    day.set_defaults(run=_day)

    study = commands.add_parser("cdisc", help="write the CDISC pilot study's history as Parquet")
    study.add_argument("source", type=Path, help="folder with lb.csv.gz and dm.csv.gz")
    study.add_argument("folder", type=Path)
    study.add_argument("--whole", action="store_true", help="also the last draws, which cdisc-live would send")
    study.set_defaults(run=_cdisc)

    live = commands.add_parser("cdisc-live", help="play each CDISC patient's last draw")
    live.add_argument("source", type=Path, help="folder with lb.csv.gz and dm.csv.gz")
    _live_arguments(live)
    live.add_argument("--patients", type=int, help="only so many patients")
    live.add_argument("--collected-now", action="store_true", help="do not keep the file's collection times")
    live.add_argument("--expected", type=Path, help="write the flag that the file gives each value to this JSON file")
    live.set_defaults(run=_cdisc_live, seed=0)

    again = commands.add_parser("captures", help="send recordings of analysers; some of their specimens are known")
    again.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="recordings, beside our own four")
    _live_arguments(again)
    again.add_argument("--reader", default="technician", help="who may read messages (default technician)")
    again.add_argument("--reader-password-file", required=True, type=Path, help="its first line is the password")
    again.set_defaults(run=_captures)
    return parser


def _live_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--api", required=True, metavar="URL", help="the core, e.g. http://127.0.0.1:8000")
    parser.add_argument("--organization", required=True, metavar="CODE")
    parser.add_argument("--username", required=True)
    parser.add_argument("--password-file", required=True, type=Path, help="its first line is the password")
    parser.add_argument("--site", required=True, metavar="ID", help="id of the site where patients come")
    parser.add_argument(
        "--to", required=True, type=_line, action="append", metavar="CODE=HOST:PORT",
        help="an analyser's port at the gateway, again for each; HOST:PORT alone is BS480-1's",
    )  # fmt: skip
    parser.add_argument("--report", type=Path, help="also write the report to this JSON file")
    parser.add_argument("--first-control-id", type=int, default=1)
    parser.add_argument("--duplicates", type=float, default=0.0, metavar="SHARE", help="messages sent twice, e.g. 0.02")
    parser.add_argument("--cuts", type=float, default=0.0, metavar="SHARE", help="connections cut before the answer")
    parser.add_argument("--answer-timeout", type=float, default=15.0, metavar="SECONDS")


if __name__ == "__main__":
    sys.exit(app())
