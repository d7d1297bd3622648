"""The server is killed, the line is cut, the app sends its queue again: everything is applied once, nothing more."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from lims_api.core.clock import utc_now
from lims_api.core.ids import uuid7
from tests.integration.laboratory import Laboratory
from tests.integration.sync.app import App, Command, changes, command, kept, receive, register, slug
from tests.integration.sync.conftest import ALL
from tests.ports import ports

_ports = ports(29_500, 29_900)


def queue_of(lab: Laboratory) -> list[Command]:
    """What a device did offline: two people registered, ordered and collected for, one of them refused in between."""
    now, commands = utc_now().isoformat(), list[Command]()
    for _ in range(2):
        patient_id, order_id = str(uuid7()), str(uuid7())
        order = {"id": order_id, "patient_id": patient_id, "site_id": str(lab.site_id), "tests": ["GLU"]}
        label = f"Q{uuid7().hex[-12:]}"
        labelled = {"labels": [{"container": "SST 5 mL", "accession_number": label}]}
        collection = {"order_id": order_id, "collected_at": now}
        commands += [
            command("patients.register", {"id": patient_id, "name": "Savitri Example", "sex": "female"}),
            command("orders.place", order),
            command("specimens.collect", collection | labelled),
            command("specimens.collect", collection),
            receive(label),
        ]
    return commands


APPLIED = [201, 201, 201, 409, 200] * 2
ENTRIES = 12
"""Changes in the ledger that such a queue makes: per person, order and receipt of each two."""


@contextmanager
def serving(lab: Laboratory, fuse: str = "") -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The API as a process; its address."""
    port, environment = next(_ports), lab.environment
    keys_url = environment.url("lims_keys", driver="postgresql")
    argv = [str(port), environment.url("lims_app"), keys_url, environment.master.hex(), fuse]
    process = subprocess.Popen([sys.executable, "-m", "tests.integration.sync.server", *argv])
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


def send(url: str, token: str, commands: list[Command]) -> list[dict[str, Any]] | None:
    """The answers; None when the line was cut before the last byte."""
    try:
        answer = httpx.post(
            f"{url}/v1/sync/push", json={"commands": commands}, headers={"Authorization": f"Bearer {token}"}, timeout=30
        )
    except httpx.HTTPError:
        return None
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["answers"]
    return found


FUSES = {
    "work:1": 0, "work:4": 4, "work:8": 9, "commit:1": 1, "commit:3": 3, "commit:4": 5, "commit:8": 10,
    "refusal:1": 3, "refused:1": 4, "refused:2": 9, "answer:1": 10,
}  # fmt: skip
"""Where the server kills itself, and how many commands have their answer by then."""


@pytest.mark.req("1.1.1")
@pytest.mark.parametrize("fuse", FUSES)
def test_a_server_killed_at_any_moment_applies_the_queue_once(lab: Laboratory, fuse: str) -> None:
    """Inside a command's transaction, between commands, after the commit and before the answer, in its midst."""
    app, commands = App(lab, lab.someone(*ALL)), queue_of(lab)
    before = changes(lab)

    with serving(lab, fuse) as (url, process):
        cut = send(url, app.token, commands)
        code = process.wait(30)
    half = len(kept(lab, [one["id"] for one in commands]))
    again, twice = app.push(*commands), app.push(*commands)

    assert (cut, code) == (None, -signal.SIGKILL)
    assert half == FUSES[fuse]
    assert [one["status"] for one in again] == APPLIED
    assert twice == again
    assert changes(lab) - before == ENTRIES


@pytest.mark.req("1.1.1")
def test_a_server_killed_again_and_again_while_the_queue_is_sent_applies_it_once(lab: Laboratory) -> None:
    chance, app, commands = random.Random(11), App(lab, lab.someone(*ALL)), queue_of(lab) + queue_of(lab)
    before, cuts = changes(lab), 0
    for _ in range(4):
        with serving(lab, f"{chance.choice(('work', 'commit'))}:{chance.randint(1, 5)}") as (url, _process):
            for start in range(0, len(commands), 7):
                cuts += send(url, app.token, commands[start : start + 7]) is None

    answers = app.push(*commands)

    assert cuts > 3
    assert [one["status"] for one in answers] == APPLIED * 2
    assert changes(lab) - before == 2 * ENTRIES


@pytest.mark.req("1.1.1")
def test_an_answer_cut_off_half_way_is_asked_for_again(lab: Laboratory) -> None:
    """The app hangs up in the midst of the answer, as a bad line does; the server lives on."""
    app, commands = App(lab, lab.someone(*ALL)), queue_of(lab)
    before = changes(lab)

    with serving(lab) as (url, _):
        headers = {"Authorization": f"Bearer {app.token}"}
        for _ in range(3):
            with httpx.stream(
                "POST", f"{url}/v1/sync/push", json={"commands": commands}, headers=headers, timeout=30
            ) as answer:
                half = next(answer.iter_raw(64))
            assert 0 < len(half) < int(answer.headers["content-length"])
        whole = send(url, app.token, commands)

    assert whole is not None
    assert [one["status"] for one in whole] == APPLIED
    assert changes(lab) - before == ENTRIES


@pytest.mark.req("1.1.1")
def test_a_queue_with_repeats_and_cuts_ends_as_if_it_had_been_sent_once(lab: Laboratory) -> None:
    """Whatever is repeated, overlapping or cut: each command is applied once and has one answer."""

    class Queue(RuleBasedStateMachine):
        @initialize()
        def begin(self) -> None:
            self.app, self.before = App(lab, lab.someone(*ALL)), changes(lab)
            self.made: list[Command] = []
            self.sent, self.expected = 0, 0
            self.answers: dict[str, tuple[int, dict[str, Any]]] = {}

        @rule(kind=st.sampled_from(["register", "receive", "refused", "invalid"]))
        def make(self, kind: str) -> None:
            if kind == "register":
                self.made.append(register())
            elif kind == "receive":
                self.before -= changes(lab)
                accession = lab.draw(receive=False).accession
                self.before += changes(lab)
                self.made.append(receive(accession))
            else:
                self.made.append(receive("NOTHING") if kind == "refused" else register(sex="…"))

        @rule(back=st.integers(0, 6), ahead=st.integers(1, 6), taken=st.integers(0, 12))
        def push(self, back: int, ahead: int, taken: int) -> None:
            """Send again what may have been answered, and go on; only so many answers arrive."""
            start, end = max(0, self.sent - back), min(len(self.made), self.sent + ahead)
            if start == end:
                return
            for answer in self.app.push(*self.made[start:end])[:taken]:
                said = (answer["status"], answer["reply"])
                assert self.answers.setdefault(answer["id"], said) == said
            self.sent = max(self.sent, end)

        @invariant()
        def applied_once(self) -> None:
            if not hasattr(self, "made"):
                return
            done = [one for one in self.made[: self.sent] if _succeeds(one)]
            assert changes(lab) - self.before == len(done)

        def teardown(self) -> None:
            if not getattr(self, "made", None):
                return
            for _ in range(2):
                for start in range(0, len(self.made), 100):
                    for answer in self.app.push(*self.made[start : start + 100]):
                        said = (answer["status"], answer["reply"])
                        assert self.answers.setdefault(answer["id"], said) == said
            assert len(self.answers) == len(self.made)
            for one in self.made:
                status, reply = self.answers[one["id"]]
                assert (status < 300) == _succeeds(one), slug(reply)
            assert changes(lab) - self.before == sum(map(_succeeds, self.made))

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Queue,
        settings=settings(
            max_examples=12, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def _succeeds(wanted: Command) -> bool:
    return wanted["body"].get("accession_number") != "NOTHING" and wanted["body"].get("sex") != "…"
