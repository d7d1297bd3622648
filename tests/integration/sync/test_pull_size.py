"""How much a pull sends and how long it takes, in a laboratory of 60 patients and 5,000 results."""

import statistics
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.conftest import environment_of
from tests.integration.laboratory import Laboratory, open_laboratory
from tests.integration.sync.conftest import ALL
from tests.integration.sync.store import Store, filled
from tests.postgres import Cluster

PATIENTS, RESULTS = 60, 5_000
_MANY = """
insert into lims.results select (jsonb_populate_record(r, jsonb_build_object(
  'id', gen_random_uuid(), 'value', round((50 + random() * 100)::numeric, 1), 'value_text', 'as measured',
  'available_at', now() - random() * interval '300 days', 'version', n))).*
from lims.results r, generate_series(2, %s) n where r.organization_id = %s
"""


@pytest.fixture(scope="module")
def lab(cluster: Cluster, worker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """A laboratory of its own, with a past."""
    with environment_of(cluster, f"size_{worker}") as environment:
        for lab in open_laboratory(environment, tmp_path_factory.mktemp("size")):
            for _ in range(PATIENTS):
                lab.measure()
            with psycopg.connect(environment.superuser_dsn, autocommit=True) as connection:
                connection.execute("set session_replication_role = replica")  # as if it had been recorded in time
                connection.execute(_MANY.encode(), (RESULTS // PATIENTS + 1, lab.organization_id))
                connection.execute("vacuum analyze")
            yield lab


def _timed(store: Store, times: int) -> list[float]:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        store.ask(store.cursor)
        taken.append((time.perf_counter() - began) * 1_000)
    return sorted(taken)


@pytest.mark.req("1.1.3")
def test_what_is_sent_grows_with_the_change_and_not_with_the_data(lab: Laboratory) -> None:
    store, sizes = Store(lab, lab.someone(*ALL)), {}
    began, sent, pages, more = time.perf_counter(), 0, 0, True
    while more:
        more = store.once()["more"]
        sent, pages = sent + store.received, pages + 1
    seconds = time.perf_counter() - began
    assert len(store.of("results")) >= RESULTS
    assert len(store.of("patients")) == PATIENTS
    for count in (0, 1, 10, 50):
        ids = list(store.of("results"))[:count]
        with lab.session("pathologist") as session:
            session.connection().exec_driver_sql(
                "update lims.results set reasons = array['a_change', %s] where id = any(%s::uuid[])", (str(count), ids)
            )
        came = store.pull()
        assert came["results"] == count
        sizes[count] = store.received

    print(f"first load: {sent} bytes, {pages} pages, {seconds:.2f} s; deltas by changed results: {sizes}")
    assert sizes[10] < 5_000
    assert sizes[0] < 500
    assert sizes[50] < 8 * sizes[10]
    assert sent > 20 * sizes[10]


def test_a_pull_without_a_change_is_quick(lab: Laboratory) -> None:
    store = filled(lab, lab.someone(*ALL))
    _timed(store, 20)

    taken = _timed(store, 200)

    p50, p95 = statistics.median(taken), taken[int(len(taken) * 0.95)]
    print(f"no change: p50 {p50:.1f} ms, p95 {p95:.1f} ms")
    assert p50 < 100
