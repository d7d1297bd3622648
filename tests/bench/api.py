"""GET an order with twenty results, against a bare FastAPI route with one SELECT by key, in the same run."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

import psycopg

from ingest.contract import Batch
from lims_api.cli.installation import free_port
from lims_api.core.clock import utc_now
from lims_api.core.db import transaction
from lims_api.core.ids import uuid7
from lims_api.results.recording import record_batch
from tests.bench.laboratory import BenchLaboratory, Ordered, laboratory, services
from tests.bench.load import requests_per_second
from tests.bench.recording import message_of

ROUNDS, SECONDS, CONNECTIONS, ORDERS = 5, 4, 8, 200


def measure() -> dict[str, float]:
    """Requests a second of both, one worker each, eight connections; medians of five rounds taken in turn."""
    with laboratory() as lab:
        ordered = lab.receive_orders(ORDERS)
        _record(lab, ordered)
        _as_autovacuum_leaves_it(lab)
        bare = _start_bare(lab)
        headers = {"Authorization": f"Bearer {lab.token('pathologist')}"}
        paths = [f"/v1/orders/{item.order_id}" for item in ordered]
        bare_paths = [f"/orders/{item.order_id}" for item in ordered]
        rates: dict[str, list[float]] = {"order": [], "bare": []}
        for _ in range(ROUNDS):
            shared = {"connections": CONNECTIONS, "seconds": SECONDS}
            rates["bare"].append(requests_per_second(bare, bare_paths, headers={}, **shared))  # type: ignore[arg-type]
            rates["order"].append(requests_per_second(lab.api, paths, headers=headers, **shared))  # type: ignore[arg-type]
        with lab.system.engine.connect() as connection:
            logged = connection.exec_driver_sql("select count(*) from lims.access_log").scalar_one()
        ratios = [order / plain for order, plain in zip(rates["order"], rates["bare"], strict=True)]
        return {
            "order_per_second": statistics.median(rates["order"]),
            "bare_per_second": statistics.median(rates["bare"]),
            "ratio": statistics.median(ratios),
            "reads_logged": float(logged),
        }


def _record(lab: BenchLaboratory, ordered: Sequence[Ordered]) -> None:
    caller = replace(lab.caller("gateway"), services=services(lab))
    messages = [message_of(item, lab.codes, number) for number, item in enumerate(ordered, start=1)]
    for start in range(0, len(messages), 50):
        batch = Batch(id=uuid7(), sent_at=utc_now(), clock_offset_ms=0, messages=tuple(messages[start : start + 50]))
        with transaction(caller) as session:
            record_batch(session, batch)


def _as_autovacuum_leaves_it(lab: BenchLaboratory) -> None:
    """Both routes are measured on a database that knows its tables' sizes, not in its first minute."""
    with psycopg.connect(lab.installation.cluster.superuser_dsn("lims"), autocommit=True) as connection:
        connection.execute("vacuum analyze")


def _start_bare(lab: BenchLaboratory) -> str:
    port = free_port(24180)
    url = lab.installation.cluster.superuser_dsn("lims")
    own = {"BARE_URL": url, "BARE_ORGANIZATION": str(lab.seeded.organization_id)}
    arguments = ["granian", "tests.bench.bare:app", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port)]
    lab.processes.start("bare", arguments, lab.environment | own)
    lab.processes.wait_for(f"http://127.0.0.1:{port}/openapi.json")
    return f"http://127.0.0.1:{port}"


if __name__ == "__main__":
    print(measure())
