"""Where the ledger, the lake, the warehouse and the models are. Environment variables, prefix `LIMS_`."""

from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Addresses of the stores. URLs are SQLAlchemy's and hold passwords, so they are secrets without a default."""

    model_config = SettingsConfigDict(env_prefix="LIMS_", extra="ignore", hide_input_in_errors=True)

    ledger_url: SecretStr
    lake_catalog_url: SecretStr
    warehouse_url: SecretStr
    dagster_url: SecretStr
    mlflow_url: SecretStr
    lake_folder: str = "var/lake"
    models_folder: Path = Path("var/models")
    dagster_folder: Path = Path("var/dagster")
    mlflow_folder: Path = Path("var/mlflow")
    dbt_folder: Path = ROOT / "dbt"
    dagster_port: int = 23000
    model_approver: str | None = None
    """Who signs for a model that passed its gates. Without a name no new model becomes champion."""


def libpq(url: SecretStr) -> str:
    """The URL as libpq (ADBC, psycopg) reads it: without the SQLAlchemy driver's name."""
    return with_driver(url, None)


def with_driver(url: SecretStr, driver: str | None) -> str:
    """The same PostgreSQL URL for SQLAlchemy with the named driver, or for libpq with none."""
    name = "postgresql" if driver is None else f"postgresql+{driver}"
    return make_url(url.get_secret_value()).set(drivername=name).render_as_string(hide_password=False)
