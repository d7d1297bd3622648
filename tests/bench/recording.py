"""Results recorded through the gateway (socket, spool, HTTP, gates, rules, model, ledger), against COPY."""

from __future__ import annotations

import hashlib
import json
import socket
import statistics
import threading
import time
from collections.abc import Sequence
from typing import Any

import psycopg

from ingest.contract import Message, MessageKind, Observation, RecordGroup, StatedIdentity
from lims_api.cli.installation import free_port
from lims_api.core.clock import utc_now
from tests.bench.laboratory import ANALYSERS, VALUES, BenchLaboratory, Ordered, laboratory, until

ROUNDS, MESSAGES, CONNECTIONS, COMMIT = 5, 600, 8, 50
CHANNELS = tuple(f"bench-{number}" for number in range(1, ANALYSERS + 1))


def hl7(item: Ordered, codes: Sequence[str], control_id: int) -> bytes:
    """One ORU^R01 of twenty OBX as the analyser's profile expects it."""
    at = utc_now().strftime("%Y%m%d%H%M%S")
    last, _, first = item.name.partition(" ")
    lines = [
        f"MSH|^~\\&|Mindray|BS-480|||{at}||ORU^R01|{control_id}|P|2.3.1||||0||ASCII|||",
        f"PID|1||{item.uhid}||{first}^{last}||19800101|F",
        f"OBR|1|{item.accession_number}|{control_id}|Mindray^BS-480|||{at}",
        *(
            f"OBX|{number}|NM|{code}|{code}|{VALUES.get(code, '85')}|{_unit(code)}|-||||F|||{at}"
            for number, code in enumerate(codes, start=1)
        ),
    ]
    return "\r".join(lines).encode() + b"\r"


def message_of(item: Any, codes: Sequence[str], control_id: int) -> Message:
    """The same as the gateway would deliver it."""
    raw = hl7(item, codes, control_id)
    now = utc_now()
    observations = tuple(
        Observation(sequence=number, code=code, value_text=VALUES.get(code, "85"), value=VALUES.get(code, "85"),  # type: ignore[arg-type]
                    unit=_unit(code), observed_at=now)
        for number, code in enumerate(codes, start=1)
    )  # fmt: skip
    group = RecordGroup.model_construct(
        specimen=item.accession_number, identity=StatedIdentity(patient_number=item.uhid), control=None,
        observations=observations, raw=raw,
    )  # fmt: skip
    return Message.model_construct(
        channel="bench-1", control_id=str(control_id), body_sha256=hashlib.sha256(raw).hexdigest(), received_at=now,
        kind=MessageKind.PATIENT, format="hl7", type="ORU^R01", envelope=b"MSH", groups=(group,), error=None,
    )  # fmt: skip


def _unit(code: str) -> str:
    return {"NA": "mmol/L", "K": "mmol/L", "CL": "mmol/L", "ALT": "U/L", "AST": "U/L", "ALP": "U/L"}.get(code, "mg/dL")


def measure() -> dict[str, float]:
    """Results a second from the first byte sent to the last row committed; COPY of those rows, 1,000 a commit, into
    the same table without ledger (`ratio`) and into one without foreign keys and partitions besides
    (`ratio_without_keys`). Medians of five rounds, each followed by its COPYs."""
    rates, copies, plain = [], [], []
    with laboratory(workers=2) as lab:
        addresses = _start_gateway(lab)
        for number in range(ROUNDS):
            ordered = lab.receive_orders(MESSAGES)
            rates.append(_round(lab, addresses, ordered, first=1 + number * MESSAGES))
            copies.append(_copy(lab, MESSAGES * len(lab.codes), keys=True))
            plain.append(_copy(lab, MESSAGES * len(lab.codes), keys=False))
        with psycopg.connect(lab.installation.cluster.superuser_dsn("lims")) as connection:
            row = connection.execute("select count(*) filter (where is_automatic) from lims.results").fetchone()
            released = row[0] if row else 0
        total = ROUNDS * MESSAGES * len(lab.codes)
    return {
        "results_per_second": statistics.median(rates),
        "copy_per_second": statistics.median(copies),
        "copy_without_keys_per_second": statistics.median(plain),
        "ratio": _ratio(rates, copies),
        "ratio_without_keys": _ratio(rates, plain),
        "released_share": released / total,
    }


def _ratio(rates: list[float], copies: list[float]) -> float:
    return statistics.median(rate / copy for rate, copy in zip(rates, copies, strict=True))


def _start_gateway(lab: BenchLaboratory) -> list[tuple[str, int]]:
    """One gateway, a channel for each analyser: they send at the same time."""
    ready, config = lab.installation.state / "gateway.json", lab.installation.state / "gateway.toml"
    ports = [free_port(24575 + 100 * number) for number in range(ANALYSERS)]
    lines = [
        f'core = "{lab.api}"', f'spool = "{lab.installation.folder / "spool" / "bench"}"',
        f'api_key_file = "{lab.seeded.secrets / "gateway.key"}"',
    ]  # fmt: skip
    for channel, port in zip(CHANNELS, ports, strict=True):
        lines += ["[[channel]]", f'code = "{channel}"', f'listen = "127.0.0.1:{port}"', 'profile = "mindray_bs"']
    config.write_text("\n".join(lines))
    arguments = ["lims_api.cli", "ingest", "run", "--config", str(config), "--ready-file", str(ready)]
    lab.processes.start("gateway", arguments, lab.environment)
    json.loads(lab.processes.wait_for_file(ready))
    return [("127.0.0.1", port) for port in ports]


def _round(lab: BenchLaboratory, addresses: list[tuple[str, int]], ordered: list[Ordered], *, first: int) -> float:
    bodies = [hl7(item, lab.codes, first + number) for number, item in enumerate(ordered)]
    with psycopg.connect(lab.installation.cluster.superuser_dsn("lims"), autocommit=True) as connection:

        def count(of: str) -> int:
            row = connection.execute(f"select count(*) from lims.{of}".encode()).fetchone()
            return int(row[0]) if row else 0

        messages, results = count("instrument_messages") + len(bodies), count("results") + len(bodies) * len(lab.codes)
        started = time.perf_counter()
        senders = [
            threading.Thread(target=_send, args=(addresses[number % len(addresses)], bodies[number::CONNECTIONS]))
            for number in range(CONNECTIONS)
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        until(lambda: count("instrument_messages") >= messages, seconds=120)  # each commits with its results
        taken = time.perf_counter() - started
        if count("results") != results:
            raise RuntimeError("a message was recorded without its results")
        return len(bodies) * len(lab.codes) / taken


def _send(address: tuple[str, int], bodies: list[bytes]) -> None:
    with socket.create_connection(address) as line:
        for body in bodies:
            line.sendall(b"\x0b" + body + b"\x1c\r")
            answer = b""
            while not answer.endswith(b"\x1c\r"):
                answer += line.recv(4096)
            if b"|AA|" not in answer:
                raise RuntimeError("not accepted")


def _copy(lab: BenchLaboratory, rows: int, *, keys: bool) -> float:
    """The newest rows copied as superuser into a table like `results`, 1,000 a commit, without ledger and security.

    With `keys` it is all that `results` is besides: partitioned, indexed, with both foreign keys. Without, it is one
    table with the indexes alone.
    """
    with psycopg.connect(lab.installation.cluster.superuser_dsn("lims"), autocommit=True) as connection:
        connection.execute("drop table if exists copied")
        if keys:
            _like_results(connection)
        else:
            connection.execute("create table copied (like lims.results including all)")
        query = f"copy (select * from lims.results order by recorded_at desc limit {rows}) to stdout"
        with connection.cursor().copy(query.encode()) as out:
            lines = [bytes(line) for line in out]
        per_commit = COMMIT * len(lab.codes)
        started = time.perf_counter()
        for start in range(0, len(lines), per_commit):
            with connection.cursor().copy("copy copied from stdin") as into:
                into.write(b"".join(lines[start : start + per_commit]))
        return len(lines) / (time.perf_counter() - started)


def _like_results(connection: psycopg.Connection[Any]) -> None:
    """`copied`: columns, checks, indexes, partitions and foreign keys of `results`."""
    connection.execute("create table copied (like lims.results including all) partition by range (recorded_at)")
    partitions = connection.execute(
        "select relname, pg_get_expr(relpartbound, oid) from pg_class where oid in"
        " (select inhrelid from pg_inherits where inhparent = 'lims.results'::regclass)"
    ).fetchall()
    for name, bound in partitions:
        connection.execute(f"create table copied_{name} partition of copied {bound}".encode())
    foreign = connection.execute(
        "select pg_get_constraintdef(oid) from pg_constraint"
        " where conrelid = 'lims.results'::regclass and contype = 'f'"
    ).fetchall()
    for (definition,) in foreign:
        connection.execute(f"alter table copied add {definition}".encode())


if __name__ == "__main__":
    print(measure())
