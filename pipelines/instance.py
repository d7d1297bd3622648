"""Dagster's own storage: its folder, the configuration written there, and the environment that both need."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipelines.settings import Settings, with_driver

if TYPE_CHECKING:
    from dagster import DagsterInstance

STORAGE_URL = "LIMS_DAGSTER_STORAGE_URL"

# The URL is read from the environment, so that no password lies in the file. `psycopg2` must be named: with SQLAlchemy
# 2.1 a bare `postgresql://` means psycopg 3, and Dagster's notifications break on it.
CONFIGURATION = f"""\
storage:
  postgres:
    postgres_url:
      env: {STORAGE_URL}
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 2
  pools:
    default_limit: 1
"""


def environment(settings: Settings) -> Mapping[str, str]:
    """Write Dagster's configuration into its folder, and return the variables its processes need."""
    home = settings.dagster_folder.resolve()
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(CONFIGURATION)
    return {"DAGSTER_HOME": str(home), STORAGE_URL: with_driver(settings.dagster_url, "psycopg2")}


@contextmanager
def instance(settings: Settings) -> Iterator["DagsterInstance"]:
    """This installation's Dagster instance, to run assets in this process; `lims pipelines serve` shows its runs."""
    os.environ.update(environment(settings))
    import dagster as dg

    with dg.DagsterInstance.get() as found:
        # Dagster opens a connection for every event, 850 in a run, unless it is told to keep one as its web pages do.
        found.optimize_for_webserver(statement_timeout=60_000, pool_recycle=3600, max_overflow=20)
        yield found
