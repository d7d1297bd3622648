"""Gateways and analysers of the tests: real sockets, a gateway in a thread or in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ingest.deliver import Pace
from ingest.gateway import ChannelSettings, Settings, run
from ingest.hl7.codec import Er7Message, parse
from ingest.hl7.mllp import Framer, framed
from ingest.spool import State, open_spool
from tests.ports import ports
from tests.sandbox.core_receiver import CoreReceiver

ROOT = Path(__file__).parents[3]
PORTS = ports(24_100, 27_900)
QUICK = Pace(first_pause=0.02, longest_pause=0.1, look=0.2)
CHANNEL = "BS480-1"


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise OSError("no free port")


def eventually(condition: Callable[[], bool], seconds: float = 8.0) -> bool:
    """Whether the condition comes true within that time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def counts(laboratory: Laboratory) -> dict[State, int]:
    """The spool's transmissions by state, read beside the running gateway."""
    spool = open_spool(laboratory.spool)
    try:
        return spool.counts()
    finally:
        spool.close()


class Analyser:
    """One connection of an analyser."""

    def __init__(self, port: int, timeout: float = 5.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._framer = Framer()
        self._answers: list[Er7Message] = []

    def send(self, *bodies: bytes) -> list[str]:
        """Send messages in one packet and return MSA-1 of each answer."""
        self.socket.sendall(b"".join(framed(body) for body in bodies))
        return [self.answer().segments[1].get(1) or "" for _ in bodies]

    def answer(self) -> Er7Message:
        """The next answer; raises `ConnectionError` when the gateway hangs up."""
        while not self._answers:
            data = self.socket.recv(65_536)
            if not data:
                raise ConnectionError("the gateway hung up")
            self._answers += [parse(frame.body) for frame in self._framer.feed(data)]
        return self._answers.pop(0)

    def close(self) -> None:
        self.socket.close()


@dataclass
class Laboratory:
    """A folder with a spool and an API key, a core, and a port for one analyser."""

    folder: Path
    core: CoreReceiver
    port: int = field(default_factory=free_port)
    channel: str = CHANNEL
    profile: str = "mindray_bs"

    def __post_init__(self) -> None:
        self.key_file.write_text(self.core.api_key + "\n")

    @property
    def key_file(self) -> Path:
        return self.folder / "api-key"

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    def settings(self, **others: Any) -> Settings:
        channel = ChannelSettings(code=self.channel, listen=f"127.0.0.1:{self.port}", profile=self.profile)
        return Settings(core=self.core.url, spool=self.spool, api_key_file=self.key_file, channel=(channel,), **others)

    @contextmanager
    def gateway(self, **others: Any) -> Iterator[None]:
        """A gateway in a thread."""
        loop, stop, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
        failures: list[BaseException] = []

        def note(_: Mapping[str, str]) -> None:
            ready.set()

        def work() -> None:
            asyncio.set_event_loop(loop)
            try:
                loop.run_until_complete(run(self.settings(**others), stop, note, QUICK))
            except BaseException as failure:
                failures.append(failure)
                raise
            finally:
                ready.set()
                loop.close()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        assert ready.wait(20)
        assert not failures
        try:
            yield
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(20)
            assert not thread.is_alive()

    def start(self, log: IO[bytes], timeout_s: float = 2.0) -> subprocess.Popen[bytes]:
        """A gateway in a process of its own, which listens when this returns."""
        ready, config = self.folder / "ready", self.folder / "gateway.toml"
        ready.unlink(missing_ok=True)
        config.write_text(f"timeout_s = {timeout_s}\n")
        options = {
            "--config": config,
            "--listen": f"127.0.0.1:{self.port}",
            "--channel": self.channel,
            "--profile": self.profile,
            "--core": self.core.url,
            "--spool": self.spool,
            "--api-key-file": self.key_file,
            "--ready-file": ready,
        }
        command = [sys.executable, "-m", "ingest", "run", *(str(text) for pair in options.items() for text in pair)]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        assert eventually(lambda: ready.exists() or process.poll() is not None, 30)
        assert json.loads(ready.read_text())["channels"] == {self.channel: f"127.0.0.1:{self.port}"}
        return process
