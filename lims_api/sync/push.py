"""Commands pushed by an app: each its own transaction under its own permission, answered once and for ever by its id.

A refusal is an answer, too, and is kept. Not kept: 401 and 403 (a role can be given later) and 5xx (nothing was
decided); a command that gets a 5xx ends the push, so that what comes behind it never overtakes it.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import structlog
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.orm import Session

from lims_api.core.db import Caller, Command
from lims_api.core.errors import Forbidden, IdempotencyKeyReused, LimsError, Unauthenticated
from lims_api.core.http import (
    Answer,
    answer_once,
    invalid_body,
    keep_refusal,
    refusal_body,
    unavailable_body,
    unexpected_body,
)
from lims_api.core.permissions import Permission
from lims_api.sync.commands import COMMANDS, Kind
from lims_api.sync.errors import CommandIdReused, NotStorable, UnknownCommand
from lims_api.sync.schemas import CommandIn, CommandOut

INSTANCE = "/v1/sync/push"
_NAME_OF_A_FIELD = re.compile(r"[a-z][a-z0-9_]{0,39}")
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
log = structlog.get_logger()


class _InvalidBody(Exception):
    """The body is not of the command's shape; a `ValidationError` from behind it is a fault of ours."""

    def __init__(self, fields: list[dict[str, str]]) -> None:
        super().__init__()
        self.fields = fields


def push(caller: Caller, commands: Sequence[CommandIn]) -> list[CommandOut]:
    """Do the commands in their order. An ended session refuses the whole push: `Unauthenticated`."""
    answers: list[CommandOut] = []
    for wanted in commands:
        answer = _answer(caller, wanted)
        answers.append(CommandOut(id=wanted.id, status=answer.status, reply=json.loads(answer.reply)))
        if answer.status >= 500:
            break
    return answers


def _answer(caller: Caller, wanted: CommandIn) -> Answer:
    """Whatever one command fails with, those before it keep their answers."""
    try:
        return _decided(caller, wanted)
    except Unauthenticated:
        raise
    except IdempotencyKeyReused:
        reused = CommandIdReused("This id belongs to another command, which keeps its answer. Make a new id.")
        return _refused(refusal_body(INSTANCE, reused))
    except Forbidden as error:
        return _refused(refusal_body(INSTANCE, error))
    except OperationalError as error:
        log.error("database unavailable", error=type(error).__name__, command=wanted.name)
        return _refused(unavailable_body(INSTANCE))
    except Exception as error:
        log.error("unexpected error", exc_info=error, command_id=str(wanted.id))
        return _refused(unexpected_body(INSTANCE, caller.request_id))


def _decided(caller: Caller, wanted: CommandIn) -> Answer:
    """The reply or the refusal that stands for ever; raises what is not kept."""
    kind = COMMANDS.get(wanted.name, _UNKNOWN)
    acting = replace(caller, permission=kind.permission, device=str(wanted.device))
    claim = _claim_of(wanted)
    try:
        return answer_once(acting, claim, lambda session: _work(session, kind, wanted.body), status=kind.status)
    except (Unauthenticated, Forbidden, IdempotencyKeyReused):
        raise
    except LimsError as error:
        refusal = refusal_body(INSTANCE, error)
    except _InvalidBody as error:
        refusal = invalid_body(INSTANCE, error.fields)
    except DataError:
        refusal = refusal_body(INSTANCE, NotStorable("Correct the body: a number or date in it is out of range."))
    return keep_refusal(acting, claim, _refused(refusal))


def _work(session: Session, kind: Kind, body: dict[str, Any]) -> BaseModel:
    """Behind the gate and the claim, so that who may not do it learns nothing about the body."""
    said = json.dumps(body)
    if _NUL.search(said):
        raise NotStorable("Correct the body: a text in it holds the character U+0000.")
    try:
        checked = kind.schema.model_validate_json(said)
    except ValidationError as error:
        raise _InvalidBody(_fields(error)) from None
    return kind.work(session, checked)


def _unknown(_session: Session, _body: object) -> BaseModel:
    raise UnknownCommand("This server does not know the command; its reference page lists them.")


class _Anything(BaseModel):
    """The body of a command that nobody knows is not looked at."""


_UNKNOWN = Kind(Permission.SYNC_USE, _Anything, _unknown)


def _claim_of(wanted: CommandIn) -> Command:
    """The same for a body that says the same, in whatever order its fields come."""
    route = f"sync {wanted.name}" if wanted.name in COMMANDS else "sync"
    said = f"sync {wanted.name}\n" + json.dumps(wanted.body, sort_keys=True)
    return Command(
        key=str(wanted.id), route=route, fingerprint=hashlib.sha256(said.encode()).digest(),
        device=wanted.device, made_at=wanted.made_at,
    )  # fmt: skip


def _refused(body: dict[str, Any]) -> Answer:
    return Answer(body["status"], json.dumps(body))


def _fields(error: ValidationError) -> list[dict[str, str]]:
    """Which fields and why; never what was in them, nor a field's name that somebody typed."""
    return [
        {"field": ".".join(_part(part) for part in item["loc"]), "problem": item["msg"]}
        for item in error.errors(include_input=False, include_context=False, include_url=False)
    ]


def _part(part: int | str) -> str:
    return str(part) if isinstance(part, int) or _NAME_OF_A_FIELD.fullmatch(part) else "…"
