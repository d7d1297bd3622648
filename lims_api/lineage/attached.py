"""The part of a report that is for computers, out of the file itself; pure."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

from pydantic_core import from_json

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
        content = from_json(zlib.decompressobj().decompress(pdf[found.end() :]))
    except (zlib.error, ValueError):
        return None
    return {line["id"]: line for line in content["results"]}
