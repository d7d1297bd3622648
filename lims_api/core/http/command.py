"""A write: one transaction, answered once for one Idempotency-Key, with the stored reply ever after."""

import hmac
from collections.abc import Callable

from fastapi import Response
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.orm import Session

from lims_api.core.db import Caller, Command, actor_of, keys_of, transaction
from lims_api.core.errors import IdempotencyKeyMissing, IdempotencyKeyReused

_CLAIM = text(
    "insert into lims.idempotency_keys (organization_id, actor_id, key, route, fingerprint)"
    " values (:organization_id, :actor_id, :key, :route, :fingerprint) on conflict do nothing returning true"
)
_FIND = text(
    "select fingerprint, status, reply from lims.idempotency_keys"
    " where organization_id = :organization_id and actor_id = :actor_id and key = :key"
)
_STORE = text(
    "update lims.idempotency_keys set status = :status, reply = :reply"
    " where organization_id = :organization_id and actor_id = :actor_id and key = :key"
)


def command(caller: Caller, work: Callable[[Session], BaseModel], *, status: int = 200) -> Response:
    """Run `work` and keep its reply, or give the reply kept before.

    A reply is stored in clear: it holds ids, numbers and states, no personal data. Two requests with one key at the
    same time: the second waits for the first's commit and gets its reply. A refusal is not kept; trying again is safe.
    """
    if caller.command is None:
        raise IdempotencyKeyMissing("Send an Idempotency-Key header (a UUID made by the client) with every write.")
    with transaction(caller) as session:
        kept = _claim(session, caller.command)
        if kept is not None:
            return kept
        reply = work(session).model_dump_json()
        session.flush()
        session.execute(_STORE, {"status": status, "reply": reply, **_whose(session, caller.command)})
    return Response(reply, status_code=status, media_type="application/json")


def _fingerprint(session: Session, wanted: Command) -> bytes:
    """Keyed, so that a body with a name in it cannot be confirmed by guessing."""
    index = keys_of(session).organization_key(actor_of(session).organization_id, "index")
    return hmac.digest(index.secret, b"command|" + wanted.fingerprint, "sha256")


def _claim(session: Session, wanted: Command) -> Response | None:
    whose, fingerprint = _whose(session, wanted), _fingerprint(session, wanted)
    if session.execute(_CLAIM, {"route": wanted.route, "fingerprint": fingerprint, **whose}).scalar():
        return None
    row = session.execute(_FIND, whose).one()
    if bytes(row.fingerprint) != fingerprint:
        raise IdempotencyKeyReused("This Idempotency-Key was used for another request. Make a new one.")
    return Response(
        row.reply, status_code=row.status, media_type="application/json", headers={"Idempotent-Replay": "true"}
    )


def _whose(session: Session, wanted: Command) -> dict[str, object]:
    actor = actor_of(session)
    return {"organization_id": actor.organization_id, "actor_id": actor.actor_id, "key": wanted.key}
