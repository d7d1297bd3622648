"""Passwords (argon2id) and tokens. Each user's hash is sealed under the organization's key besides."""

import hashlib
import secrets
import threading
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher()
_one_at_a_time = threading.BoundedSemaphore(2)
_NOBODY = _hasher.hash(secrets.token_hex(16))


def new_token() -> str:
    """256 random bits, URL-safe."""
    return secrets.token_urlsafe(32)


def token_sha256(token: str) -> bytes:
    """What the database knows a token by."""
    return hashlib.sha256(token.encode()).digest()


def hash_password(password: str) -> str:
    """argon2id over the NFKC form (t=3, m=64 MiB, p=4)."""
    return _hasher.hash(unicodedata.normalize("NFKC", password))


def password_matches(hashed: str | None, password: str) -> bool:
    """Takes as long for nobody as for somebody; two at a time, so that a flood of sign-ins cannot take the memory."""
    with _one_at_a_time:
        try:
            _hasher.verify(hashed or _NOBODY, unicodedata.normalize("NFKC", password))
        except (VerificationError, InvalidHashError):
            return False
    return hashed is not None
