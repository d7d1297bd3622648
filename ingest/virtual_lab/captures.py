"""Captures of real analysers, sent into a running gateway: some of their specimens are the laboratory's, others not.

The front desk registers invented patients, and orders, for specimens whose numbers stand in the captures, as if their
barcodes had been printed before; every third is left out, so that what belongs to nobody is seen to be parked. Then
each file is sent again byte for byte, and the core is asked what became of each message.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ingest.clock import Clock, utc_now
from ingest.examination import examined
from ingest.files import messages
from ingest.instruments.shipped import load
from ingest.replay import replay
from ingest.virtual_lab.analytes import analytes
from ingest.virtual_lab.front_desk import ORDERED_BEFORE, FrontDesk, OfferedTest
from ingest.virtual_lab.patients import Person

Address = tuple[str, int]
INDIA = ZoneInfo("Asia/Kolkata")
PROFILES = {"BS480-1": "mindray_bs", "XN1000-1": "sysmex_xn", "IMM-1": "generic_astm"}
BARCODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
EACH_LEFT_OUT = 3
QUESTIONS = ("query", "qry")
ANSWER_SECONDS, DELIVERY_SECONDS, PAUSE = 15.0, 60.0, 0.5
OWN, GENERIC = "own", "IMM-1"


@dataclass(frozen=True, kw_only=True)
class Capture:
    """One file: which analyser's line it goes to, and the specimens in it with the tests offered.

    `hashes`: of its messages, each with whether the core is to hear of it; a question to the host ends at the gateway.
    """

    name: str
    data: bytes
    line: str
    hashes: Mapping[str, bool]
    specimens: Mapping[str, tuple[str, ...]]


@dataclass(kw_only=True)
class Played:
    """What became of one file. `unheard`: messages that the gateway took and of which the core has nothing (yet)."""

    file: str
    line: str
    messages: int
    taken: int = 0
    recorded: int = 0
    parked: int = 0
    unheard: int = 0
    registered: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def sources(folders: Sequence[Path]) -> list[tuple[str, bytes]]:
    """Every file of the folders (or the files themselves), then our own four, each with a name to show."""
    found = [
        (str(file.relative_to(top) if file != top else file.name), file.read_bytes())
        for top in folders
        for file in ([top] if top.is_file() else sorted(each for each in top.rglob("*") if each.is_file()))
    ]
    own = sorted(files("ingest.virtual_lab").joinpath("captures").iterdir(), key=lambda file: file.name)
    return [*found, *((f"{OWN}/{file.name}", file.read_bytes()) for file in own)]


def capture(name: str, data: bytes, lines: Iterable[str], offered: Mapping[str, OfferedTest]) -> Capture | None:
    """Read a file as each line's analyser would; the line that understands most of it, `None` without a fitting one."""
    read = [_read(name, data, line, offered) for line in lines]
    fitting = [one for one in read if one is not None]
    return max(fitting, key=_understood, default=None)


def register(
    desk: FrontDesk, read: Sequence[Capture], offered: Mapping[str, OfferedTest], *, site_id: str, clock: Clock
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Make orders for two of three specimens; returns the registered and the left out, by file. Known ones stay."""
    made: dict[str, list[str]] = {}
    left: dict[str, list[str]] = {}
    wanted = {number: (one.name, tests) for one in read for number, tests in one.specimens.items()}
    for place, (number, (name, tests)) in enumerate(wanted.items(), start=1):
        if place % EACH_LEFT_OUT == 0:
            left.setdefault(name, []).append(number)
            continue
        made.setdefault(name, []).append(number)
        if not desk.has_specimen(number):
            _order(desk, number, tests, offered, site_id=site_id, clock=clock)
    return made, left


def play(
    found: Sequence[tuple[str, bytes]],
    *,
    desk: FrontDesk,
    reader: FrontDesk,
    lines: Mapping[str, Address],
    site_id: str,
    clock: Clock = utc_now,
    progress: Callable[[], None] = lambda: None,
    patience: float = DELIVERY_SECONDS,
) -> list[Played]:
    """Register, send, and ask what became of it; `reader` may read messages, `lines` are the analysers' ports."""
    offered = {test.code: test for test in desk.offered_tests()}
    read = [one for name, data in found if (one := capture(name, data, lines, offered)) is not None]
    made, left = register(desk, read, offered, site_id=site_id, clock=clock)
    played = []
    for one in read:
        played.append(
            Played(
                file=one.name, line=one.line, messages=len(messages(one.data)), taken=_send(one, lines[one.line]),
                registered=made.get(one.name, []), left_out=left.get(one.name, []),
            )
        )  # fmt: skip
        progress()
    _ask(reader, read, played, patience)
    return played


def report(played: Sequence[Played]) -> dict[str, Any]:
    """The account as JSON: sums, then each file."""
    sums = {name: sum(getattr(one, name) for one in played) for name in ("messages", "taken", "recorded", "parked")}
    return {"files": len(played), **sums, "of": [asdict(one) for one in played]}


def _read(name: str, data: bytes, line: str, offered: Mapping[str, OfferedTest]) -> Capture | None:
    profile = load(PROFILES[line])
    found = [one for one in messages(data) if one.format == profile.format]
    if not found:
        return None
    read = [examined(one, profile, INDIA, validate=False) for one in found]
    observations = [each for one in read for each in one["observations"]]
    heard = [not (one["type"] or "").lower().startswith(QUESTIONS) for one in read]
    return Capture(
        name=name,
        data=data,
        line=line,
        hashes={sha256(one.body).hexdigest(): wanted for one, wanted in zip(found, heard, strict=True)},
        specimens=_specimens(observations, {code: test for code, test in offered.items() if code in _measured(line)}),
    )


def _measured(line: str) -> set[str]:
    """The tests of an analyser: its codes are theirs."""
    return {each.code for each in analytes() if each.analyser == line}


def _specimens(
    observations: Iterable[Mapping[str, Any]], offered: Mapping[str, OfferedTest]
) -> dict[str, tuple[str, ...]]:
    """The numbers that can be a barcode, each with the offered tests of one container: its first test's."""
    tests: dict[str, list[str]] = {}
    for each in observations:
        number, code = each["specimen"] or "", each["code"]
        if not BARCODE.fullmatch(number) or code not in offered:
            continue
        known = tests.setdefault(number, [])
        if code not in known and offered[code].container == offered[(known or [code])[0]].container:
            known.append(code)
    return {number: tuple(codes) for number, codes in tests.items()}


def _understood(one: Capture) -> tuple[int, bool]:
    """How many tests the line can record; of equals the particular profile, or where there are none the generic one."""
    tests = sum(map(len, one.specimens.values()))
    return tests, (one.line != GENERIC) == bool(tests)


def _order(
    desk: FrontDesk, number: str, tests: tuple[str, ...], offered: Mapping[str, OfferedTest], *, site_id: str,
    clock: Clock,
) -> None:  # fmt: skip
    """An invented patient for the specimen; who stands in the capture is nobody here, so that its results are held."""
    person = Person(
        uhid=f"CAP-{sha256(number.encode()).hexdigest()[:10]}", name="Purnima Vidwans", phone=None, sex="female",
        birth_on=date(1980, 1, 1), birth_precision="year",
    )  # fmt: skip
    patient = desk.find_patient(person.uhid) or desk.register_patient(person)
    at = clock()
    order = desk.place_order(
        patient, site_id=site_id, priority="routine", tests=tests, placed_at=at - ORDERED_BEFORE, language="en"
    )
    label = {offered[tests[0]].container: number}
    desk.collect(order.id, tests=tests, at=at - timedelta(minutes=2), labels=label)
    desk.receive(number, at=at)


def _send(one: Capture, address: Address) -> int:
    """How many messages the gateway took."""
    with socket.create_connection(address, timeout=ANSWER_SECONDS) as line:
        return sum(answered.taken for answered in replay(one.data, line))


def _ask(reader: FrontDesk, read: Sequence[Capture], played: Sequence[Played], patience: float) -> None:
    """Fill in what the core made of each message, once it has as many as the gateway took, or patience ends."""
    until = time.monotonic() + patience
    while True:
        heard = {row["body_sha256"]: row for row in reader.heard_messages()}
        known = [[heard[one] for one in capture.hashes if one in heard] for capture in read]
        waiting = [_unheard(one, heard) if told.taken else 0 for one, told in zip(read, played, strict=True)]
        if not any(waiting) or time.monotonic() > until:
            break
        time.sleep(PAUSE)
    for rows, told, unheard in zip(known, played, waiting, strict=True):
        told.recorded, told.parked = (sum(row[name] for row in rows) for name in ("recorded", "parked"))
        told.unheard = unheard


def _unheard(one: Capture, heard: Mapping[str, Any]) -> int:
    return sum(wanted and digest not in heard for digest, wanted in one.hashes.items())


def table(played: Sequence[Played]) -> Iterator[tuple[str, ...]]:
    """Rows to show, the head first, the sums last; which specimens were registered is in the report."""
    yield "file", "to", "sent", "taken", "matched", "parked"
    for one in played:
        yield one.file, one.line, *map(str, (one.messages, one.taken, one.recorded, one.parked))
    sums = report(played)
    yield "all", "", *(str(sums[name]) for name in ("messages", "taken", "recorded", "parked"))
