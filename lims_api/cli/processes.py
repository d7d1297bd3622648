"""Child processes of one command: started together, watched, and stopped together."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

STOP_SECONDS = 15


class ProcessDied(Exception):
    """A program ended that should be running; its log says why."""


@dataclass
class Processes:
    """Programs with one log file each; on leaving, all are told to stop, then made to."""

    logs: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, arguments: list[str], environment: Mapping[str, str]) -> None:
        """Start `lims …` (or another module of ours) in a process group of its own."""
        log = (self.logs / f"{name}.log").open("ab")
        self.running[name] = subprocess.Popen(
            [sys.executable, "-m", *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            env=dict(environment), start_new_session=True,
        )  # fmt: skip
        log.close()

    def check(self) -> None:
        """Raise `ProcessDied` when one has ended."""
        for name, process in self.running.items():
            if process.poll() is not None:
                tail = (self.logs / f"{name}.log").read_text(errors="replace").splitlines()[-15:]
                raise ProcessDied(f"{name} ended with {process.returncode}; the end of its log:\n" + "\n".join(tail))

    def wait_for(self, url: str, *, seconds: float = 60) -> None:
        """Until the address answers."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.check()
            with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=2):  # noqa: S310  loopback
                return
            time.sleep(0.1)
        raise ProcessDied(f"{url} did not answer within {seconds:.0f} s")

    def wait_for_file(self, file: Path, *, seconds: float = 30) -> str:
        """Until the file has a content; returns it."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.check()
            if file.exists() and file.read_text().strip():
                return file.read_text()
            time.sleep(0.05)
        raise ProcessDied(f"{file.name} did not appear within {seconds:.0f} s")

    def stop(self) -> None:
        """SIGTERM to all, in the reverse order; SIGKILL to what still runs after a while."""
        processes = list(self.running.items())[::-1]
        for _, process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        until = time.monotonic() + STOP_SECONDS
        for _, process in processes:
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                _kill_group(process)
        for _, process in processes:
            _kill_group(process)
        self.running.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """What a program started and left behind ends with it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(2)


@contextlib.contextmanager
def until_told_to_stop() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
