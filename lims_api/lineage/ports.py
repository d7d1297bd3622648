"""The two programs that are asked: they share no code with this one, only lines of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class NoAnswer(Exception):
    """The program ended without an answer; what it had to say stands on standard error."""


class Program(Protocol):
    """A running program that answers questions, one after the other."""

    def ask(self, question: Mapping[str, Any]) -> Any:
        """The answer, or `NoAnswer`."""


@dataclass(frozen=True)
class Programs:
    """Who reads transmissions again, and who looks into lake and warehouse (nobody where there are none).

    One that ends midway ends the trace: what was not asked must not count as nothing to find.
    """

    reparse: Program
    copies: Program | None
    timezone: str = "Asia/Kolkata"
