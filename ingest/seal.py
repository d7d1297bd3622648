"""The gateway's own key: the spool holds ciphertext only, and the key lies in a file that its owner alone may read."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12


class KeyUnusable(Exception):
    """The key file is missing, malformed, or open to others; the reason says what to do."""


class Unsealable(Exception):
    """Sealed bytes were changed, or belong to another key or another transmission."""


class Sealer:
    """AES-256-GCM with a random nonce in front of the ciphertext."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self.fingerprint = hashlib.sha256(b"nidan spool key\0" + key).hexdigest()[:16]

    def seal(self, plain: bytes, belongs_to: str) -> bytes:
        """Ciphertext that opens only together with the same `belongs_to`."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, belongs_to.encode())

    def open(self, sealed: bytes, belongs_to: str) -> bytes:
        """The plain bytes; raises `Unsealable`."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], belongs_to.encode())
        except (InvalidTag, ValueError) as reason:
            raise Unsealable("the sealed bytes do not open with this key") from reason


def load_key(path: Path) -> Sealer:
    """The key in that file, hexadecimal; raises `KeyUnusable`."""
    try:
        mode, text = path.stat().st_mode, path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as reason:
        raise KeyUnusable(f"cannot read the key file {path}: {type(reason).__name__}") from reason
    if os.name == "posix" and mode & 0o077:
        raise KeyUnusable(f"others may read the key file {path}: make it 0600, and think of the key as known")
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise KeyUnusable(f"the key file {path} does not hold {KEY_BYTES} bytes in hexadecimal")
    return Sealer(key)


def create_key(path: Path) -> Sealer:
    """Make a new key, durable before it is used, readable by its owner only; an existing file is never touched."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(os.urandom(KEY_BYTES).hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
    return load_key(path)


def sync_folder(folder: Path) -> None:
    """Make a new file's name durable, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
