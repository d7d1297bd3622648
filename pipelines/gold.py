"""Publish the warehouse's marts to the lake, organization by organization, and check what arrived.

Readers see the former publication or the new one, whole: every organization's partition is replaced in one commit.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from math import isclose
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import polars as pl
import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import AlwaysTrue, EqualTo, In
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.transforms import IdentityTransform

from pipelines.lake import ensure_table, only_writer

_INSTANT = pa.timestamp("us", tz="UTC")
PATIENCE = timedelta(seconds=60)
Totals = dict[str, tuple[int, float]]
"""By organization: how many rows, and the sum of the mart's measure."""


@dataclass(frozen=True)
class Mart:
    """One mart and its gold table. `measure` is summed for the check, `order` sorts the rows within an organization."""

    relation: str
    target: str
    measure: str
    order: str
    schema: pa.Schema


@dataclass(frozen=True)
class Published:
    """What one publication put in place: rows in all, and of how many organizations."""

    rows: int
    organizations: int


class PublicationWrong(Exception):
    """Count or sum in the lake differ from the mart's; the former publication was put back."""


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([("organization_id", pa.string()), *columns.items()])


FCT_RESULTS = Mart(
    relation="clinical.fct_results",
    target="gold.fct_results",
    measure="value",
    order="available_at",
    schema=_schema(
        result_id=pa.string(),
        patient_key=pa.string(),
        order_id=pa.string(),
        specimen_id=pa.string(),
        site_id=pa.string(),
        test_code=pa.string(),
        loinc=pa.string(),
        value=pa.float64(),
        comparator=pa.string(),
        unit=pa.string(),
        reference_low=pa.float64(),
        reference_high=pa.float64(),
        critical_low=pa.float64(),
        critical_high=pa.float64(),
        flag=pa.string(),
        age_days=pa.int32(),
        sex=pa.string(),
        analyser_id=pa.string(),
        entry=pa.string(),
        status=pa.string(),
        version=pa.int32(),
        corrects_id=pa.string(),
        is_current=pa.bool_(),
        is_automatic=pa.bool_(),
        reasons=pa.string(),
        risk=pa.float64(),
        model_version=pa.string(),
        rules_version=pa.string(),
        test_name=pa.string(),
        discipline=pa.string(),
        priority=pa.string(),
        site_name=pa.string(),
        analyser_code=pa.string(),
        is_example=pa.bool_(),
        is_correction=pa.bool_(),
        minutes_held=pa.float64(),
        occurred_at=_INSTANT,
        available_at=_INSTANT,
        authorised_at=_INSTANT,
        recorded_at=_INSTANT,
    ),
)
FCT_TURNAROUND = Mart(
    relation="operations.fct_turnaround",
    target="gold.fct_turnaround",
    measure="minutes_total",
    order="placed_at",
    schema=_schema(
        order_test_id=pa.string(),
        order_id=pa.string(),
        site_id=pa.string(),
        site_name=pa.string(),
        test_code=pa.string(),
        test_name=pa.string(),
        discipline=pa.string(),
        is_example=pa.bool_(),
        priority=pa.string(),
        analyser_code=pa.string(),
        placed_at=_INSTANT,
        collected_at=_INSTANT,
        received_at=_INSTANT,
        first_result_at=_INSTANT,
        authorised_at=_INSTANT,
        due_at=_INSTANT,
        minutes_target=pa.float64(),
        minutes_order_to_collection=pa.float64(),
        minutes_collection_to_receipt=pa.float64(),
        minutes_receipt_to_result=pa.float64(),
        minutes_result_to_authorised=pa.float64(),
        minutes_total=pa.float64(),
        is_late=pa.bool_(),
        is_automatic=pa.bool_(),
        recorded_at=_INSTANT,
    ),
)
FCT_CONTROL_RESULTS = Mart(
    relation="quality.fct_control_results",
    target="gold.fct_control_results",
    measure="z",
    order="occurred_at",
    schema=_schema(
        control_result_id=pa.string(),
        run_id=pa.string(),
        analyser_id=pa.string(),
        analyser_code=pa.string(),
        site_name=pa.string(),
        material=pa.string(),
        lot_number=pa.string(),
        level=pa.int32(),
        test_code=pa.string(),
        test_name=pa.string(),
        unit=pa.string(),
        target_source=pa.string(),
        is_example=pa.bool_(),
        value=pa.float64(),
        mean=pa.float64(),
        sd=pa.float64(),
        z=pa.float64(),
        violated=pa.string(),
        status=pa.string(),
        occurred_at=_INSTANT,
        recorded_at=_INSTANT,
    ),
)
MARTS: Mapping[str, Mart] = {mart.target: mart for mart in (FCT_RESULTS, FCT_TURNAROUND, FCT_CONTROL_RESULTS)}


def gold_table(lake: SqlCatalog, target: str, schema: pa.Schema) -> Table:
    """The gold table with exactly these columns, a partition for each organization.

    Gold can be made anew at any time, so a table of other columns is dropped rather than changed.
    """
    if lake.table_exists(target) and lake.load_table(target).schema().as_arrow().names != schema.names:
        lake.drop_table(target)
    return ensure_table(
        lake, target, schema, partition={"organization_id": IdentityTransform()}, bounded=("organization_id",)
    )


def publish(dsn: str, lake: SqlCatalog, mart: Mart) -> Published:
    """Replace the gold table's content by the mart's, in one commit, and compare count and sum of each organization.

    `dsn` is a libpq URL of a reader of the warehouse. Raises PublicationWrong, with the former content back in place.
    """
    with only_writer(lake, mart.target, patience=PATIENCE), _one_snapshot(dsn) as cursor:
        table = gold_table(lake, mart.target, mart.schema).refresh()
        before = table.current_snapshot()
        expected = _totals(cursor, mart)
        replace(table, ((organization, _read(cursor, mart, organization)) for organization in expected))
        if not agree(totals(table, mart.measure), expected):
            put_back(table, before)
            raise PublicationWrong(f"{mart.target} did not hold what {mart.relation} holds; the former content is back")
    return Published(sum(count for count, _ in expected.values()), len(expected))


def replace(table: Table, parts: Iterator[tuple[str, pa.Table]]) -> None:
    """Put each organization's rows in place of its former ones, and drop those of organizations that are not named."""
    gone = organizations(table)
    with table.transaction() as change:
        for organization, rows in parts:
            if organization in gone:
                change.delete(EqualTo("organization_id", organization))
                gone.remove(organization)
            change.append(rows)
        if gone:
            change.delete(In("organization_id", gone))


def replace_one(table: Table, organization: str, rows: pa.Table, properties: Mapping[str, str]) -> None:
    """Put one organization's rows in place of its former ones, and `properties` on the table, in one commit."""
    with table.transaction() as change:
        if organization in organizations(table):
            change.delete(EqualTo("organization_id", organization))
        change.append(rows)
        change.set_properties(dict(properties))


def organizations(table: Table) -> set[str]:
    """Whose partitions the table has."""
    if table.current_snapshot() is None:
        return set()
    return {row["partition"]["organization_id_identity"] for row in table.inspect.partitions().to_pylist()}


@contextmanager
def _one_snapshot(dsn: str) -> Iterator[Any]:
    with adbc.connect(dsn, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("begin isolation level repeatable read, read only")
        yield cursor


def _totals(cursor: Any, mart: Mart) -> Totals:
    total = f"coalesce(sum({mart.measure}), 0)::float8"
    cursor.execute(f"select organization_id, count(*), {total} from {mart.relation} group by 1 order by 1")  # noqa: S608
    return {organization: (count, total) for organization, count, total in cursor.fetchall()}


def _read(cursor: Any, mart: Mart, organization: str) -> pa.Table:
    rows = f"select {', '.join(mart.schema.names)} from {mart.relation}"  # noqa: S608 - a mart is declared above
    cursor.execute(f"{rows} where organization_id = $1 order by {mart.order}", (organization,))
    return cursor.fetch_arrow_table().cast(mart.schema)


def totals(table: Table, measure: str) -> Totals:
    """Rows and the sum of `measure` by organization, as a reader of the lake sees them."""
    rows = pl.DataFrame(table.scan(selected_fields=("organization_id", measure)).to_arrow())
    grouped = rows.group_by("organization_id").agg(pl.len(), pl.col(measure).sum().cast(pl.Float64).alias("sum"))
    return {organization: (count, total) for organization, count, total in grouped.iter_rows()}


def agree(found: Totals, expected: Totals) -> bool:
    """Whether both have the same organizations, counts and sums (to nine digits: summing order is not fixed)."""
    return found.keys() == expected.keys() and all(
        found[name][0] == count and isclose(found[name][1], total, rel_tol=1e-9, abs_tol=1e-6)
        for name, (count, total) in expected.items()
    )


def put_back(table: Table, before: Snapshot | None) -> None:
    """Make the table's content what it was at that snapshot (None: nothing)."""
    if before is None:
        table.delete(AlwaysTrue())
    else:
        table.manage_snapshots().rollback_to_snapshot(before.snapshot_id).commit()
