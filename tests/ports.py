"""Ports for test servers: below the range that the kernel gives out, each xdist worker with its own share."""

import os
import socket
from collections.abc import Iterator

SHARES = 8


def ports(first: int, last: int) -> Iterator[int]:
    """This worker's ports of the range, once each: another worker cannot take one between looking and binding."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % SHARES
    return iter(range(first + worker, last, SHARES))


def free_port(first: int, last: int) -> int:
    """A port of this worker's share of the range that nobody listens on."""
    for port in ports(first, last):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise RuntimeError("no free port")
