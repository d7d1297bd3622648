"""Whether the records of a message stand in the order that LIS02-A2 asks for: H, then P over O over R, then L."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.astm.codec import Record

_ABOVE = {"O": "P", "R": "O"}
_BELOW = {"P": {"O", "R"}, "O": {"R"}}
_KNOWN = frozenset("HPORCMQSL")


def problem(records: Sequence[Record]) -> str | None:
    """The first fault of the order; None when there is none."""
    seen: set[str] = set()
    for place, record in enumerate(records, start=1):
        kind = record.type
        if kind not in _KNOWN:
            return f"record {place} is of no known type"
        if kind == "H" and place > 1:
            return f"record {place} is a second header"
        if "L" in seen:
            return f"record {place} stands after the terminator"
        if kind in _ABOVE and _ABOVE[kind] not in seen:
            return f"record {place} ({kind}) stands under no {_ABOVE[kind]}"
        seen = (seen - _BELOW.get(kind, set())) | {kind}
    return None if "L" in seen else "it has no terminator record (L)"
