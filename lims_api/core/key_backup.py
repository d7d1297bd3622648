"""The key store's back-up: one file, useless without the recovery key, which exists on a printed sheet alone.

Without the keys every name in the operational database is lost for good; with a stolen copy of them the erased are
not erased. So: one file encrypted under a key of its own, made for this back-up and shown once; the master key is in
it; the tombstones of erased patients are in it and are applied after a restore, together with those known since.

The file: a line of JSON in clear (which back-up, nothing secret), then frames of `length (4) | AES-256-GCM`. A frame's
nonce is its number and whether it is the last; the header is the associated data. A frame moved, dropped, repeated or
cut off does not open.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg import IsolationLevel
from psycopg.errors import UndefinedTable

from lims_api.core.crypto import new_secret
from lims_api.core.keys import SCHEMA, MasterKeyUnusable, prove_master, read_master_key, write_master_key

FORMAT = "nidan key back-up 1"
ROWS_A_FRAME = 5_000
_LINES = 4
_TABLES = {
    "organization_keys": "id, organization_id, purpose, wrapped::text, created_at::text, retired_at::text",
    "patient_keys": "id, organization_id, patient_id, organization_key_id, wrapped::text, created_at::text",
    "erased_patients": "organization_id, patient_id, erased_at::text",
}
_COPIES = {
    "organization_keys": "copy organization_keys (id, organization_id, purpose, wrapped, created_at, retired_at)"
    " from stdin",
    "patient_keys": "copy patient_keys (id, organization_id, patient_id, organization_key_id, wrapped, created_at)"
    " from stdin",
}
_INSERT_TOMBSTONE = (
    "insert into erased_patients (organization_id, patient_id, erased_at) values (%s, %s, coalesce(%s, now()))"
    " on conflict (organization_id, patient_id) do nothing"
)
_DROP_ERASED = (
    "delete from patient_keys k using erased_patients e"
    " where e.organization_id = k.organization_id and e.patient_id = k.patient_id"
)


class RecoveryKeyWrong(Exception):
    """The recovery key is mistyped, or belongs to another back-up; the text says which line."""


class BackupDamaged(Exception):
    """The file is no key back-up, was altered, or ends too early. Nothing was restored from it."""


class KeyStoreNotEmpty(Exception):
    """A restore onto keys that exist would mix two stores."""


class KeyStoreMissing(Exception):
    """The database holds no key store: it was never made, or not restored yet."""


@dataclass(frozen=True)
class RecoverySheet:
    """What must be printed and locked away now: it is stored nowhere."""

    file: str
    taken_at: datetime
    organizations: int
    keys: int
    sha256: str
    recovery_key: bytes = field(repr=False)

    def lines(self) -> list[str]:
        """The recovery key to be typed: four lines of four groups, each line with its check."""
        return recovery_lines(self.recovery_key)

    def text(self) -> str:
        """The sheet."""
        key = "\n".join(f"  {number}   {line}" for number, line in enumerate(self.lines(), start=1))
        return (
            f"RECOVERY SHEET OF THE KEY STORE\n\nFile        {self.file}\nTaken at    {self.taken_at.isoformat()}\n"
            f"SHA-256     {self.sha256}\nHolds       the master key, the keys of {self.organizations} organizations"
            f" and {self.keys} patients\n\n"
            f"Recovery key (shown this once; the last group of a line is its check)\n\n{key}\n\n"
            "Keep this sheet under lock, apart from the file. Both together open every record.\n"
            "To restore onto an empty key store: lims keys restore FILE\n"
        )


def recovery_lines(key: bytes) -> list[str]:
    """32 bytes as four lines `xxxx xxxx xxxx xxxx  cccc`."""
    lines = []
    for number in range(_LINES):
        part = key[number * 8 : number * 8 + 8]
        digits = part.hex() + _check(number, part)
        lines.append(" ".join(digits[start : start + 4] for start in range(0, 20, 4)))
    return lines


def read_recovery_key(typed: str) -> bytes:
    """The 32 bytes again, from what a person typed: any spacing, any case. `RecoveryKeyWrong` names the bad line."""
    digits = "".join(character for character in typed.lower() if not character.isspace() and character != "-")
    if len(digits) != _LINES * 20:
        raise RecoveryKeyWrong(f"The recovery key has {_LINES * 20} characters; {len(digits)} were typed.")
    key = b""
    for number in range(_LINES):
        line = digits[number * 20 : number * 20 + 20]
        try:
            part = bytes.fromhex(line[:16])
        except ValueError:
            part = b""
        if len(part) != 8 or _check(number, part) != line[16:]:
            raise RecoveryKeyWrong(f"Line {number + 1} of the recovery key is mistyped.")
        key += part
    return key


def _check(number: int, part: bytes) -> str:
    return hashlib.sha256(b"recovery line %d|%b" % (number, part)).hexdigest()[:4]


def _which(key: bytes) -> str:
    """Names the sheet that opens a file, and tells nothing about the key."""
    return hashlib.sha256(b"which recovery key|" + key).hexdigest()[:16]


# taking one


def backup(keys_url: str, master: bytes, out_file: Path) -> RecoverySheet:
    """Write every key, the master key and the tombstones into a new file, 0600; returns the sheet to print.

    Refused under a master key that does not open the store's keys: such a back-up would be worth nothing.
    One snapshot of the store, which goes on working meanwhile. The file has its name only once it is whole and on
    disk; an existing one is not overwritten. Recorded in `key_backups`, for the start-up warning.
    """
    key = new_secret()
    with _store(keys_url) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        taken_at, organizations, count = _facts(connection)
        prove_master(connection, master)
        header = {"format": FORMAT, "taken_at": taken_at.isoformat(), "keys": count, "sheet": _which(key)}
        sha256 = _write(out_file, json.dumps(header).encode(), key, _contents(connection, master))
        connection.execute("insert into key_backups (taken_at, keys) values (%s, %s)", (taken_at, count))
    return RecoverySheet(out_file.name, taken_at, organizations, count, sha256, key)


def _facts(connection: psycopg.Connection[Any]) -> tuple[datetime, int, int]:
    row = connection.execute(
        "select now(), (select count(distinct organization_id) from organization_keys),"
        " (select count(*) from patient_keys)"
    ).fetchone()
    assert row is not None  # noqa: S101  an aggregate
    return row[0], row[1], row[2]


def _contents(connection: psycopg.Connection[Any], master: bytes) -> Iterator[bytes]:
    yield _frame("master", [[master.hex()]])
    for table, columns in _TABLES.items():
        with connection.cursor(name="back_up") as cursor:
            cursor.execute(f"select {columns} from {table}".encode())  # noqa: S608  names of our own
            while rows := cursor.fetchmany(ROWS_A_FRAME):
                yield _frame(table, rows)


def _frame(kind: str, rows: list[Any]) -> bytes:
    return zlib.compress(json.dumps([kind, rows], default=str, separators=(",", ":")).encode(), 1)


def _write(file: Path, header: bytes, key: bytes, frames: Iterable[bytes]) -> str:
    if file.exists():
        raise FileExistsError(f"{file.name} exists; a back-up is never overwritten")
    unfinished = file.with_name(file.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    handle = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w+b") as out:
        out.write(header + b"\n")
        for number, (frame, is_last) in enumerate(_with_last(frames)):
            sealed = AESGCM(key).encrypt(_nonce(number, is_last=is_last), frame, header)
            out.write(len(sealed).to_bytes(4) + sealed)
        out.flush()
        os.fsync(out.fileno())
        out.seek(0)
        digest = hashlib.file_digest(out, "sha256").hexdigest()
    unfinished.rename(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return digest


def _with_last(frames: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    previous: bytes | None = None
    for frame in frames:
        if previous is not None:
            yield previous, False
        previous = frame
    if previous is not None:
        yield previous, True


def _nonce(number: int, *, is_last: bool) -> bytes:
    """Unique under a key that encrypts one file."""
    return number.to_bytes(11) + (b"\x01" if is_last else b"\x00")


# restoring


@dataclass(frozen=True)
class Restored:
    """What a restore brought back."""

    taken_at: datetime
    organization_keys: int
    patient_keys: int
    tombstones: int
    erased_again: int


def restore(
    file: Path, recovery_key: str, keys_url: str, master_key_file: Path, *, erased: Iterable[tuple[UUID, UUID]] = ()
) -> Restored:
    """Bring a back-up onto a key store without keys, and write the master key file.

    All of it or nothing. Tombstones that the store already has are kept, and so are `erased`, those known elsewhere:
    `(organization_id, patient_id)`. They are applied before the restored keys can be seen by anybody.
    """
    key = read_recovery_key(recovery_key)
    with file.open("rb") as source, _store(keys_url) as connection:
        header, frames = _open(source, key)
        connection.execute(SCHEMA.encode())
        connection.execute("lock table organization_keys, patient_keys, erased_patients in access exclusive mode")
        if _any(connection, "organization_keys") or _any(connection, "patient_keys"):
            raise KeyStoreNotEmpty(
                "This key store holds keys. Restore onto an empty one, and carry its tombstones over."
            )
        _bury(connection, erased)
        counts = _take(connection, frames, lambda secret: _keep_master(master_key_file, secret))
        again = connection.execute(_DROP_ERASED).rowcount
        tombstones = connection.execute("select count(*) from erased_patients").fetchone()
        connection.execute(
            "insert into key_backups (taken_at, keys) values (%s, %s) on conflict do nothing",
            (header["taken_at"], header["keys"]),
        )
    return Restored(
        datetime.fromisoformat(header["taken_at"]),
        counts["organization_keys"],
        counts["patient_keys"],
        tombstones[0] if tombstones else 0,
        again,
    )


def _open(source: BinaryIO, key: bytes) -> tuple[dict[str, Any], Iterator[list[Any]]]:
    line = source.readline(2_000)
    try:
        header = json.loads(line)
        known = header["format"] == FORMAT
    except (ValueError, TypeError, KeyError):
        known = False
    if not known:
        raise BackupDamaged("This file is not a key back-up of a known format.")
    if header["sheet"] != _which(key):
        raise RecoveryKeyWrong("This recovery key is of another back-up. Find the sheet that names this file.")
    return header, _read_frames(source, key, line.rstrip(b"\n"))


def _read_frames(source: BinaryIO, key: bytes, header: bytes) -> Iterator[list[Any]]:
    number, is_last = 0, False
    while not is_last:
        length = int.from_bytes(source.read(4))
        sealed = source.read(length)
        following = source.read(1)
        is_last = not following
        source.seek(-len(following), os.SEEK_CUR)
        try:
            frame = AESGCM(key).decrypt(_nonce(number, is_last=is_last), sealed, header)
        except (InvalidTag, ValueError):
            raise BackupDamaged("The back-up was altered or ends too early. Nothing was restored.") from None
        content: list[Any] = json.loads(zlib.decompress(frame))
        yield content
        number += 1


def _take(
    connection: psycopg.Connection[Any], frames: Iterator[list[Any]], keep_master: Callable[[bytes], None]
) -> dict[str, int]:
    counts, master = dict.fromkeys(_TABLES, 0), b""
    for kind, rows in frames:
        if kind == "master":
            master = bytes.fromhex(rows[0][0])
            continue
        with connection.cursor() as cursor:
            if kind == "erased_patients":
                cursor.executemany(_INSERT_TOMBSTONE, rows)
            else:
                with cursor.copy(_COPIES[kind].encode()) as copy:
                    for row in rows:
                        copy.write_row(row)
        counts[kind] += len(rows)
    prove_master(connection, master)
    keep_master(master)
    return counts


def _keep_master(file: Path, secret: bytes) -> None:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_master_key(file, secret)
    elif read_master_key(file) != secret:
        raise MasterKeyUnusable(f"{file.name} holds another key; move it away, then restore")


# tombstones and warnings


def tombstones(keys_url: str) -> list[tuple[UUID, UUID]]:
    """`(organization_id, patient_id)` of everybody erased: what must be carried to a store restored from earlier."""
    with _store(keys_url) as connection:
        return connection.execute("select organization_id, patient_id from erased_patients order by 1, 2").fetchall()


def apply_tombstones(keys_url: str, erased: Iterable[tuple[UUID, UUID]]) -> int:
    """Erase these patients again, if their keys came back; returns how many keys went. Safe to repeat."""
    with _store(keys_url) as connection:
        _bury(connection, erased)
        return connection.execute(_DROP_ERASED).rowcount


def _bury(connection: psycopg.Connection[Any], erased: Iterable[tuple[UUID, UUID]]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(_INSERT_TOMBSTONE, [(*whom, None) for whom in erased])


def organizations_with_keys(keys_url: str, master: bytes) -> int:
    """How many organizations the store holds keys of; `MasterKeyUnusable` unless the master key opens each."""
    with _store(keys_url) as connection:
        prove_master(connection, master)
        return _facts(connection)[1]


def days_since_backup(keys_url: str) -> float | None:
    """For the start-up warning; None if there never was one."""
    with _store(keys_url) as connection:
        row = connection.execute(
            "select extract(epoch from now() - max(taken_at))::float8 / 86400 from key_backups"
        ).fetchone()
    return row[0] if row else None


def _any(connection: psycopg.Connection[Any], table: str) -> bool:
    statement = f"select 1 from {table} limit 1"  # noqa: S608  a name of our own
    return connection.execute(statement.encode()).fetchone() is not None


@contextmanager
def _store(keys_url: str) -> Iterator[psycopg.Connection[Any]]:
    url = keys_url.replace("postgresql+psycopg://", "postgresql://", 1)
    try:
        with psycopg.connect(url, options="-ctimezone=UTC") as connection:
            yield connection
    except UndefinedTable:
        raise KeyStoreMissing(
            "The keys' database holds no key store. `lims keys restore FILE` brings one back from its back-up."
        ) from None
