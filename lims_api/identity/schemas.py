"""Signing in and out."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field, SecretStr


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


class Me(BaseModel):
    user_id: UUID
    username: str
    full_name: str
    permissions: list[str]


class DashboardLink(BaseModel):
    url: str
    valid_for_seconds: int
