"""Who may look, and at whose laboratory: a short-lived token that the application signed, and nothing else.

Kept out of a module called `token`: Streamlit puts this folder on the import path, where it would hide Python's own.
"""

import logging
from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

ISSUER = "nidan"
AUDIENCE = "dashboards"
LONGEST_LIFE = timedelta(minutes=15)
CLOCK_SKEW = timedelta(seconds=5)
ALGORITHMS = ("Ed25519", "EdDSA")  # RFC 9864 and, for signers that do not know it yet, RFC 8037
PARAMETER = "t"
REMEMBERED = "nidan.access"
log = logging.getLogger(__name__)


class AccessRefused(Exception):
    """The token opens nothing. The message is the reason for the server's log and holds nothing of the token."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """A verified right to look at one organization's figures until a moment. Made by `verify` only."""

    organization_id: str
    subject: str
    expires_at: datetime

    def is_valid_at(self, now: datetime) -> bool:
        """Whether the right still stands."""
        return now < self.expires_at


def utc_now() -> datetime:
    """The moment, aware. The only clock of the dashboards."""
    return datetime.now(UTC)


def read_public_key(path: Path) -> OKPKey:
    """The application's Ed25519 public key (PEM). A private key is refused: it has no business here."""
    try:
        key = OKPKey.import_key(path.read_bytes())
    except (OSError, ValueError, JoseError) as error:
        raise AccessRefused("the public key cannot be read") from error
    if key.is_private or key.curve_name != "Ed25519":
        raise AccessRefused("the key file does not hold an Ed25519 public key")
    return key


def verify(token: str, key: OKPKey, *, now: datetime) -> Access:
    """Check signature, issuer, audience, subject, organization and a life of at most 15 minutes, or AccessRefused."""
    try:
        claims = jwt.decode(token, key, algorithms=ALGORITHMS).claims
        _claims_registry(now).validate(claims)
        access = _access(claims)
    except (JoseError, ValueError, OverflowError) as error:
        raise AccessRefused(type(error).__name__) from error
    if not access.is_valid_at(now):
        raise AccessRefused("expired")
    if access.expires_at > now + LONGEST_LIFE + CLOCK_SKEW:
        raise AccessRefused("lives longer than 15 minutes")
    return access


def enter(
    parameters: MutableMapping[str, Any], session: MutableMapping[Any, Any], *, key_file: Path, now: datetime
) -> Access | None:
    """The access of this run, or None.

    A token in the address is taken out of it at once, valid or not, and decides alone: a bad one also ends the access
    that the session had. Without one, the session's access counts until it expires.
    """
    token = parameters.pop(PARAMETER, None)
    if token is not None:
        session.pop(REMEMBERED, None)
        try:
            session[REMEMBERED] = verify(str(token), read_public_key(key_file), now=now)
        except AccessRefused as refusal:
            log.warning("access refused: %s", refusal)
            return None
    return current(session, now=now)


def current(session: MutableMapping[Any, Any], *, now: datetime) -> Access | None:
    """The access that this session holds, if it still stands; an expired one is forgotten."""
    access = session.get(REMEMBERED)
    if isinstance(access, Access) and access.is_valid_at(now):
        return access
    session.pop(REMEMBERED, None)
    return None


def _claims_registry(now: datetime) -> jwt.JWTClaimsRegistry:
    return jwt.JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=int(CLOCK_SKEW.total_seconds()),
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": AUDIENCE},
        sub={"essential": True},
        exp={"essential": True},
        organization_id={"essential": True},
    )


def _access(claims: dict[str, Any]) -> Access:
    return Access(
        organization_id=str(UUID(str(claims["organization_id"]))),
        subject=str(claims["sub"]),
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
    )
