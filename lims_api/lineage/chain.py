"""A chain of links from the bytes of an analyser to the last copy of a result, each compared with the one before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID


class Step(StrEnum):
    """What is compared, in the order of a result's way."""

    TRANSMISSION = "transmission"
    MESSAGE = "message"
    RECORD = "record"
    OBSERVATION = "observation"
    CODE_MAP = "code_map"
    DEFINITION = "definition"
    VALUE = "value"
    INTERVAL = "interval"
    GATES = "gates"
    MODEL = "model"
    RELEASE = "release"
    VERSIONS = "versions"
    REPORT = "report"
    LEDGER = "ledger"
    BRONZE = "bronze"
    MART = "mart"


class Finding(StrEnum):
    OK = "ok"
    DIFFERS = "differs"
    ABSENT = "absent"


@dataclass(frozen=True)
class Difference:
    """One thing that is not what it should be: `derived` from the link before, and as `stored`."""

    what: str
    derived: str
    stored: str


@dataclass(frozen=True)
class Link:
    """One step's finding. `facts` are shown as they are; `why` says what an absent link means."""

    step: Step
    finding: Finding
    facts: Mapping[str, Any] = field(default_factory=dict)
    differences: Sequence[Difference] = ()
    why: str = ""


@dataclass(frozen=True)
class Chain:
    """All links of one result."""

    result_id: UUID
    test_code: str
    version: int
    status: str
    entry: str
    links: Sequence[Link]

    @property
    def differs(self) -> bool:
        return any(link.finding is Finding.DIFFERS for link in self.links)


Pair = tuple[str, Any, Any]
"""What is compared, as derived and as stored."""


def compared(step: Step, pairs: Iterable[Pair], facts: Mapping[str, Any] | None = None) -> Link:
    """`ok` when every pair is equal, else `differs` with those that are not."""
    unlike = tuple(
        Difference(what, said(derived), said(stored)) for what, derived, stored in pairs if derived != stored
    )
    return Link(step, Finding.DIFFERS if unlike else Finding.OK, facts or {}, unlike)


def absent(step: Step, why: str, facts: Mapping[str, Any] | None = None) -> Link:
    """Nothing is there to compare, and that is no fault."""
    return Link(step, Finding.ABSENT, facts or {}, (), why)


def said(value: Any) -> str:
    """A value as a person reads it."""
    if value is None:
        return "nothing"
    if isinstance(value, list | tuple):
        return ", ".join(map(said, value)) or "none"
    return str(value)
