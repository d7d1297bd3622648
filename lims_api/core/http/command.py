"""A write: one transaction, answered once for one key, with the kept answer ever after."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Response
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.orm import Session

from lims_api.core.db import Caller, Command, actor_of, keys_of, transaction
from lims_api.core.errors import IdempotencyKeyMissing, IdempotencyKeyReused

_CLAIM = text(
    "insert into lims.idempotency_keys (organization_id, actor_id, key, route, fingerprint, device, made_at)"
    " values (:organization_id, :actor_id, :key, :route, :fingerprint, :device, :made_at)"
    " on conflict do nothing returning true"
)
_FIND = text(
    "select fingerprint, status, reply from lims.idempotency_keys"
    " where organization_id = :organization_id and actor_id = :actor_id and key = :key"
)
_STORE = text(
    "update lims.idempotency_keys set status = :status, reply = :reply"
    " where organization_id = :organization_id and actor_id = :actor_id and key = :key"
)


@dataclass(frozen=True)
class Answer:
    """What a command was answered: the status and the reply as JSON; `is_replay` when it was kept from before."""

    status: int
    reply: str
    is_replay: bool = False


def command(caller: Caller, work: Callable[[Session], BaseModel], *, status: int = 200) -> Response:
    """Run `work` under the request's Idempotency-Key. A refusal is not kept; trying again is safe."""
    if caller.command is None:
        raise IdempotencyKeyMissing("Send an Idempotency-Key header (a UUID made by the client) with every write.")
    answer = answer_once(caller, caller.command, work, status=status)
    replayed = {"Idempotent-Replay": "true"} if answer.is_replay else None
    return Response(answer.reply, status_code=answer.status, media_type="application/json", headers=replayed)


def answer_once(caller: Caller, wanted: Command, work: Callable[[Session], BaseModel], *, status: int = 200) -> Answer:
    """Run `work` and keep its reply, or give the answer kept before.

    A reply is stored in clear: it holds ids, numbers and states, no personal data. Two with one key at the same time:
    the second waits for the first's commit and gets its answer. Raises `IdempotencyKeyReused` for another body.
    """
    with transaction(caller) as session:
        kept = _claim(session, wanted)
        if kept is not None:
            return kept
        reply = work(session).model_dump_json()
        session.flush()
        _store(session, wanted, Answer(status, reply))
    return Answer(status, reply)


def keep_refusal(caller: Caller, wanted: Command, refusal: Answer) -> Answer:
    """Keep a refusal for ever, or give what was kept meanwhile: by another who was faster, and may have succeeded.

    The refused work was rolled back together with its claim, so this claims again in a transaction of its own.
    """
    with transaction(caller) as session:
        kept = _claim(session, wanted)
        if kept is not None:
            return kept
        _store(session, wanted, refusal)
    return refusal


def _fingerprint(session: Session, wanted: Command) -> bytes:
    """Keyed, so that a body with a name in it cannot be confirmed by guessing."""
    index = keys_of(session).organization_key(actor_of(session).organization_id, "index")
    return hmac.digest(index.secret, b"command|" + wanted.fingerprint, "sha256")


def _claim(session: Session, wanted: Command) -> Answer | None:
    """None when this transaction is the first with the key; else the kept answer."""
    whose, fingerprint = _whose(session, wanted), _fingerprint(session, wanted)
    claim = {"route": wanted.route, "fingerprint": fingerprint, "device": wanted.device, "made_at": wanted.made_at}
    if session.execute(_CLAIM, {**claim, **whose}).scalar():
        return None
    row = session.execute(_FIND, whose).one()
    if bytes(row.fingerprint) != fingerprint:
        raise IdempotencyKeyReused("This Idempotency-Key was used for another request. Make a new one.")
    return Answer(row.status, row.reply, is_replay=True)


def _store(session: Session, wanted: Command, answer: Answer) -> None:
    session.execute(_STORE, {"status": answer.status, "reply": answer.reply, **_whose(session, wanted)})


def _whose(session: Session, wanted: Command) -> dict[str, object]:
    actor = actor_of(session)
    return {"organization_id": actor.organization_id, "actor_id": actor.actor_id, "key": wanted.key}
