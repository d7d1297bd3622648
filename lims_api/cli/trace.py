"""`lims trace`: a result from the analyser's bytes to its last copy, and back."""

from __future__ import annotations

import argparse
import gc
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from rich.console import Console
from rich.progress import Progress
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from lims_api.app import key_store, services_of
from lims_api.cli.asking import Asked
from lims_api.cli.keys import stop_without_keys
from lims_api.cli.traced import Counts, as_json, lines
from lims_api.core.clock import utc_now
from lims_api.core.db import Database, SystemCaller, open_database, transaction
from lims_api.core.errors import LimsError
from lims_api.core.settings import Settings, settings
from lims_api.lineage import service as lineage
from lims_api.lineage.chain import Chain
from lims_api.lineage.gather import CodeMaps
from lims_api.lineage.ports import NoAnswer, Programs

TOGETHER = 5_000


class NotTraceable(Exception):
    """What was asked for cannot be found; says what to do next."""


def app(argv: list[str]) -> int:
    """Trace results: 0 nothing differs, 1 something does, 2 nothing was traced."""
    options = _parser().parse_args(argv)
    chosen = settings()
    if chosen.system_database_url is None:
        print("lims trace: set LIMS_SYSTEM_DATABASE_URL (role lims_system)", file=sys.stderr)
        return 2
    stop_without_keys(chosen)
    try:
        with _database(chosen) as database, _programs(options) as programs:
            caller = _caller(database, chosen, options)
            return _all(caller, options, programs) if options.all else _some(caller, options, programs)
    except LimsError as refusal:
        print(f"lims trace: {refusal.title}. {refusal.detail}", file=sys.stderr)
    except NoAnswer:
        print("lims trace: a program that was asked has ended; what it said stands above", file=sys.stderr)
    except OperationalError:
        print("lims trace: the database does not answer in time; try --since, and fewer at once", file=sys.stderr)
    except (NotTraceable, OSError) as reason:
        print(f"lims trace: {reason}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lims trace", description="Trace a result from the analyser's bytes to its last copy, and back."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("result", nargs="?", type=UUID, metavar="RESULT_ID", help="the id of one result")
    what.add_argument("--report", metavar="CODE|FILE.pdf", help="the results that a report shows")
    what.add_argument("--message", metavar="SHA256", help="the results of a transmission, by the hash of its bytes")
    what.add_argument("--specimen", metavar="ACCESSION", help="the results of a specimen")
    what.add_argument("--all", action="store_true", help="every result of the organization")
    parser.add_argument("--organization", metavar="CODE", help="whose; nobody else's exist then")
    parser.add_argument(
        "--since", type=datetime.fromisoformat, metavar="DATE", help="with --all: recorded from then on"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="with --all: no more than these")
    parser.add_argument("--profiles", type=Path, metavar="FOLDER", help="analyser profiles of another day")
    parser.add_argument("--timezone", default="Asia/Kolkata", help="of times that the analyser sends without an offset")
    parser.add_argument("--json", action="store_true", help="one JSON object a result")
    return parser


@contextmanager
def _database(chosen: Settings) -> Iterator[Database]:
    assert chosen.system_database_url is not None  # noqa: S101  asked for before
    url = chosen.system_database_url.get_secret_value()
    with closing(key_store(chosen)) as keys, closing(open_database(url, keys, connections=2)) as database:
        yield database


@contextmanager
def _programs(options: argparse.Namespace) -> Iterator[Programs]:
    profiles = ["--profiles", str(options.profiles)] if options.profiles else []
    with ExitStack() as stack:
        reparse = stack.enter_context(Asked("ingest", "reparse", *profiles))
        copies = stack.enter_context(Asked("pipelines", "trace"))
        yield Programs(reparse, copies if _answers(copies) else None, options.timezone)


def _answers(copies: Asked) -> bool:
    """Whether there are a lake and a warehouse: asked for nothing, once, before anything is traced."""
    try:
        copies.ask({"organization_id": "", "row_ids": [], "since": utc_now().isoformat()})
    except NoAnswer:
        print("lims trace: no lake and warehouse answer; those links will be absent", file=sys.stderr)
        return False
    return True


def _caller(database: Database, chosen: Settings, options: argparse.Namespace) -> SystemCaller:
    return SystemCaller(
        database=database, organization_id=_organization(database, options), reason="trace",
        services=services_of(chosen),
    )  # fmt: skip


_FIND = {
    "organization": "select id from lims.organizations where code = :name",
    "result": "select organization_id from lims.results where id = :name",
    "message": "select distinct organization_id from lims.instrument_messages where body_sha256 = :name",
    "specimen": "select organization_id from lims.specimens where accession_number = :name",
    "code": "select organization_id from lims.reports where verification_code = :name",
    "file": "select distinct organization_id from lims.reports where sha256 = :name",
    "only": "select id from lims.organizations where :name = ''",
}


def _organization(database: Database, options: argparse.Namespace) -> UUID:
    """The one that is named, else the one that has what is asked for; several must be told apart."""
    how, name = _asked(options)
    with database.engine.connect() as connection:
        found = list(connection.scalars(text(_FIND[how]), {"name": name}))
    if not found:
        raise NotTraceable(f"there is no {how} '{name}' here; look the id up in the order or the ledger")
    if len(found) > 1:
        raise NotTraceable("several organizations have one of that name; say which with --organization CODE")
    return found[0]  # type: ignore[no-any-return]


def _asked(options: argparse.Namespace) -> tuple[str, object]:
    if options.organization:
        return "organization", options.organization
    if options.result:
        return "result", options.result
    if options.message:
        return "message", options.message
    if options.specimen:
        return "specimen", options.specimen
    if options.report:
        digest = _digest(options.report)
        return ("file", digest) if digest else ("code", options.report)
    return "only", ""


def _digest(report: str) -> str | None:
    """Of the file of that name, or None where there is none and it is a code."""
    return sha256(Path(report).read_bytes()).hexdigest() if Path(report).is_file() else None


def _some(caller: SystemCaller, options: argparse.Namespace, programs: Programs) -> int:
    with transaction(caller) as session:
        if options.result:
            ids = [options.result]
        elif options.report:
            digest = _digest(options.report)
            ids = lineage.behind_report(session, sha256=digest, code=None if digest else options.report)
        elif options.message:
            ids = lineage.behind_message(session, options.message)
        else:
            ids = lineage.of_specimen(session, options.specimen)
        chains = lineage.trace(session, ids, programs, CodeMaps())
    if options.result and not chains:
        raise NotTraceable(f"there is no result {options.result} in this organization; look its id up in the order")
    _show(chains, options, is_short=not options.result)
    return _code(chains)


def _show(chains: Iterable[Chain], options: argparse.Namespace, *, is_short: bool) -> None:
    for chain in chains:
        print(as_json(chain) if options.json else "\n".join(lines(chain, is_short=is_short)))


def _code(chains: Iterable[Chain]) -> int:
    return 1 if any(chain.differs for chain in chains) else 0


def _all(caller: SystemCaller, options: argparse.Namespace, programs: Programs) -> int:
    """Batch by batch, each in a transaction of its own; what differs is shown in full, the rest is counted."""
    counts, codes, after = Counts(Counter()), CodeMaps(), None
    left = options.limit if options.limit is not None else sys.maxsize
    since = options.since.astimezone() if options.since else None
    _settle()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("tracing results", total=None)
        while left > 0:
            with transaction(caller) as session:
                ids = lineage.recorded_since(session, since, after=after, limit=min(left, TOGETHER))
                chains = lineage.trace(session, ids, programs, codes) if ids else []
            if not ids:
                break
            after, left = ids[-1], left - len(ids)
            counts.add(chains)
            progress.update(task, advance=len(ids))
            _show((chain for chain in chains if chain.differs), options, is_short=True)
    print(counts.as_json() if options.json else "\n".join(counts.lines()))
    return 1 if counts.differing else 0


def _settle() -> None:
    """A batch is hundreds of thousands of objects without a cycle: looking for some took a third of the time."""
    gc.freeze()
    gc.set_threshold(500_000, 20, 20)
