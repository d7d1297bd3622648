"""The front desk: registers patients, places orders, collects and receives specimens over the core's public API.

It has no other rights than the user it signs in as. A person's data are only ever in request bodies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx

from ingest.virtual_lab.patients import Person

ATTEMPTS = 4
PAUSE_SECONDS = 0.5
ORDERED_BEFORE = timedelta(minutes=8)
TRY_AGAIN = frozenset({429, 500, 502, 503, 504})


class RequestRefused(Exception):
    """The core refused a request; carries what its problem document says, never what was sent."""

    def __init__(self, request: str, status: int, kind: str, detail: str) -> None:
        super().__init__(f"{request}: {status} {kind} {detail}".strip())
        self.status = status
        self.kind = kind


class CoreUnreachable(Exception):
    """No answer from the core after several attempts."""


class UnexpectedAnswer(Exception):
    """The core answered in a shape that this client does not know."""


@dataclass(frozen=True, kw_only=True)
class CollectedSpecimen:
    """A container that was drawn and the tests that are measured in it."""

    accession_number: str
    tests: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class OfferedTest:
    """A test of the core's catalogue and the container it needs."""

    code: str
    container: str


@dataclass(frozen=True, kw_only=True)
class PlacedOrder:
    """An order as the core knows it."""

    id: str
    order_number: str


@dataclass(frozen=True, kw_only=True)
class Attended:
    """One patient's order with its specimens at the bench; `registered_now`: the patient was not known before."""

    order: PlacedOrder
    specimens: tuple[CollectedSpecimen, ...]
    registered_now: bool


class FrontDesk:
    """A signed-in user of the core. Thread-safe after `sign_in`, as its HTTP client is."""

    def __init__(self, url: str, *, timeout: float = 30.0) -> None:
        self._http = httpx.Client(base_url=url.rstrip("/"), timeout=timeout)

    def __enter__(self) -> FrontDesk:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def sign_in(self, *, organization: str, username: str, password: str) -> None:
        """Open a session; every later request is made in it. Raises `RequestRefused`."""
        body = {"organization": organization, "username": username, "password": password}
        answer = self._post("/v1/sessions", body)
        self._http.headers["Authorization"] = f"Bearer {_text(answer, 'token')}"

    def find_patient(self, uhid: str) -> str | None:
        """The id of the patient with this number, or `None`."""
        answer = self._post("/v1/patients/search", {"uhid": uhid})
        hits = answer.get("hits") if isinstance(answer, dict) else None
        if not isinstance(hits, list):
            raise UnexpectedAnswer("POST /v1/patients/search: a list of hits was expected")
        return _text(hits[0], "id") if hits else None

    def register_patient(self, person: Person) -> str:
        """Register a person under their number; returns the id. Raises `RequestRefused` (409: the number is taken)."""
        body = {
            "uhid": person.uhid,
            "name": person.name,
            "phone": person.phone,
            "sex": person.sex,
            "birth_on": person.birth_on.isoformat(),
            "birth_precision": person.birth_precision,
        }
        return _text(self._post("/v1/patients", body), "id")

    def place_order(
        self,
        patient_id: str,
        *,
        site_id: str,
        priority: str,
        tests: tuple[str, ...],
        placed_at: datetime,
        language: str,
    ) -> PlacedOrder:
        """Order tests for a patient, as taken at `placed_at`, with the report in `language`."""
        body = {
            "patient_id": patient_id,
            "site_id": site_id,
            "priority": priority,
            "tests": list(tests),
            "placed_at": placed_at.isoformat(),
            "language": language,
        }
        answer = self._post("/v1/orders", body)
        return PlacedOrder(id=_text(answer, "id"), order_number=_text(answer, "order_number"))

    def collect(
        self, order_id: str, *, tests: tuple[str, ...], at: datetime, labels: Mapping[str, str] | None = None
    ) -> tuple[CollectedSpecimen, ...]:
        """Draw what an order of these tests needs, at `at`; the answer names each container.

        `labels`: accession numbers printed before, by container.
        """
        body: dict[str, object] = {"order_id": order_id, "collected_at": at.isoformat()}
        if labels:
            body["labels"] = [{"container": name, "accession_number": number} for name, number in labels.items()]
        return collected_specimens(self._post("/v1/specimens", body), tests)

    def receive(self, accession_number: str, *, at: datetime) -> None:
        """Book a drawn specimen into the laboratory at `at`."""
        path = f"/v1/specimens/{accession_number}/receive"
        self._post(path, {"received_at": at.isoformat()}, name="POST /v1/specimens/…/receive")

    def has_specimen(self, accession_number: str) -> bool:
        """Whether the laboratory knows a specimen of this number."""
        try:
            self._get(f"/v1/specimens/{accession_number}", name="GET /v1/specimens/…")
        except RequestRefused as refusal:
            if refusal.kind == "unknown-specimen":
                return False
            raise
        return True

    def offered_tests(self) -> list[OfferedTest]:
        """Every test of the catalogue, and the container that it is drawn into."""
        rows = self._get("/v1/tests")
        return [OfferedTest(code=_text(row, "code"), container=_text(row, "container")) for row in rows]

    def heard_messages(self) -> list[dict[str, Any]]:
        """What gateways delivered and what became of it, all pages; needs the right to read messages."""
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            page = self._get("/v1/ingest/messages" + (f"?after={after}" if after else ""), name="GET messages")
            found += page["items"]
            if not page["next"]:
                return found
            after = page["next"]

    def _get(self, path: str, *, name: str = "") -> Any:
        return self._ask("GET", path, None, name or f"GET {path}")

    def _post(self, path: str, body: Mapping[str, object], *, name: str = "") -> Any:
        return self._ask("POST", path, body, name or f"POST {path}")

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None, name: str) -> Any:
        """One request, tried again under the same key while the core is busy, restarting or unreachable."""
        headers = {"Idempotency-Key": str(uuid4())} if body is not None else {}
        for attempt in range(1, ATTEMPTS + 1):
            try:
                response = self._http.request(method, path, json=body, headers=headers)
            except httpx.TransportError as error:
                if attempt == ATTEMPTS:
                    raise CoreUnreachable(f"{name}: {type(error).__name__}") from error
            else:
                if response.status_code not in TRY_AGAIN or attempt == ATTEMPTS:
                    return _answer(name, response)
            time.sleep(PAUSE_SECONDS * attempt)
        raise AssertionError("unreachable")


def attend(
    desk: FrontDesk,
    person: Person,
    *,
    site_id: str,
    priority: str,
    tests: tuple[str, ...],
    collected_at: datetime,
    received_at: Callable[[], datetime],
) -> Attended:
    """The whole way of one patient to the bench: found or registered, ordered, collected, received."""
    known = desk.find_patient(person.uhid)
    order = desk.place_order(
        known or desk.register_patient(person),
        site_id=site_id,
        priority=priority,
        tests=tests,
        placed_at=collected_at - ORDERED_BEFORE,
        language=person.report_language,
    )
    specimens = desk.collect(order.id, tests=tests, at=collected_at)
    for specimen in specimens:
        desk.receive(specimen.accession_number, at=received_at())
    return Attended(order=order, specimens=specimens, registered_now=known is None)


def collected_specimens(answer: Any, tests: tuple[str, ...]) -> tuple[CollectedSpecimen, ...]:
    """Read the answer to a collection. Several containers must say which `tests` are measured in each."""
    rows = answer.get("specimens") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not rows:
        raise UnexpectedAnswer("POST /v1/specimens: a list of specimens was expected")
    return tuple(_specimen(row, tests if len(rows) == 1 else None) for row in rows)


def _specimen(row: Any, only: tuple[str, ...] | None) -> CollectedSpecimen:
    own = row.get("tests") if isinstance(row, dict) else None
    tests = tuple(str(code) for code in own) if isinstance(own, list) else only
    if tests is None:
        raise UnexpectedAnswer("POST /v1/specimens: each of several containers must list its tests")
    return CollectedSpecimen(accession_number=_text(row, "accession_number"), tests=tests)


def _answer(name: str, response: httpx.Response) -> Any:
    try:
        body = response.json() if response.content else {}
    except ValueError as error:
        raise UnexpectedAnswer(f"{name}: {response.status_code} without JSON") from error
    if response.is_success:
        return body
    problem = body if isinstance(body, dict) else {}
    kind = str(problem.get("type", "")).rsplit("/", 1)[-1]
    raise RequestRefused(name, response.status_code, kind, str(problem.get("detail", "")))


def _text(row: Any, name: str) -> str:
    value = row.get(name) if isinstance(row, dict) else None
    if not isinstance(value, str) or not value:
        raise UnexpectedAnswer(f"the answer has no {name}")
    return value
