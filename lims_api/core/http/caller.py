"""Who calls: taken from the request without touching the database; checked by the transaction's first statement."""

import hashlib
from collections.abc import Callable
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Depends, Request

from lims_api.core.db import Caller, Command
from lims_api.core.errors import Unauthenticated
from lims_api.core.permissions import Permission

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
MAX_KEY = 200


def requires(permission: Permission) -> Callable[[Endpoint], Endpoint]:
    """Declare the one permission of a route; a test fails on a route that declares none."""

    def declare(endpoint: Endpoint) -> Endpoint:
        endpoint.permission = permission  # type: ignore[attr-defined]
        return endpoint

    return declare


async def caller_of(request: Request) -> Caller:
    """The bearer's token (hashed), place and intention."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("Send the session's token: Authorization: Bearer …")
    return Caller(
        database=request.state.database,
        services=request.state.services,
        token_sha256=hashlib.sha256(token.encode()).digest(),
        permission=request.scope["route"].endpoint.permission,
        device=_short(request.headers.get("x-device", "")),
        ip=request.client.host if request.client else "",
        request_id=request.scope["request_id"],
        reason=_code(request.headers.get("x-reason", "")),
        command=await _command(request),
    )


CallerDependency = Annotated[Caller, Depends(caller_of)]


async def _command(request: Request) -> Command | None:
    key = request.headers.get("idempotency-key", "")
    if request.method == "GET" or not key or len(key) > MAX_KEY:
        return None
    body = await request.body()
    route = f"{request.method} {request.url.path}"
    return Command(key=key, route=route, fingerprint=hashlib.sha256(route.encode() + b"\n" + body).digest())


def _short(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return ""


def _code(text: str) -> str:
    """A reason is a code; what a person types is sealed in the row it belongs to."""
    return text if text.replace("_", "").isalnum() and len(text) <= 40 else ""
