"""Whatever is altered behind everybody's back, trace says that it differs, and at which link."""

from __future__ import annotations

from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lims_api.core.crypto import associated_data, seal
from lims_api.files.service import path_of
from lims_api.lineage.chain import Step
from pipelines.capture import LEDGER, bronze_table
from pipelines.lake import open_lake
from pipelines.settings import libpq
from tests.integration.lineage.conftest import Bench, differing, link

pytestmark = [pytest.mark.xdist_group("lineage"), pytest.mark.req("11.1")]


@pytest.fixture
def result_id(bench: Bench) -> str:
    """A released and reported result."""
    measured = bench.measure()
    bench.lab.settle()
    found: str = measured.line()["id"]
    return found


def group_of(bench: Bench, result_id: str) -> tuple[Any, ...]:
    (row,) = bench.lab.rows(
        "select g.id, g.patient_id, g.raw_sealed from lims.record_groups g join lims.results r"
        " on r.message_id = g.message_id where r.id = %s", result_id,
    )  # fmt: skip
    return row


def put_raw(bench: Bench, group_id: Any, sealed: bytes) -> None:
    with bench.behind_the_ledger() as connection:
        connection.execute("update lims.record_groups set raw_sealed = %s where id = %s", (sealed, group_id))


@pytest.mark.parametrize("place", [3, 40, -1], ids=["in the key's id", "in the text", "in the tag"])
def test_one_byte_of_the_sealed_transmission(bench: Bench, result_id: str, place: int) -> None:
    group_id, _, sealed = group_of(bench, result_id)
    altered = bytearray(sealed)
    altered[place] ^= 1
    put_raw(bench, group_id, bytes(altered))

    assert differing(bench.chain(result_id, copies=False)) == {"transmission"}


def test_one_byte_of_the_transmission_by_somebody_who_holds_the_keys(bench: Bench, result_id: str) -> None:
    group_id, patient_id, sealed = group_of(bench, result_id)
    keys, organization_id = bench.lab.environment.keys, bench.lab.organization_id
    key = keys.patient_key(organization_id, patient_id)
    column = "record_groups.raw_sealed"
    text = keys.unseal(bytes(sealed), key, organization_id, column, group_id).replace("||85|", "||86|")
    put_raw(bench, group_id, seal(key, text.encode(), associated_data(organization_id, column, group_id)))

    chain = bench.chain(result_id, copies=False)

    assert differing(chain) == {"transmission", "observation", "value"}  # the bytes, and what now follows from them
    assert [one.what for one in link(chain, Step.TRANSMISSION).differences] == ["sha256"]
    (value,) = link(chain, Step.VALUE).differences
    assert (value.derived, value.stored) == ("86", "85")


@pytest.mark.parametrize(
    ("change", "step"),
    [
        ("value = 58", "value"), ("value_text = '58'", "observation"), ("unit = 'mmol/L'", "value"),
        ("flag = 'L'", "interval"), ("reference_high = 84", "interval"), ("reasons = '{delta_check}'", "gates"),
        ("loinc = '1-1'", "definition"), ("observation_sequence = 9", "record"), ("risk = 0.999", "model"),
        ("authorised_by_id = gen_random_uuid()", "release"), ("occurred_at = occurred_at + interval '1 day'",
        "observation"), ("version = 2", "ledger"),
    ],
)  # fmt: skip
def test_one_field_of_the_row(bench: Bench, result_id: str, change: str, step: str) -> None:
    with bench.behind_the_ledger() as connection:
        connection.execute(f"update lims.results set {change} where id = %s".encode(), (result_id,))

    steps = differing(bench.chain(result_id, copies=False))

    assert steps == {step, "ledger"} | ALSO.get(change.split(" ", maxsplit=1)[0], set())


ALSO = {
    "value": {"model", "report"}, "unit": {"report"}, "flag": {"report"}, "loinc": {"report"},
    "reference_high": {"model"}, "reasons": {"release"},
}  # fmt: skip
"""Links that follow from a field besides the one that it no longer follows from, and the ledger."""


def test_the_percentage_behind_a_delta_check(bench: Bench) -> None:
    first = bench.measure()
    second = bench.measure(values={"GLU": "99"}, drawn=bench.lab.draw(person=first.drawn.person))
    with bench.behind_the_ledger() as connection:
        connection.execute(
            "update lims.results set evidence = replace(evidence, '16.5', '1.65') where id = %s", (second.line()["id"],)
        )

    assert differing(bench.chain(second.line()["id"], copies=False)) == {"gates", "ledger"}


def test_the_message_is_gone(bench: Bench, result_id: str) -> None:
    with bench.behind_the_ledger() as connection:
        connection.execute("update lims.results set message_id = gen_random_uuid() where id = %s", (result_id,))

    assert differing(bench.chain(result_id, copies=False)) == {"transmission", "ledger"}


def test_one_byte_of_the_reports_file(bench: Bench, result_id: str) -> None:
    ((file_id,),) = bench.lab.rows(
        "select p.file_id from lims.reports p join lims.results r on r.order_id = p.order_id where r.id = %s", result_id
    )
    path = path_of(bench.lab.services.files_folder, bench.lab.organization_id, file_id)
    altered = bytearray(path.read_bytes())
    altered[len(altered) // 2] ^= 1
    path.write_bytes(bytes(altered))

    chain = bench.chain(result_id, copies=False)

    assert differing(chain) == {"report"}
    assert "altered" in link(chain, Step.REPORT).differences[0].stored


def test_the_reports_file_is_gone(bench: Bench, result_id: str) -> None:
    ((file_id,),) = bench.lab.rows(
        "select p.file_id from lims.reports p join lims.results r on r.order_id = p.order_id where r.id = %s", result_id
    )
    path_of(bench.lab.services.files_folder, bench.lab.organization_id, file_id).unlink()

    assert differing(bench.chain(result_id, copies=False)) == {"report"}


def test_the_ledger_itself(bench: Bench, result_id: str) -> None:
    bench.model()
    with bench.behind_the_ledger() as connection:
        connection.execute(
            """update lims.ledger set body = replace(body, '"value":85', '"value":58')"""
            " where table_name = 'results' and row_id = %s", (result_id,),
        )  # fmt: skip

    assert differing(bench.chain(result_id)) == {"ledger", "bronze", "mart"}


def test_one_value_in_the_lake(bench: Bench, result_id: str) -> None:
    bench.model()
    table = bronze_table(open_lake(bench.stores), LEDGER)
    before = table.scan().to_arrow()
    own = pc.equal(before["row_id"], result_id)
    forged = pc.if_else(own, pc.replace_substring(before["body"], '"value":85', '"value":58'), before["body"])
    table.overwrite(before.set_column(before.schema.get_field_index("body"), "body", forged))
    try:
        chain = bench.chain(result_id)
    finally:
        table.overwrite(before)

    assert differing(chain) == {"bronze"}
    assert "body of change" in link(chain, Step.BRONZE).differences[0].what


def test_a_row_lost_from_the_lake(bench: Bench, result_id: str) -> None:
    bench.model()
    table = bronze_table(open_lake(bench.stores), LEDGER)
    before: pa.Table = table.scan().to_arrow()
    table.overwrite(before.filter(pc.not_equal(before["row_id"], result_id)))
    try:
        steps = differing(bench.chain(result_id))
    finally:
        table.overwrite(before)

    assert "bronze" in steps


def test_one_value_in_the_mart(bench: Bench) -> None:
    changes = (
        "value = 58",
        "flag = 'H'",
        "occurred_at = now()",
        "status = 'held'",
        "patient_key = 'x'",
        "reasons = 'x'",
    )
    ids = [bench.measure().line()["id"] for _ in changes]
    bench.model()
    with psycopg.connect(libpq(bench.stores.warehouse_url)) as connection:
        for one, change in zip(ids, changes, strict=True):
            connection.execute(f"update clinical.fct_results set {change} where result_id = %s".encode(), (one,))

    chains = bench.chains(*ids)

    assert [differing(chain) for chain in chains] == [{"mart"}] * len(changes)
    found = [[one.what for one in link(chain, Step.MART).differences] for chain in chains]
    assert found == [[change.partition(" ")[0]] for change in changes]


def test_a_row_lost_from_the_mart(bench: Bench, result_id: str) -> None:
    bench.model()
    with psycopg.connect(libpq(bench.stores.warehouse_url)) as connection:
        connection.execute("delete from clinical.fct_results where result_id = %s", (result_id,))

    assert differing(bench.chain(result_id)) == {"mart"}
