"""`lims mlflow`: MLflow's pages over the registry, on loopback, for data scientists. Nothing online depends on it."""

from __future__ import annotations

import argparse
import os
import sys


def app(argv: list[str]) -> int:
    """Serve until told to stop; jobs and telemetry off."""
    parser = argparse.ArgumentParser(prog="lims mlflow", description=__doc__)
    parser.add_argument("--port", type=int, default=28500)
    options = parser.parse_args(argv)
    url, folder = os.environ.get("LIMS_MLFLOW_URL"), os.environ.get("LIMS_MLFLOW_FOLDER", "var/mlflow")
    if not url:
        print("lims mlflow: set LIMS_MLFLOW_URL to the registry's database", file=sys.stderr)
        return 2
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    address = ["--host", "127.0.0.1", "--port", str(options.port), "--workers", "1"]
    stores = ["--backend-store-uri", url, "--default-artifact-root", folder]
    server = [sys.executable, "-m", "mlflow", "server", *address, *stores]
    return os.spawnve(os.P_WAIT, sys.executable, server, environment)  # noqa: S606
