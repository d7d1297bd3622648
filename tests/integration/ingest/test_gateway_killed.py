"""The gateway as a process: killed without warning in live traffic, and stopped as an operator stops it."""

import random
import signal
import threading
import time
from hashlib import sha256
from pathlib import Path

import pytest

from ingest.spool import State
from tests.integration.ingest.gateways import CHANNEL, Analyser, Laboratory, counts, eventually
from tests.sandbox.core_receiver import CoreReceiver, Fault
from tests.unit.ingest.transmissions import oru

SENDERS = 3
KILLS = 4


def result(control_id: str, value: int) -> bytes:
    return oru(
        control_id, f"PID|1||HN-{value}||Deshmukh^Asha", f"OBR|1|26-{value:06}|7", f"OBX|1|NM|GLU||{value}|mg/dL|||||F"
    )


class Sender:
    """An analyser that sends a message again, on a new connection, until it is acknowledged."""

    def __init__(self, number: int, port: int) -> None:
        self.number, self.port = number, port
        self.acknowledged: list[tuple[str, str, str]] = []
        self.resent = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def work(self) -> None:
        count = 0
        while not self.stop.is_set():
            count += 1
            # Control ids start again at 1 after every 40 messages, as after a reboot.
            control_id = f"{self.number}{count % 40:02}"
            body = result(control_id, self.number * 100_000 + count)
            if self.send(body):
                self.acknowledged.append((CHANNEL, control_id, sha256(body).hexdigest()))

    def send(self, body: bytes) -> bool:
        while not self.stop.is_set():
            try:
                analyser = Analyser(self.port, timeout=2.0)
                try:
                    return analyser.send(body) == ["AA"]
                finally:
                    analyser.close()
            except OSError:
                self.resent += 1
                time.sleep(0.02)
        return False


@pytest.mark.req("1.7.5")
def test_killed_at_any_time_the_gateway_loses_and_doubles_nothing_that_it_acknowledged(
    laboratory: Laboratory, core: CoreReceiver
) -> None:
    chance = random.Random(17)
    faults = [Fault.CUT_AFTER, Fault.CUT_BEFORE, Fault.ERROR_500, Fault.ERROR_AFTER]
    core.fault = lambda: chance.choice(faults) if chance.random() < 0.2 else None
    senders = [Sender(number, laboratory.port) for number in range(1, SENDERS + 1)]

    with (laboratory.folder / "log").open("wb") as log:
        process = laboratory.start(log)
        for sender in senders:
            sender.thread.start()
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.1, 0.5))
            process.kill()
            process.wait()
            process = laboratory.start(log)
        time.sleep(0.3)
        for sender in senders:
            sender.stop.set()
        for sender in senders:
            sender.thread.join()
        core.fault = lambda: None
        acknowledged = [key for sender in senders for key in sender.acknowledged]
        arrived = eventually(lambda: set(acknowledged) <= set(core.keys()), 10)
        process.terminate()
        assert process.wait(10) == 0

    assert arrived
    assert len(acknowledged) == len(set(acknowledged)) > 50
    assert sum(sender.resent for sender in senders) > 0
    keys = core.keys()
    assert len(keys) == len(set(keys))
    contents: dict[str, set[str]] = {}
    for batch in core.seen:
        contents.setdefault(str(batch.id), set()).add(batch.model_dump_json())
    assert all(len(sent) == 1 for sent in contents.values())
    values = [message.groups[0].observations[0].value_text for message in core.messages()]
    assert len(values) == len(set(values))


def test_a_gateway_that_is_told_to_stop_ends_well_and_its_log_names_nobody(
    laboratory: Laboratory, core: CoreReceiver, tmp_path: Path
) -> None:
    core.refuses = lambda message: message.control_id == "2"
    log_file = tmp_path / "log"
    with log_file.open("wb") as log:
        process = laboratory.start(log)
        analyser = Analyser(laboratory.port)
        bodies = [
            result("1", 1),
            result("2", 2),
            oru("3", "PID|1||HN-3||Deshmukh^Asha"),
            result("1", 4),
            b"Deshmukh^Asha",
        ]
        assert [analyser.send(body)[0] for body in bodies] == ["AA", "AA", "AA", "AA", "AR"]
        assert eventually(lambda: counts(laboratory)[State.DELIVERED] == 3 and counts(laboratory)[State.REFUSED] == 2)

        process.send_signal(signal.SIGTERM)

        assert process.wait(10) == 0
    text = log_file.read_text()
    assert '"event": "stopping"' in text
    assert '"event": "message_refused"' in text
    assert '"event": "control_id_reused"' in text
    assert "Deshmukh" not in text
    assert "HN-" not in text
    assert len(core.keys()) == 3
