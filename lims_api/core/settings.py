"""Settings from the environment, prefix `LIMS_`. Only `app.py`, `worker.py` and `cli.py` read them.

No secret has a default: a missing one stops the start with its name.
"""

from functools import lru_cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What the API, the worker and the operator's commands need to know."""

    model_config = SettingsConfigDict(env_prefix="LIMS_", extra="ignore")

    database_url: SecretStr = Field(description="role lims_app on database lims, e.g. postgresql+psycopg://…")
    system_database_url: SecretStr | None = Field(default=None, description="role lims_system; worker and CLI only")
    importer_database_url: SecretStr | None = Field(default=None, description="role lims_importer; imports only")
    keys_url: SecretStr = Field(description="role lims_keys on database keys")
    master_key_file: Path = Field(description="32 bytes, hex, mode 0600; wraps the organizations' keys")
    files_folder: Path = Field(default=Path("var/files"), description="sealed files: reports, attachments")
    models_folder: Path = Field(default=Path("var/models"), description="deployed champion models")
    dashboard_key_file: Path | None = Field(default=None, description="Ed25519 private key that signs dashboard tokens")
    dashboard_url: str = "http://127.0.0.1:28501"
    web_folder: Path | None = Field(
        default=None, description="the staff's app as it was built; `web/dist` of this project if absent"
    )
    threads: int = Field(default=4, ge=1, le=64, description="threads = connections a worker (core_spike: 2 to 4)")
    session_hours: int = Field(default=12, ge=1, le=24)
    clock_tolerance_seconds: int = Field(default=60, ge=1, description="beyond it automatic release stops")
    model_required: bool = Field(default=True, description="hold when no champion model can be loaded")
    report_base_url: str = Field(default="http://127.0.0.1:28080", description="where a report's QR code points")
    key_backup_warning_days: int = 7


@lru_cache
def settings() -> Settings:
    """The process's settings, read once."""
    return Settings()
