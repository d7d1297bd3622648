"""Run dbt inside this process: parse the project when it changed, build the warehouse's models and test them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from pipelines.settings import Settings

MANIFEST = "manifest.json"
_STAMP = "project.sha256"
_GOOD = frozenset({"success", "pass", "warn", "no-op"})


@dataclass(frozen=True)
class Node:
    """What became of one model or test: dbt's unique id, its status (`success`, `pass`, `fail` …) and seconds taken."""

    unique_id: str
    status: str
    seconds: float
    failures: int

    @property
    def good(self) -> bool:
        """Built, or tested and found right."""
        return self.status in _GOOD


class ProjectBroken(Exception):
    """The dbt project cannot be parsed or started at all; nothing was built."""


def prepare_manifest(project: Path) -> Path:
    """The path of the project's manifest, made anew only if the project or dbt changed since."""
    manifest, stamp = project / "target" / MANIFEST, project / "target" / _STAMP
    now = _project_hash(project)
    if not (manifest.exists() and stamp.exists() and stamp.read_text() == now):
        _invoke(project, "parse")
        stamp.write_text(now)
    return manifest


def prepare(project: Path) -> None:
    """Import dbt and parse the project if need be: what takes long and needs no database."""
    import dbt.cli.main  # noqa: F401

    prepare_manifest(project)


def build(settings: Settings) -> list[Node]:
    """Build and test every model of the warehouse. A failed node is in the answer, it does not raise.

    Raises ProjectBroken when dbt could not start: no connection, a syntax error.
    """
    with _profile(settings):
        results = _invoke(settings.dbt_folder, "build", "--no-write-json")
    return [
        Node(result.node.unique_id, str(result.status), result.execution_time, result.failures or 0)
        for result in results
        if hasattr(result.node, "unique_id") and result.node.resource_type != "operation"
    ]


def _invoke(project: Path, command: str, *options: str) -> Any:
    from dbt.cli.main import dbtRunner  # takes seconds to import: only who transforms pays

    folders = ["--project-dir", str(project), "--profiles-dir", str(project)]
    answer = dbtRunner().invoke([command, *folders, "--quiet", "--log-level-file", "none", *options])
    if answer.result is None:
        raise ProjectBroken(f"dbt {command} failed: {answer.exception or 'see its output above'}")
    return answer.result


def _project_hash(project: Path) -> str:
    digest = sha256(version("dbt-core").encode())
    for path in sorted(project.rglob("*")):
        if path.suffix in {".sql", ".yml", ".csv"} and "target" not in path.relative_to(project).parts:
            digest.update(str(path.relative_to(project)).encode() + path.read_bytes())
    return digest.hexdigest()


@contextmanager
def _profile(settings: Settings) -> Iterator[None]:
    """The warehouse's address in the environment while dbt runs; its profile reads it there."""
    url = make_url(settings.warehouse_url.get_secret_value())
    given = {
        "LIMS_WAREHOUSE_HOST": url.host or "127.0.0.1",
        "LIMS_WAREHOUSE_PORT": str(url.port or 5432),
        "LIMS_WAREHOUSE_DATABASE": url.database or "",
        "LIMS_WAREHOUSE_USER": url.username or "",
        "DBT_ENV_SECRET_WAREHOUSE_PASSWORD": str(url.password or ""),
    }
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
