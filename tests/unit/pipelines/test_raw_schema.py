"""What is taken out of a ledger row's body, and in which types."""

import json
from datetime import UTC, date, datetime

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.raw_schema import CHANGE, RAW, RESTRICTED_BY, declare
from pipelines.warehouse import BodyUnreadable, typed

TABLE = declare(
    "things",
    name="text",
    amount="number",
    count="integer",
    is_on="boolean",
    at="instant",
    on="day",
    codes="codes",
    first_at=("recorded_at", "instant"),
)
AT = datetime(2026, 1, 5, 4, 3, 2, tzinfo=UTC)
finite = st.floats(allow_nan=False, allow_infinity=False)
instants = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def changes(*bodies: str) -> pl.DataFrame:
    """Bronze rows with these bodies."""
    frame = pl.DataFrame({"body": list(bodies)})
    return frame.with_columns(
        organization_id=pl.lit("lab"), row_id=pl.lit("row"), op=pl.lit("I"), seq=pl.lit(1, pl.Int64),
        recorded_at=pl.lit(AT).cast(pl.Datetime("us", "UTC")), capture=pl.lit(1, pl.Int64),
    )  # fmt: skip


def only(rows: pa.Table) -> dict[str, object]:
    row: dict[str, object] = {name: value for name, value in rows.to_pylist()[0].items() if name not in CHANGE}
    return row


@given(
    name=st.text().filter(lambda text: "\x00" not in text),
    amount=finite,
    count=st.integers(-(2**53), 2**53),
    is_on=st.booleans(),
    at=instants,
    on=st.dates(date(1900, 1, 1), date(2100, 1, 1)),
    codes=st.lists(st.sampled_from(["delta_check", "qc", "critical"])),
)
def test_a_row_keeps_its_values(
    name: str, amount: float, count: int, is_on: bool, at: datetime, on: date, codes: list[str]
) -> None:
    after = {
        "name": name, "amount": amount, "count": count, "is_on": is_on, "at": at.isoformat(), "on": on.isoformat(),
        "codes": codes, "recorded_at": at.isoformat(), "not_declared": {"of": ["any", "kind"]},
    }  # fmt: skip

    row = only(typed(changes(json.dumps({"after": after, "before": {}})), TABLE))

    assert row == {
        "name": name, "amount": amount, "count": count, "is_on": is_on, "at": at, "on": on, "codes": ",".join(codes),
        "first_at": at,
    }  # fmt: skip


@pytest.mark.parametrize(
    "body", ['{"before": {"name": "gone", "count": 3}}', '{"after": {}}', '{"after": {"name": null}}']
)
def test_what_is_absent_or_null_becomes_null(body: str) -> None:
    assert set(only(typed(changes(body), TABLE)).values()) == {None}


def test_rows_have_the_declared_arrow_types() -> None:
    assert typed(changes('{"after": {"name": "a"}}'), TABLE).schema == TABLE.arrow


@pytest.mark.parametrize("value", ['{"count": "three"}', '{"is_on": "maybe"}', '{"name": {"first": "a"}}'])
def test_a_value_of_another_type_is_refused_rather_than_lost(value: str) -> None:
    with pytest.raises(BodyUnreadable, match="things"):
        typed(changes(f'{{"after": {value}}}'), TABLE)


@pytest.mark.req("4.1.2")
def test_a_sealed_column_cannot_be_declared() -> None:
    with pytest.raises(ValueError, match="sealed"):
        declare("patients", name="text", identity=("name_sealed", "text"))


def test_no_declared_column_could_name_a_person() -> None:
    forbidden = {"name", "full_name", "username", "phone", "email", "address", "birth_on", "uhid", "abha", "value_text"}
    may_have_a_name = {"organizations", "sites", "test_definitions", "analysers", "control_materials"}
    for table in RAW.values():
        allowed = {"name"} if table.name in may_have_a_name else set()
        assert not forbidden & set(table.origins.values()) - allowed, table.name


@pytest.mark.req("12.4")
def test_every_table_with_patients_tests_is_filtered_by_restriction() -> None:
    of_a_patient = {name for name, table in RAW.items() if {"test_code", "order_id"} <= table.kinds.keys()}
    assert of_a_patient == set(RESTRICTED_BY)
