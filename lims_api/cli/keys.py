"""`lims keys backup|restore|status|tombstones` and `lims erase`."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Row, create_engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from lims_api.core.db import Database, SystemCaller, open_database
from lims_api.core.errors import LimsError
from lims_api.core.key_backup import (
    BackupDamaged,
    KeyStoreMissing,
    KeyStoreNotEmpty,
    RecoveryKeyWrong,
    backup,
    days_since_backup,
    organizations_with_keys,
    restore,
    tombstones,
)
from lims_api.core.keys import KeyStore, MasterKeyUnusable, read_master_key
from lims_api.core.settings import Settings, settings
from lims_api.patients.erasure import erase_patient
from lims_api.patients.errors import PatientUnknown

RECOVERY_LINES, RECOVERY_DIGITS = 4, 80
Person = tuple[UUID, UUID]
"""An organization's id and a patient's."""


class NotReadable(Exception):
    """What the command was given cannot be used; nothing was changed."""


_REFUSALS = (
    RecoveryKeyWrong, BackupDamaged, KeyStoreMissing, KeyStoreNotEmpty, MasterKeyUnusable, NotReadable, OSError,
)  # fmt: skip


def keys(argv: list[str]) -> int:
    """Back up the key store, restore it, or say when it was backed up last."""
    parser = argparse.ArgumentParser(
        prog="lims keys", description="Without its keys a laboratory has lost its reports."
    )
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    saving = commands.add_parser("backup", help="write every key to one file; prints the recovery sheet, once")
    saving.add_argument("file", type=Path)
    restoring = commands.add_parser("restore", help="onto an empty key store; asks for the recovery key")
    restoring.add_argument("file", type=Path)
    restoring.add_argument("--recovery-key-file", type=Path, help="instead of typing it")
    restoring.add_argument("--tombstones", type=Path, help="who was erased since: a list of `lims keys tombstones`")
    commands.add_parser("status", help="days since the last back-up")
    commands.add_parser("tombstones", help="print who was erased, by ids alone; keep the newest list")
    options = parser.parse_args(argv)
    chosen = settings()
    does = {"backup": _backup, "restore": _restore, "status": _status, "tombstones": _tombstones}
    try:
        return does[options.command](chosen, options)
    except _REFUSALS as reason:
        print(f"lims keys: {reason}", file=sys.stderr)
        return 2


def erase(argv: list[str]) -> int:
    """Destroy a patient's keys: no copy of their data can be read again, here, in the lake or in a back-up."""
    parser = argparse.ArgumentParser(prog="lims erase", description=erase.__doc__)
    parser.add_argument("--organization", metavar="CODE")
    parser.add_argument("--patient", type=UUID, metavar="ID", help="the patient's id, not their number")
    parser.add_argument("--again", action="store_true", help="after a restore: everybody who has a tombstone")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options = parser.parse_args(argv)
    if options.again == bool(options.organization or options.patient):
        parser.error("give either --organization and --patient, or --again")
    if not options.again and not (options.organization and options.patient):
        parser.error("--organization and --patient belong together")
    chosen = settings()
    try:
        return _erase_again(chosen) if options.again else _erase(chosen, options)
    except _REFUSALS as reason:
        print(f"lims erase: {reason}", file=sys.stderr)
        return 2


def warn_without_backup(chosen: Settings) -> str | None:
    """What start-up says when the keys were not backed up lately. Without usable keys the start ends here."""
    stop_without_keys(chosen)
    try:
        days = days_since_backup(chosen.keys_url.get_secret_value())
    except KeyStoreMissing as reason:
        raise SystemExit(f"lims: {reason}") from None
    if days is not None and days <= chosen.key_backup_warning_days:
        return None
    when = "never" if days is None else f"{days:.0f} days ago"
    return f"The keys were backed up {when}. Run `lims keys backup FILE` and lock the sheet away."


def stop_without_keys(chosen: Settings) -> None:
    """A program without its keys shows every patient as if erased, and lets nobody sign in: its start ends here."""
    try:
        _refuse_without_keys(chosen)
    except (KeyStoreMissing, MasterKeyUnusable) as reason:
        raise SystemExit(f"lims: {reason}") from None


def _refuse_without_keys(chosen: Settings) -> None:
    known = organizations_with_keys(chosen.keys_url.get_secret_value(), read_master_key(chosen.master_key_file))
    if not known and chosen.system_database_url is not None and _rows(chosen, "select id from lims.organizations"):
        raise KeyStoreMissing(
            "The key store is empty, and the clinical database is not. `lims keys restore FILE` brings the keys back."
        )


def _backup(chosen: Settings, options: argparse.Namespace) -> int:
    sheet = backup(chosen.keys_url.get_secret_value(), read_master_key(chosen.master_key_file), options.file)
    print(sheet.text())
    return 0


def _restore(chosen: Settings, options: argparse.Namespace) -> int:
    typed = options.recovery_key_file.read_text() if options.recovery_key_file else _ask_recovery_key()
    known = _read_tombstones(options.tombstones) if options.tombstones else []
    erased = [*_erased(chosen), *known]
    url = chosen.keys_url.get_secret_value()
    restored = restore(options.file, typed, url, chosen.master_key_file, erased=erased)
    print(
        f"Restored, as of {restored.taken_at.isoformat()}: the master key, {restored.organization_keys} keys of"
        f" organizations and {restored.patient_keys} of patients. {restored.erased_again} of them were dropped again,"
        f" of patients erased since; {restored.tombstones} tombstones are known.\n"
        "If the clinical database is older than an erasure, run `lims erase --again`."
    )
    return 0


def _ask_recovery_key() -> str:
    """Line by line, as it stands on the sheet; all four at once will do, too."""
    typed = ""
    for number in range(1, RECOVERY_LINES + 1):
        typed += getpass.getpass(f"Recovery key, line {number}: ") + "\n"
        if len("".join(typed.split())) >= RECOVERY_DIGITS:
            break
    return typed


def _status(chosen: Settings, _options: argparse.Namespace) -> int:
    warning = warn_without_backup(chosen)
    print(warning or "The keys are backed up.")
    return 1 if warning else 0


def _tombstones(chosen: Settings, _options: argparse.Namespace) -> int:
    for organization_id, patient_id in tombstones(chosen.keys_url.get_secret_value()):
        print(organization_id, patient_id)
    return 0


def _read_tombstones(file: Path) -> list[Person]:
    found = []
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        try:
            organization_id, patient_id = map(UUID, line.split())
        except ValueError:
            raise NotReadable(f"Line {number} of {file.name} is not two ids. Nothing was restored.") from None
        found.append((organization_id, patient_id))
    return found


def _erase(chosen: Settings, options: argparse.Namespace) -> int:
    known = _rows(chosen, "select id from lims.organizations where code = :code", code=options.organization)
    if not known:
        print(f"lims erase: there is no organization '{options.organization}'", file=sys.stderr)
        return 2
    if not options.yes and input("This cannot be undone. Type 'erase' to go on: ") != "erase":
        print("Nothing was erased.")
        return 1
    with system_database(chosen) as database:
        try:
            gone = erase_patient(_caller(database, known[0][0]), options.patient)
        except LimsError as refusal:
            print(f"lims erase: {refusal.title}. {refusal.detail}", file=sys.stderr)
            return 1
    print(f"Erased: {gone} keys destroyed. What is sealed under them cannot be opened by anyone.")
    return 0


def _erase_again(chosen: Settings) -> int:
    """Mark everybody who has a tombstone, also in a clinical database that was restored from before their erasure."""
    marked, refused = set(_erased(chosen)), 0
    wanted = [person for person in tombstones(chosen.keys_url.get_secret_value()) if person not in marked]
    with system_database(chosen) as database:
        for organization_id, patient_id in wanted:
            try:
                erase_patient(_caller(database, organization_id), patient_id)
                print(f"Erased again: {patient_id}")
            except PatientUnknown:
                print(f"Not in this database: {patient_id}")
            except LimsError as refusal:
                refused += 1
                print(f"lims erase: {patient_id}: {refusal.title}. {refusal.detail}", file=sys.stderr)
    return 1 if refused else 0


def _caller(database: Database, organization_id: UUID) -> SystemCaller:
    return SystemCaller(database=database, organization_id=organization_id, reason="erasure")


def _erased(chosen: Settings) -> list[Person]:
    """Whom the clinical database knows as erased."""
    rows = _rows(chosen, "select organization_id, id from lims.patients where status = 'erased'")
    return [(row.organization_id, row.id) for row in rows]


def _rows(chosen: Settings, statement: str, **values: str) -> Sequence[Row[Any]]:
    engine = create_engine(_system(chosen), hide_parameters=True)
    try:
        with engine.connect() as connection:
            return connection.execute(text(statement), values).all()
    except (OperationalError, ProgrammingError):
        raise NotReadable("The clinical database does not answer. Restore it first; nothing was changed.") from None
    finally:
        engine.dispose()


@contextmanager
def system_database(chosen: Settings) -> Iterator[Database]:
    """The operational database as role lims_system, with its keys, for one operator's command."""
    store = KeyStore(chosen.keys_url.get_secret_value(), read_master_key(chosen.master_key_file), connections=1)
    database = open_database(_system(chosen), store, connections=1)
    try:
        yield database
    finally:
        database.close()
        store.close()


def _system(chosen: Settings) -> str:
    if chosen.system_database_url is None:
        raise SystemExit("Set LIMS_SYSTEM_DATABASE_URL (role lims_system).")
    return chosen.system_database_url.get_secret_value()
