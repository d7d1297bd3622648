"""`lims serve` and `lims work`."""

from __future__ import annotations

import argparse

from granian import Granian
from granian.constants import Interfaces

from lims_api import worker
from lims_api.cli.keys import warn_without_backup
from lims_api.core.keys import MasterKeyUnusable
from lims_api.core.settings import settings
from lims_api.core.telemetry import switch_telemetry_off


def serve(argv: list[str]) -> int:
    """Serve the API until told to stop."""
    parser = argparse.ArgumentParser(
        prog="lims serve", description="Serve the API; settings come from LIMS_… variables."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=28080)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    options = parser.parse_args(argv)
    switch_telemetry_off()
    warning = warn_without_backup(settings())
    if warning:
        print(warning, flush=True)
    server = Granian(
        "lims_api.app:create", factory=True, address=options.host, port=options.port, workers=options.workers,
        interface=Interfaces.ASGI, log_enabled=True, log_access=False, respawn_failed_workers=True, backpressure=256,
    )  # fmt: skip
    server.serve()
    return 0


def work(argv: list[str]) -> int:
    """Run background jobs and the event relay until told to stop."""
    argparse.ArgumentParser(prog="lims work", description="Run background jobs; settings come from LIMS_….").parse_args(
        argv
    )
    switch_telemetry_off()
    try:
        return worker.main()  # it waits for a database that is away, but not for a key
    except MasterKeyUnusable as reason:
        raise SystemExit(f"lims: {reason}") from None
