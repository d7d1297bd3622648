"""Identifiers: UUID version 7 (RFC 9562), in time order within a process; version 8 for what belongs to a row."""

import os
import threading
import time
from hashlib import sha256
from uuid import UUID

SYSTEM_ACTOR = UUID("00000000-0000-7000-8000-000000000001")
"""Who the ledger names for work that no person started: jobs, imports, the worker."""

_lock = threading.Lock()
_last = 0


def uuid7() -> UUID:
    """A new identifier: 48 bits of milliseconds, 12 of sub-millisecond order, 62 random."""
    ticks = _take(1)
    random = int.from_bytes(os.urandom(8)) & ((1 << 62) - 1)
    value = ((ticks >> 12) & ((1 << 48) - 1)) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64 | 0b10 << 62 | random
    return UUID(int=value)


def derived(key: UUID, name: str) -> UUID:
    """The identifier of something that belongs to a row and has none of its own: version 8, the same every time."""
    digest = int.from_bytes(sha256(key.bytes + name.encode()).digest()[:16])
    return UUID(int=digest & ~(0xF << 76) & ~(0b11 << 62) | 0x8 << 76 | 0b10 << 62)


def uuid7_texts(count: int) -> list[str]:
    """So many identifiers at once, in order, as 32 hexadecimal digits: for rows by the hundred thousand.

    They take the next moments of the clock: 4,096 of them reach a millisecond ahead.
    """
    first, random = _take(count), os.urandom(8 * count).hex()
    return [
        f"{ticks >> 12:012x}7{ticks & 0xFFF:03x}{_VARIANT[random[at]]}{random[at + 1 : at + 16]}"
        for ticks, at in zip(range(first, first + count), range(0, 16 * count, 16), strict=True)
    ]


_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def _take(count: int) -> int:
    """The first of so many ticks in a row that nobody else in this process gets."""
    global _last  # noqa: PLW0603  a process-wide order needs process-wide state
    with _lock:
        first = max(time.time_ns() * 4096 // 1_000_000, _last + 1)
        _last = first + count - 1
    return first
