"""`lims ingest decode` and `replay`: files of analysers' messages, read or sent again."""

from __future__ import annotations

import argparse
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ingest.examination import examined
from ingest.files import messages
from ingest.instruments.shipped import load
from ingest.replay import replay


def add(commands: Any) -> None:
    """Add both commands."""
    decode = commands.add_parser("decode", help="decode files of HL7 or ASTM messages")
    decode.add_argument("files", nargs="+", type=Path)
    decode.add_argument("--json", action="store_true", help="one JSON object a message")
    decode.add_argument("--validate", action="store_true", help="check structure, record order and checksums too")
    decode.add_argument("--profile", help="an analyser's profile (default: the generic one of its format)")
    decode.add_argument("--timezone", default="Asia/Kolkata", help="of times without an offset (default Asia/Kolkata)")
    decode.set_defaults(command=_decode)
    again = commands.add_parser("replay", help="send a capture again, byte for byte")
    again.add_argument("files", nargs="+", type=Path)
    again.add_argument("--to", required=True, metavar="HOST:PORT", help="where a gateway listens")
    again.add_argument("--unframed", action="store_true", help="send ASTM records that have no frames as they are")
    again.add_argument("--timeout", type=float, default=15.0, help="seconds to wait for an answer (default 15)")
    again.set_defaults(command=_replay)


def _decode(arguments: argparse.Namespace) -> int:
    """0 when every message is good, 1 when one is not."""
    good = True
    for one in _examined(arguments):
        good = good and one["ok"]
        print(json.dumps(one, ensure_ascii=False) if arguments.json else _table(one))
    return 0 if good else 1


def _examined(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Every message of every file; all are opened before the first is decoded."""
    profile = load(arguments.profile) if arguments.profile else None
    zone = ZoneInfo(arguments.timezone)
    contents = [(str(file), file.read_bytes()) for file in arguments.files]
    for file, data in contents:
        for index, found in enumerate(messages(data)):
            yield {"file": file, "index": index, **examined(found, profile, zone, validate=arguments.validate)}


def _table(one: dict[str, Any]) -> str:
    head = (
        f"{one['file']} {one['index']}  {one['format'] or '-'}  {one['type'] or '-'}  {(one['control_id'] or '-')[:20]}"
    )
    lines = [f"{head}  {'ok' if one['ok'] else one['error']}"]
    for each in one["observations"]:
        value = each["value_text"] if len(each["value_text"]) <= 24 else each["value_text"][:23] + "…"
        lines.append(
            f"  {each['specimen'] or '-':<16} {each['code']:<12} {value:>12} {each['unit'] or '':<12}"
            f" {each['flag'] or '':<8} {each['status']}  {each['observed_at'] or ''}".rstrip()
        )
    return "\n".join(lines)


def _replay(arguments: argparse.Namespace) -> int:
    """0 when everything was taken, 1 when something was not."""
    host, _, port = arguments.to.rpartition(":")
    if not (host and port.isdigit()):
        raise ValueError(f"--to takes HOST:PORT, not {arguments.to!r}")
    contents = [(str(file), file.read_bytes()) for file in arguments.files]
    taken = True
    for file, data in contents:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=arguments.timeout) as line:
            for index, answered in enumerate(replay(data, line, unframed=arguments.unframed)):
                taken = taken and answered.taken
                print(f"{file} {index}  {answered.answer}")
    return 0 if taken else 1
