"""`lims ingest`: run a gateway, look into its spool; files are `cli_files`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tomllib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ingest import cli_files
from ingest.gateway import Settings, run
from ingest.instruments.shipped import ProfileUnknown
from ingest.logs import configure
from ingest.reparse import Profiles, answers
from ingest.seal import KeyUnusable
from ingest.spool import DATABASE, Spool, SpoolUnusable, open_spool


def app(argv: list[str]) -> int:
    """Run one subcommand; the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.command(arguments))
    except (OSError, ValueError, ProfileUnknown, KeyUnusable, SpoolUnusable) as reason:
        print(f"lims ingest: {_said(reason)}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lims ingest", description="The instrument gateway")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", help="listen to analysers and deliver to the core"))
    spool = commands.add_parser("spool", help="what a spool holds")
    spool.add_argument("folder", type=Path)
    spool.add_argument("--json", action="store_true", help="one JSON object")
    spool.add_argument("--release", action="store_true", help="deliver again what the core refused")
    spool.set_defaults(command=_spool)
    cli_files.add(commands)
    again = commands.add_parser("reparse", help="read kept transmissions again: questions and answers, JSON by line")
    again.add_argument("--profiles", type=Path, metavar="FOLDER", help="profiles of another day, before the shipped")
    again.set_defaults(command=_reparse)
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, help="TOML file; the options below take precedence")
    parser.add_argument("--listen", help="host:port of one channel (port 0: any)")
    parser.add_argument("--channel", help="that channel's code in the core")
    parser.add_argument("--profile", help="that channel's analyser profile")
    parser.add_argument("--timezone", help="that channel's time zone (default Asia/Kolkata)")
    parser.add_argument("--core", help="URL of the core")
    parser.add_argument("--spool", help="folder of the spool")
    parser.add_argument("--api-key-file", help="file that holds the API key")
    parser.add_argument("--ready-file", type=Path, help="written when all channels listen")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    parser.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    configure(arguments.log_level)
    asyncio.run(_until_told(settings, arguments.ready_file))
    return 0


def _settings(arguments: argparse.Namespace) -> Settings:
    values: dict[str, Any] = tomllib.loads(arguments.config.read_text("utf-8")) if arguments.config else {}
    options = {name: getattr(arguments, name) for name in ("core", "spool", "api_key_file")}
    values |= {name: value for name, value in options.items() if value}
    if arguments.listen or arguments.channel or arguments.profile:
        one = {"code": arguments.channel, "listen": arguments.listen, "profile": arguments.profile}
        if arguments.timezone:
            one["timezone"] = arguments.timezone
        values["channel"] = [*values.get("channel", []), one]
    return Settings.model_validate(values)


async def _until_told(settings: Settings, ready_file: Path | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        if os.name == "posix":
            loop.add_signal_handler(number, stop.set)
        else:
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    await run(settings, stop, partial(_ready, ready_file))


def _ready(ready_file: Path | None, channels: Mapping[str, str]) -> None:
    """Say where the channels listen: a line on standard output, and a file that appears whole."""
    line = json.dumps({"event": "ready", "channels": dict(channels)})
    print(line, flush=True)
    if ready_file is not None:
        unfinished = ready_file.with_suffix(ready_file.suffix + ".part")
        unfinished.write_text(line + "\n", "ascii")
        unfinished.replace(ready_file)


def _spool(arguments: argparse.Namespace) -> int:
    if not (arguments.folder / DATABASE).exists():
        raise SpoolUnusable(f"there is no spool in {arguments.folder}")
    spool = open_spool(arguments.folder)
    try:
        if arguments.release:
            print(f"{spool.release()} let go", file=sys.stderr)
        report = _report(spool)
    finally:
        spool.close()
    if arguments.json:
        print(json.dumps(report))
        return 0
    for name, count in report["counts"].items():
        print(f"{name:10}{count:8}")
    print(f"oldest waiting: {report['oldest_waiting'] or 'none'}")
    for name, count in report["alarms"].items():
        print(f"alarm: {name}: {count}")
    for one in report["refused"]:
        print("refused: {received_at} {channel} {body_sha256} {problem}".format(**one))
    return 0


def _report(spool: Spool) -> dict[str, Any]:
    oldest = spool.oldest_waiting()
    return {
        "counts": {state.value: count for state, count in spool.counts().items()},
        "oldest_waiting": oldest.isoformat() if oldest else None,
        "alarms": spool.alarms(),
        "refused": [
            {
                "received_at": one.received_at.isoformat(timespec="seconds"),
                "channel": one.channel,
                "control_id": one.control_id,
                "body_sha256": one.body_sha256,
                "problem": one.problem,
            }
            for one in spool.refused()
        ],
    }


def _reparse(arguments: argparse.Namespace) -> int:
    for answer in answers(sys.stdin, Profiles(arguments.profiles)):
        print(answer, flush=True)
    return 0


def _said(reason: Exception) -> str:
    """A settings error by field, without the values."""
    if not isinstance(reason, ValidationError):
        return str(reason)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in reason.errors())
