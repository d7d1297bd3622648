"""Where the lake is and whose signature counts: three environment variables, read here and nowhere else."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class NotConfigured(Exception):
    """A setting is missing. The message names it."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`lake_catalog_url` is a SQLAlchemy URL that names its driver; `lake_folder` a folder or object-store URL."""

    lake_catalog_url: str
    lake_folder: str
    public_key_file: Path


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process, or NotConfigured: there is no default, since a wrong lake is worse than none."""
    return Settings(
        lake_catalog_url=_required(environment, "LIMS_LAKE_CATALOG_URL"),
        lake_folder=_required(environment, "LIMS_LAKE_FOLDER"),
        public_key_file=Path(_required(environment, "LIMS_DASHBOARD_PUBLIC_KEY_FILE")),
    )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise NotConfigured(f"{name} is not set.")
    return value
