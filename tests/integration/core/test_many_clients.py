"""More clients than connections: nobody waits for ever, everybody is answered, and what is repeated happens once."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, cast
from uuid import UUID

import anyio.to_thread
import httpx
import psycopg
import pytest
from fastapi import Depends, FastAPI, Response
from pydantic import BaseModel
from sqlalchemy import Connection, create_engine, select, text
from sqlalchemy.orm import Session
from starlette.types import ASGIApp, Receive, Scope, Send

from lims_api.app import Services, build
from lims_api.core.db import Database, actor_of, open_database, transaction
from lims_api.core.http import Caller, RequestLog, command, install_problems, read_row, requires
from lims_api.core.permissions import Permission
from lims_api.organizations.models import Site, SiteKind
from tests.conftest import Environment
from tests.factories import organization, staff

CONNECTIONS, CLIENTS = 4, 32
PATIENCE = 30.0


class SiteIn(BaseModel):
    code: str


class SiteOut(BaseModel):
    id: UUID
    code: str


_SITE = "select json_build_object('id', id, 'code', code)::text from lims.sites where code = %(code)s"


def application(database: Database) -> FastAPI:
    """A small API on the real parts: a hot read, an ORM read, a command and a route that the caller may not use."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = CONNECTIONS
        yield {"database": database, "services": None}

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(RequestLog)
    install_problems(app)

    @app.get("/sites/{code}")
    @requires(Permission.SITE_READ)
    def hot(code: str, caller: Caller) -> Response:
        body, _ = read_row(
            caller, _SITE, {"code": code}, action="site.read", whose="null, id from lims.sites where code = %(code)s"
        )
        return Response(body, media_type="application/json")

    @app.get("/slow/{code}")
    @requires(Permission.SITE_READ)
    def slow(code: str, caller: Caller) -> SiteOut:
        with transaction(caller) as session:
            session.execute(text("select pg_sleep(0.01)"))
            found = session.scalars(select(Site).where(Site.code == code)).one()
            return SiteOut(id=found.id, code=found.code)

    @app.post("/sites")
    @requires(Permission.CATALOGUE_APPROVE)
    def add(body: SiteIn, caller: Caller) -> Response:
        def work(session: Session) -> SiteOut:
            tenant = actor_of(session).organization_id
            site = Site(organization_id=tenant, code=body.code, name="Centre", kind=SiteKind.LAB)
            session.add(site)
            session.flush()
            return SiteOut(id=site.id, code=site.code)

        return command(caller, work, status=201)

    @app.get("/restricted")
    @requires(Permission.RESTRICTED_READ)
    def restricted(caller: Caller) -> Response:
        read_row(caller, "select '{}'", {}, action="x", whose="null, id from lims.sites")
        return Response("{}")  # pragma: no cover

    return app


def with_state(app: ASGIApp, state: dict[str, Any]) -> ASGIApp:
    """What a server does: the lifespan's state in every request's scope."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    return run


async def _all(app: FastAPI, token: str, requests: list[httpx.Request]) -> list[httpx.Response]:
    async with app.router.lifespan_context(app) as state:
        transport = httpx.ASGITransport(with_state(app, dict(state or {})), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            waiting = iter(requests)
            answers: list[httpx.Response] = []

            async def one_client() -> None:
                for request in waiting:
                    request.headers["Authorization"] = f"Bearer {token}"
                    answers.append(await client.send(request))

            await asyncio.wait_for(asyncio.gather(*(one_client() for _ in range(CLIENTS))), PATIENCE)
            return answers


def send(app: FastAPI, token: str, requests: list[httpx.Request]) -> list[httpx.Response]:
    """All requests by 32 clients at once."""
    return asyncio.run(_all(app, token, requests))


@pytest.fixture(scope="module")
def database(environment: Environment) -> Iterator[Database]:
    database = open_database(environment.url("lims_app"), environment.keys, connections=CONNECTIONS)
    yield database
    database.close()


@pytest.fixture(scope="module")
def laboratory(environment: Environment) -> tuple[UUID, str]:
    tenant = organization(environment)
    return tenant, staff(environment, tenant, [Permission.SITE_READ, Permission.CATALOGUE_APPROVE])


def get(path: str) -> httpx.Request:
    return httpx.Request("GET", f"http://test{path}")


def post(code: str, key: str) -> httpx.Request:
    return httpx.Request("POST", "http://test/sites", json={"code": code}, headers={"Idempotency-Key": key})


def test_32_clients_on_4_connections_are_each_answered(
    environment: Environment, database: Database, laboratory: tuple[UUID, str]
) -> None:
    tenant, token = laboratory
    app = application(database)
    assert send(app, token, [post("main", "first")])[0].status_code == 201
    paths = ("/sites/main", "/slow/main", "/slow/main", "/restricted", "/sites/nowhere")
    requests = [
        request for number in range(CLIENTS) for request in (*map(get, paths), post(f"site-{number}", f"key-{number}"))
    ]
    began = time.monotonic()

    answers = send(app, token, requests)

    assert Counter(answer.status_code for answer in answers) == {200: 96, 201: 32, 403: 32, 404: 32}
    assert time.monotonic() - began < PATIENCE / 2
    assert {answer.headers["content-type"] for answer in answers if answer.status_code >= 400} == {
        "application/problem+json"
    }
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    with psycopg.connect(environment.superuser_dsn) as connection:
        row = connection.execute(
            "select count(*) filter (where action = 'site.read'), count(distinct request_id) from lims.access_log"
            " where organization_id = %s",
            [tenant],
        ).fetchone()
    assert row == (32, 32), "each read that found something is in the log of reads, and no other"


def _cut(environment: Environment) -> None:
    with psycopg.connect(environment.superuser_dsn, autocommit=True) as connection:
        cut = connection.execute(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            " where usename = 'lims_app' and datname = current_database()"
        ).fetchone()
    assert cut is not None
    assert cut[0] >= 1


def test_reads_go_on_over_connections_that_the_server_has_cut(
    environment: Environment, database: Database, laboratory: tuple[UUID, str]
) -> None:
    """As after a restart: every idle connection is dead, and nobody has tried it out."""
    app = application(database)
    api = build(database, cast(Services, None))
    send(app, laboratory[1], [post("cut", "cut")])
    assert send(api, laboratory[1], [get("/healthz")])[0].status_code == 200
    _cut(environment)
    assert send(api, laboratory[1], [get("/healthz")])[0].status_code == 200
    assert {answer.status_code for answer in send(app, laboratory[1], [get("/sites/cut")] * 8)} == {200}
    _cut(environment)

    answers = send(app, laboratory[1], [get("/sites/cut") for _ in range(CLIENTS)])

    assert Counter(answer.status_code for answer in answers) == {200: CLIENTS}


@pytest.mark.req("2.1.1")
def test_a_write_that_all_clients_repeat_at_once_happens_once(
    environment: Environment, database: Database, laboratory: tuple[UUID, str]
) -> None:
    tenant, token = laboratory
    requests = [post("same", "the-same-key") for _ in range(CLIENTS * 2)]

    answers = send(application(database), token, requests)

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert sum("idempotent-replay" not in answer.headers for answer in answers) == 1
    with psycopg.connect(environment.superuser_dsn) as connection:
        rows = connection.execute(
            "select count(*) from lims.sites where organization_id = %s and code = 'same'", [tenant]
        ).fetchone()
    assert rows == (1,)


def test_strangers_in_numbers_do_not_hold_up_those_who_belong(database: Database, laboratory: tuple[UUID, str]) -> None:
    _, token = laboratory
    app = application(database)
    send(app, token, [post("open", "open")])
    requests = [get("/sites/open") for _ in range(CLIENTS * 2)]

    async def both() -> tuple[list[httpx.Response], list[httpx.Response]]:
        strangers, members = await asyncio.gather(
            _all(app, "a token of nobody", [get("/slow/open") for _ in range(CLIENTS * 2)]),
            _all(app, token, requests),
        )
        return strangers, members

    strangers, members = asyncio.run(both())

    assert {answer.status_code for answer in strangers} == {401}
    assert {answer.status_code for answer in members} == {200}


def test_a_session_held_over_thread_hops_would_hang_so_this_test_can_fail(environment: Environment) -> None:
    """The forbidden shape: a `yield` dependency that holds a connection while its request waits for a thread."""
    engine = create_engine(environment.url("lims_app"), pool_size=CONNECTIONS, max_overflow=0, pool_timeout=0.2)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = CONNECTIONS
        yield {}

    app = FastAPI(lifespan=lifespan)

    def connection() -> Iterator[Connection]:
        with engine.begin() as opened:
            opened.execute(text("select 1"))
            yield opened

    @app.get("/held")
    def held(opened: Annotated[Connection, Depends(connection)]) -> dict[str, int]:
        return {"answer": opened.execute(text("select 1")).scalar_one()}

    answers = send(app, "", [get("/held") for _ in range(CLIENTS)])
    engine.dispose()

    assert Counter(answer.status_code for answer in answers)[500] > 0
