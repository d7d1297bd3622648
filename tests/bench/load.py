"""Load for a server on this machine: wrk where it is installed, else an epoll loop of our own."""

from __future__ import annotations

import re
import selectors
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlparse

LUA = """
local paths = {}
for line in io.lines("%s") do paths[#paths + 1] = line end
local n = 0
request = function() n = n %% #paths + 1; return wrk.format("GET", paths[n], %s) end
"""


def requests_per_second(
    url: str, paths: list[str], *, headers: dict[str, str], connections: int, seconds: float
) -> float:
    """GET the paths in turn over keep-alive connections. Every answer must be 200."""
    if shutil.which("wrk"):
        return _wrk(url, paths, headers, connections, seconds)
    return _epoll(url, paths, headers, connections, seconds)


def _wrk(url: str, paths: list[str], headers: dict[str, str], connections: int, seconds: float) -> float:
    with tempfile.TemporaryDirectory() as folder:
        listed, script = Path(folder, "paths"), Path(folder, "load.lua")
        listed.write_text("\n".join(paths))
        table = "{" + ", ".join(f'["{name}"] = "{value}"' for name, value in headers.items()) + "}"
        script.write_text(LUA % (listed, table))
        done = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script), url],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    if "Non-2xx" in done or "Socket errors" in done:
        raise RuntimeError(done)
    found = re.search(r"Requests/sec:\s+([\d.]+)", done)
    assert found
    return float(found[1])


def _epoll(url: str, paths: list[str], headers: dict[str, str], connections: int, seconds: float) -> float:
    host, port = urlparse(url).hostname or "127.0.0.1", urlparse(url).port or 80
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    wanted = [f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{head}\r\n".encode() for path in paths]
    selector, answered, sent = selectors.DefaultSelector(), 0, 0
    for _ in range(connections):
        line = socket.create_connection((host, port))
        selector.register(line, selectors.EVENT_READ, bytearray())
        line.sendall(wanted[sent % len(wanted)])
        sent += 1
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        for key, _ in selector.select(0.1):
            line, buffer = key.fileobj, key.data
            assert isinstance(line, socket.socket)
            buffer += line.recv(65536)
            if _whole(buffer):
                if not buffer.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(bytes(buffer[:200]))
                buffer.clear()
                answered += 1
                line.sendall(wanted[sent % len(wanted)])
                sent += 1
    taken = time.perf_counter() - started
    for key in list(selector.get_map().values()):
        key.fileobj.close()  # type: ignore[union-attr]
    return answered / taken


def _whole(buffer: bytearray) -> bool:
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return False
    length = re.search(rb"content-length:\s*(\d+)", buffer[:end], re.IGNORECASE)
    return length is not None and len(buffer) >= end + 4 + int(length[1])
