"""The key store: a database of its own, so that no back-up of clinical data holds a key.

Master key (a file) → organization keys (one to seal, one to index) → patient keys. Erasing a patient deletes their
keys here and leaves a tombstone, so that an older back-up of the keys, once restored, drops them again.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from psycopg import Connection
from psycopg_pool import ConnectionPool

from lims_api.core.crypto import (
    CannotUnseal,
    Key,
    associated_data,
    blind_token,
    key_id_of,
    new_secret,
    seal,
    unseal,
    unwrap,
    wrap,
)
from lims_api.core.ids import uuid7

SCHEMA = """
create table if not exists organization_keys (
  id uuid primary key, organization_id uuid not null, purpose text not null check (purpose in ('seal', 'index')),
  wrapped bytea not null, created_at timestamptz not null default now(), retired_at timestamptz);
create unique index if not exists organization_keys_current
  on organization_keys (organization_id, purpose) where retired_at is null;
create table if not exists patient_keys (
  id uuid primary key, organization_id uuid not null, patient_id uuid not null, organization_key_id uuid not null,
  wrapped bytea not null, created_at timestamptz not null default now());
create index if not exists patient_keys_patient on patient_keys (organization_id, patient_id);
create table if not exists erased_patients (
  organization_id uuid not null, patient_id uuid not null, erased_at timestamptz not null default now(),
  primary key (organization_id, patient_id));
create table if not exists key_backups (taken_at timestamptz primary key default now(), keys bigint not null);
"""
CACHE_SECONDS = 30.0
CACHE_KEYS = 20_000


class MasterKeyUnusable(Exception):
    """The master key file is missing, readable by others, or not 32 bytes of hex."""


class NoKey(CannotUnseal):
    """No key exists for this patient: never made, or erased."""


def read_master_key(file: Path) -> bytes:
    """32 bytes from a 0600 file of hex digits."""
    if not file.exists():
        raise MasterKeyUnusable(f"{file.name} does not exist; restore it from the recovery sheet")
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise MasterKeyUnusable(f"{file.name} must be readable by its owner only (chmod 600)")
    try:
        secret = bytes.fromhex(file.read_text().strip())
    except ValueError:
        secret = b""
    if len(secret) != 32:
        raise MasterKeyUnusable(f"{file.name} must hold 32 bytes in hex")
    return secret


def make_master_key(file: Path) -> bytes:
    """A new master key file, 0600; an existing one is left alone and read."""
    if file.exists():
        return read_master_key(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    secret = new_secret()
    write_master_key(file, secret)
    return secret


def write_master_key(file: Path, secret: bytes) -> None:
    """Write the key where no file is yet, 0600, safe against a power cut."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(secret.hex() + "\n")
        out.flush()
        os.fsync(out.fileno())
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def prove_master(connection: Connection[Any], master: bytes) -> None:
    """`MasterKeyUnusable` unless the master key opens every organization key of the store."""
    rows = connection.execute("select organization_id, purpose, id, wrapped from organization_keys").fetchall()
    for organization_id, purpose, key_id, wrapped in rows:
        try:
            unwrap(master, wrapped, _organization(organization_id, purpose, key_id))
        except CannotUnseal:
            raise MasterKeyUnusable("the master key does not open this key store's keys") from None


@dataclass
class _Cached:
    key: Key
    until: float


class KeyStore:
    """Makes, finds and destroys data keys. Unwrapped keys stay in memory for 30 seconds at most."""

    def __init__(self, url: str, master: bytes, *, connections: int = 4) -> None:
        self._master = master
        self._pool = ConnectionPool(
            url.replace("postgresql+psycopg://", "postgresql://", 1),
            min_size=0,
            max_size=connections,
            open=True,
            check=ConnectionPool.check_connection,
            kwargs={"options": "-ctimezone=UTC"},
        )
        self._lock = threading.Lock()
        self._cache: dict[UUID, _Cached] = {}
        self._of_patient: dict[tuple[UUID, UUID], tuple[UUID, float]] = {}
        self._organization: dict[tuple[UUID, str], _Cached] = {}

    def close(self) -> None:
        self._pool.close()

    # organization keys

    def make_organization_keys(self, organization_id: UUID) -> None:
        """A sealing and an indexing key for a new organization; existing ones are kept."""
        with self._pool.connection() as connection:
            for purpose in ("seal", "index"):
                key_id = uuid7()
                wrapped = wrap(self._master, new_secret(), _organization(organization_id, purpose, key_id))
                connection.execute(
                    "insert into organization_keys (id, organization_id, purpose, wrapped) values (%s, %s, %s, %s)"
                    " on conflict (organization_id, purpose) where retired_at is null do nothing",
                    (key_id, organization_id, purpose, wrapped),
                )

    def organization_key(self, organization_id: UUID, purpose: str = "seal") -> Key:
        """The organization's current key for a purpose."""
        cached = self._organization.get((organization_id, purpose))
        if cached and cached.until > time.monotonic():
            return cached.key
        with self._pool.connection() as connection:
            row = connection.execute(
                "select id, wrapped from organization_keys"
                " where organization_id = %s and purpose = %s and retired_at is null",
                (organization_id, purpose),
            ).fetchone()
        if row is None:
            raise NoKey("the organization has no key; restore the key store")
        key = Key(row[0], unwrap(self._master, row[1], _organization(organization_id, purpose, row[0])))
        self._organization[organization_id, purpose] = _Cached(key, time.monotonic() + CACHE_SECONDS)
        return key

    def blind_token(self, organization_id: UUID, kind: str, text: str) -> int:
        """A search token under the organization's indexing key."""
        return blind_token(self.organization_key(organization_id, "index").secret, kind, text)

    # patient keys

    def make_patient_keys(self, organization_id: UUID, patient_ids: Sequence[UUID]) -> list[Key]:
        """New keys, committed before this returns: a patient must never be stored before their key.

        Refused for an erased patient.
        """
        wrapping = self.organization_key(organization_id)
        keys = [Key(uuid7(), new_secret()) for _ in patient_ids]
        rows = [
            (
                key.id,
                organization_id,
                patient_id,
                wrapping.id,
                wrap(wrapping.secret, key.secret, _patient(patient_id, key.id)),
            )
            for key, patient_id in zip(keys, patient_ids, strict=True)
        ]
        with self._pool.connection() as connection, connection.cursor() as cursor:
            statement = "copy patient_keys (id, organization_id, patient_id, organization_key_id, wrapped) from stdin"
            with cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
            erased = cursor.execute(
                "select 1 from erased_patients where organization_id = %s and patient_id = any(%s) limit 1",
                (organization_id, list(patient_ids)),
            ).fetchone()
            if erased:
                raise NoKey("this patient was erased; register them anew")
        for patient_id, key in zip(patient_ids, keys, strict=True):
            self._remember(organization_id, patient_id, key)
        return keys

    def patient_keys(self, organization_id: UUID, patient_ids: Iterable[UUID]) -> dict[UUID, Key]:
        """The newest key of each patient; an erased patient is absent."""
        found: dict[UUID, Key] = {}
        missing = []
        now = time.monotonic()
        for patient_id in set(patient_ids):
            known = self._of_patient.get((organization_id, patient_id))
            cached = self._cache.get(known[0]) if known and known[1] > now else None
            if cached and cached.until > now:
                found[patient_id] = cached.key
            else:
                missing.append(patient_id)
        if missing:
            with self._pool.connection() as connection:
                rows = connection.execute(
                    "select patient_id, id, organization_key_id, wrapped from patient_keys k"
                    " where organization_id = %s and patient_id = any(%s) and not exists (select from erased_patients e"
                    " where e.organization_id = k.organization_id and e.patient_id = k.patient_id)"
                    " order by created_at, id",
                    (organization_id, missing),
                ).fetchall()
                for patient_id, key_id, wrapping_id, wrapped in rows:
                    found[patient_id] = self._open_patient_key(
                        connection, organization_id, patient_id, key_id, wrapping_id, wrapped
                    )
        return found

    def patient_key(self, organization_id: UUID, patient_id: UUID) -> Key:
        """One patient's key, or `NoKey`."""
        key = self.patient_keys(organization_id, [patient_id]).get(patient_id)
        if key is None:
            raise NoKey("no key for this patient")
        return key

    def destroy_patient(self, organization_id: UUID, patient_id: UUID) -> int:
        """Delete every key of a patient and leave a tombstone; returns how many there were. Safe to repeat."""
        with self._pool.connection() as connection:
            connection.execute(
                "insert into erased_patients (organization_id, patient_id) values (%s, %s) on conflict do nothing",
                (organization_id, patient_id),
            )
            gone = connection.execute(
                "delete from patient_keys where organization_id = %s and patient_id = %s",
                (organization_id, patient_id),
            ).rowcount
        with self._lock:
            known = self._of_patient.pop((organization_id, patient_id), None)
            if known:
                self._cache.pop(known[0], None)
        self._run_alone("vacuum patient_keys")
        return gone

    def rewrite(self) -> None:
        """Write the table of patients' keys anew, so that no page holds the bytes of a destroyed one any more.

        A plain vacuum frees their place and may leave them in it. Locks the table (seconds for a million patients):
        for the nightly job after erasures. The server's log of changes forgets them as it is recycled.
        """
        self._run_alone("vacuum full patient_keys")

    def _run_alone(self, statement: Literal["vacuum patient_keys", "vacuum full patient_keys"]) -> None:
        with self._pool.connection() as connection:
            connection.autocommit = True
            try:
                connection.execute(statement)
            finally:
                connection.autocommit = False

    # sealing

    def seal(self, text: str, key: Key, organization_id: UUID, column: str, row_id: UUID) -> bytes:
        """A text sealed for one column of one row (`column` as `table.column`)."""
        return seal(key, text.encode(), associated_data(organization_id, column, row_id))

    def unseal(self, sealed: bytes, key: Key, organization_id: UUID, column: str, row_id: UUID) -> str:
        """The text again; `CannotUnseal` when altered, moved or erased."""
        return unseal(key, sealed, associated_data(organization_id, column, row_id)).decode()

    def seal_for_organization(self, text: str, organization_id: UUID, column: str, row_id: UUID) -> bytes:
        """Sealed under the organization's own key: staff, unmatched messages."""
        return self.seal(text, self.organization_key(organization_id), organization_id, column, row_id)

    def unseal_for_organization(self, sealed: bytes, organization_id: UUID, column: str, row_id: UUID) -> str:
        return self.unseal(
            sealed, self._organization_key_by_id(organization_id, key_id_of(sealed)), organization_id, column, row_id
        )

    # inside

    def _remember(self, organization_id: UUID, patient_id: UUID, key: Key) -> None:
        with self._lock:
            if len(self._cache) > CACHE_KEYS:
                self._cache.clear()
                self._of_patient.clear()
            until = time.monotonic() + CACHE_SECONDS
            self._cache[key.id] = _Cached(key, until)
            self._of_patient[organization_id, patient_id] = (key.id, until)

    def _open_patient_key(
        self,
        connection: Connection[tuple[object, ...]],
        organization_id: UUID,
        patient_id: UUID,
        key_id: UUID,
        wrapping_id: UUID,
        wrapped: bytes,
    ) -> Key:
        wrapping = self._organization_key_by_id(organization_id, wrapping_id, connection)
        key = Key(key_id, unwrap(wrapping.secret, wrapped, _patient(patient_id, key_id)))
        self._remember(organization_id, patient_id, key)
        return key

    def _organization_key_by_id(
        self, organization_id: UUID, key_id: UUID, connection: Connection[tuple[object, ...]] | None = None
    ) -> Key:
        current = (
            self.organization_key(organization_id)
            if connection is None
            else self._organization.get((organization_id, "seal"))
        )
        current = current.key if isinstance(current, _Cached) else current
        if current and current.id == key_id:
            return current
        if connection is None:
            with self._pool.connection() as own:
                return self._organization_key_by_id(organization_id, key_id, own)
        row = connection.execute(
            "select wrapped from organization_keys where organization_id = %s and id = %s and purpose = 'seal'",
            (organization_id, key_id),
        ).fetchone()
        if row is None:
            raise NoKey("the organization's key is gone; restore the key store")
        wrapped = row[0]
        assert isinstance(wrapped, bytes)  # noqa: S101  a bytea column
        return Key(key_id, unwrap(self._master, wrapped, _organization(organization_id, "seal", key_id)))


def _organization(organization_id: UUID, purpose: str, key_id: UUID) -> bytes:
    return f"{organization_id}|{purpose}|{key_id}".encode()


def _patient(patient_id: UUID, key_id: UUID) -> bytes:
    return f"patient|{patient_id}|{key_id}".encode()
