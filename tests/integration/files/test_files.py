"""Sealed files: durable before their row, proven when read, unreadable when the person is erased."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from lims_api.core.db import SystemCaller, transaction
from lims_api.core.ids import uuid7
from lims_api.core.keys import NoKey
from lims_api.files import service
from lims_api.files.errors import FileAltered, FileErased, FileLost, FileUnknown
from lims_api.files.models import FileKind, StoredFile
from tests.conftest import Environment
from tests.factories import organization

CONTENT = b"%PDF-1.7 Report of Lakshmi Sharma \x00\xff" * 100


@pytest.fixture
def caller(environment: Environment) -> SystemCaller:
    return SystemCaller(database=environment.app, organization_id=organization(environment))


@pytest.fixture
def patient_id(environment: Environment, caller: SystemCaller) -> UUID:
    """A patient as far as files know one: a key."""
    patient_id = uuid7()
    environment.keys.make_patient_keys(caller.organization_id, [patient_id])
    return patient_id


def store(caller: SystemCaller, folder: Path, patient_id: UUID | None, content: bytes = CONTENT) -> StoredFile:
    with transaction(caller) as session:
        return put(session, folder, patient_id, content)


def put(session: Session, folder: Path, patient_id: UUID | None, content: bytes = CONTENT) -> StoredFile:
    return service.store(
        session, folder, kind=FileKind.REPORT, content=content, media_type="application/pdf", patient_id=patient_id
    )


def read(caller: SystemCaller, folder: Path, file_id: UUID) -> bytes:
    with transaction(caller) as session:
        return service.read(session, folder, file_id)


@pytest.mark.parametrize("content", [b"", b"x", CONTENT], ids=["empty", "one byte", "report"])
@pytest.mark.parametrize("of_patient", [True, False])
def test_a_file_is_read_as_it_was_stored(
    caller: SystemCaller, patient_id: UUID, tmp_path: Path, content: bytes, of_patient: bool
) -> None:
    stored = store(caller, tmp_path, patient_id if of_patient else None, content)

    assert read(caller, tmp_path, stored.id) == content
    assert (stored.bytes, stored.sha256) == (len(content), sha256(content).hexdigest())


def test_the_disk_has_ciphertext_alone_in_its_place_and_for_its_owner_alone(
    caller: SystemCaller, patient_id: UUID, tmp_path: Path
) -> None:
    stored = store(caller, tmp_path, patient_id)

    path = tmp_path / str(caller.organization_id) / stored.id.hex[-2:] / str(stored.id)
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]
    assert b"Lakshmi" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_the_same_report_twice_is_two_ciphertexts(caller: SystemCaller, patient_id: UUID, tmp_path: Path) -> None:
    one, other = (
        service.path_of(tmp_path, caller.organization_id, store(caller, tmp_path, patient_id).id) for _ in range(2)
    )

    assert one.read_bytes() != other.read_bytes()


def test_the_file_is_durable_before_its_row_is_written(
    caller: SystemCaller, patient_id: UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of what is done to the disk: content, name, folder; and all of it while no row stands."""
    done: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def watched_fsync(handle: int) -> None:
        done.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "content")
        fsync(handle)

    def watched_rename(self: Path, target: Path) -> Path:
        done.append("name")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "rename", watched_rename)

    with transaction(caller) as session:
        stored = put(session, tmp_path, patient_id)
        on_disk = service.path_of(tmp_path, caller.organization_id, stored.id).exists()

    assert on_disk
    assert done == ["folder", "folder", "content", "name", "folder"]


def test_a_roll_back_leaves_a_file_that_belongs_to_nothing(
    caller: SystemCaller, patient_id: UUID, tmp_path: Path
) -> None:
    left: list[UUID] = []

    def store_and_fail() -> None:
        with transaction(caller) as session:
            left.append(put(session, tmp_path, patient_id).id)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        store_and_fail()

    assert service.path_of(tmp_path, caller.organization_id, left[0]).exists()
    with pytest.raises(FileUnknown):
        read(caller, tmp_path, left[0])


def test_a_disk_that_fails_leaves_no_row(
    environment: Environment, caller: SystemCaller, patient_id: UUID, tmp_path: Path
) -> None:
    (tmp_path / "files").write_text("no folder")

    with pytest.raises(FileExistsError):
        store(caller, tmp_path / "files", patient_id)

    with environment.connect("lims_system") as connection:
        rows = connection.execute(
            "select count(*) from lims.files where organization_id = %s", (caller.organization_id,)
        ).fetchone()
    assert rows == (0,)


def test_a_missing_file_is_called_lost(caller: SystemCaller, patient_id: UUID, tmp_path: Path) -> None:
    stored = store(caller, tmp_path, patient_id)
    service.path_of(tmp_path, caller.organization_id, stored.id).unlink()

    with pytest.raises(FileLost) as refused:
        read(caller, tmp_path, stored.id)

    assert refused.value.facts == {"file_id": str(stored.id)}


def flip(sealed: bytes, position: int) -> bytes:
    changed = bytearray(sealed)
    changed[position] ^= 1
    return bytes(changed)


ALTERATIONS: dict[str, Callable[[bytes], bytes]] = {
    "a bit": lambda sealed: flip(sealed, len(sealed) // 2),
    "the key's name": lambda sealed: flip(sealed, 3),
    "the nonce": lambda sealed: flip(sealed, 20),
    "the tag": lambda sealed: flip(sealed, -1),
    "the end": lambda sealed: sealed[:-1],
    "everything": lambda _: b"",
    "plain": lambda _: CONTENT,
}


@pytest.mark.parametrize("alter", ALTERATIONS.values(), ids=ALTERATIONS.keys())
def test_an_altered_file_is_not_given_out(
    caller: SystemCaller, patient_id: UUID, tmp_path: Path, alter: Callable[[bytes], bytes]
) -> None:
    stored = store(caller, tmp_path, patient_id)
    path = service.path_of(tmp_path, caller.organization_id, stored.id)
    path.write_bytes(alter(path.read_bytes()))

    with pytest.raises(FileAltered):
        read(caller, tmp_path, stored.id)


def test_a_file_in_the_place_of_another_is_not_given_out(
    caller: SystemCaller, patient_id: UUID, tmp_path: Path
) -> None:
    """Both of one patient, under one key: the ciphertext is bound to its row."""
    one, other = store(caller, tmp_path, patient_id), store(caller, tmp_path, patient_id, b"other")
    paths = [service.path_of(tmp_path, caller.organization_id, file.id) for file in (one, other)]
    paths[0].write_bytes(paths[1].read_bytes())

    with pytest.raises(FileAltered):
        read(caller, tmp_path, one.id)


def test_a_row_that_states_another_hash_is_not_believed(caller: SystemCaller, patient_id: UUID, tmp_path: Path) -> None:
    stored = store(caller, tmp_path, patient_id)
    with transaction(caller) as session:
        row = session.get(StoredFile, (caller.organization_id, stored.id))
        assert row is not None
        row.sha256 = sha256(b"other").hexdigest()

    with pytest.raises(FileAltered):
        read(caller, tmp_path, stored.id)


def test_another_laboratorys_file_does_not_exist(
    environment: Environment, caller: SystemCaller, patient_id: UUID, tmp_path: Path
) -> None:
    stored = store(caller, tmp_path, patient_id)

    with pytest.raises(FileUnknown):
        read(SystemCaller(database=environment.app, organization_id=organization(environment)), tmp_path, stored.id)


def test_nothing_opens_an_erased_persons_file(
    environment: Environment, caller: SystemCaller, patient_id: UUID, tmp_path: Path
) -> None:
    stored = store(caller, tmp_path, patient_id)
    environment.keys.destroy_patient(caller.organization_id, patient_id)

    with pytest.raises(FileErased):
        read(caller, tmp_path, stored.id)
    with pytest.raises(NoKey):
        store(caller, tmp_path, patient_id)


def test_reading_a_file_is_logged_and_failing_to_is_not(
    environment: Environment, caller: SystemCaller, patient_id: UUID, tmp_path: Path
) -> None:
    stored = store(caller, tmp_path, patient_id)

    read(caller, tmp_path, stored.id)
    service.path_of(tmp_path, caller.organization_id, stored.id).unlink()
    with pytest.raises(FileLost):
        read(caller, tmp_path, stored.id)

    with environment.connect("lims_system") as connection:
        rows: list[Any] = connection.execute(
            "select action, patient_id, subject_id from lims.access_log where organization_id = %s",
            (caller.organization_id,),
        ).fetchall()
    assert rows == [("file.read", patient_id, stored.id)]
