"""`lims catalogue check|import|export`: the reviewed files of a laboratory's catalogue."""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from pydantic import ValidationError
from rich.console import Console
from rich.progress import track
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from lims_api.app import key_store
from lims_api.catalogue import service
from lims_api.catalogue.checks import check
from lims_api.catalogue.files import texts_of, write
from lims_api.catalogue.listing import Finding, Listing, Severity
from lims_api.catalogue.reading import catalogue_of, read
from lims_api.catalogue.schemas import CatalogueIn
from lims_api.cli.keys import stop_without_keys
from lims_api.core.db import Database, SystemCaller, open_database, transaction
from lims_api.core.errors import LimsError
from lims_api.core.settings import settings
from lims_api.identity import service as identity

FAULTY, REFUSED = 1, 2
"""Exit codes: errors in the files; the command could not be done."""


class Refused(Exception):
    """The command cannot be done; says what to do. Nothing was changed."""


def app(argv: list[str]) -> int:
    """Check catalogue files, import them into an organization, or write its catalogue as files."""
    parser = argparse.ArgumentParser(
        prog="lims catalogue", description="A laboratory's tests and panels as text files under review."
    )
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    checking = commands.add_parser("check", help="say what is wrong with lists; exit 1 when there are errors")
    checking.add_argument("files", nargs="+", type=Path, metavar="FILE", help=".toml, .csv, .tsv, .json or .xlsx")
    importing = commands.add_parser("import", help="new and changed rows become new versions, unapproved")
    importing.add_argument("files", nargs="+", type=Path, metavar="FILE", help=".toml")
    importing.add_argument("--organization", required=True, metavar="CODE")
    exporting = commands.add_parser("export", help="write the newest versions, one file a discipline")
    exporting.add_argument("folder", type=Path)
    exporting.add_argument("--organization", required=True, metavar="CODE")
    options = parser.parse_args(argv)
    does = {"check": _check, "import": _import, "export": _export}
    try:
        return does[options.command](options)
    except (Refused, OSError) as reason:
        print(f"lims catalogue: {reason}", file=sys.stderr)
    except LimsError as refusal:
        print(f"lims catalogue: {refusal.title}. {refusal.detail}", file=sys.stderr)
    return REFUSED


def _check(options: argparse.Namespace) -> int:
    listings = _read(options.files)
    findings = check(listings)
    _print(findings)
    tests, panels = sum(len(each.entries) for each in listings), sum(len(each.panels) for each in listings)
    print(f"{len(listings)} files, {tests} tests, {panels} panels: {_counted(findings)}")
    return FAULTY if _errors(findings) else 0


def _import(options: argparse.Namespace) -> int:
    others = [file.name for file in options.files if file.suffix.casefold() != ".toml"]
    if others:
        raise Refused(f"{', '.join(others)}: only reviewed .toml files are imported; `check` reads other lists too")
    listings = _read(options.files)
    with _organization(options.organization) as caller:
        with transaction(caller) as session:
            known = {test.code for test in service.all_newest(session)}
        findings = check(listings, known_codes=known)
        _print(findings)
        if _errors(findings):
            print(f"Nothing was imported: {_counted(findings)}")
            return FAULTY
        done = _imported(caller, _joined(options.files))
    for word, codes in (("new", done.added), ("changed, next version", done.changed)):
        if codes:
            print(f"{word}: {' '.join(codes)}")
    print(f"{len(done.added)} new, {len(done.changed)} changed, {len(done.unchanged)} as they were.")
    print("A new version holds every result until a person approves it.")
    return 0


def _imported(caller: SystemCaller, wanted: CatalogueIn) -> service.Imported:
    try:
        with transaction(caller) as session:
            return service.import_rows(session, wanted)
    except IntegrityError:
        raise Refused("another import of this organization has just finished; run it again") from None


def _export(options: argparse.Namespace) -> int:
    with _organization(options.organization) as caller, transaction(caller) as session:
        stated = service.stated(session)
        names: dict[str, str] = {"": ""}
        for row in (*stated.test, *stated.panel):
            if row.approved_by not in names:
                names[row.approved_by] = identity.full_name(session, UUID(row.approved_by))
            row.approved_by = names[row.approved_by]
    strange = sorted({file.name for file in options.folder.glob("*.toml")} - set(texts_of(stated)))
    if strange:
        raise Refused(f"{options.folder} holds {', '.join(strange)}, which this export would leave stale; take it away")
    for file in write(stated, options.folder):
        print(file)
    return 0


def _read(files: Sequence[Path]) -> list[Listing]:
    return [read(file) for file in track(files, "reading", console=Console(stderr=True), transient=True)]


def _joined(files: Sequence[Path]) -> CatalogueIn:
    """All files as one; read again, so what is imported is what was checked or it is refused."""
    try:
        parts = [catalogue_of(file) for file in files]
    except (ValidationError, tomllib.TOMLDecodeError) as reason:
        raise Refused(f"a file changed while it was read; start again ({type(reason).__name__})") from None
    return CatalogueIn(
        test=[test for part in parts for test in part.test], panel=[panel for part in parts for panel in part.panel]
    )


def _print(findings: Sequence[Finding]) -> None:
    for each in findings:
        place = ": ".join(part for part in (each.file, each.row) if part)
        print(f"{each.severity}: {place}: {each.wrong} [{each.rule}] {each.remedy}")


def _errors(findings: Sequence[Finding]) -> int:
    return sum(each.severity is Severity.ERROR for each in findings)


def _counted(findings: Sequence[Finding]) -> str:
    errors = _errors(findings)
    return f"{errors} errors, {len(findings) - errors} warnings"


@contextmanager
def _organization(code: str) -> Iterator[SystemCaller]:
    """Who acts for an organization, under the system's role."""
    chosen = settings()
    if chosen.system_database_url is None:
        raise Refused("set LIMS_SYSTEM_DATABASE_URL (role lims_system)")
    stop_without_keys(chosen)
    keys = key_store(chosen)
    database = open_database(chosen.system_database_url.get_secret_value(), keys)
    try:
        yield SystemCaller(database=database, organization_id=_named(database, code), reason="catalogue")
    finally:
        database.close()
        keys.close()


def _named(database: Database, code: str) -> UUID:
    with database.engine.connect() as connection:
        found = connection.execute(
            text("select id from lims.organizations where code = :code"), {"code": code}
        ).scalar()
    if found is None:
        raise Refused(f"there is no organization '{code}'")
    return UUID(str(found))
