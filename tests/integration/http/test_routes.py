"""Every route of the application: done for who may, refused for who may not, and nobody else's rows by any of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.routing import APIRoute

from lims_api.app import ROUTERS, Services, build
from lims_api.catalogue import service as catalogue
from lims_api.catalogue.schemas import PanelIn
from lims_api.core.clock import utc_now
from lims_api.core.ids import uuid7
from lims_api.core.permissions import Permission
from lims_api.results.autoverification import RULES_VERSION
from tests.factories import organization, staff
from tests.integration.laboratory import LOT, MATERIAL, Answer, Laboratory, batch, message

OPEN = {("POST", "/v1/sessions"), ("GET", "/healthz"), ("GET", "/verify/{code}")}
"""What needs no session."""
READS = {("POST", "/v1/sessions"), ("POST", "/v1/patients/search"), ("POST", "/v1/sync/push")}
"""POST that changes nothing that a repeat would change twice; a pushed command has its own id."""
ALL = tuple(Permission)


def routes_of(holder: Any) -> Iterator[APIRoute]:
    """Every route, also of the routers that an application includes."""
    for route in holder.routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from routes_of(route.original_router)


def application() -> Any:
    return build(None, Services(models=None, files_folder=Path()))  # type: ignore[arg-type]  # never started


ROUTES = {(method, route.path): route for route in routes_of(application()) for method in sorted(route.methods or ())}
GUARDED = sorted(ROUTES.keys() - OPEN)


def permission_of(route: tuple[str, str]) -> Permission:
    declared: Permission = ROUTES[route].endpoint.permission  # type: ignore[attr-defined]
    return declared


# what the application declares


def test_the_walk_finds_every_route_that_the_application_documents() -> None:
    documented = {
        (method.upper(), path) for path, methods in application().openapi()["paths"].items() for method in methods
    }

    assert documented == ROUTES.keys() - {("GET", "/healthz")}
    assert len(ROUTES) > 25


def test_every_router_is_mounted() -> None:
    assert {route.path for router in ROUTERS for route in routes_of(router)} <= {path for _, path in ROUTES}


@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
def test_every_route_declares_the_permission_it_needs(route: tuple[str, str]) -> None:
    assert isinstance(getattr(ROUTES[route].endpoint, "permission", None), Permission)


@pytest.mark.parametrize("route", sorted(OPEN), ids=" ".join)
def test_signing_in_and_the_probe_need_none(route: tuple[str, str]) -> None:
    assert not hasattr(ROUTES[route].endpoint, "permission")


# what each does


@dataclass(frozen=True)
class Doing:
    """A request that succeeds, and the status that says so."""

    path: str
    body: Any = None
    status: int = 200


def _order(lab: Laboratory) -> Doing:
    body = {"patient_id": str(lab.person().id), "site_id": str(lab.site_id), "tests": ["GLU"]}
    return Doing("/v1/orders", body, 201)


def _uncollected(lab: Laboratory) -> str:
    order_id: str = lab.post("/v1/orders", _order(lab).body, by="reception")["id"]
    return order_id


def _held(lab: Laboratory) -> str:
    held: str = lab.measure(flags=("A",)).line()["id"]
    return held


def _entry(lab: Laboratory) -> Doing:
    value = {"order_test_id": _order_test(lab), "value_text": "85"}
    return Doing("/v1/results", {"values": [value], "measured_at": TIMES["received_at"]}, 201)


def _order_test(lab: Laboratory) -> str:
    ((found,),) = lab.rows("select id from lims.order_tests where order_id = %s", lab.draw().order_id)
    return str(found)


def _call(lab: Laboratory) -> Doing:
    critical = lab.measure(values={"GLU": "30"}).line()["id"]
    body = {"result_id": critical, "called_at": TIMES["received_at"], "outcome": "not_reached"}
    return Doing("/v1/critical-calls", body, 201)


def _parked(lab: Laboratory) -> str:
    control_id = uuid4().hex
    lab.deliver(message("NOBODY", [lab.observation("GLU")], control_id=control_id))
    ((found,),) = lab.rows(
        "select p.id from lims.parked_observations p join lims.instrument_messages m on m.id = p.message_id"
        " where m.control_id = %s", control_id,
    )  # fmt: skip
    return str(found)


def _control(lab: Laboratory) -> dict[str, Any]:
    return {
        "analyser_id": str(lab.another_analyser("GLU").id), "material": MATERIAL, "lot_number": LOT, "level": 1,
        "test_code": "GLU", "value": "100.1", "unit": "mg/dL", "occurred_at": utc_now().isoformat(),
    }  # fmt: skip


def _messages(lab: Laboratory) -> Any:
    drawn = lab.draw()
    sent = message(drawn.accession, lab.observations(drawn), drawn.person.stated())
    return batch(sent).model_dump(mode="json")


def _new_version(lab: Laboratory) -> str:
    code = f"T{uuid4().hex[:8].upper()}"
    with lab.session("manager") as session:
        catalogue.add_version(session, lab.definitions["GLU"].model_copy(update={"code": code}))
    return code


def _new_panel(lab: Laboratory) -> str:
    code = f"P{uuid4().hex[:8].upper()}"
    with lab.session("manager") as session:
        catalogue.add_panels(session, [PanelIn(code=code, name="A panel", tests=["GLU"], source="EXAMPLE")])
    return code


def _report(lab: Laboratory) -> tuple[UUID, str]:
    order_id = lab.measure().drawn.order_id
    lab.settle()
    return order_id, lab.get(f"/v1/orders/{order_id}/reports")[0]["id"]


def _standing() -> dict[str, Any]:
    return {
        "rules_version": RULES_VERSION, "model_version": "of a test", "test_codes": ["GLU"],
        "valid_to": (utc_now() + timedelta(days=1)).isoformat(),
    }  # fmt: skip


def _command() -> dict[str, Any]:
    """Of an app whose user may push and nothing else."""
    return {
        "id": str(uuid7()), "name": "nothing.known", "body": {}, "made_at": TIMES["received_at"], "device": str(uuid4())
    }  # fmt: skip


SWITCH = {"scope": "test", "target": "TBIL", "off": False, "reason": "test_of_routes"}
PERSON = {"name": "Savitri Example", "sex": "female"}
TIMES = {"collected_at": utc_now().isoformat(), "received_at": utc_now().isoformat()}
REJECTION = {"rejected_at": utc_now().isoformat(), "reason": "clotted"}
CORRECTION = {"value_text": "91", "reason": "dilution_error"}

DOING: dict[tuple[str, str], Callable[[Laboratory], Doing]] = {
    ("DELETE", "/v1/sessions/current"): lambda _: Doing("/v1/sessions/current"),
    ("GET", "/v1/dashboard-link"): lambda _: Doing("/v1/dashboard-link"),
    ("GET", "/v1/me"): lambda _: Doing("/v1/me"),
    ("GET", "/v1/sites"): lambda _: Doing("/v1/sites"),
    ("GET", "/v1/tests"): lambda _: Doing("/v1/tests"),
    ("POST", "/v1/tests/{code}/approve"): lambda lab: Doing(f"/v1/tests/{_new_version(lab)}/approve"),
    ("GET", "/v1/panels"): lambda _: Doing("/v1/panels"),
    ("POST", "/v1/panels/{code}/approve"): lambda lab: Doing(f"/v1/panels/{_new_panel(lab)}/approve"),
    ("GET", "/v1/analysers"): lambda _: Doing("/v1/analysers"),
    ("POST", "/v1/controls"): lambda lab: Doing("/v1/controls", _control(lab), 201),
    ("POST", "/v1/patients"): lambda _: Doing("/v1/patients", PERSON, 201),
    ("POST", "/v1/patients/search"): lambda _: Doing("/v1/patients/search", {"name": "savitri"}),
    ("GET", "/v1/patients/{patient_id}"): lambda lab: Doing(f"/v1/patients/{lab.person().id}"),
    ("POST", "/v1/orders"): _order,
    ("GET", "/v1/orders/{order_id}"): lambda lab: Doing(f"/v1/orders/{lab.measure().drawn.order_id}"),
    ("POST", "/v1/specimens"): lambda lab: Doing(
        "/v1/specimens", {"order_id": _uncollected(lab), "collected_at": TIMES["collected_at"]}, 201
    ),
    ("GET", "/v1/specimens/{accession_number}"): lambda lab: Doing(f"/v1/specimens/{lab.draw().accession}"),
    ("POST", "/v1/specimens/{accession_number}/receive"): lambda lab: Doing(
        f"/v1/specimens/{lab.draw(receive=False).accession}/receive", {"received_at": TIMES["received_at"]}
    ),
    ("POST", "/v1/specimens/{accession_number}/reject"): lambda lab: Doing(
        f"/v1/specimens/{lab.draw().accession}/reject", REJECTION
    ),
    ("POST", "/v1/ingest/messages"): lambda lab: Doing("/v1/ingest/messages", _messages(lab)),
    ("GET", "/v1/results/held"): lambda _: Doing("/v1/results/held"),
    ("GET", "/v1/results/{result_id}"): lambda lab: Doing(f"/v1/results/{_held(lab)}"),
    ("POST", "/v1/results/authorise"): lambda lab: Doing("/v1/results/authorise", {"result_ids": [_held(lab)]}),
    ("POST", "/v1/results/{result_id}/reject"): lambda lab: Doing(f"/v1/results/{_held(lab)}/reject"),
    ("POST", "/v1/results/{result_id}/correct"): lambda lab: Doing(
        f"/v1/results/{_held(lab)}/correct", CORRECTION, 201
    ),
    ("POST", "/v1/results"): _entry,
    ("POST", "/v1/results/verify"): lambda lab: Doing("/v1/results/verify", {"result_ids": [_held(lab)]}),
    ("POST", "/v1/critical-calls"): _call,
    ("GET", "/v1/critical-calls/waiting"): lambda _: Doing("/v1/critical-calls/waiting"),
    ("POST", "/v1/parked/{parked_id}/set-aside"): lambda lab: Doing(
        f"/v1/parked/{_parked(lab)}/set-aside", {"reason": "not_ours"}
    ),
    ("GET", "/v1/parked"): lambda _: Doing("/v1/parked"),
    ("GET", "/v1/ingest/messages"): lambda _: Doing("/v1/ingest/messages"),
    ("POST", "/v1/release-switches"): lambda _: Doing("/v1/release-switches", SWITCH, 201),
    ("POST", "/v1/standing-authorisations"): lambda _: Doing("/v1/standing-authorisations", _standing(), 201),
    ("GET", "/v1/orders/{order_id}/reports"): lambda lab: Doing(f"/v1/orders/{_report(lab)[0]}/reports"),
    ("GET", "/v1/sync/pull"): lambda _: Doing("/v1/sync/pull"),
    ("POST", "/v1/sync/push"): lambda _: Doing("/v1/sync/push", {"commands": [_command()]}),
    ("GET", "/v1/reports/{report_id}/pdf"): lambda lab: Doing(f"/v1/reports/{_report(lab)[1]}/pdf"),
}
WRITES = [route for route in GUARDED if route[0] == "POST" and route not in READS]
BY_ID = [route for route in GUARDED if "{" in route[1]]


@pytest.fixture(scope="module")
def everybody(lab: Laboratory) -> str:
    """The token of one who holds every permission."""
    return lab.someone(*ALL)


@pytest.fixture(scope="module")
def stranger(lab: Laboratory) -> str:
    """The token of one who holds every permission in another laboratory."""
    return staff(lab.environment, organization(lab.environment), ALL)


def test_every_route_is_in_these_tests() -> None:
    assert DOING.keys() == set(GUARDED)


def does(lab: Laboratory, route: tuple[str, str], doing: Doing, *, by: str, **more: str) -> Answer:
    return lab.call(route[0], doing.path, doing.body, by=by, **more)


@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
def test_who_holds_the_permission_alone_succeeds(lab: Laboratory, route: tuple[str, str]) -> None:
    doing = DOING[route](lab)

    answer = does(lab, route, doing, by=lab.someone(permission_of(route)))

    assert answer.status_code == doing.status, answer.text


@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
def test_who_holds_every_other_permission_is_refused_by_its_name(lab: Laboratory, route: tuple[str, str]) -> None:
    doing, needed = DOING[route](lab), permission_of(route)
    token = lab.someone(*(permission for permission in ALL if permission is not needed))
    before = _state(lab)

    answer = does(lab, route, doing, by=token)

    assert (answer.status_code, answer.json()["permission"]) == (403, needed.value)
    assert needed.value in answer.json()["detail"]
    assert _state(lab) == before


@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
@pytest.mark.parametrize("header", ["", "Basic dXNlcjpwYXNz", "Bearer", "Bearer "])
def test_without_a_session_nothing_is_looked_at(lab: Laboratory, route: tuple[str, str], header: str) -> None:
    path = re.sub(r"\{\w+\}", str(uuid4()), route[1])

    answer = lab.client.request(route[0], path, headers={"Authorization": header})

    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]) == (401, "unauthenticated")


@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
def test_with_an_unknown_session_nothing_is_done(lab: Laboratory, route: tuple[str, str]) -> None:
    doing = DOING[route](lab)
    before = _state(lab)

    answer = does(lab, route, doing, by="unknown")

    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]) == (401, "unauthenticated")
    assert _state(lab) == before


@pytest.mark.parametrize("route", WRITES, ids=" ".join)
def test_a_write_without_a_key_is_refused(lab: Laboratory, route: tuple[str, str], everybody: str) -> None:
    doing = DOING[route](lab)
    before = _state(lab)

    answer = lab.client.request(route[0], doing.path, json=doing.body, headers={"Authorization": f"Bearer {everybody}"})

    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]) == (400, "idempotency-key-missing")
    assert _state(lab) == before


@pytest.mark.parametrize("route", WRITES, ids=" ".join)
def test_a_write_again_under_its_key_is_answered_and_not_done_again(
    lab: Laboratory, route: tuple[str, str], everybody: str
) -> None:
    doing, key = DOING[route](lab), str(uuid4())
    first = does(lab, route, doing, by=everybody, key=key)
    before = _state(lab)

    again = does(lab, route, doing, by=everybody, key=key)
    other = lab.call(route[0], doing.path, _other(doing.body or {}), by=everybody, key=key)

    assert (first.status_code, again.status_code) == (doing.status, doing.status)
    assert first.content == again.content
    assert again.headers["idempotent-replay"] == "true"
    assert "idempotent-replay" not in first.headers
    assert (other.status_code, other.json()["type"].rsplit("/", 1)[-1]) == (409, "idempotency-key-reused")
    assert _state(lab) == before


def _other(body: dict[str, Any]) -> dict[str, Any]:
    """The same, differing in what the route takes: another field that may be absent, or one that it does not know."""
    if "messages" in body:
        return body | {"clock_offset_ms": 1}
    if "name" in body:
        return body | {"phone": "98450 12345"}
    return body | {"unknown": 1}


@pytest.mark.req("3.13.1")
@pytest.mark.parametrize("route", BY_ID, ids=" ".join)
def test_what_is_another_laboratorys_does_not_exist_and_stays_as_it_is(
    lab: Laboratory, route: tuple[str, str], stranger: str
) -> None:
    doing = DOING[route](lab)
    before = _state(lab)

    answer = does(lab, route, doing, by=stranger)
    other = _nowhere(route)
    nowhere = lab.call(route[0], other, doing.body, by=stranger)

    assert answer.status_code == nowhere.status_code == 404
    assert _telling(answer, doing.path) == _telling(nowhere, other)
    assert _state(lab) == before


def _nowhere(route: tuple[str, str]) -> str:
    """The path of what nobody has."""
    nothing = "NOTHING" if "{code}" in route[1] else str(uuid4()) if "_id}" in route[1] else "9900000000"
    return re.sub(r"\{\w+\}", nothing, route[1])


def _telling(answer: Answer, path: str) -> Any:
    """What an answer says, apart from the id that was asked for."""
    asked = path.split("/")[3]
    return {name: str(value).replace(asked, "…") for name, value in answer.json().items()}


@pytest.mark.req("3.13.1")
def test_another_laboratorys_ids_in_a_body_are_unknown(lab: Laboratory, stranger: str) -> None:
    order, held = _order(lab).body, _held(lab)
    bodies: list[tuple[str, Any]] = [
        ("/v1/orders", order),
        ("/v1/specimens", {"order_id": _uncollected(lab), "collected_at": TIMES["collected_at"]}),
        ("/v1/results/authorise", {"result_ids": [held]}),
        ("/v1/results/verify", {"result_ids": [held]}),
        ("/v1/results", _entry(lab).body),
        ("/v1/critical-calls", _call(lab).body),
        ("/v1/release-switches", SWITCH | {"scope": "analyser", "target": str(lab.analyser.id)}),
        ("/v1/release-switches", SWITCH | {"scope": "lab", "target": str(lab.site_id)}),
        ("/v1/controls", _control(lab)),
    ]
    before = _state(lab)

    answers = [lab.call("POST", path, body, by=stranger) for path, body in bodies]

    assert [answer.status_code for answer in answers] == [404] * len(bodies)
    assert _state(lab) == before


@pytest.mark.req("3.13.1")
def test_another_laboratorys_patient_or_site_cannot_be_mixed_into_ones_own_order(
    lab: Laboratory, stranger: str
) -> None:
    other = lab.post("/v1/patients", PERSON, by=stranger)["id"]

    answers = [
        lab.call("POST", "/v1/orders", _order(lab).body | {"patient_id": other}, by="reception"),
        lab.call("POST", "/v1/orders", _order(lab).body | {"patient_id": other}, by=stranger),
    ]

    assert [answer.status_code for answer in answers] == [404, 404]


@pytest.mark.req("3.13.1")
@pytest.mark.parametrize(
    "path",
    [
        "/v1/sites",
        "/v1/tests",
        "/v1/panels",
        "/v1/analysers",
        "/v1/results/held",
        "/v1/critical-calls/waiting",
        "/v1/parked",
        "/v1/ingest/messages",
    ],
)
def test_another_laboratorys_lists_are_its_own(lab: Laboratory, stranger: str, path: str) -> None:
    _held(lab), _call(lab), _parked(lab)
    listed = lab.get(path, by=stranger)

    assert (listed["items"] if isinstance(listed, dict) else listed) == []


@pytest.mark.req("3.13.1")
def test_a_key_used_by_one_is_no_repeat_for_another(lab: Laboratory, stranger: str, everybody: str) -> None:
    key = str(uuid4())

    answers = [lab.call("POST", "/v1/patients", PERSON, by=by, key=key) for by in (everybody, stranger, "reception")]

    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({answer.json()["id"] for answer in answers}) == 3


def _state(lab: Laboratory) -> int:
    """How many changes the ledger has seen of this laboratory."""
    ((changes,),) = lab.rows("select count(*) from lims.ledger where organization_id = %s", lab.organization_id)
    return int(changes)


# refusals in one shape


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/v1/nothing", 404, "not-found"),
        ("GET", "/nothing", 404, "not-found"),
        ("PUT", "/v1/orders", 405, "method-not-allowed"),
        ("GET", "/v1/orders/not-an-id", 422, "invalid-request"),
        ("GET", "/v1/results/not-an-id", 422, "invalid-request"),
        ("GET", "/v1/results/held?after=not-an-id", 422, "invalid-request"),
    ],
)
def test_what_cannot_be_is_refused_as_a_problem(
    lab: Laboratory, method: str, path: str, status: int, slug: str
) -> None:
    answer = lab.call(method, path)

    assert (answer.status_code, answer.json()["type"]) == (status, f"https://docs.lims.example/errors/{slug}")


@pytest.mark.parametrize("route", [route for route in WRITES if not route[1].endswith("/approve")], ids=" ".join)
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe"])
def test_what_is_not_a_body_is_refused_without_being_repeated(
    lab: Laboratory, route: tuple[str, str], everybody: str, body: bytes
) -> None:
    path = re.sub(r"\{\w+\}", str(uuid4()), route[1])
    headers = {
        "Authorization": f"Bearer {everybody}", "Idempotency-Key": str(uuid4()), "Content-Type": "application/json",
    }  # fmt: skip

    answer = lab.client.request(route[0], path, content=body, headers=headers)

    assert answer.status_code == (404 if route[1] == "/v1/results/{result_id}/reject" else 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_request_has_an_id_that_its_ledger_entries_bear(lab: Laboratory) -> None:
    request_id = str(uuid4())

    answer = lab.call("POST", "/v1/patients", PERSON, by="reception", **{"X-Request-Id": request_id})

    assert answer.headers["x-request-id"] == request_id
    rows = lab.rows(
        "select request_id, actor_id from lims.ledger where table_name = 'patients' and row_id = %s",
        answer.json()["id"],
    )
    assert rows == [(request_id, lab.users["reception"])]
    assert UUID(lab.call("GET", "/v1/me").headers["x-request-id"]).version == 7


def test_the_probe_answers_without_a_session(lab: Laboratory) -> None:
    answer = lab.client.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_more_clients_than_connections_are_all_served(lab: Laboratory) -> None:
    order_id = lab.measure().drawn.order_id

    def ask(number: int) -> int:
        if number % 2:
            return lab.call("GET", f"/v1/orders/{order_id}").status_code
        return lab.call("POST", "/v1/patients", PERSON, by="reception").status_code

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(ask, range(48))) == {200, 201}
