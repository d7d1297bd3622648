"""Gateway, worker, API and PostgreSQL killed in live traffic: every acknowledged result is recorded exactly once.

The real programs as processes over real sockets. What was acknowledged is compared, row by row, with what is recorded.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256
from typing import Any

import httpx
import pytest

from ingest.spool import State
from tests.e2e.live import CHANNELS, LiveLaboratory, Traffic, live_laboratory, measured, oru, traffic, until
from tests.integration.ingest.gateways import Analyser as Line

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.timeout(420)]
VICTIMS = ["one API process", "the worker", "the API", "the gateway"]
KILLS = 5
"""Of each victim, every one in the middle of its work."""
DATABASE_KILLS = 2
BEGUN_AGAIN = """
select count(*) filter (where e.type = 'started') - count(distinct j.id)
  from jobs.procrastinate_jobs j join jobs.procrastinate_events e on e.job_id = j.id
 where j.task_name = 'reports.release'
"""
UNFINISHED = """
select (select count(*) from jobs.procrastinate_jobs where status in ('todo', 'doing'))
     + (select count(*) from lims.orders o where o.status = 'completed'
           and not exists (select 1 from lims.reports p where p.order_id = o.id))
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveLaboratory]:
    with live_laboratory(tmp_path_factory.mktemp("live")) as made:
        yield made


# the account


def sent_and_acknowledged(lab: LiveLaboratory) -> Counter[tuple[Any, ...]]:
    """Every observation that an analyser was told is safe."""
    return Counter(
        (*sent.key, sent.accession_number, place, code, value, Decimal(value))
        for sent in lab.acknowledged
        for place, (code, value) in enumerate(sent.values, start=1)
    )


def recorded(lab: LiveLaboratory) -> Counter[tuple[Any, ...]]:
    """Every result of an analyser, with the message and the place in it that it came from."""
    return Counter(
        lab.rows(
            "select m.channel, m.control_id, m.body_sha256, s.accession_number, r.observation_sequence, r.test_code,"
            " r.value_text, r.value from lims.results r"
            " left join lims.instrument_messages m on m.organization_id = r.organization_id and m.id = r.message_id"
            " left join lims.specimens s on s.organization_id = r.organization_id and s.id = r.specimen_id"
            " where r.entry = 'instrument'"
        )
    )


def assert_recorded_exactly_once(lab: LiveLaboratory) -> None:
    sent, found = sent_and_acknowledged(lab), recorded(lab)
    assert sent - found == Counter(), "acknowledged and lost"
    assert found - sent == Counter(), "recorded twice, or otherwise than sent"
    assert lab.count("select count(*) from lims.instrument_messages") == len(lab.acknowledged)
    assert lab.count("select count(*) from lims.parked_observations") == 0
    assert (lab.spool.counts()[State.KEPT], lab.spool.counts()[State.REFUSED]) == (0, 0)


def assert_in_the_ledger_once(lab: LiveLaboratory) -> None:
    """One entry for each result's making, with what the row says now (an instrument's value never changes)."""
    entries = Counter(
        lab.rows(
            "select row_id, body::jsonb -> 'after' ->> 'value_text' from lims.ledger"
            " where table_name = 'results' and op = 'I'"
        )
    )
    assert entries == Counter(lab.rows("select id, value_text from lims.results"))
    assert lab.count("select count(*) from lims.ledger where table_name = 'results' and op = 'D'") == 0


def assert_reported_once(lab: LiveLaboratory) -> list[tuple[Any, ...]]:
    """Each order whose tests are all released has one event, one finished job, and one report that opens."""
    complete = {
        row[0] for row in lab.rows("select order_id from lims.order_tests group by 1 having every(status='authorised')")
    }
    events = lab.rows("select subject_id from lims.outbox where name = 'order.completed'")
    jobs = lab.rows(
        "select (args ->> 'order_id')::uuid, status::text, (select count(*) from jobs.procrastinate_events e"
        "   where e.job_id = j.id and e.type = 'succeeded')"
        " from jobs.procrastinate_jobs j where task_name = 'reports.release'"
    )
    reports = lab.rows("select order_id, version, id, sha256 from lims.reports")
    released = lab.rows("select subject_id from lims.outbox where name = 'report.released'")
    assert sorted(row[0] for row in events) == sorted(complete)
    assert sorted(jobs) == sorted((order, "succeeded", 1) for order in complete)
    assert sorted(row[:2] for row in reports) == sorted((order, 1) for order in complete)
    assert sorted(row[0] for row in released) == sorted(row[2] for row in reports)
    return reports


def assert_documents_are_whole(lab: LiveLaboratory, reports: list[tuple[Any, ...]]) -> None:
    headers = {"Authorization": f"Bearer {lab.token('pathologist')}"}
    with httpx.Client(base_url=lab.api, headers=headers, timeout=30, trust_env=False) as client:
        for _, _, report, digest in reports:
            assert sha256(client.get(f"/v1/reports/{report}/pdf").raise_for_status().content).hexdigest() == digest


def assert_the_desk_has_what_it_was_told(lab: LiveLaboratory, flow: Traffic) -> None:
    """Each order once; the same request again has the same answer, and places no other order."""
    placed = "select count(*) from lims.orders where patient_id = %s"
    before = lab.count(placed, flow.desk.patient_id)
    for key, body, told in lab.desk:
        again = flow.desk.place(key, body)
        assert again is not None
        assert (again.status_code, again.content, again.headers["idempotent-replay"]) == (201, told, "true")
    assert lab.count(placed, flow.desk.patient_id) == before == len(lab.desk)
    lab.desk.clear()


def assert_all(lab: LiveLaboratory) -> list[tuple[Any, ...]]:
    """Returns the reports."""
    assert_recorded_exactly_once(lab)
    assert_in_the_ledger_once(lab)
    return assert_reported_once(lab)


def settle(lab: LiveLaboratory) -> None:
    until(lambda: lab.spool.waiting() == 0, "the spool is delivered")
    lab.start_the_worker_five_minutes_later()
    until(lambda: lab.count(UNFINISHED) == 0, "the reports are made", seconds=90)


# the proofs


@pytest.mark.req("1.7.5")
@pytest.mark.req("2.1.1")
@pytest.mark.req("2.1.4")
def test_whatever_is_killed_every_acknowledged_result_is_recorded_and_reported_exactly_once(
    lab: LiveLaboratory,
) -> None:
    chance, flow = random.Random(20), traffic(lab, seed=20)
    killed: Counter[str] = Counter()

    with flow.flowing():
        for number in range(KILLS):
            for victim in _in_some_order(chance):
                time.sleep(chance.uniform(0.0, 0.3))
                _kill_at_work(lab, flow, victim, before_it_acknowledges=number % 2 == 0)
                killed[victim] += 1
    settle(lab)

    numbers = flow.numbers()
    assert killed == dict.fromkeys(VICTIMS, KILLS)
    assert numbers["resent"] >= KILLS // 2, "a killed gateway cuts off acknowledgements"
    assert numbers["acknowledged"] > 150
    assert [answer for sender in flow.senders for answer in sender.refused] == []
    reports = assert_all(lab)
    assert len(reports) > numbers["acknowledged"] / 6
    assert lab.count(BEGUN_AGAIN) >= KILLS, "a killed worker leaves a job that is begun again"
    assert_documents_are_whole(lab, reports)
    assert_the_desk_has_what_it_was_told(lab, flow)


def _in_some_order(chance: random.Random) -> list[str]:
    """The worker starts again beside the API. One of the API's processes is not killed twice in five seconds, which its
    server takes for a fault of the program."""
    order = [victim for victim in VICTIMS if victim != "the gateway"]
    order.insert(chance.randrange(len(VICTIMS)), "the gateway")
    return order


def _kill_at_work(lab: LiveLaboratory, flow: Traffic, victim: str, *, before_it_acknowledges: bool) -> None:
    match victim:
        case "one API process":  # its parent starts another
            lab.kill_at_work(lab.api_worker_writing)
        case "the API":
            lab.kill_at_work(lab.api_writing)
            lab.restart("api")
        case "the worker":
            lab.kill_at_work(lab.worker_working)
            lab.restart("worker")
        case "the gateway" if before_it_acknowledges:
            lab.kill_at_work(flow.gateway_asked)
            lab.restart("gateway")
        case "the gateway":  # the core commits what nobody hears of
            lab.kill_at_work(lab.gateway_unanswered, sure=lab.is_unanswered)
            lab.restart("gateway")


_COPY = """
insert into lims.{table} select copy.* from (select * from lims.{table} limit 1) one,
 jsonb_populate_record(null::lims.{table}, to_jsonb(one) || jsonb_build_object('id', gen_random_uuid(), {more})) copy
"""
_ANY_RESULT = "(select id from lims.results limit 1)"
DAMAGE = {
    "lost": f"delete from lims.results where id = {_ANY_RESULT}",
    "doubled": _COPY.format(table="results", more="'version', 2"),
    "altered": f"update lims.results set value_text = '1' where id = {_ANY_RESULT}",
    "not in the ledger": f"delete from lims.ledger where table_name = 'results' and row_id = {_ANY_RESULT}",
    "twice in the ledger": "insert into lims.ledger (organization_id, table_name, row_id, op, body, actor_id)"
    " select organization_id, table_name, row_id, op, body, actor_id from lims.ledger where table_name = 'results'"
    " and op = 'I' limit 1",
    "not reported": "delete from lims.reports where id = (select id from lims.reports limit 1)",
    "reported twice": _COPY.format(table="reports", more="'version', 2, 'content_sha256', 'another'"),
    "stuck": "update jobs.procrastinate_jobs set status = 'doing'"
    " where id = (select id from jobs.procrastinate_jobs where task_name = 'reports.release' limit 1)",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_account_would_show_it(lab: LiveLaboratory, damage: str) -> None:
    """One row of what the test before found whole is damaged, and put back."""
    with lab.watch.transaction(force_rollback=True):
        lab.watch.execute("set local session_replication_role = replica")
        assert lab.watch.execute(DAMAGE[damage].encode()).rowcount == 1

        with pytest.raises(AssertionError):
            assert_all(lab)

    assert_all(lab)


@pytest.mark.req("1.7.5")
def test_when_the_gateways_disk_is_lost_and_analysers_send_all_again_nothing_changes(lab: LiveLaboratory) -> None:
    before, messages = recorded(lab), lab.count("select count(*) from lims.instrument_messages")
    ledger = lab.count("select count(*) from lims.ledger")
    lab.move_to_a_new_spool()

    for channel in CHANNELS:
        line = until(lambda channel=channel: _line(lab, channel), "the gateway listens")
        bodies = [sent.body for sent in lab.acknowledged if sent.channel == channel]
        assert set(line.send(*bodies)) == {"AA"}
        line.close()
    until(lambda: lab.spool.waiting() == 0, "the spool is delivered")

    assert lab.spool.counts()[State.DELIVERED] == len(lab.acknowledged) == messages
    assert recorded(lab) == before
    assert lab.count("select count(*) from lims.ledger") == ledger
    assert_recorded_exactly_once(lab)


def _line(lab: LiveLaboratory, channel: str) -> Line | None:
    try:
        return Line(lab.ports[channel], timeout=20)
    except OSError:
        return None


@pytest.mark.req("1.7.5")
def test_after_an_analysers_reboot_the_same_control_id_brings_other_values_and_both_are_recorded(
    lab: LiveLaboratory,
) -> None:
    chance, (item,) = random.Random(1), lab.receive_orders(1)
    first = oru(CHANNELS[0], "1", item, measured(chance, normal=True))
    time.sleep(1.1)  # an analyser's clock has whole seconds
    second = oru(CHANNELS[0], "1", item, measured(chance, normal=True))

    line = until(lambda: _line(lab, CHANNELS[0]), "the gateway listens")
    assert line.send(first.body, second.body, first.body) == ["AA", "AA", "AA"]
    line.close()
    lab.acknowledged += [first, second]
    until(lambda: lab.spool.waiting() == 0, "the spool is delivered")

    versions = lab.rows(
        "select r.version, count(*) from lims.results r join lims.specimens s on s.id = r.specimen_id"
        " where s.accession_number = %s group by 1 order by 1",
        item.accession_number,
    )
    assert versions == [(1, len(first.values)), (2, len(second.values))]
    assert_recorded_exactly_once(lab)
    assert_in_the_ledger_once(lab)


@pytest.mark.req("1.7.5")
@pytest.mark.req("2.1.1")
def test_postgresql_killed_in_live_traffic_loses_nothing_that_was_acknowledged(lab: LiveLaboratory) -> None:
    flow, before = traffic(lab, seed=30), len(lab.acknowledged)

    with flow.flowing():
        for _ in range(DATABASE_KILLS):
            lab.kill_the_database_at_work()
            lab.restart_database()
            reached = lab.count("select count(*) from lims.instrument_messages")
            until(
                lambda reached=reached: lab.count("select count(*) from lims.instrument_messages") > reached + 10,
                "traffic goes on",
            )
    settle(lab)

    assert len(lab.acknowledged) > before + 10 * DATABASE_KILLS
    assert_all(lab)
    assert_the_desk_has_what_it_was_told(lab, flow)


def test_the_worker_works_on_when_the_database_has_come_back(lab: LiveLaboratory) -> None:
    worker, (item,) = lab.processes.running["worker"], lab.receive_orders(1)
    sent = oru(CHANNELS[0], "1", item, measured(random.Random(2), normal=True))
    reported = (
        "select count(*) from lims.reports r join lims.specimens s on s.order_id = r.order_id"
        " where s.accession_number = %s"
    )

    lab.kill([lab.cluster.pid])
    time.sleep(1)
    lab.restart_database()
    line = until(lambda: _line(lab, CHANNELS[0]), "the gateway listens")
    assert line.send(sent.body) == ["AA"]
    line.close()
    lab.acknowledged.append(sent)

    until(lambda: lab.count(reported, item.accession_number) or worker.poll() is not None, "the report", seconds=40)
    assert worker.poll() is None
    assert_all(lab)
