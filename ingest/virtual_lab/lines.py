"""The lines of the virtual analysers: which language each speaks, and what was said on each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain, count
from types import MappingProxyType
from typing import Protocol

from ingest.virtual_lab.analyser import Analyser, Faults, Numbered, Patience, Tally
from ingest.virtual_lab.astm_analyser import AstmAnalyser
from ingest.virtual_lab.messages import Sendable

Address = tuple[str, int]


class Line(Protocol):
    """An analyser's connection to a gateway."""

    tally: Tally

    def transmit(self, messages: Sequence[Numbered], progress: Callable[[], None] = ...) -> Tally:
        """Send each message until it is accepted or given up."""


SPEAKS: Mapping[str, type[Analyser] | partial[AstmAnalyser]] = MappingProxyType(
    {
        "BS480-1": Analyser,
        "XN1000-1": partial(AstmAnalyser, dialect="sysmex_xn"),
        "IMM-1": partial(AstmAnalyser, dialect="generic_astm"),
    }
)


@contextmanager
def connected(
    addresses: Mapping[str, Address], *, faults: Faults, patience: Patience, seed: int
) -> Iterator[dict[str, Line]]:
    """A line for each analyser, hung up at the end."""
    with ExitStack() as stack:
        lines: dict[str, Line] = {}
        for code, (host, port) in addresses.items():
            line: Analyser | AstmAnalyser = SPEAKS[code](host, port, faults=faults, patience=patience, seed=seed)
            stack.enter_context(line)
            lines[code] = line
        yield lines


class Numbering:
    """Counts an analyser's control ids up from `first`; after a reboot they start at 1 again, for other messages."""

    def __init__(self, first: int = 1, reboot_after: int | None = None) -> None:
        self._ids = count(first) if reboot_after is None else chain(range(first, first + reboot_after), count(1))

    def __call__(self, messages: Sequence[Sendable]) -> list[Numbered]:
        """The next messages with their numbers."""
        return [Numbered(control_id=next(self._ids), message=message) for message in messages]


def transmit_all(
    lines: Mapping[str, Line], messages: Mapping[str, Sequence[Numbered]], progress: Callable[[], None]
) -> None:
    """Every analyser at its own line at once. Raises the first `GatewayUnreachable`."""
    with ThreadPoolExecutor(max(len(messages), 1)) as benches:
        done = [benches.submit(lines[code].transmit, own, progress) for code, own in messages.items()]
    for one in done:
        one.result()
