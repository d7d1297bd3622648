"""A small application with the patients' routes alone, over the tests' database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lims_api.core.http import RequestLog, install_problems
from lims_api.core.permissions import Permission
from lims_api.patients.router import router
from tests.conftest import Environment
from tests.factories import organization, staff

ALL = (Permission.PATIENT_REGISTER, Permission.PATIENT_READ)


@pytest.fixture(scope="session")
def client(environment: Environment) -> Iterator[TestClient]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        yield {"database": environment.app, "services": None}

    app = FastAPI(lifespan=lifespan)
    app.include_router(router)
    install_problems(app)
    app.add_middleware(RequestLog)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@dataclass(frozen=True)
class Desk:
    """A front desk: one organization, one person signed in there."""

    client: TestClient
    organization_id: UUID
    token: str

    def register(self, *, key: str | None = None, **person: Any) -> httpx.Response:
        headers = self.headers | {"Idempotency-Key": key or str(uuid4())}
        body = {"name": "Lakshmi Sharma", "sex": "female"} | person
        return self._send("POST", "", json=body, headers=headers)

    def search(self, **criteria: Any) -> httpx.Response:
        return self._send("POST", "/search", json=criteria, headers=self.headers)

    def read(self, patient_id: str | UUID) -> httpx.Response:
        return self._send("GET", f"/{patient_id}", headers=self.headers)

    def _send(self, method: str, path: str, **given: Any) -> httpx.Response:
        answer: httpx.Response = self.client.request(method, f"/v1/patients{path}", **given)
        return answer

    def found(self, **criteria: Any) -> list[str]:
        """The ids that a search answers with."""
        answer = self.search(**criteria)
        assert answer.status_code == 200, answer.text
        return [hit["id"] for hit in answer.json()["hits"]]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@pytest.fixture
def desk(environment: Environment, client: TestClient) -> Desk:
    return open_desk(environment, client)


@pytest.fixture
def another_desk(environment: Environment, client: TestClient) -> Desk:
    """Another laboratory's."""
    return open_desk(environment, client)


def open_desk(environment: Environment, client: TestClient, permissions: tuple[Permission, ...] = ALL) -> Desk:
    tenant = organization(environment)
    return Desk(client, tenant, staff(environment, tenant, permissions))
