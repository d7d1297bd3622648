"""Users, roles, and the tokens they act with."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, func
from sqlalchemy.orm import Mapped

from lims_api.core.db import Model, Record, belongs_to, open_column, sealed_column, status_column
from lims_api.core.ids import uuid7


class UserKind(StrEnum):
    PERSON = "person"
    MACHINE = "machine"


class User(Record):
    """A member of staff, or a machine such as a gateway. The name is sealed under the organization's key.

    Who has a `site_id` works at that site alone; without one, at all of them.
    """

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("organization_id", "username"), belongs_to("sites", "site_id"))

    username: Mapped[str] = open_column()
    full_name_sealed: Mapped[bytes] = sealed_column()
    registration_number: Mapped[str | None] = open_column()
    kind: Mapped[UserKind] = status_column(UserKind, check="kind")
    password_hash_sealed: Mapped[bytes | None] = sealed_column()
    is_active: Mapped[bool] = open_column(server_default="true")
    site_id: Mapped[UUID | None] = open_column()


class Role(Record):
    """A named set of permissions; the laboratory edits it."""

    __tablename__ = "roles"
    __table_args__ = (UniqueConstraint("organization_id", "code"),)

    code: Mapped[str] = open_column()
    name: Mapped[str] = open_column()
    permissions: Mapped[list[str]] = open_column()


class UserRole(Record):
    """A role held by a user."""

    __tablename__ = "user_roles"
    __table_args__ = (
        UniqueConstraint("organization_id", "user_id", "role_id"),
        belongs_to("users", "user_id"),
        belongs_to("roles", "role_id"),
    )

    user_id: Mapped[UUID] = open_column()
    role_id: Mapped[UUID] = open_column()


class TokenKind(StrEnum):
    SESSION = "session"
    API_KEY = "api_key"


class AccessToken(Model):
    """A session or an API key, known only by its SHA-256. The application's role cannot read this table."""

    __tablename__ = "access_tokens"
    __table_args__ = (
        ForeignKeyConstraint(["organization_id", "user_id"], ["users.organization_id", "users.id"]),
        Index(None, "organization_id", "user_id"),
    )

    token_sha256: Mapped[bytes] = open_column(primary_key=True)
    id: Mapped[UUID] = open_column(default=uuid7)
    organization_id: Mapped[UUID] = open_column(ForeignKey("organizations.id"))
    user_id: Mapped[UUID] = open_column()
    kind: Mapped[TokenKind] = status_column(TokenKind, check="kind")
    created_at: Mapped[datetime] = open_column(server_default=func.now())
    expires_at: Mapped[datetime] = open_column()
    ended_at: Mapped[datetime | None] = open_column()
