"""A hundred thousand results, sent as bytes through the gateway, re-derived one and all.

Messages as the virtual laboratory writes them; socket, spool, decoder, HTTP, gates, model, ledger, lake and marts as in
an installation. The first hundred orders are usual in everything: what the model knows is released, the pathologist
authorises the rest, and they are reported.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import date
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import select

from ingest.virtual_lab.messages import MOST_RESULTS, PatientMessage, SentResult, rendered
from ingest.virtual_lab.patients import Person
from lims_api.core.clock import utc_now
from lims_api.core.db import transaction
from lims_api.core.jobs import Work, worker_app
from lims_api.core.relay import relay
from lims_api.reports import jobs, subscribers
from lims_api.results import service as results
from lims_api.results.models import Result, ResultStatus
from tests.bench.laboratory import VALUES, BenchLaboratory, Ordered, laboratory, services, until
from tests.bench.recording import _send, _start_gateway, _unit

REGISTERED = (jobs, subscribers)
ORDERS, TOGETHER, REPORTED, CONNECTIONS = 5_000, 250, 100, 4
WHOLE = (
    "transmission", "message", "record", "observation", "code_map", "definition", "value", "interval", "gates",
    "ledger", "bronze", "mart",
)  # fmt: skip
"""Links that every one of these results has."""


@pytest.mark.timeout(3_600)
@pytest.mark.req("11.1")
def test_every_result_is_re_derived() -> None:
    with laboratory(workers=2) as lab:
        counts = prove(lab, ORDERS)

    whole = ORDERS * len(lab.codes)
    print(json.dumps(counts, indent=2))
    assert (counts["results"], counts["differing"]) == (whole, 0)
    assert {step: counts["links"][step]["ok"] for step in WHOLE} == dict.fromkeys(WHOLE, whole)
    assert counts["links"]["report"]["ok"] >= REPORTED * len(lab.codes) * 0.5
    assert 0 < counts["links"]["release"]["ok"] < whole  # released ones and held ones


def prove(lab: BenchLaboratory, orders: int) -> dict[str, object]:
    """Record so many orders' results, model them, trace them; what `lims trace` counted, and the seconds it took."""
    addresses, chance = _start_gateway(lab), random.Random(11)
    sent = 0
    for start in range(0, orders, TOGETHER):
        ordered = lab.receive_orders(min(TOGETHER, orders - start))
        bodies = [
            body
            for number, item in enumerate(ordered, start=start)
            for body in messages(item, lab.codes, number, None if number < REPORTED else chance)
        ]
        _deliver(addresses, bodies)
        sent += len(bodies)
        _wait(lab, sent)
        if start == 0:
            _authorise(lab, [item.order_id for item in ordered[:REPORTED]])
            _report(lab)
    _lims(lab, "pipelines", "run", "--select", "capture,warehouse")
    started = time.monotonic()
    counts: dict[str, object] = json.loads(_lims(lab, "trace", "--all", "--organization", "bench", "--json"))
    return counts | {"seconds": round(time.monotonic() - started, 1)}


def messages(item: Ordered, codes: Sequence[str], number: int, chance: random.Random | None) -> Iterator[bytes]:
    """A specimen's results, at most ten a message as a Mindray BS sends them; usual ones without `chance`."""
    stated = Person(
        uhid=item.uhid, name=item.name, phone=None, sex="female", birth_on=date(1980, 1, 1), birth_precision="day"
    )
    for part, first in enumerate(range(0, len(codes), MOST_RESULTS)):
        now = utc_now()
        sent = tuple(_result(code, chance) for code in codes[first : first + MOST_RESULTS])
        said = PatientMessage(
            specimen=item.accession_number, own_number=number, stated=stated, results=sent, observed_at=now
        )
        yield rendered(said, control_id=2 * number + part + 1, sent_at=now)


def _result(code: str, chance: random.Random | None) -> SentResult:
    usual = VALUES.get(code, "85")
    if chance is None:
        return SentResult(code=code, name=code, text=usual, unit=_unit(code))
    decimals = len(usual.partition(".")[2])
    text = f"{float(usual) * chance.lognormvariate(0, 0.2):.{decimals}f}"
    kind = chance.random()
    text = f"<{text}" if kind < 0.01 else f">{text}" if kind < 0.02 else "----" if kind < 0.025 else text
    unit = "mmol/L" if chance.random() < 0.005 else _unit(code)
    flags = ("A",) if chance.random() < 0.01 else ()
    return SentResult(code=code, name=code, text=text, unit=unit, flags=flags)


def _deliver(addresses: list[tuple[str, int]], bodies: list[bytes]) -> None:
    """Each connection sends its own specimens: of two messages of one, the second follows the first."""
    pairs = [bodies[place : place + 2] for place in range(0, len(bodies), 2)]
    senders = [
        threading.Thread(
            target=_send,
            args=(addresses[number % len(addresses)], [body for pair in pairs[number::CONNECTIONS] for body in pair]),
        )
        for number in range(CONNECTIONS)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()


def _wait(lab: BenchLaboratory, sent: int) -> None:
    with psycopg.connect(lab.installation.cluster.superuser_dsn("lims"), autocommit=True) as connection:

        def recorded() -> bool:
            row = connection.execute("select count(*) from lims.instrument_messages").fetchone()
            return row is not None and row[0] >= sent

        until(recorded, seconds=300)


def _authorise(lab: BenchLaboratory, order_ids: Sequence[UUID]) -> None:
    """The pathologist's word on what is held: the model does not know half of these tests."""
    with transaction(lab.caller("pathologist")) as session:
        held = select(Result.id).where(Result.order_id.in_(order_ids), Result.status == ResultStatus.HELD)
        results.authorise(session, session.scalars(held).all())


def _report(lab: BenchLaboratory) -> None:
    """What the worker does, once: events to their subscribers, then the reports' jobs."""
    work = Work(lab.system, services(lab))
    relay(work)

    async def run() -> None:
        app = worker_app(lab.installation.url("lims_system", "lims"), work)
        async with app.open_async():
            await app.run_worker_async(queues=["reports"], wait=False, install_signal_handlers=False)

    asyncio.run(run())


def _lims(lab: BenchLaboratory, *words: str) -> str:
    command = [sys.executable, "-m", "lims_api.cli", *words]
    done = subprocess.run(command, env=lab.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
    return done.stdout
