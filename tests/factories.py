"""Rows for tests: keyword overrides, no random data."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import text

from lims_api.core.clock import utc_now
from lims_api.core.db import SystemCaller, transaction
from lims_api.core.ids import uuid7
from lims_api.identity.models import Role, TokenKind, User, UserKind, UserRole
from lims_api.organizations import service as organizations

if TYPE_CHECKING:
    from lims_api.core.permissions import Permission
    from tests.conftest import Environment

_BEGIN_SESSION = text("select lims.begin_session(:token, :id, :organization, :user, :kind, :expires)")


def organization(environment: Environment, *, code: str | None = None, name: str = "Test Laboratory") -> UUID:
    """A new tenant with its keys."""
    tenant = uuid7()
    organizations.create(environment.system, tenant, code=code or f"t{tenant.hex[-8:]}", name=name)
    return tenant


def staff(
    environment: Environment,
    organization: UUID,
    permissions: Iterable[Permission],
    *,
    user_id: UUID | None = None,
    kind: UserKind = UserKind.PERSON,
    full_name: str = "Test Person",
    expires_at: datetime | None = None,
) -> str:
    """A user of the organization who holds exactly these permissions; returns the bearer token of a session of theirs.

    `user_id` is the new user's id, for a test that needs to know who acted.
    """
    user_id, token = user_id or uuid7(), secrets.token_urlsafe(32)
    keys = environment.keys
    with transaction(SystemCaller(database=environment.system, organization_id=organization)) as session:
        user = User(
            organization_id=organization,
            id=user_id,
            username=f"u{user_id.hex[-12:]}",
            full_name_sealed=keys.seal_for_organization(full_name, organization, "users.full_name_sealed", user_id),
            kind=kind,
        )
        role = Role(
            organization_id=organization,
            code=f"r{user_id.hex[-12:]}",
            name="Role of a test",
            permissions=[str(permission) for permission in permissions],
        )
        session.add_all([user, role])
        session.flush()
        session.add(UserRole(organization_id=organization, user_id=user.id, role_id=role.id))
        session.flush()
        session.execute(
            _BEGIN_SESSION,
            {
                "token": sha256(token.encode()).digest(),
                "id": uuid7(),
                "organization": organization,
                "user": user_id,
                "kind": (TokenKind.SESSION if kind is UserKind.PERSON else TokenKind.API_KEY).value,
                "expires": expires_at or utc_now() + timedelta(hours=12),
            },
        )
    return token
