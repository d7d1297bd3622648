"""The part of a report that is for computers (a FHIR document), out of the file itself; pure."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

_STREAM = re.compile(rb"/EmbeddedFile\b.*?\bstream\r?\n", re.DOTALL)


def line_of(pdf: bytes | None, result_id: UUID) -> Mapping[str, Any] | None:
    """What the attachment says of the result: `{}` when it does not name it, None without an attachment."""
    lines = _lines(pdf) if pdf is not None else None
    return None if lines is None else lines.get(str(result_id), {})


@lru_cache(maxsize=8)
def _lines(pdf: bytes) -> Mapping[str, Mapping[str, Any]] | None:
    found = _STREAM.search(pdf)
    if found is None:
        return None
    try:
        content = json.loads(zlib.decompressobj().decompress(pdf[found.end() :]), parse_float=Decimal)
    except (zlib.error, ValueError):
        return None
    resources = (entry["resource"] for entry in content.get("entry", ()))
    observations = [one for one in resources if one["resourceType"] == "Observation"]
    return {one["id"]: _line(one) for one in observations} or None


def _line(observation: Mapping[str, Any]) -> dict[str, Any]:
    """As the laboratory's own rows say it."""
    quantity = observation.get("valueQuantity", {})
    value = quantity.get("value")
    flags = [coding["code"] for concept in observation.get("interpretation", ()) for coding in concept["coding"]]
    return {
        "loinc": observation["code"]["coding"][0]["code"], "value": None if value is None else Decimal(value),
        "comparator": quantity.get("comparator"), "unit": quantity.get("unit"), "flag": flags[0] if flags else None,
    }  # fmt: skip
