"""The core's `POST /v1/ingest/messages` as a gateway meets it: a real server, durable, and able to fail in every way.

It checks the API key and the contract, keeps every message once by (channel, control id, body hash), answers a known
Idempotency-Key with the reply it gave before, and refuses a key that comes with other content.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ingest.contract import Batch, BatchReceipt, Message, Outcome, Receipt
from tests.ports import ports

PORTS = tuple(ports(20_500, 21_400))
PROBLEM = "https://docs.lims.example/errors/"
Key = tuple[str, str, str]


class Fault(StrEnum):
    """What goes wrong with one request. The first three happen before anything is recorded."""

    ERROR_500 = "500"
    CUT_BEFORE = "cut before"
    NOT_PROBLEM_404 = "404 of a proxy"
    ERROR_AFTER = "500 after recording"
    CUT_AFTER = "cut after recording"
    SLOW_AFTER = "silence after recording"
    NONSENSE = "200 with nonsense"


AFTER = {Fault.ERROR_AFTER, Fault.CUT_AFTER, Fault.SLOW_AFTER, Fault.NONSENSE}


@dataclass
class CoreReceiver:
    """The server's state and its knobs. `fault` is asked once a request."""

    database: Path
    api_key: str = "key-for-tests"
    fault: Callable[[], Fault | None] = lambda: None
    refuses: Callable[[Message], bool] = lambda _: False
    conflicts: Callable[[], bool] = lambda: False
    clock_ahead: timedelta = timedelta(0)
    silence: float = 3.0
    port: int = 0
    seen: list[Batch] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._db = sqlite3.connect(self.database, check_same_thread=False, isolation_level=None)
        self._db.executescript(
            """pragma journal_mode = wal; pragma synchronous = full;
            create table if not exists messages (
              position integer primary key, channel text, control_id text, body_sha256 text, message text, kept integer,
              unique (channel, control_id, body_sha256));
            create table if not exists replies (id text primary key, fingerprint text, reply text);"""
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def messages(self) -> list[Message]:
        """Every message recorded, in the order of recording."""
        with self._lock:
            rows = self._db.execute("select message from messages order by position").fetchall()
        return [Message.model_validate_json(row[0]) for row in rows]

    def keys(self) -> list[Key]:
        """Channel, control id and body hash of every message recorded."""
        with self._lock:
            return self._db.execute(
                "select channel, control_id, body_sha256 from messages order by position"
            ).fetchall()

    def answer(self, headers: dict[str, str], body: bytes) -> tuple[int, str, dict[str, Any]]:
        """Status, content type and document, as the core would give them."""
        if headers.get("authorization") != f"Bearer {self.api_key}":
            return _problem(401, "unauthenticated")
        try:
            batch = Batch.model_validate_json(body)
        except ValidationError as reason:
            return _problem(422, "invalid-request", errors=reason.error_count())
        if headers.get("idempotency-key") != str(batch.id):
            return _problem(400, "idempotency-key-missing")
        with self._lock:
            self.seen.append(batch)
            return self._record(batch, sha256(body).hexdigest())

    def _record(self, batch: Batch, fingerprint: str) -> tuple[int, str, dict[str, Any]]:
        known = self._db.execute("select fingerprint, reply from replies where id = ?", (str(batch.id),)).fetchone()
        if known is not None:
            if known[0] != fingerprint:
                return _problem(409, "idempotency-key-reused")
            return 200, "application/json", json.loads(known[1])
        if any(self.refuses(message) for message in batch.messages):
            return _problem(422, "unprocessable")
        if self.conflicts():
            return _problem(409, "concurrent-delivery")
        self._db.execute("begin immediate")
        receipts = tuple(self._keep(message) for message in batch.messages)
        receipt = BatchReceipt(batch_id=batch.id, receipts=receipts, core_clock=datetime.now(UTC) + self.clock_ahead)
        reply = receipt.model_dump_json()
        self._db.execute("insert into replies values (?, ?, ?)", (str(batch.id), fingerprint, reply))
        self._db.execute("commit")
        return 200, "application/json", json.loads(reply)

    def _keep(self, message: Message) -> Receipt:
        key = (message.channel, message.control_id, message.body_sha256)
        new = self._db.execute(
            "insert into messages (channel, control_id, body_sha256, message) values (?, ?, ?, ?)"
            " on conflict do nothing",
            (*key, message.model_dump_json()),
        ).rowcount
        recorded = sum(len(group.observations) for group in message.groups)
        outcome = Outcome.REPEAT if not new else Outcome.PARKED if message.error else Outcome.RECORDED
        return Receipt(
            channel=key[0], control_id=key[1], body_sha256=key[2], outcome=outcome, recorded=recorded if new else 0
        )

    @contextmanager
    def running(self, port: int | None = None) -> Iterator[CoreReceiver]:
        """Serve on 127.0.0.1 until the block ends; `port` for one that must be the same as before."""
        server = _server(self, [port] if port else PORTS)
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    receiver: CoreReceiver


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 30

    def do_POST(self) -> None:
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers["content-length"]))
        fault = receiver.fault()
        if fault is Fault.CUT_BEFORE:
            self._cut()
            return
        if fault is Fault.ERROR_500:
            self._send(500, "application/problem+json", {"type": PROBLEM + "internal-error", "status": 500})
            return
        if fault is Fault.NOT_PROBLEM_404 or self.path != "/v1/ingest/messages":
            self._send(404, "text/html", {})
            return
        status, kind, document = receiver.answer({name.lower(): text for name, text in self.headers.items()}, body)
        self._after(fault, status, kind, document)

    def _after(self, fault: Fault | None, status: int, kind: str, document: dict[str, Any]) -> None:
        if fault is Fault.SLOW_AFTER:
            time.sleep(self.server.receiver.silence)
        if fault in {Fault.CUT_AFTER, Fault.SLOW_AFTER}:
            self._cut()
        elif fault is Fault.ERROR_AFTER:
            self._send(500, "application/problem+json", {"type": PROBLEM + "internal-error", "status": 500})
        elif fault is Fault.NONSENSE:
            self._send(200, "application/json", {"hello": "world"})
        else:
            self._send(status, kind, document)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, status: int, kind: str, document: dict[str, Any]) -> None:
        self.server.receiver.statuses[status] += 1
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not worth a line in a test's output."""


def _problem(status: int, slug: str, **facts: object) -> tuple[int, str, dict[str, Any]]:
    return status, "application/problem+json", {"type": PROBLEM + slug, "status": status, **facts}


def _server(receiver: CoreReceiver, ports: Any) -> _Server:
    for port in ports:
        try:
            server = _Server(("127.0.0.1", port), _Handler)
        except OSError:
            continue
        server.receiver = receiver
        return server
    raise OSError("no free port")
