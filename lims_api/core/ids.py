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
    global _last  # noqa: PLW0603  a process-wide order needs process-wide state
    with _lock:
        now = time.time_ns() * 4096 // 1_000_000
        _last = max(now, _last + 1)
        ticks = _last
    random = int.from_bytes(os.urandom(8)) & ((1 << 62) - 1)
    value = ((ticks >> 12) & ((1 << 48) - 1)) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64 | 0b10 << 62 | random
    return UUID(int=value)


def derived(key: UUID, name: str) -> UUID:
    """The identifier of something that belongs to a row and has none of its own: version 8, the same every time."""
    digest = int.from_bytes(sha256(key.bytes + name.encode()).digest()[:16])
    return UUID(int=digest & ~(0xF << 76) & ~(0b11 << 62) | 0x8 << 76 | 0b10 << 62)
