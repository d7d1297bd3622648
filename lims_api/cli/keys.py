"""`lims keys backup|restore|status` and `lims erase`."""

from __future__ import annotations

import argparse
import getpass
import sys
from pathlib import Path
from uuid import UUID

from sqlalchemy import create_engine, text

from lims_api.app import key_store, services_of
from lims_api.core.db import SystemCaller, open_database
from lims_api.core.errors import LimsError
from lims_api.core.key_backup import (
    BackupDamaged,
    KeyStoreNotEmpty,
    RecoveryKeyWrong,
    apply_tombstones,
    backup,
    days_since_backup,
    restore,
)
from lims_api.core.keys import MasterKeyUnusable, read_master_key
from lims_api.core.settings import Settings, settings
from lims_api.patients.erasure import erase_patient


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
    commands.add_parser("status", help="days since the last back-up")
    options = parser.parse_args(argv)
    chosen = settings()
    try:
        return {"backup": _backup, "restore": _restore, "status": _status}[options.command](chosen, options)
    except (RecoveryKeyWrong, BackupDamaged, KeyStoreNotEmpty, MasterKeyUnusable, OSError) as reason:
        print(f"lims keys: {reason}", file=sys.stderr)
        return 2


def erase(argv: list[str]) -> int:
    """Destroy a patient's keys: no copy of their data can be read again, here, in the lake or in a back-up."""
    parser = argparse.ArgumentParser(prog="lims erase", description=erase.__doc__)
    parser.add_argument("--organization", required=True, metavar="CODE")
    parser.add_argument("--patient", required=True, type=UUID, metavar="ID", help="the patient's id, not their number")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options = parser.parse_args(argv)
    chosen = settings()
    organization_id = _organization(chosen, options.organization)
    if organization_id is None:
        print(f"lims erase: there is no organization '{options.organization}'", file=sys.stderr)
        return 2
    if not options.yes and input("This cannot be undone. Type 'erase' to go on: ") != "erase":
        print("Nothing was erased.")
        return 1
    database = open_database(_system(chosen), key_store(chosen))
    try:
        caller = SystemCaller(
            database=database, organization_id=organization_id, reason="erasure", services=services_of(chosen)
        )
        gone = erase_patient(caller, options.patient)
    except LimsError as refusal:
        print(f"lims erase: {refusal.title}. {refusal.detail}", file=sys.stderr)
        return 1
    finally:
        database.close()
    print(f"Erased: {gone} keys destroyed. What is sealed under them cannot be opened by anyone.")
    return 0


def warn_without_backup(chosen: Settings) -> str | None:
    """What start-up says when the keys were not backed up lately."""
    days = days_since_backup(chosen.keys_url.get_secret_value())
    if days is not None and days <= chosen.key_backup_warning_days:
        return None
    when = "never" if days is None else f"{days:.0f} days ago"
    return f"The keys were backed up {when}. Run `lims keys backup FILE` and lock the sheet away."


def _backup(chosen: Settings, options: argparse.Namespace) -> int:
    sheet = backup(chosen.keys_url.get_secret_value(), read_master_key(chosen.master_key_file), options.file)
    print(sheet.text())
    return 0


def _restore(chosen: Settings, options: argparse.Namespace) -> int:
    typed = options.recovery_key_file.read_text() if options.recovery_key_file else getpass.getpass("Recovery key: ")
    url = chosen.keys_url.get_secret_value()
    restored = restore(options.file, typed, url, chosen.master_key_file)
    dropped = apply_tombstones(url, _erased(chosen))
    print(f"Restored: {restored}. {dropped} keys of patients erased since were dropped again.")
    return 0


def _status(chosen: Settings, _options: argparse.Namespace) -> int:
    warning = warn_without_backup(chosen)
    print(warning or "The keys are backed up.")
    return 1 if warning else 0


def _erased(chosen: Settings) -> list[tuple[UUID, UUID]]:
    """Whom the clinical database knows as erased."""
    engine = create_engine(_system(chosen))
    with engine.connect() as connection:
        rows = connection.execute(text("select organization_id, id from lims.patients where status = 'erased'")).all()
    engine.dispose()
    return [(row.organization_id, row.id) for row in rows]


def _organization(chosen: Settings, code: str) -> UUID | None:
    engine = create_engine(_system(chosen))
    with engine.connect() as connection:
        found: UUID | None = connection.execute(
            text("select id from lims.organizations where code = :code"), {"code": code}
        ).scalar()
    engine.dispose()
    return found


def _system(chosen: Settings) -> str:
    if chosen.system_database_url is None:
        raise SystemExit("Set LIMS_SYSTEM_DATABASE_URL (role lims_system).")
    return chosen.system_database_url.get_secret_value()
