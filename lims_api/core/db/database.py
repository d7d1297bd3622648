"""Connections, and `transaction()`: the only begin and commit of the operational system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from psycopg_pool import ConnectionPool
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session, sessionmaker

from lims_api.core.errors import Forbidden, Unauthenticated
from lims_api.core.ids import SYSTEM_ACTOR
from lims_api.core.permissions import Permission

if TYPE_CHECKING:
    from lims_api.core.keys import KeyStore

_ENTER = text(
    "select status, organization_id, actor_id, session_id"
    " from lims.enter(:token, :permission, :device, :ip, :request, :reason)"
)
_ACT = text("select lims.act(:organization, :actor, :device, :request, :reason)")

_READ_OPTIONS = (
    "-csearch_path=lims -ctimezone=UTC -cstatement_timeout=10s"
    " -cplan_cache_mode=force_generic_plan"  # a few statements, each prepared once: planning costs more than running
    " -csynchronous_commit=off"  # all they write is who read what
)


@dataclass(frozen=True)
class Database:
    """One role's way into the operational database; opened once, at start.

    Holds as many connections as the worker has threads: a request never waits for a connection while it holds a
    thread that another one needs (core_spike.md §3).
    """

    engine: Engine
    sessions: sessionmaker[Session]
    reads: ConnectionPool
    keys: KeyStore

    def close(self) -> None:
        """Give every connection back."""
        self.reads.close()
        self.engine.dispose()


def open_database(url: str, keys: KeyStore, *, connections: int = 4) -> Database:
    """Connect lazily; `url` names its driver (`postgresql+psycopg://…`)."""
    engine = create_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_pre_ping=True,
        pool_timeout=30,
        hide_parameters=True,  # an error's text is written to logs by others; it must not quote a row
        connect_args={"options": "-csearch_path=lims,jobs -ctimezone=UTC -clock_timeout=10s -cstatement_timeout=60s"},
    )
    reads = ConnectionPool(
        url.replace("postgresql+psycopg://", "postgresql://", 1),
        min_size=0,
        max_size=connections,
        open=True,
        kwargs={"autocommit": True, "options": _READ_OPTIONS},
    )
    return Database(engine, sessionmaker(engine, expire_on_commit=False), reads, keys)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A request's bearer, from where it came, and what it wants to do; not yet checked."""

    database: Database
    token_sha256: bytes
    permission: Permission
    device: str = ""
    ip: str = ""
    request_id: str = ""
    reason: str = ""
    command: Command | None = None
    services: Any = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Command:
    """What makes a write repeatable: its key, and a fingerprint of route and body; when and where an app made it."""

    key: str
    fingerprint: bytes
    route: str
    device: UUID | None = None
    made_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class SystemCaller:
    """A job or an operator's command, acting for one organization; only `worker.py` and `cli.py` make one."""

    database: Database
    organization_id: UUID
    actor_id: UUID = SYSTEM_ACTOR
    device: str = "system"
    request_id: str = ""
    reason: str = ""
    services: Any = field(default=None, repr=False)


@dataclass(frozen=True)
class Actor:
    """Who acts in this transaction, as the database found them."""

    organization_id: UUID
    actor_id: UUID
    session_id: UUID | None = None


Isolation = Literal["READ COMMITTED", "REPEATABLE READ"]


@contextmanager
def transaction(caller: Caller | SystemCaller, *, isolation: Isolation | None = None) -> Iterator[Session]:
    """One unit of work: authenticated, bound to one organization, committed at the end or not at all.

    Under REPEATABLE READ every statement sees the instant of the first one, which is the gate.
    """
    with caller.database.sessions() as session, session.begin():
        if isolation is not None:
            session.connection(execution_options={"isolation_level": isolation})
        session.info.update(keys=caller.database.keys, services=caller.services)
        session.info["actor"] = _enter(session, caller) if isinstance(caller, Caller) else _act(session, caller)
        yield session


@contextmanager
def unauthenticated(database: Database) -> Iterator[Session]:
    """For signing in alone: no organization, so no row of any tenant is visible."""
    with database.sessions() as session, session.begin():
        session.info.update(keys=database.keys, services=None)
        yield session


def actor_of(session: Session) -> Actor:
    """Who acts in this session's transaction."""
    actor: Actor = session.info["actor"]
    return actor


def keys_of(session: Session) -> KeyStore:
    """The key store that opens this session's rows."""
    keys: KeyStore = session.info["keys"]
    return keys


def _enter(session: Session, caller: Caller) -> Actor:
    row = session.execute(
        _ENTER,
        {
            "token": caller.token_sha256,
            "permission": caller.permission.value,
            "device": caller.device,
            "ip": caller.ip,
            "request": caller.request_id,
            "reason": caller.reason,
        },
    ).one()
    refuse_unless_entered(row.status, caller.permission)
    return Actor(row.organization_id, row.actor_id, row.session_id)


def refuse_unless_entered(status: int, permission: Permission) -> None:
    """Turn `lims.enter`'s answer into a refusal; 200 passes."""
    if status == 401:
        raise Unauthenticated("The session is unknown, ended or expired. Sign in again.")
    if status != 200:
        raise Forbidden(f"This needs the permission {permission.value}.", permission=permission.value)


def _act(session: Session, caller: SystemCaller) -> Actor:
    # services rely on row-level security: a role that bypasses it puts on the application's for the transaction
    session.execute(text("set local role lims_app"))
    session.execute(
        _ACT,
        {
            "organization": caller.organization_id,
            "actor": caller.actor_id,
            "device": caller.device,
            "request": caller.request_id,
            "reason": caller.reason,
        },
    )
    return Actor(caller.organization_id, caller.actor_id)
