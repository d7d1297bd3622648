"""`lims history import`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from lims_api.cli.importing import HistoryUnusable, Importer
from lims_api.cli.keys import stop_without_keys
from lims_api.core.keys import KeyStore, read_master_key
from lims_api.core.settings import settings


def app(argv: list[str]) -> int:
    """Import a laboratory's past from Parquet."""
    parser = argparse.ArgumentParser(prog="lims history", description="Import a laboratory's past.")
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    run = commands.add_parser("import", help="patients.parquet, results.parquet and controls.parquet of a folder")
    run.add_argument("folder", type=Path)
    run.add_argument("--organization", required=True, metavar="CODE")
    options = parser.parse_args(argv)
    chosen = settings()
    if chosen.importer_database_url is None:
        print("lims history: set LIMS_IMPORTER_DATABASE_URL (role lims_importer)", file=sys.stderr)
        return 2
    stop_without_keys(chosen)
    url = chosen.importer_database_url.get_secret_value()
    keys = KeyStore(chosen.keys_url.get_secret_value(), read_master_key(chosen.master_key_file))
    try:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            imported = Importer(url, keys, options.organization, progress).run(options.folder)
    except (HistoryUnusable, FileNotFoundError) as reason:
        print(f"lims history: {reason}", file=sys.stderr)
        return 2
    finally:
        keys.close()
    print(json.dumps(dataclasses.asdict(imported)))
    return 0
