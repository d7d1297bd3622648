"""Chains as text for a person and as JSON for a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from lims_api.lineage.chain import Chain, Finding, Link, Step, said

_HASH_SHOWN = 16


def as_json(chain: Chain) -> str:
    """One line."""
    return to_json(_plain(chain)).decode()


def _plain(chain: Chain) -> dict[str, Any]:
    return {
        "result_id": chain.result_id, "test": chain.test_code, "version": chain.version, "status": chain.status,
        "entry": chain.entry, "differs": chain.differs, "links": [_link(link) for link in chain.links],
    }  # fmt: skip


def _link(link: Link) -> dict[str, Any]:
    plain: dict[str, Any] = {"step": link.step, "finding": link.finding, "facts": dict(link.facts)}
    if link.differences:
        plain["differences"] = [
            {"what": one.what, "derived": one.derived, "stored": one.stored} for one in link.differences
        ]
    return plain | ({"why": link.why} if link.why else {})


def lines(chain: Chain, *, is_short: bool) -> Iterator[str]:
    """A heading and a line a link; short: only what differs, and how many links are what."""
    yield f"{chain.result_id}  {chain.test_code} version {chain.version}, {chain.status}, {chain.entry}"
    if is_short:
        found = Counter(link.finding for link in chain.links)
        yield "  " + ", ".join(f"{found[one]} {one}" for one in Finding if found[one])
    for link in chain.links:
        if is_short and link.finding is not Finding.DIFFERS:
            continue
        yield f"  {link.step:13} {link.finding:8} {link.why or _facts(link.facts)}".rstrip()
        for one in link.differences:
            yield f"      {one.what}: derived {one.derived}; stored {one.stored}"


def _facts(facts: Mapping[str, Any]) -> str:
    return "; ".join(f"{name} {_short(name, value)}" for name, value in facts.items() if value not in (None, [], ""))


def _short(name: str, value: Any) -> str:
    if name.endswith("sha256") and isinstance(value, str):
        return value[:_HASH_SHOWN] + "…"
    if isinstance(value, Mapping):
        return "(" + _facts(value) + ")"
    if isinstance(value, list):
        return ", ".join(_short("", one) if isinstance(one, Mapping) else said(one) for one in value)
    return said(value)


@dataclass
class Counts:
    """How many results there were, and what was found of each step."""

    found: Counter[tuple[Step, Finding]]
    results: int = 0
    differing: int = 0

    def add(self, chains: Iterable[Chain]) -> None:
        """Count a batch."""
        for chain in chains:
            self.results += 1
            self.differing += chain.differs
            self.found.update((link.step, link.finding) for link in chain.links)

    def lines(self) -> Iterator[str]:
        """A table, and the sentence that matters."""
        yield f"{'link':13}" + "".join(f"{finding:>10}" for finding in Finding)
        for step in Step:
            yield f"{step:13}" + "".join(f"{self.found[step, finding]:>10,}" for finding in Finding)
        yield f"{self.results:,} results traced; {self.differing:,} differ somewhere."

    def as_json(self) -> str:
        """One line."""
        links = {step: {finding: self.found[step, finding] for finding in Finding} for step in Step}
        return to_json({"results": self.results, "differing": self.differing, "links": links}).decode()
