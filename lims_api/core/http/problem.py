"""Refusals as `application/problem+json` (RFC 9457). A client switches on `type`; each has a page of its name."""

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException as StarletteHTTPException

from lims_api.core.errors import LimsError

TYPE = "https://docs.lims.example/errors/"
log = structlog.get_logger()


def problem_body(instance: str, status: int, slug: str, title: str, detail: str, **facts: Any) -> dict[str, Any]:
    """One refusal as its document; `instance` is the path alone, which holds no personal data."""
    return {"type": TYPE + slug, "title": title, "status": status, "detail": detail, "instance": instance, **facts}


def refusal_body(instance: str, error: LimsError) -> dict[str, Any]:
    """A domain's refusal."""
    return problem_body(instance, error.status, error.slug, error.title, error.detail, **error.facts)


def invalid_body(instance: str, fields: list[dict[str, str]]) -> dict[str, Any]:
    """A body that is not of the documented shape: which fields, and what is wrong with each."""
    return problem_body(
        instance,
        422,
        "invalid-request",
        "The request is not of the documented shape",
        "Correct the named fields and send it again.",
        fields=fields,
    )


def unavailable_body(instance: str) -> dict[str, Any]:
    """The database is away, or too busy to answer."""
    return problem_body(
        instance,
        503,
        "database-unavailable",
        "The database does not answer",
        "Nothing was changed. Send the same request with the same Idempotency-Key again.",
    )


def unexpected_body(instance: str, request_id: str | None) -> dict[str, Any]:
    """What nobody expected; the log has it under the request's id."""
    return problem_body(
        instance,
        500,
        "internal-error",
        "Unexpected error",
        "Nothing was changed. Report the request id.",
        request_id=request_id,
    )


def _answer(body: dict[str, Any]) -> JSONResponse:
    return JSONResponse(body, status_code=body["status"], media_type="application/problem+json")


def install_problems(app: FastAPI) -> None:
    """Render every refusal of the application in one shape."""
    app.add_exception_handler(LimsError, _domain)
    app.add_exception_handler(RequestValidationError, _shape)
    app.add_exception_handler(StarletteHTTPException, _http)
    app.add_exception_handler(OperationalError, _database)
    app.add_exception_handler(Exception, _unexpected)


async def _domain(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, LimsError)  # noqa: S101  registered for it
    return _answer(refusal_body(request.url.path, error))


async def _shape(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  registered for it
    fields = [
        {"field": ".".join(str(part) for part in item["loc"][1:]), "problem": item["msg"]} for item in error.errors()
    ]
    return _answer(invalid_body(request.url.path, fields))


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteHTTPException)  # noqa: S101  registered for it
    slug = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "http-error")
    detail = "See the API reference for the routes there are."
    return _answer(problem_body(request.url.path, error.status_code, slug, str(error.detail), detail))


async def _database(request: Request, error: Exception) -> JSONResponse:
    log.error("database unavailable", error=type(error).__name__)
    answer = _answer(unavailable_body(request.url.path))
    answer.headers["Retry-After"] = "2"
    return answer


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("unexpected error", exc_info=error)
    return _answer(unexpected_body(request.url.path, request.scope.get("request_id")))
