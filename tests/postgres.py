"""One PostgreSQL server for a test session, shared by all xdist workers, gone at the end.

`tests/conftest.py` takes it in by one line (and `pyproject.toml` needs `pythonpath = ["."]` below
`[tool.pytest.ini_options]`, so that plain `pytest` finds the module as `python -m pytest` does)::

    pytest_plugins = ["tests.postgres"]

and builds its own fixtures on `cluster`, for example::

    @pytest.fixture(scope="session")
    def dsn(cluster: Cluster, worker: str) -> Iterator[str]:
        template = ensure_template(cluster, "lims_template", migrate)      # built once a session, by one worker
        with database(cluster, f"lims_{worker}", template=template) as dsn:
            yield dsn

The server starts with the first test that asks for `cluster`. The process that pytest was started as (xdist's
controller, or the only one) stops it and deletes its data, also after Ctrl-C. A session that was killed outright leaves
a server behind; the next session finds it by the dead process's id in the folder's name, and removes it.

PYTEST_DONT_REWRITE: `conftest.py` imports functions from here before pytest loads it, and there is no assert.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from lims_api.core.db.embedded import Cluster, destroy

_PREFIX = "nidan-tests-"
_FOLDER = pytest.StashKey[Path]()


def cluster_for_tests(folder: Path) -> Cluster:
    """Open a small, fast cluster that may lose its data: no fsync. `LIMS_PG_BIN` names other server binaries."""
    binaries = os.environ.get("LIMS_PG_BIN")
    return Cluster.open(
        folder,
        binaries=Path(binaries) if binaries else None,
        state=folder / "state",
        shared_buffers="128MB",
        work_mem="8MB",
        maintenance_work_mem="64MB",
        max_wal_size="1GB",
        fsync=False,
    )


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """The session's server; whoever asks first starts it, the others share it."""
    return cluster_for_tests(_session_folder(request.config))


@pytest.fixture(scope="session")
def worker(request: pytest.FixtureRequest) -> str:
    """This process's name among the session's: `gw0`, `gw1` … under xdist, else `main`. For names of databases."""
    return str(_worker_input(request.config).get("workerid", "main"))


@contextlib.contextmanager
def database(cluster: Cluster, name: str, *, template: str = "template1") -> Iterator[str]:
    """Create a database from the template, give its superuser's DSN, drop it after. An old one of that name goes."""
    with _administrator(cluster) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
        create = sql.SQL("create database {} template {}")
        connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield cluster.superuser_dsn(name)
    finally:
        with _administrator(cluster) as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def ensure_template(cluster: Cluster, name: str, build: Callable[[str], None]) -> str:
    """Build a template database once for all workers: `build` gets a superuser's DSN and must close its connections.

    The others wait meanwhile. A template whose building failed does not exist: the next one to ask builds again.
    Returns the name.
    """
    unfinished = sql.Identifier(f"{name}_unfinished")
    with (cluster.folder / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with _administrator(cluster) as connection:
            if connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
                return name
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(unfinished))
            connection.execute(sql.SQL("create database {}").format(unfinished))
            build(cluster.superuser_dsn(f"{name}_unfinished"))
            # Nobody may connect: a template in use cannot be copied.
            connection.execute(sql.SQL("alter database {} allow_connections false").format(unfinished))
            connection.execute(sql.SQL("alter database {} rename to {}").format(unfinished, sql.Identifier(name)))
    return name


def _administrator(cluster: Cluster) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(cluster.superuser_dsn(), autocommit=True)


# The session: its folder, and who clears it away.


def _worker_input(config: pytest.Config) -> dict[str, Any]:
    """What xdist's controller handed to this worker; empty in the controller and without xdist."""
    given: dict[str, Any] = getattr(config, "workerinput", {})
    return given


def _session_folder(config: pytest.Config) -> Path:
    """The session's folder; in the controller (or the only process) made at the first call."""
    handed = _worker_input(config).get("postgres_folder")
    if handed is not None:
        return Path(handed)
    if _FOLDER not in config.stash:
        _clear_after_killed_sessions()
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        folder.chmod(0o755)  # as root the server runs as another account, which must come in
        config.stash[_FOLDER] = folder
    return config.stash[_FOLDER]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist's hook, in the controller: tell each worker where the session's server is."""
    node.workerinput["postgres_folder"] = str(_session_folder(node.config))


def pytest_unconfigure(config: pytest.Config) -> None:
    """The last thing pytest calls, also after Ctrl-C; workers have ended by then."""
    if not _worker_input(config) and _FOLDER in config.stash:
        _clear(config.stash[_FOLDER])


def _clear(folder: Path) -> None:
    destroy(folder, state=folder / "state")
    shutil.rmtree(folder, ignore_errors=True)


def _clear_after_killed_sessions() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).split("-")[0]
        ours = folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.geteuid()
        if ours and pid.isdigit() and not _alive(int(pid)):
            _clear(folder)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
