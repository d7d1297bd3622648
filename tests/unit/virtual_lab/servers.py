"""Two small real servers for the virtual laboratory's clients: a gateway's MLLP port, and the routes of the core."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.ports import ports

PORTS = tuple(ports(29_000, 32_000))
Answer = Callable[[str, int], str | None]


def accept_all(control_id: str, nth: int) -> str | None:
    """Every message is accepted."""
    return "AA"


class Gateway:
    """Takes MLLP messages. `answer` gives MSA-1 for a control id and how often it was heard, or `None`: hang up."""

    def __init__(self, answer: Answer = accept_all) -> None:
        self.answer = answer
        self.bodies: list[bytes] = []
        self.connections = 0
        self.port = 0

    def heard(self, control_id: str) -> int:
        """How often this control id was heard."""
        return self.control_ids.count(control_id)

    @property
    def control_ids(self) -> list[str]:
        """MSH-10 of every transmission, in order."""
        return [body.split(b"|", 10)[9].decode() for body in self.bodies]

    def talk(self, line: socket.socket) -> None:
        """Serve one connection until it ends."""
        self.connections += 1
        waiting = b""
        while part := line.recv(4096):
            waiting += part
            while b"\x1c\r" in waiting:
                frame, waiting = waiting.split(b"\x1c\r", 1)
                self.bodies.append(frame.split(b"\x0b", 1)[1])
                control_id = self.control_ids[-1]
                code = self.answer(control_id, self.heard(control_id))
                if code is None:
                    return
                ack = f"MSH|^~\\&|||Mindray|BS-480|||ACK^R01|{control_id}|P|2.3.1\rMSA|{code}|{control_id}\r"
                line.sendall(b"\x0b" + ack.encode() + b"\x1c\r")

    @contextlib.contextmanager
    def running(self) -> Iterator[Gateway]:
        """Listen on a port of 127.0.0.1 until the block ends."""
        gateway = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    gateway.talk(self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        with _listening(lambda address: Server(address, Handler)) as port:
            self.port = port
            yield self


class AstmGateway:
    """Acknowledges whatever an ASTM sender says, and keeps the text of the frames."""

    def __init__(self) -> None:
        self.text = ""
        self.port = 0

    @contextlib.contextmanager
    def running(self) -> Iterator[AstmGateway]:
        """Listen on a port of 127.0.0.1 until the block ends."""
        gateway = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                waiting = b""
                while part := self.request.recv(4096):
                    waiting += part
                    while waiting[:1] in (b"\x04", b"\x05") or waiting.endswith(b"\r\n"):
                        said, waiting = (waiting, b"") if waiting[:1] == b"\x02" else (waiting[:1], waiting[1:])
                        gateway.text += said.decode()
                        if said != b"\x04":
                            self.request.sendall(b"\x06")

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        with _listening(lambda address: Server(address, Handler)) as port:
            self.port = port
            yield self


class Core:
    """The six routes that a front desk needs, with the refusals of the real ones and nothing else."""

    def __init__(self, *, specimens_by_test: dict[str, str] | None = None) -> None:
        self.specimens_by_test = specimens_by_test or {}
        self.patients: dict[str, dict[str, Any]] = {}
        self.orders: list[dict[str, Any]] = []
        self.specimens: dict[str, dict[str, Any]] = {}
        self.replies: dict[str, tuple[int, Any]] = {}
        self.busy_for = 0
        self.lock = threading.Lock()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def handle(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        """One request; status and JSON."""
        with self.lock:
            if self.busy_for > 0:
                self.busy_for -= 1
                return _problem(503, "busy")
            if path != "/v1/sessions" and headers.get("authorization") != "Bearer right":
                return _problem(401, "unauthenticated")
            if path == "/v1/patients/search":
                return 200, {"hits": self._hits(body["uhid"]), "refine": False, "cursor": None}
            key = headers.get("idempotency-key", "")
            if not key:
                return _problem(400, "idempotency-key-missing")
            if key not in self.replies:
                self.replies[key] = self._write(path, body)
            return self.replies[key]

    def _hits(self, uhid: str) -> list[dict[str, Any]]:
        return [{"id": f"p-{uhid}", "uhid": uhid}] if uhid in self.patients else []

    def _write(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path == "/v1/sessions":
            return (201, {"token": "right"}) if body["password"] == "secret" else _problem(401, "wrong-password")
        if path == "/v1/patients":
            if body["uhid"] in self.patients:
                return _problem(409, "uhid-taken")
            self.patients[body["uhid"]] = body
            return 201, {"id": f"p-{body['uhid']}"}
        if path == "/v1/orders":
            self.orders.append(body)
            return 201, {"id": f"o-{len(self.orders)}", "order_number": f"O{len(self.orders)}", "due_at": "later"}
        if path == "/v1/specimens":
            return self._collect(body)
        return self._receive(path.split("/")[3], body)

    def _collect(self, body: dict[str, Any]) -> tuple[int, Any]:
        order = self.orders[int(body["order_id"].removeprefix("o-")) - 1]
        if order.setdefault("is_collected", False):
            return _problem(409, "nothing-to-collect")
        order["is_collected"] = True
        kinds = sorted({self.specimens_by_test.get(code, "serum") for code in order["tests"]})
        rows = [self._draw(order, kind, body["collected_at"]) for kind in kinds]
        return 201, {"specimens": rows}

    def _draw(self, order: dict[str, Any], kind: str, collected_at: str) -> dict[str, Any]:
        accession_number = f"26{len(self.specimens) + 1:08d}"
        tests = [code for code in order["tests"] if self.specimens_by_test.get(code, "serum") == kind]
        self.specimens[accession_number] = {
            "status": "collected",
            "tests": tests,
            "patient_id": order["patient_id"],
            "collected_at": collected_at,
        }
        row = {"id": accession_number, "accession_number": accession_number, "status": "collected"}
        return {**row, "tests": tests} if self.specimens_by_test else row

    def _receive(self, accession_number: str, body: dict[str, Any]) -> tuple[int, Any]:
        specimen = self.specimens.get(accession_number)
        if specimen is None:
            return _problem(404, "not-found")
        if specimen["status"] != "collected":
            return _problem(409, "specimen-not-receivable")
        specimen.update(status="received", received_at=body["received_at"])
        return 200, {"status": "received"}

    @contextlib.contextmanager
    def running(self) -> Iterator[Core]:
        """Listen on a port of 127.0.0.1 until the block ends."""
        core = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                body = json.loads(self.rfile.read(length)) if length else {}
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, answer = core.handle(self.path, headers, body)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """The test's own assertions say what happened."""

        with _listening(lambda address: ThreadingHTTPServer(address, Handler)) as port:
            self.port = port
            yield self


def _problem(status: int, slug: str) -> tuple[int, Any]:
    return status, {"type": f"https://docs.lims.example/errors/{slug}", "status": status, "detail": f"It is {slug}."}


@contextlib.contextmanager
def _listening(make: Callable[[tuple[str, int]], socketserver.TCPServer]) -> Iterator[int]:
    server = _bound(make)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _bound(make: Callable[[tuple[str, int]], socketserver.TCPServer]) -> socketserver.TCPServer:
    for port in PORTS:
        with contextlib.suppress(OSError):
            return make(("127.0.0.1", port))
    raise RuntimeError("no free port")
