"""Sealing (AES-256-GCM), key wrapping and blind-index tokens. No I/O.

A sealed value is `01 | key id (16) | nonce (12) | ciphertext and tag`. The associated data binds it to its
organization, column and row, so that a ciphertext moved elsewhere does not open.
Random 96-bit nonces are safe to 2^32 values a key (NIST SP 800-38D 8.3); keys are one a patient.
"""

import hashlib
import hmac
import os
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = b"\x01"
KEY_BYTES = 32
_HEADER = 1 + 16 + 12


class CannotUnseal(Exception):
    """The key is gone, or the value was altered or moved. Never says which value."""


@dataclass(frozen=True)
class Key:
    """One data key, unwrapped; `repr` never shows the secret."""

    id: UUID
    secret: bytes

    def __repr__(self) -> str:
        return f"Key({self.id})"


def new_secret() -> bytes:
    """32 random bytes."""
    return os.urandom(KEY_BYTES)


def associated_data(organization_id: UUID, column: str, row_id: UUID) -> bytes:
    """What a ciphertext is bound to: `organization|table.column|row`."""
    return f"{organization_id}|{column}|{row_id}".encode()


def seal(key: Key, plaintext: bytes, bound_to: bytes) -> bytes:
    """Encrypt under `key`, bound to `bound_to`."""
    nonce = os.urandom(12)
    return VERSION + key.id.bytes + nonce + AESGCM(key.secret).encrypt(nonce, plaintext, bound_to)


def key_id_of(sealed: bytes) -> UUID:
    """Which key opens this value."""
    if len(sealed) < _HEADER or sealed[:1] != VERSION:
        raise CannotUnseal("not a sealed value")
    return UUID(bytes=bytes(sealed[1:17]))


def unseal(key: Key, sealed: bytes, bound_to: bytes) -> bytes:
    """Decrypt; raises `CannotUnseal` when altered, moved, or sealed under another key."""
    if key_id_of(sealed) != key.id:
        raise CannotUnseal("sealed under another key")
    try:
        return AESGCM(key.secret).decrypt(bytes(sealed[17:29]), bytes(sealed[29:]), bound_to)
    except InvalidTag:
        raise CannotUnseal("altered or moved") from None


def wrap(wrapping: bytes, secret: bytes, bound_to: bytes) -> bytes:
    """A data key encrypted under another key."""
    nonce = os.urandom(12)
    return nonce + AESGCM(wrapping).encrypt(nonce, secret, bound_to)


def unwrap(wrapping: bytes, wrapped: bytes, bound_to: bytes) -> bytes:
    """The data key again; raises `CannotUnseal` under a wrong wrapping key."""
    try:
        return AESGCM(wrapping).decrypt(bytes(wrapped[:12]), bytes(wrapped[12:]), bound_to)
    except InvalidTag:
        raise CannotUnseal("wrong wrapping key") from None


def blind_token(index_key: bytes, kind: str, text: str) -> int:
    """The first 8 bytes of HMAC-SHA-256 as a signed 64-bit integer: what a search compares."""
    digest = hmac.digest(index_key, f"{kind}|{text}".encode(), hashlib.sha256)
    return int.from_bytes(digest[:8], signed=True)
