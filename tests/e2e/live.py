"""A laboratory in live traffic: API, worker, gateway and PostgreSQL, each a process that can be killed at its work.

A kill is aimed: the program is frozen, looked at, and killed only if it is at work; else it goes on and is tried again.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import httpx
import psycopg
from sqlalchemy.exc import DBAPIError

from ingest.spool import Spool, open_spool
from lims_api.cli.installation import Installation, install
from lims_api.cli.processes import Processes
from lims_api.cli.seeding import Control, NewAnalyser, NewOrganization, Seeded, example_tests, seed
from lims_api.core.clock import utc_now
from lims_api.core.db import Database, SystemCaller, open_database, transaction
from lims_api.core.db.embedded import Cluster, destroy
from lims_api.core.keys import KeyStore, read_master_key
from lims_api.equipment import service as equipment
from lims_api.identity import service as identity
from lims_api.orders import service as orders
from lims_api.orders.schemas import OrderIn
from lims_api.patients import service as patients
from lims_api.patients.schemas import PatientIn
from lims_api.qc import service as qc
from lims_api.results import service as results
from lims_api.results.autoverification import RULES_VERSION
from lims_api.specimens import service as specimens
from tests.integration.ingest.gateways import Analyser as Line
from tests.integration.ingest.gateways import free_port

CHANNELS = ("live-1", "live-2")
LINES = 2
"""Connections that each analyser sends on."""
REBOOT_AFTER = 40
"""Messages after which an analyser's control ids start at 1 again."""
NORMAL = {
    "GLU": (72, 98, 0), "CREA": (0.55, 1.05, 2), "BUN": (8, 19, 0), "NA": (136, 144, 0), "K": (3.6, 5.0, 1),
    "CL": (99, 106, 0), "ALT": (10, 34, 0), "AST": (10, 34, 0), "ALP": (45, 125, 0), "TBIL": (0.25, 1.15, 2),
}  # fmt: skip
"""Within the reference interval of a woman of 46: lowest, highest, decimals."""
TOO_HIGH = "190"
"""A glucose that is held, so that its order stays open."""
PLENTY = 1_000_000
_ZONE = ZoneInfo("Asia/Kolkata")
_DELIVERING = """
select distinct a.client_port from pg_locks l join pg_stat_activity a using (pid)
 where l.relation = 'lims.instrument_messages'::regclass and a.usename = 'lims_app' and a.backend_xid is not null
"""
_DOING = "select id from jobs.procrastinate_jobs where status = 'doing'"


@dataclass(frozen=True)
class Sent:
    """One transmission: one specimen's values in the order of its OBX segments."""

    channel: str
    control_id: str
    accession_number: str
    values: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)

    @property
    def key(self) -> tuple[str, str, str]:
        return self.channel, self.control_id, sha256(self.body).hexdigest()


@dataclass(frozen=True)
class Ordered:
    """A received specimen with all tests to measure."""

    accession_number: str
    uhid: str
    name: str


def oru(channel: str, control_id: str, item: Ordered, values: dict[str, str]) -> Sent:
    """One ORU^R01 as the analyser's profile expects it."""
    at = datetime.now(_ZONE).strftime("%Y%m%d%H%M%S")
    first, _, last = item.name.partition(" ")
    units = {test.code: test.unit for test in example_tests()}
    lines = [
        f"MSH|^~\\&|Mindray|BS-480|||{at}||ORU^R01|{control_id}|P|2.3.1||||0||ASCII|||",
        f"PID|1||{item.uhid}||{last}^{first}||19800101|F",
        f"OBR|1|{item.accession_number}|{control_id}|Mindray^BS-480|||{at}",
        *(
            f"OBX|{number}|NM|{code}|{code}|{value}|{units[code]}|-||||F|||{at}"
            for number, (code, value) in enumerate(values.items(), start=1)
        ),
    ]
    return Sent(
        channel, control_id, item.accession_number, tuple(values.items()), ("\r".join(lines) + "\r").encode("ascii")
    )


def measured(chance: random.Random, *, normal: bool) -> dict[str, str]:
    """What an analyser finds in one specimen."""
    values = {code: f"{chance.uniform(low, high):.{places}f}" for code, (low, high, places) in NORMAL.items()}
    return values if normal else values | {"GLU": TOO_HIGH}


def until(condition: Callable[[], Any], what: str, *, seconds: float = 60, pause: float = 0.02) -> Any:
    """What the condition says once it says something; fails when it does not within that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(pause)
    raise TimeoutError(f"not within {seconds:.0f} s: {what}")


# the laboratory


@dataclass(repr=False)
class LiveLaboratory:
    """One organization, two analysers, and its programs."""

    installation: Installation
    seeded: Seeded
    system: Database
    processes: Processes
    environment: dict[str, str]
    ports: dict[str, int]
    cluster: Cluster
    spool_name: str = "first"
    spool: Spool = field(init=False)
    watch: psycopg.Connection[tuple[Any, ...]] = field(init=False)
    acknowledged: list[Sent] = field(default_factory=list)
    desk: list[tuple[str, bytes, bytes]] = field(default_factory=list)
    _owners: dict[int, int] = field(default_factory=dict)
    _doing_before: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.spool = open_spool(self.spool_folder)
        self.reconnect()

    @property
    def spool_folder(self) -> Path:
        return self.installation.folder / "spool" / self.spool_name

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"

    def reconnect(self) -> None:
        """The watcher's own connection, as superuser."""
        self.watch = psycopg.connect(self.cluster.superuser_dsn("lims"), autocommit=True)

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.watch.execute(statement.encode(), values or None).fetchall()

    def count(self, statement: str, *values: Any) -> int:
        return int(self.rows(statement, *values)[0][0])

    def caller(self, username: str | None = None) -> SystemCaller:
        """Services called directly, for setting things up."""
        caller = SystemCaller(database=self.system, organization_id=self.seeded.organization_id)
        if username is None:
            return caller
        with transaction(caller) as session:
            return replace(caller, actor_id=identity.user_named(session, username).id)

    def receive_orders(self, count: int) -> list[Ordered]:
        """So many orders of all ten tests, one patient each, collected and received."""
        made, name, now = [], "Asha Example", utc_now()
        who = PatientIn(name=name, sex="female", birth_on=date(1980, 1, 1), birth_precision="day")
        with transaction(self.caller()) as session:
            for _ in range(count):
                person = patients.register(session, who)
                order = orders.place(
                    session, OrderIn(patient_id=person.id, site_id=self.seeded.site_id, tests=list(NORMAL))
                )
                ((specimen, _tests),) = specimens.collect(session, order.id, collected_at=now)
                specimens.receive(session, specimen.accession_number, received_at=now)
                uhid = patients.open_identity(session, [person])[person.id].uhid
                made.append(Ordered(specimen.accession_number, uhid, name))
        return made

    def token(self, username: str) -> str:
        """A session of one of the staff."""
        password = (self.seeded.secrets / f"{username}.password").read_text()
        body = {"organization": "live", "username": username, "password": password}
        key = {"Idempotency-Key": str(uuid4())}
        answer = httpx.post(f"{self.api}/v1/sessions", json=body, headers=key, timeout=30, trust_env=False)
        return str(answer.raise_for_status().json()["token"])

    # programs

    def start(self, program: str) -> None:
        """Start `api`, `worker` or `gateway`, on the ports that it had before."""
        arguments = {
            "api": ["serve", "--port", str(self.ports["api"]), "--workers", "2"],
            "worker": ["work"],
            "gateway": ["ingest", "run", "--config", str(self._gateway_config())],
        }[program]
        if program == "worker":
            self._doing_before = {row[0] for row in self.rows(_DOING)}
        self.processes.start(program, ["lims_api.cli", *arguments], self.environment)

    def _gateway_config(self) -> Path:
        file = self.installation.state / "gateway.toml"
        lines = [
            f'core = "{self.api}"', f'spool = "{self.spool_folder}"',
            f'api_key_file = "{self.seeded.secrets / "gateway.key"}"',
        ]  # fmt: skip
        for code in CHANNELS:
            lines += [
                "[[channel]]", f'code = "{code}"', f'listen = "127.0.0.1:{self.ports[code]}"', 'profile = "mindray_bs"',
            ]  # fmt: skip
        file.write_text("\n".join(lines))
        return file

    def restart(self, program: str) -> None:
        """After a kill."""
        self.processes.running[program].wait(10)
        self.start(program)

    def move_to_a_new_spool(self) -> None:
        """A gateway that was lost with its disk: the next one knows nothing of what was sent."""
        self.kill(self.members("gateway"))
        self.spool.close()
        self.spool_name = "second"
        self.spool = open_spool(self.spool_folder)
        self.restart("gateway")

    def start_the_worker_five_minutes_later(self) -> None:
        """What a dead worker held is given back when it has said nothing for a minute, which is not waited for."""
        self.kill(self.members("worker"))
        self.processes.running["worker"].wait(10)
        self.watch.execute("update jobs.procrastinate_workers set last_heartbeat = last_heartbeat - interval '5 min'")
        self.start("worker")

    def restart_database(self) -> None:
        """Start PostgreSQL again where it was."""
        self.cluster = Cluster.open(self.cluster.folder)
        assert self.cluster.port_replaced is None
        self.reconnect()

    # aimed kills

    def members(self, program: str) -> list[int]:
        """The processes of a program: one group."""
        group = self.processes.running[program].pid
        return sorted(int(stat.parent.name) for stat in Path("/proc").glob("[0-9]*/stat") if _group_of(stat) == group)

    def kill(self, pids: list[int]) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self._owners.clear()

    def kill_at_work(self, aim: Callable[[], list[int]], *, sure: Callable[[], bool] | None = None) -> None:
        """Kill the processes that `aim` names while they work."""
        _frozen_at_work(aim, sure, self.kill)

    def kill_the_database_at_work(self) -> None:
        """Kill the postmaster while the API is in the transaction of a delivery."""
        _frozen_at_work(self.api_writing, None, lambda _pids: self.kill([self.cluster.pid]))

    def api_worker_writing(self) -> list[int]:
        """The API's process that is in the transaction of a delivery, not one that was killed in it."""
        for (port,) in self.rows(_DELIVERING):
            owner = self._owner(port)
            if owner:
                return [owner]
        return []

    def api_writing(self) -> list[int]:
        """All of the API's processes, while one is in the transaction of a delivery."""
        return self.members("api") if self.api_worker_writing() else []

    def worker_working(self) -> list[int]:
        """The worker's processes, while it does a job."""
        doing = {row[0] for row in self.rows(_DOING)}
        return self.members("worker") if doing - self._doing_before else []

    def gateway_unanswered(self) -> list[int]:
        """The gateway's processes, while the core is in the transaction of its delivery."""
        return self.members("gateway") if self.api_worker_writing() else []

    def is_unanswered(self) -> bool:
        """Whether a batch waits for the core's answer."""
        return self.spool.backlog(PLENTY) == PLENTY

    def _owner(self, port: int) -> int | None:
        """Which of the API's processes holds the connection from this port."""
        if port not in self._owners:
            inodes = {
                words[9] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
                if (words := line.split())[1].endswith(f":{port:04X}")
            }  # fmt: skip
            for pid in self.members("api"):
                if any(f"socket:[{inode}]" in _files_of(pid) for inode in inodes if inode != "0"):
                    self._owners[port] = pid
        return self._owners.get(port)


def _group_of(stat: Path) -> int:
    try:
        state, _parent, group = stat.read_text().rpartition(")")[2].split()[:3]
    except OSError:
        return 0
    return 0 if state == "Z" else int(group)


def _files_of(pid: int) -> set[str]:
    found = set()
    with suppress(OSError):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found.add(str(file.readlink()))
    return found


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _frozen_at_work(
    aim: Callable[[], list[int]], sure: Callable[[], bool], strike: Callable[[list[int]], None]
) -> None:
    """Strike the processes that `aim` names, once they are caught at work: frozen, and still in the middle of it."""

    def caught() -> bool:
        pids = aim()
        _signal(pids, signal.SIGSTOP)
        try:
            time.sleep(0.03 if pids else 0)  # what was already on its way arrives
            if not pids or not (sure() if sure else aim() == pids):
                return False
            strike(pids)
            return True
        finally:
            _signal(pids, signal.SIGCONT)

    until(caught, f"caught: {getattr(aim, '__name__', aim)}", seconds=40, pause=0.005)


@contextmanager
def live_laboratory(folder: Path) -> Iterator[LiveLaboratory]:
    """Made in the folder with a server that keeps what it committed; stopped and deleted at the end."""
    compiled = os.environ.get("PYTHONPYCACHEPREFIX", str(folder / "compiled"))
    compiling = _compile(compiled)
    installation = install(folder)
    keys = KeyStore(installation.url("lims_keys", "keys"), read_master_key(folder / "keys" / "master.key"))
    system = open_database(installation.url("lims_system", "lims"), keys)
    environment = installation.environment(LIMS_MODEL_REQUIRED="false", PYTHONPYCACHEPREFIX=compiled)
    try:
        with Processes(folder / "logs") as processes:
            seeded = seed(system, folder / "keys", _organization())
            ports = {name: free_port() for name in ("api", *CHANNELS)}
            lab = LiveLaboratory(installation, seeded, system, processes, environment, ports, installation.cluster)
            _put_in_control(lab)
            compiling.wait(60)
            for program in ("api", "worker", "gateway"):
                lab.start(program)
            processes.wait_for(f"{lab.api}/healthz", seconds=90)
            yield lab
            lab.spool.close()
            lab.watch.close()
    finally:
        system.close()
        keys.close()
        destroy(folder / "postgresql")


def _compile(target: str) -> subprocess.Popen[bytes]:
    """Programs that start twenty times read compiled code: it saves five of eight seconds a start."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", "import lims_api.cli, lims_api.worker, ingest.cli, ingest.gateway"]
    return subprocess.Popen(command, env=environment | {"PYTHONPYCACHEPREFIX": target})


def _organization() -> NewOrganization:
    tests = example_tests()
    controls = [
        Control("A1", "Live control", "L1", level, test.code, Decimal(100), Decimal(2))
        for level in (1, 2)
        for test in tests
    ]
    first = NewAnalyser("A1", "First", "mindray_bs", CHANNELS[0], {test.code: test.unit for test in tests})
    return NewOrganization(code="live", name="Live", tests=tests, analysers=[first], controls=controls)


def _put_in_control(lab: LiveLaboratory) -> None:
    """A second analyser like the first, controls measured on both, and automatic release signed."""
    tests = example_tests()
    with transaction(lab.caller("pathologist")) as session:
        first = equipment.all_analysers(session)[0]
        second = equipment.add_analyser(
            session, code="A2", name="Second", model="mindray_bs", channel=CHANNELS[1], site_id=lab.seeded.site_id
        )
        lot = qc.lots_named(session, {("Live control", "L1")})["Live control", "L1"]
        for test in tests:
            equipment.map_code(session, second, test.code, test_code=test.code, unit_sent=test.unit)
            for level in (1, 2):
                qc.set_target(
                    session, lot, level, test.code, analyser_id=second.id, mean=Decimal(100), sd=Decimal(2),
                    source="live",
                )  # fmt: skip
        for analyser in (first, second):
            for level in (1, 2):
                for test in tests:
                    qc.record_by_hand(
                        session, "Live control", "L1", level, qc.Measured(test.code, Decimal(100), test.unit),
                        analyser_id=analyser.id, occurred_at=utc_now(),
                    )  # fmt: skip
        results.sign_standing_authorisation(
            session, rules_version=RULES_VERSION, model_version="none", test_codes=list(NORMAL),
            valid_to=utc_now() + timedelta(days=1),
        )  # fmt: skip


# traffic


class Worklist:
    """Received specimens, handed out one by one; more are received when they run out."""

    def __init__(self, lab: LiveLaboratory) -> None:
        self._lab, self._lock, self._waiting = lab, threading.Lock(), lab.receive_orders(20)

    def take(self) -> Ordered:
        with self._lock:
            while not self._waiting:
                with suppress(DBAPIError, psycopg.Error):  # the database is being killed
                    self._waiting = self._lab.receive_orders(10)
            return self._waiting.pop()


class Sender:
    """One connection of an analyser: sends a message again, byte for byte, until it is acknowledged."""

    def __init__(self, port: int) -> None:
        self._port, self._line = port, None
        self.awaiting = False
        self.resent = 0
        self.refused: list[str] = []

    def deliver(self, sent: Sent) -> None:
        while True:
            answer = self._once(sent)
            if answer == "AA":
                return
            if answer is not None:
                self.refused.append(answer)
            time.sleep(0.02)

    def _once(self, sent: Sent) -> str | None:
        try:
            self._line = self._line or Line(self._port, timeout=5.0)
        except OSError:
            return None
        self.awaiting = True
        try:
            return self._line.send(sent.body)[0]
        except OSError:
            self.resent += 1
            self.close()
            return None
        finally:
            self.awaiting = False

    def close(self) -> None:
        if self._line:
            self._line.close()
        self._line = None


class AnalyserInTraffic:
    """Measures what is on the worklist and sends it on several connections."""

    def __init__(self, lab: LiveLaboratory, worklist: Worklist, channel: str, seed: int) -> None:
        self.lab, self.channel = lab, channel
        self._worklist, self._chance, self._lock = worklist, random.Random(seed), threading.Lock()
        self._measured = 0
        self.senders = [Sender(lab.ports[channel]) for _ in range(LINES)]

    def next(self) -> Sent:
        with self._lock:
            number, self._measured = self._measured, self._measured + 1
            values = measured(self._chance, normal=number % 4 == 0)
        return oru(self.channel, str(number % REBOOT_AFTER + 1), self._worklist.take(), values)

    def work(self, sender: Sender, stop: threading.Event) -> None:
        chance = random.Random(self._chance.random())
        with closing(sender):
            while not stop.wait(chance.uniform(0.0, 0.6)):
                sent = self.next()
                sender.deliver(sent)
                self.lab.acknowledged.append(sent)


class Desk:
    """The front desk: places an order again under the same key until it has an answer."""

    def __init__(self, lab: LiveLaboratory) -> None:
        self._lab, self._token, self.resent = lab, lab.token("reception"), 0
        with transaction(lab.caller()) as session:
            who = PatientIn(name="Asha Example", sex="female", birth_on=date(1980, 1, 1), birth_precision="day")
            self.patient_id: UUID = patients.register(session, who).id

    def work(self, stop: threading.Event) -> None:
        while not stop.wait(0.2):
            order = {"patient_id": str(self.patient_id), "site_id": str(self._lab.seeded.site_id), "tests": ["GLU"]}
            key, body = str(uuid4()), json.dumps(order).encode()
            while (answer := self.place(key, body)) is None:
                self.resent += 1
                time.sleep(0.1)
            self._lab.desk.append((key, body, answer.content))

    def place(self, key: str, body: bytes) -> httpx.Response | None:
        """The answer, if there is one that says yes or no."""
        headers = {
            "Authorization": f"Bearer {self._token}", "Idempotency-Key": key, "Content-Type": "application/json",
        }  # fmt: skip
        try:
            answer = httpx.post(
                f"{self._lab.api}/v1/orders", content=body, headers=headers, timeout=10, trust_env=False
            )
        except httpx.HTTPError:
            return None
        return None if answer.status_code >= 500 else answer


@dataclass(repr=False)
class Traffic:
    """Two analysers on two connections each, and the front desk."""

    lab: LiveLaboratory
    analysers: list[AnalyserInTraffic]
    desk: Desk

    @property
    def senders(self) -> list[Sender]:
        return [sender for analyser in self.analysers for sender in analyser.senders]

    def gateway_asked(self) -> list[int]:
        """The gateway's processes, while an analyser waits for its acknowledgement."""
        return self.lab.members("gateway") if any(sender.awaiting for sender in self.senders) else []

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Ends when every message that was begun is acknowledged, and every order answered."""
        stop = threading.Event()
        works = [
            threading.Thread(target=analyser.work, args=(sender, stop), daemon=True)
            for analyser in self.analysers for sender in analyser.senders
        ]  # fmt: skip
        works.append(threading.Thread(target=self.desk.work, args=(stop,), daemon=True))
        for work in works:
            work.start()
        try:
            yield
        finally:
            stop.set()
        for work in works:
            work.join(60)
        assert not any(work.is_alive() for work in works), "a message was never acknowledged"

    def numbers(self) -> Counter[str]:
        return Counter(
            acknowledged=len(self.lab.acknowledged), resent=sum(sender.resent for sender in self.senders),
            orders=len(self.lab.desk), orders_resent=self.desk.resent,
        )  # fmt: skip


def traffic(lab: LiveLaboratory, *, seed: int) -> Traffic:
    """Ready to flow."""
    worklist = Worklist(lab)
    analysers = [AnalyserInTraffic(lab, worklist, channel, seed + place) for place, channel in enumerate(CHANNELS)]
    return Traffic(lab, analysers, Desk(lab))
