"""From a result to its copies: the ledger, the lake's ledger, the mart; each against the one before; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from hashlib import md5
from itertools import pairwise
from typing import Any

from lims_api.lineage.chain import Link, Pair, Step, absent, compared
from lims_api.lineage.known import Copied, Entry, Known

_SNAPSHOT = re.compile(r"(\d+):(\d+):([\d,]*)")
_TEXTS = (
    "organization_id", "order_id", "specimen_id", "site_id", "test_code", "loinc", "comparator", "unit", "flag", "sex",
    "analyser_id", "entry", "status", "corrects_id", "is_automatic", "model_version",
    "rules_version", "age_days", "version",
)  # fmt: skip
_NUMBERS = ("value", "reference_low", "reference_high", "critical_low", "critical_high", "risk")
_TIMES = ("occurred_at", "available_at", "authorised_at", "recorded_at")


def copies(known: Known) -> list[Link]:
    """Ledger, bronze and mart."""
    return [_ledger(known), *_lake(known)]


def _ledger(known: Known) -> Link:
    entries = known.entries
    if not entries:
        return compared(Step.LEDGER, [("entries", "an insertion", None)])
    facts = {
        "entries": [
            {"seq": one.seq, "xid": one.xid, "op": one.op, "actor_id": one.actor_id, "reason": one.reason,
             "recorded_at": one.recorded_at, "body_sha256": one.body_sha256}
            for one in entries
        ]
    }  # fmt: skip
    pairs: list[Pair] = [("first change", "I", entries[0].op)]
    pairs += _continued(entries)
    after = _after(entries[-1])
    pairs += [(name, after[name], known.row.get(name)) for name in sorted(after)]
    return compared(Step.LEDGER, pairs, facts)


def _continued(entries: Sequence[Entry]) -> Iterator[Pair]:
    """What each change says was there before is what the one before it left."""
    for former, entry in pairwise(entries):
        left = _after(former)
        for name, value in (entry.body.get("before") or {}).items():
            if name in left:
                yield f"{name} before change {entry.seq}", left[name], value


def _after(entry: Entry) -> Mapping[str, Any]:
    """The row after the change; a column that was added later is not in it."""
    after: Mapping[str, Any] = entry.body.get("after") or {}
    return after


def _lake(known: Known) -> list[Link]:
    copied = known.copied
    if copied is None:
        return [absent(step, "no lake and warehouse answer here") for step in (Step.BRONZE, Step.MART)]
    return [_bronze(known, copied), _mart(known, copied)]


def _bronze(known: Known, copied: Copied) -> Link:
    due = [entry for entry in known.entries if is_captured(entry.xid, copied.captured)]
    if not due and not copied.bronze:
        return absent(Step.BRONZE, "not captured yet: `lims capture --once` carries it there")
    facts = {"rows": list(copied.bronze), "not_yet_captured": len(known.entries) - len(due)}
    there = {row["seq"]: row for row in copied.bronze}
    pairs: list[Pair] = [
        (f"body of change {entry.seq}", entry.body_sha256, there.get(entry.seq, {}).get("body_sha256")) for entry in due
    ]
    in_ledger = {entry.seq for entry in known.entries}
    pairs.append(("changes that the ledger has not", [], sorted(set(there) - in_ledger)))
    pairs.append(("each once", len(there), len(copied.bronze)))
    return compared(Step.BRONZE, pairs, facts)


def is_captured(xid: int, snapshot: str) -> bool:
    """Whether a transaction was over in the database's snapshot up to which the lake is filled."""
    found = _SNAPSHOT.fullmatch(snapshot)
    if found is None:
        return False
    return xid < int(found[2]) and str(xid) not in found[3].split(",")


def _mart(known: Known, copied: Copied) -> Link:
    loaded = {row["seq"] for row in copied.bronze if row["capture"] <= copied.loaded}
    entry = next((one for one in reversed(known.entries) if one.seq in loaded), None)
    if entry is None and copied.mart is None:
        return absent(Step.MART, "not modelled yet: `lims pipelines run --select warehouse` builds it")
    if copied.mart is None:
        if known.definition.is_restricted:
            return absent(Step.MART, "a restricted test: no mart holds it")
        return compared(Step.MART, [("row", "one", None)])
    facts = {"value": copied.mart.get("value"), "flag": copied.mart.get("flag"), "status": copied.mart.get("status"),
             "as_of_change": entry and entry.seq, "changes_since": len(known.entries) - len(loaded)}  # fmt: skip
    if entry is None:
        return compared(Step.MART, [("row", None, "one that the lake has not")], facts)
    return compared(Step.MART, _as_modelled(_after(entry), copied.mart), facts)


def _as_modelled(after: Mapping[str, Any], mart: Mapping[str, Any]) -> Iterator[Pair]:
    patient = str(after.get("patient_id")).encode()
    yield "patient_key", md5(patient, usedforsecurity=False).hexdigest(), mart.get("patient_key")  # as dbt hashes
    for name in _TEXTS:
        yield name, after.get(name), mart.get(name)
    for name in _NUMBERS:
        yield name, _number(after.get(name)), _number(mart.get(name))
    for name in _TIMES:
        yield name, _time(after.get(name)), _time(mart.get(name))
    yield "reasons", ",".join(after.get("reasons") or []), mart.get("reasons") or ""


def _number(value: Any) -> float | None:
    return None if value is None else float(Decimal(str(value)))


def _time(value: Any) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)
