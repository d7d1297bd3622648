"""One thread owns the spool: what concurrent connections want kept shares one flush to disk."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from ingest.kept import Incoming, Keeping, Piece
from ingest.spool import Spool

MOST_TOGETHER = 256
_Answer = TypeVar("_Answer")


class NotKept(Exception):
    """The disk did not take it: the sender must keep its copy."""


@dataclass(frozen=True, slots=True)
class _Keep:
    incoming: Incoming | Piece
    done: Future[Keeping] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class _Call:
    job: Callable[[Spool], Any]
    done: Future[Any] = field(default_factory=Future)


class Keeper:
    """Hands jobs to the spool's thread. Use from asyncio; `close` waits for everything handed over."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._jobs: SimpleQueue[_Keep | _Call | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="spool", daemon=True)
        self._thread.start()

    async def keep(self, incoming: Incoming | Piece) -> Keeping:
        """Durable when this returns; raises `NotKept`."""
        wish = _Keep(incoming)
        self._jobs.put(wish)
        try:
            return await asyncio.wrap_future(wish.done)
        except (sqlite3.Error, OSError) as reason:
            raise NotKept(type(reason).__name__) from reason

    async def call(self, job: Callable[[Spool], _Answer]) -> _Answer:
        """Run a job with the spool in its thread and return or raise what it does."""
        wish = _Call(job)
        self._jobs.put(wish)
        answer: _Answer = await asyncio.wrap_future(wish.done)
        return answer

    def close(self) -> None:
        """Finish what was handed over, then close the spool."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        waiting: list[_Keep] = []
        while True:
            job = self._next(waiting)
            if isinstance(job, _Keep):
                waiting.append(job)
                continue
            _settle_all(waiting, self._spool)
            waiting = []
            if job is None:
                self._spool.close()
                return
            if isinstance(job, _Call):
                _settle(job, self._spool)

    def _next(self, waiting: list[_Keep]) -> _Keep | _Call | _Flush | None:
        """The next job; a flush when there is none and something waits to be kept."""
        if len(waiting) >= MOST_TOGETHER:
            return FLUSH
        try:
            return self._jobs.get(block=not waiting)
        except Empty:
            return FLUSH


class _Flush:
    """Says: commit what waits."""


FLUSH = _Flush()


def _settle_all(wishes: list[_Keep], spool: Spool) -> None:
    alive = [wish for wish in wishes if wish.done.set_running_or_notify_cancel()]
    if not alive:
        return
    try:
        kept = spool.keep([wish.incoming for wish in alive])
    except Exception as failure:  # noqa: BLE001 - every waiting sender must hear of it, whatever it is
        for wish in alive:
            wish.done.set_exception(failure)
        return
    for wish, keeping in zip(alive, kept, strict=True):
        wish.done.set_result(keeping)


def _settle(call: _Call, spool: Spool) -> None:
    if not call.done.set_running_or_notify_cancel():
        return
    try:
        call.done.set_result(call.job(spool))
    except Exception as failure:  # noqa: BLE001 - handed to whoever waits for the answer
        call.done.set_exception(failure)
