"""Signing in and out."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class SignIn(BaseModel):
    organization: str = Field(max_length=40, description="the organization's code")
    username: str = Field(max_length=80)
    password: SecretStr = Field(max_length=256)


class SessionOut(BaseModel):
    """`token` is shown once; the server keeps its hash."""

    token: str
    session_id: UUID
    expires_at: datetime


class SessionEnded(BaseModel):
    ended: bool


class OrganizationOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    code: str
    name: str
    is_example: bool


class Me(BaseModel):
    """`site_id` is the one site where the caller works; without one they work at all."""

    user_id: UUID
    username: str
    full_name: str
    roles: list[str]
    permissions: list[str]
    site_id: UUID | None
    organization: OrganizationOut


class DashboardLink(BaseModel):
    url: str
    valid_for_seconds: int
