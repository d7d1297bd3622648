"""An ASTM gateway as a process, killed without warning between any two frames."""

import random
import threading
import time
from contextlib import suppress
from hashlib import sha256
from operator import itemgetter
from pathlib import Path

import pytest

from ingest.astm.decode import INCOMPLETE
from ingest.astm.link import ENQ, EOT, framed
from ingest.astm.receiver import ACK
from ingest.contract import Message
from tests.integration.ingest.bench import Bench
from tests.integration.ingest.gateways import Laboratory, eventually
from tests.sandbox.core_receiver import CoreReceiver, Fault

CHANNEL = "XN1000-1"
SENDERS = 3
KILLS = 5
FRAME = 60


def body(number: int) -> bytes:
    return (
        f"H|\\^&|||    XN-1000^00-24\rP|1|||HN-{number}|^Asha^Deshmukh\rO|1||^^      26-{number:06}^B|^^^^WBC|||||||N\r"
        f"R|1|^^^^WBC^1|{number}|10*3/uL||N||F||||20261124101500\rL|1|N\r"
    ).encode()


class Sender:
    """An analyser that sends a message again, whole, on a new connection, until every frame of it is acknowledged.

    `begun` are the texts that were acknowledged of transmissions that broke off.
    """

    def __init__(self, number: int, port: int) -> None:
        self.number, self.port = number, port
        self.acknowledged: list[int] = []
        self.begun: list[bytes] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def work(self) -> None:
        count = 0
        while not self.stop.is_set():
            count += 1
            if self.send(self.number * 100_000 + count):
                self.acknowledged.append(self.number * 100_000 + count)

    def send(self, number: int) -> bool:
        while not self.stop.is_set():
            safe = b""
            with suppress(OSError):
                bench = Bench(self.port, timeout=2.0)
                try:
                    if bench.say(ENQ) != ACK:
                        continue
                    for text, frame in zip(_texts(body(number)), framed(body(number), FRAME), strict=True):
                        if bench.say(frame) != ACK:
                            break
                        safe += text
                    if safe == body(number):
                        bench.socket.sendall(EOT)
                        return True
                finally:
                    bench.close()
                    if safe:
                        self.begun.append(safe)
            time.sleep(0.02)
        return False


def _texts(whole: bytes) -> list[bytes]:
    return [whole[start : start + FRAME] for start in range(0, len(whole), FRAME)]


def whole(message: Message) -> bytes:
    return message.envelope + b"".join(group.raw for group in message.groups)


@pytest.mark.req("1.7.5")
def test_killed_between_any_two_frames_nothing_acknowledged_is_lost_and_every_result_is_recorded_once(
    tmp_path: Path, core: CoreReceiver
) -> None:
    chance = random.Random(23)
    core.fault = lambda: chance.choice([Fault.CUT_AFTER, Fault.ERROR_500]) if chance.random() < 0.2 else None
    laboratory = Laboratory(tmp_path, core, channel=CHANNEL, profile="sysmex_xn")
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
        done = [number for sender in senders for number in sender.acknowledged]
        hashes = {sha256(body(number)).hexdigest() for number in done}
        arrived = eventually(lambda: hashes <= set(map(itemgetter(2), core.keys())), 10)
        process.terminate()
        assert process.wait(10) == 0
        last = laboratory.start(log)
        begun = [text for sender in senders for text in sender.begun]
        assert eventually(lambda: all(_is_there(text, core.messages()) for text in begun), 10)
        last.terminate()
        assert last.wait(10) == 0

    assert arrived
    assert len(done) > 50
    assert len(begun) > len(done) + KILLS / 2
    recorded = [message for message in core.messages() if message.error is None]
    values = [message.groups[0].observations[0].value_text for message in recorded]
    assert len(values) == len(set(values)) >= len(done)
    assert {message.error for message in core.messages()} == {None, INCOMPLETE}
    assert all(not group.observations for message in core.messages() if message.error for group in message.groups)
    assert b"Deshmukh" not in (laboratory.folder / "log").read_bytes()


def _is_there(text: bytes, messages: list[Message]) -> bool:
    return any(whole(message).startswith(text) for message in messages)
