"""The key store's back-up: lost with everything, restored from the file and the sheet."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from lims_api.core import key_backup
from lims_api.core.crypto import new_secret
from lims_api.core.ids import uuid7
from lims_api.core.key_backup import (
    BackupDamaged,
    KeyStoreNotEmpty,
    RecoveryKeyWrong,
    RecoverySheet,
    apply_tombstones,
    backup,
    days_since_backup,
    restore,
    tombstones,
)
from lims_api.core.keys import SCHEMA, KeyStore, MasterKeyUnusable, NoKey, read_master_key
from tests.conftest import PASSWORDS, Environment
from tests.postgres import database

NAME = "patients.name_sealed"
NewStore = Callable[[], str]


@pytest.fixture(scope="module")
def databases(environment: Environment) -> Iterator[list[str]]:
    """Three databases of the keys' role, as URLs; making one takes longer than a test."""
    cluster, names = environment.cluster, [f"{environment.keys_name}_spare_{number}" for number in range(3)]
    with ExitStack() as made:
        for name in names:
            dsn = made.enter_context(database(cluster, name))
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute(f'alter database "{name}" owner to lims_keys'.encode())
                connection.execute("grant all on schema public to lims_keys")
        yield [cluster.url("lims_keys", PASSWORDS["lims_keys"], name, driver="postgresql") for name in names]


@pytest.fixture
def new_store(databases: list[str]) -> NewStore:
    """Gives the URL of a database without any table, at most three times a test."""
    left = list(databases)

    def give() -> str:
        url = left.pop()
        with psycopg.connect(url) as connection:
            connection.execute("drop table if exists organization_keys, patient_keys, erased_patients, key_backups")
        return url

    return give


@dataclass
class Laboratory:
    """A key store in use, with one sealed name a patient."""

    url: str
    master: bytes
    store: KeyStore
    organization: UUID
    patients: list[UUID]
    sealed: dict[UUID, bytes]

    def opens(self, url: str, master_file: Path) -> dict[UUID, str]:
        """The names that open with another store's keys."""
        other = KeyStore(url, read_master_key(master_file))
        keys = other.patient_keys(self.organization, self.patients)
        opened = {
            patient: other.unseal(self.sealed[patient], key, self.organization, NAME, patient)
            for patient, key in keys.items()
        }
        other.close()
        return opened


@pytest.fixture
def laboratory(new_store: NewStore) -> Iterator[Laboratory]:
    url, master, organization = new_store(), new_secret(), uuid7()
    with psycopg.connect(url) as connection:
        connection.execute(SCHEMA.encode())
    store = KeyStore(url, master)
    store.make_organization_keys(organization)
    patients = [uuid7() for _ in range(12)]
    keys = store.make_patient_keys(organization, patients)
    sealed = {
        patient: store.seal(f"Patient {number}", key, organization, NAME, patient)
        for number, (patient, key) in enumerate(zip(patients, keys, strict=True))
    }
    yield Laboratory(url, master, store, organization, patients, sealed)
    store.close()


def typed(sheet: RecoverySheet) -> str:
    return "\n".join(sheet.lines())


@pytest.mark.req("12.11")
def test_a_lost_key_store_is_restored_from_the_file_and_the_sheet_alone(
    laboratory: Laboratory, new_store: NewStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_backup, "ROWS_A_FRAME", 5)  # several frames
    file, master_file = tmp_path / "keys.backup", tmp_path / "new machine" / "master.key"
    sheet = backup(laboratory.url, laboratory.master, file)
    fresh = new_store()

    restored = restore(file, typed(sheet), fresh, master_file)

    assert (restored.organization_keys, restored.patient_keys, restored.tombstones) == (2, 12, 0)
    assert read_master_key(master_file) == laboratory.master
    assert master_file.stat().st_mode & 0o777 == 0o600
    assert laboratory.opens(fresh, master_file) == {
        patient: f"Patient {number}" for number, patient in enumerate(laboratory.patients)
    }
    store = KeyStore(fresh, laboratory.master)
    assert store.blind_token(laboratory.organization, "phone", "9") == laboratory.store.blind_token(
        laboratory.organization, "phone", "9"
    ), "searches find what was indexed before"
    store.close()


@pytest.mark.req("12.11")
def test_a_key_store_that_was_emptied_is_restored_in_place(laboratory: Laboratory, tmp_path: Path) -> None:
    file, master_file = tmp_path / "keys.backup", tmp_path / "master.key"
    sheet = backup(laboratory.url, laboratory.master, file)
    with psycopg.connect(laboratory.url) as connection:
        connection.execute("truncate organization_keys, patient_keys")

    restore(file, typed(sheet), laboratory.url, master_file)

    assert len(laboratory.opens(laboratory.url, master_file)) == 12


def test_the_file_holds_nothing_that_can_be_read(laboratory: Laboratory, tmp_path: Path) -> None:
    sheet = backup(laboratory.url, laboratory.master, tmp_path / "keys.backup")

    content = (tmp_path / "keys.backup").read_bytes()
    with psycopg.connect(laboratory.url) as connection:
        wrapped = [row[0] for row in connection.execute("select wrapped from patient_keys")]
    secrets = [laboratory.master, sheet.recovery_key, *wrapped, laboratory.organization.bytes]
    for secret in secrets:
        assert secret not in content
        assert secret.hex().encode() not in content
    assert str(laboratory.organization).encode() not in content
    assert (tmp_path / "keys.backup").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["keys.backup"]


def test_the_sheet_shows_the_key_once_and_its_repr_never(laboratory: Laboratory, tmp_path: Path) -> None:
    sheet = backup(laboratory.url, laboratory.master, tmp_path / "keys.backup")

    text = sheet.text()
    assert all(line in text for line in sheet.lines())
    assert sheet.sha256 in text
    assert "12 patients" in text
    assert sheet.recovery_key.hex()[:16] not in repr(sheet)
    assert all(group not in repr(sheet) for line in sheet.lines() for group in [line.replace(" ", "")[:16]])


@pytest.mark.req("12.11")
def test_a_wrong_recovery_key_is_refused_and_nothing_is_written(
    laboratory: Laboratory, new_store: NewStore, tmp_path: Path
) -> None:
    file, master_file, fresh = tmp_path / "keys.backup", tmp_path / "master.key", new_store()
    sheet = backup(laboratory.url, laboratory.master, file)
    another = backup(laboratory.url, laboratory.master, tmp_path / "another.backup")
    lines = sheet.lines()
    lines[2] = ("1" if lines[2][0] == "0" else "0") + lines[2][1:]

    with pytest.raises(RecoveryKeyWrong, match="another back-up"):
        restore(file, typed(another), fresh, master_file)
    with pytest.raises(RecoveryKeyWrong, match=r"Line 3 .* mistyped"):
        restore(file, "\n".join(lines), fresh, master_file)

    assert not master_file.exists()
    assert is_untouched(fresh)


def is_untouched(url: str) -> bool:
    with psycopg.connect(url) as connection:
        row = connection.execute("select to_regclass('patient_keys')").fetchone()
    return row == (None,)


def test_a_damaged_back_up_restores_nothing(
    laboratory: Laboratory, new_store: NewStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_backup, "ROWS_A_FRAME", 4)
    file, fresh = tmp_path / "keys.backup", new_store()
    sheet = backup(laboratory.url, laboratory.master, file)
    header, frames = split(file.read_bytes())
    assert len(frames) == 5, "master, organization keys, three of patient keys"
    flipped = frames[2][:40] + bytes([frames[2][40] ^ 1]) + frames[2][41:]
    harms = {
        "a bit": (header, [*frames[:2], flipped, *frames[3:]]),
        "the end": (header, frames[:-1]),
        "a frame": (header, frames[:2] + frames[3:]),
        "a frame twice": (header, [*frames[:3], *frames[2:]]),
        "frames swapped": (header, [frames[0], frames[2], frames[1], *frames[3:]]),
        "the header": (header.replace(b'"keys": 12', b'"keys": 13'), frames),
        "more": (header, [*frames, frames[-1]]),
        "half a frame": (header, [*frames[:-1], frames[-1][:-7]]),
    }

    for harm, (first, rest) in harms.items():
        file.write_bytes(first + b"\n" + b"".join(rest))
        with pytest.raises(BackupDamaged):
            restore(file, typed(sheet), fresh, tmp_path / "master.key")

        assert is_untouched(fresh), harm
        assert not (tmp_path / "master.key").exists(), harm


def split(content: bytes) -> tuple[bytes, list[bytes]]:
    header, _, rest = content.partition(b"\n")
    frames = []
    while rest:
        length = 4 + int.from_bytes(rest[:4])
        frames.append(rest[:length])
        rest = rest[length:]
    return header, frames


def test_a_file_that_is_no_back_up_is_refused(new_store: NewStore, tmp_path: Path) -> None:
    file, fresh = tmp_path / "file", new_store()
    for content in (b"", b"\n", b"{}\n", b'{"format": "other"}\n', b"\x00" * 5_000, b"[1]\n"):
        file.write_bytes(content)

        with pytest.raises(BackupDamaged, match="not a key back-up"):
            restore(file, "\n".join(key_backup.recovery_lines(new_secret())), fresh, tmp_path / "master.key")


@pytest.mark.req("4.1.3")
def test_a_patient_erased_before_the_back_up_is_erased_after_it(
    laboratory: Laboratory, new_store: NewStore, tmp_path: Path
) -> None:
    gone = laboratory.patients[3]
    laboratory.store.destroy_patient(laboratory.organization, gone)
    sheet = backup(laboratory.url, laboratory.master, tmp_path / "keys.backup")
    fresh = new_store()

    restored = restore(tmp_path / "keys.backup", typed(sheet), fresh, tmp_path / "master.key")

    assert (restored.patient_keys, restored.tombstones, restored.erased_again) == (11, 1, 0)
    assert set(laboratory.opens(fresh, tmp_path / "master.key")) == set(laboratory.patients) - {gone}


@pytest.mark.req("4.1.3")
def test_a_patient_erased_after_the_back_up_stays_erased_when_the_store_still_knows(
    laboratory: Laboratory, tmp_path: Path
) -> None:
    gone = laboratory.patients[5]
    sheet = backup(laboratory.url, laboratory.master, tmp_path / "keys.backup")
    laboratory.store.destroy_patient(laboratory.organization, gone)
    with psycopg.connect(laboratory.url) as connection:
        connection.execute("truncate organization_keys, patient_keys")

    restored = restore(tmp_path / "keys.backup", typed(sheet), laboratory.url, tmp_path / "master.key")

    assert (restored.patient_keys, restored.erased_again) == (12, 1)
    assert set(laboratory.opens(laboratory.url, tmp_path / "master.key")) == set(laboratory.patients) - {gone}


@pytest.mark.req("4.1.3")
def test_a_patient_erased_after_the_back_up_stays_erased_when_the_tombstones_are_carried_over(
    laboratory: Laboratory, new_store: NewStore, tmp_path: Path
) -> None:
    gone = laboratory.patients[7]
    sheet = backup(laboratory.url, laboratory.master, tmp_path / "keys.backup")
    laboratory.store.destroy_patient(laboratory.organization, gone)
    known = tombstones(laboratory.url)
    fresh = new_store()
    restore(tmp_path / "keys.backup", typed(sheet), fresh, tmp_path / "master.key")

    assert gone in laboratory.opens(fresh, tmp_path / "master.key"), "the file alone cannot know"
    assert apply_tombstones(fresh, known) == 1

    assert set(laboratory.opens(fresh, tmp_path / "master.key")) == set(laboratory.patients) - {gone}
    assert known == [(laboratory.organization, gone)] == tombstones(fresh)
    assert apply_tombstones(fresh, known) == 0, "once more is harmless"
    with pytest.raises(NoKey):
        KeyStore(fresh, laboratory.master).patient_key(laboratory.organization, gone)


def test_a_store_with_keys_is_not_restored_over(laboratory: Laboratory, tmp_path: Path) -> None:
    sheet = backup(laboratory.url, laboratory.master, tmp_path / "keys.backup")

    with pytest.raises(KeyStoreNotEmpty):
        restore(tmp_path / "keys.backup", typed(sheet), laboratory.url, tmp_path / "master.key")

    assert not (tmp_path / "master.key").exists()


def test_another_master_key_in_the_way_is_not_overwritten(
    laboratory: Laboratory, new_store: NewStore, tmp_path: Path
) -> None:
    file, master_file, fresh = tmp_path / "keys.backup", tmp_path / "master.key", new_store()
    sheet = backup(laboratory.url, laboratory.master, file)
    master_file.write_text(new_secret().hex())
    master_file.chmod(0o600)
    before = master_file.read_text()

    with pytest.raises(MasterKeyUnusable, match="another key"):
        restore(file, typed(sheet), fresh, master_file)

    assert master_file.read_text() == before
    assert is_untouched(fresh)


def test_a_restore_that_was_interrupted_after_the_master_key_can_be_repeated(
    laboratory: Laboratory, new_store: NewStore, tmp_path: Path
) -> None:
    sheet = backup(laboratory.url, laboratory.master, tmp_path / "keys.backup")
    restore(tmp_path / "keys.backup", typed(sheet), new_store(), tmp_path / "master.key")

    restored = restore(tmp_path / "keys.backup", typed(sheet), new_store(), tmp_path / "master.key")

    assert restored.patient_keys == 12


def test_a_back_up_under_a_master_key_that_opens_nothing_is_refused(laboratory: Laboratory, tmp_path: Path) -> None:
    with pytest.raises(MasterKeyUnusable, match="does not open"):
        backup(laboratory.url, new_secret(), tmp_path / "keys.backup")

    assert list(tmp_path.iterdir()) == []
    assert days_since_backup(laboratory.url) is None


def test_a_back_up_never_overwrites_another(laboratory: Laboratory, tmp_path: Path) -> None:
    file = tmp_path / "keys.backup"
    backup(laboratory.url, laboratory.master, file)
    before = file.read_bytes()

    with pytest.raises(FileExistsError):
        backup(laboratory.url, laboratory.master, file)

    assert file.read_bytes() == before
    with psycopg.connect(laboratory.url) as connection:
        assert connection.execute("select count(*), max(keys) from key_backups").fetchone() == (1, 12)


@pytest.mark.req("12.11")
def test_the_days_since_the_last_back_up_are_known_for_the_warning(
    laboratory: Laboratory, new_store: NewStore, tmp_path: Path
) -> None:
    before = days_since_backup(laboratory.url)
    sheet = backup(laboratory.url, laboratory.master, tmp_path / "keys.backup")
    after = days_since_backup(laboratory.url)
    with psycopg.connect(laboratory.url) as connection:
        connection.execute("update key_backups set taken_at = now() - interval '8 days'")
    later = days_since_backup(laboratory.url)
    fresh = new_store()
    restore(tmp_path / "keys.backup", typed(sheet), fresh, tmp_path / "master.key")
    restored = days_since_backup(fresh)

    assert before is None
    assert after is not None
    assert 0 <= after < 0.01
    assert later is not None
    assert 7.99 < later < 8.01
    assert restored is not None
    assert restored < 0.01
