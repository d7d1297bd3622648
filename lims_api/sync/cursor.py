"""Where an app stands: the snapshot it has seen, and how far its first load is. Opaque to it, and no secret.

Nothing depends on its being true: what a forged one asks for is still read by the database's rules and the caller's
permissions. One that does not fit the caller's scope, or cannot be read, is none.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lims_api.sync.scope import Scope

_SNAPSHOT = re.compile(r"(\d{1,19}):(\d{1,19}):((?:\d{1,19}(?:,\d{1,19})*)?)")
_LONGEST = 16_000
_MOST = 1 << 63
_FIRST = UUID(int=0)


@dataclass(frozen=True)
class Place:
    """A page of the first load: the stage, and behind which id."""

    stage: int = 0
    after: UUID = _FIRST


@dataclass(frozen=True)
class Cursor:
    """What was seen: every transaction of `snapshot`, or of the first load what lies before `place`."""

    snapshot: str
    place: Place | None = None


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=True)

    version: int = Field(alias="v", ge=1, le=1)
    snapshot: str = Field(alias="s", max_length=_LONGEST)
    scope: str = Field(alias="c", max_length=24)
    stage: int | None = Field(default=None, alias="p", ge=0, le=99)
    after: UUID | None = Field(default=None, alias="a")

    @model_validator(mode="after")
    def _is_a_snapshot(self) -> Self:
        found = _SNAPSHOT.fullmatch(self.snapshot)
        if found is None:
            raise ValueError("not a snapshot")
        first, end = int(found[1]), int(found[2])
        unfinished = [int(one) for one in found[3].split(",") if one]
        inside = all(first <= one < end for one in unfinished)
        if not (0 < first <= end < _MOST and inside and unfinished == sorted(set(unfinished))):
            raise ValueError("not a snapshot")
        return self


def write(cursor: Cursor, scope: Scope) -> str:
    """As the app keeps it."""
    place = cursor.place
    written = _Written(
        v=1, s=cursor.snapshot, c=scope.seal, p=place.stage if place else None, a=place.after if place else None
    )
    text = written.model_dump_json(by_alias=True, exclude_none=True)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read(text: str | None, scope: Scope) -> Cursor | None:
    """The cursor, or None: unreadable, another's, from before a change of permissions, or not of this database."""
    if not text or len(text) > _LONGEST:
        return None
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        written = _Written.model_validate_json(plain)
    except (binascii.Error, ValueError, ValidationError):
        return None
    if written.scope != scope.seal or _end(written.snapshot) > _end(scope.snapshot):
        return None  # the second: a database that was restored does not know this future
    if written.stage is None:
        return Cursor(written.snapshot)
    return Cursor(written.snapshot, Place(written.stage, written.after or _FIRST))


def _end(snapshot: str) -> int:
    return int(snapshot.split(":")[1])
