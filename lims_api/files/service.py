"""Sealed files: what a person is shown lies on the disk as ciphertext only.

A file is durable before its row commits: one without a row is harmless, a row without its file is a lost report.
"""

import os
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from sqlalchemy.orm import Session

from lims_api.core.access import saw
from lims_api.core.crypto import CannotUnseal, Key, associated_data, seal, unseal
from lims_api.core.db import actor_of, keys_of
from lims_api.core.ids import uuid7
from lims_api.core.keys import NoKey
from lims_api.files.errors import FileAltered, FileErased, FileLost, FileUnknown
from lims_api.files.models import FileKind, StoredFile

COLUMN = "files.content"


def store(
    session: Session, folder: Path, *, kind: FileKind, content: bytes, media_type: str, patient_id: UUID | None
) -> StoredFile:
    """Seal a file under the patient's key (the organization's without one) and make it durable, then add its row.

    `NoKey` for an erased patient. A roll-back leaves the sealed file behind, which belongs to nothing.
    """
    organization_id, file_id = actor_of(session).organization_id, uuid7()
    key = _key(session, patient_id)
    path = path_of(folder, organization_id, file_id)
    _write(path, seal(key, content, associated_data(organization_id, COLUMN, file_id)))
    stored = StoredFile(
        organization_id=organization_id,
        id=file_id,
        kind=kind,
        patient_id=patient_id,
        media_type=media_type,
        bytes=len(content),
        sha256=sha256(content).hexdigest(),
    )
    session.add(stored)
    session.flush()
    return stored


def read(session: Session, folder: Path, file_id: UUID) -> bytes:
    """The plain bytes, proven to be those that were stored; the reading is logged.

    Raises `FileUnknown` (also for another organization's), `FileErased`, `FileLost`, `FileAltered`.
    """
    stored = session.get(StoredFile, (actor_of(session).organization_id, file_id))
    if stored is None:
        raise FileUnknown("There is no such file in this organization.")
    content = _opened(session, stored, _sealed(folder, stored))
    if sha256(content).hexdigest() != stored.sha256:
        raise FileAltered("Restore this file from a back-up.", file_id=str(file_id))
    saw(session, "file.read", stored.patient_id, file_id)
    return content


def path_of(folder: Path, organization_id: UUID, file_id: UUID) -> Path:
    """`<folder>/<organization>/<aa>/<id>`; `aa` are the id's last digits, for its first ones are the time."""
    return folder / str(organization_id) / file_id.hex[-2:] / str(file_id)


def _key(session: Session, patient_id: UUID | None) -> Key:
    organization_id, keys = actor_of(session).organization_id, keys_of(session)
    return keys.patient_key(organization_id, patient_id) if patient_id else keys.organization_key(organization_id)


def _sealed(folder: Path, stored: StoredFile) -> bytes:
    try:
        return path_of(folder, stored.organization_id, stored.id).read_bytes()
    except FileNotFoundError:
        raise FileLost("Restore this file from a back-up.", file_id=str(stored.id)) from None


def _opened(session: Session, stored: StoredFile, sealed: bytes) -> bytes:
    try:
        key = _key(session, stored.patient_id)
    except NoKey:
        if stored.patient_id is None:
            raise
        raise FileErased("Nothing opens this file any more.", file_id=str(stored.id)) from None
    try:
        return unseal(key, sealed, associated_data(stored.organization_id, COLUMN, stored.id))
    except CannotUnseal:
        raise FileAltered("Restore this file from a back-up.", file_id=str(stored.id)) from None


def _write(path: Path, content: bytes) -> None:
    """Durable when it returns: the content, then the name, then every folder that was new."""
    _make_folder(path.parent)
    half = path.with_name(f".{path.name}.part")
    handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    half.rename(path)
    _settle(path.parent)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _settle(folder.parent)


def _settle(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
