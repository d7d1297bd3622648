"""The API: every domain's router behind one application, built from settings at start."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import FastAPI

from lims_api.adapters.ml_scores import ModelFolder
from lims_api.catalogue.router import router as catalogue
from lims_api.core.db import Database, open_database
from lims_api.core.http import RequestLog, install_problems, install_staff_app
from lims_api.core.keys import KeyStore, read_master_key
from lims_api.core.settings import Settings, settings
from lims_api.core.telemetry import configure_logs
from lims_api.equipment.router import router as equipment
from lims_api.identity.router import router as identity
from lims_api.orders.router import router as orders
from lims_api.organizations.router import router as organizations
from lims_api.patients.router import router as patients
from lims_api.qc.router import router as qc
from lims_api.reports.router import public as public_reports
from lims_api.reports.router import router as reports
from lims_api.results.ports import RiskModels
from lims_api.results.router import router as results
from lims_api.specimens.router import router as specimens
from lims_api.sync.router import router as sync

ROUTERS = (
    results,
    patients,
    orders,
    specimens,
    reports,
    public_reports,
    identity,
    organizations,
    catalogue,
    equipment,
    qc,
    sync,
)
"""The busiest first: a request is matched against one after the other."""
STAFF_APP = Path(__file__).parents[1] / "web" / "dist"
"""The staff's app as `make setup` builds it."""


@dataclass(frozen=True)
class Services:
    """The long-lived things and the limits that services need besides their session."""

    models: RiskModels
    files_folder: Path
    session_hours: int = 12
    clock_tolerance_seconds: int = 60
    model_required: bool = True
    report_base_url: str = "http://127.0.0.1:28080"
    dashboard_key_file: Path | None = None
    dashboard_url: str = "http://127.0.0.1:28501"


def services_of(chosen: Settings) -> Services:
    """From the settings."""
    return Services(
        models=ModelFolder(chosen.models_folder), files_folder=chosen.files_folder, session_hours=chosen.session_hours,
        clock_tolerance_seconds=chosen.clock_tolerance_seconds, model_required=chosen.model_required,
        report_base_url=chosen.report_base_url, dashboard_key_file=chosen.dashboard_key_file,
        dashboard_url=chosen.dashboard_url,
    )  # fmt: skip


def key_store(chosen: Settings) -> KeyStore:
    """The key store of the settings."""
    return KeyStore(
        chosen.keys_url.get_secret_value(), read_master_key(chosen.master_key_file), connections=chosen.threads
    )


def build(database: Database, services: Services, *, threads: int = 4, web_folder: Path = STAFF_APP) -> FastAPI:
    """An application over an open database: what the server runs, and what tests run."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = threads
        yield {"database": database, "services": services}

    app = FastAPI(title="Nidan", version="1", lifespan=lifespan, docs_url="/docs", redoc_url=None)
    app.add_middleware(RequestLog)
    install_problems(app)
    for router in ROUTERS:
        app.include_router(router)
    install_staff_app(app, web_folder)

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> dict[str, str]:
        """Alive, and the database answers."""
        database.reads.check()  # connections are not tried out when they are taken
        with database.reads.connection(timeout=2) as connection:
            connection.execute("select 1")
        return {"status": "ok"}

    return app


def create() -> FastAPI:
    """The application of the environment's settings (granian's factory)."""
    configure_logs()
    chosen = settings()
    keys = key_store(chosen)
    database = open_database(chosen.database_url.get_secret_value(), keys, connections=chosen.threads)
    app = build(database, services_of(chosen), threads=chosen.threads, web_folder=chosen.web_folder or STAFF_APP)
    _settle()
    return app


def _settle() -> None:
    """What is imported stays: let the collector of cycles leave it alone, and look at new objects less often.

    It took a third of the time in which a batch of results is recorded. What has no cycle is freed at once as ever.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
