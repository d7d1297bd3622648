"""Processes beside this one, which import slow libraries while it works, and then do their part of the work.

dbt, Great Expectations and MLflow each take several seconds to import, more than they take to do their work on a day's
results. Without such processes (under Dagster's daemon, in tests) the same work is done in this one.
"""

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any, TypeVar

Answer = TypeVar("Answer")

_beside: dict[str, Connection] = {}
_GRACE_SECONDS = 1.0


class SideDied(Exception):
    """The process beside this one ended before it had answered."""


@contextlib.contextmanager
def beside(*names: str) -> Iterator[None]:
    """Have a process for each name, idle until it is asked; they end with the context.

    They are forked: call this before the process has threads.
    """
    forks = multiprocessing.get_context("fork")
    processes = []
    for name in names:
        ours, theirs = forks.Pipe()
        process = forks.Process(target=_serve, args=(theirs, [*_beside.values(), ours]), daemon=True)
        process.start()
        theirs.close()
        processes.append(process)
        _beside[name] = ours
    try:
        yield
    finally:
        for connection in _beside.values():
            connection.close()
        _beside.clear()
        for process in processes:
            process.join(_GRACE_SECONDS)
            process.kill()
            process.join()


def warm_up(name: str, function: Callable[[], object], *, polite: bool = False) -> None:
    """Start the function in the process of that name, if there is one, and do not wait for it.

    A `polite` process leaves the processor to the others from then on.
    """
    if connection := _beside.get(name):
        connection.send((_politely if polite else _warmed, (function,), False))


def do(name: str, function: Callable[..., Answer], *arguments: object) -> Answer:
    """The function's answer, or its exception; from the process of that name if there is one, else from this one."""
    connection = _beside.get(name)
    if connection is None:
        return function(*arguments)
    try:
        connection.send((function, arguments, True))
        good, answer = connection.recv()
    except (EOFError, BrokenPipeError):
        raise SideDied(f"the process for {name} ended before it had answered") from None
    if not good:
        raise answer
    result: Answer = answer
    return result


def _warmed(function: Callable[[], object]) -> None:
    # A warm-up that fails would fail again, and be told, when the work is asked for.
    with contextlib.suppress(Exception):
        function()


def _politely(function: Callable[[], object]) -> None:
    os.nice(10)
    _warmed(function)


def _serve(connection: Connection, inherited: list[Connection]) -> None:
    # With an inherited end of a pipe open here, nobody would notice that the asking process has closed its own.
    for other in inherited:
        other.close()
    with contextlib.suppress(EOFError):
        while True:
            function, arguments, is_awaited = connection.recv()
            answer = _try(function, arguments)
            if is_awaited:
                connection.send(answer)


def _try(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    try:
        return True, function(*arguments)
    except Exception as problem:  # noqa: BLE001 - whatever it is, the asking process raises it
        return False, problem
