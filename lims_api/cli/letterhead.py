"""`lims letterhead site|accredit|language`: what an organization's reports bear."""

from __future__ import annotations

import argparse
import sys
from datetime import date

from lims_api.catalogue import service as catalogue
from lims_api.cli.keys import stop_without_keys, system_database
from lims_api.core.db import Database, SystemCaller, transaction
from lims_api.core.errors import LimsError
from lims_api.core.i18n import Language
from lims_api.core.settings import settings
from lims_api.organizations import service as organizations


def letterhead(argv: list[str]) -> int:
    """Set what reports bear: a laboratory's address and contact, its accreditation, the usual language."""
    options = _parser().parse_args(argv)
    chosen = settings()
    stop_without_keys(chosen)
    does = {"site": _site, "accredit": _accredit, "language": _language}
    try:
        with system_database(chosen) as database:
            print(does[options.command](database, options))
    except LimsError as refusal:
        print(f"lims letterhead: {refusal.title}. {refusal.detail}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lims letterhead", description=letterhead.__doc__)
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    site = commands.add_parser("site", help="address and contact of a laboratory, as printed")
    site.add_argument("--address", required=True)
    site.add_argument("--contact", required=True, help="telephone, e-mail")
    accredit = commands.add_parser("accredit", help="a laboratory's certificate and the tests in its scope")
    accredit.add_argument("--certificate", required=True, help="as printed: standard and number")
    accredit.add_argument("--tests", required=True, nargs="+", metavar="CODE")
    accredit.add_argument("--from", dest="valid_from", required=True, type=date.fromisoformat, metavar="YYYY-MM-DD")
    accredit.add_argument("--to", dest="valid_to", required=True, type=date.fromisoformat, metavar="YYYY-MM-DD")
    language = commands.add_parser("language", help="of reports whose order names none")
    language.add_argument("language", type=Language, choices=list(Language))
    for command in (site, accredit):
        command.add_argument("--site", required=True, metavar="CODE")
    for command in (site, accredit, language):
        command.add_argument("--organization", required=True, metavar="CODE")
    return parser


def _site(database: Database, options: argparse.Namespace) -> str:
    with transaction(_caller(database, options)) as session:
        site = organizations.site_of_code(session, options.site)
        organizations.describe(session, site, address=options.address, contact=options.contact)
    return f"Reports of {options.site} now bear: {options.address}; {options.contact}."


def _accredit(database: Database, options: argparse.Namespace) -> str:
    with transaction(_caller(database, options)) as session:
        site = organizations.site_of_code(session, options.site)
        for code in options.tests:
            catalogue.newest(session, code)
        entered = organizations.accredit(
            session, site, certificate=options.certificate, test_codes=options.tests, valid_from=options.valid_from,
            valid_to=options.valid_to,
        )  # fmt: skip
        return f"{options.certificate} covers {len(entered.test_codes)} tests of {options.site}."


def _language(database: Database, options: argparse.Namespace) -> str:
    organizations.speak(database, organizations.by_code(database, options.organization).id, options.language)
    return f"Orders that name no language are reported in '{options.language}'."


def _caller(database: Database, options: argparse.Namespace) -> SystemCaller:
    known = organizations.by_code(database, options.organization)
    return SystemCaller(database=database, organization_id=known.id, reason="letterhead")
