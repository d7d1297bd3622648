"""Ports for test servers: below the range that the kernel gives out, each xdist worker with its own share."""

import os
from collections.abc import Iterator

SHARES = 8


def ports(first: int, last: int) -> Iterator[int]:
    """This worker's ports of the range, once each: another worker cannot take one between looking and binding."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % SHARES
    return iter(range(first + worker, last, SHARES))
