"""The orders, specimens, ordered tests and results of a history."""

from __future__ import annotations

import polars as pl

from lims_api.cli.importing import judging
from lims_api.cli.importing.copying import Copier
from lims_api.cli.importing.errors import HistoryUnusable
from lims_api.cli.importing.files import one_each
from lims_api.cli.importing.known import Known
from lims_api.core.ids import SYSTEM_ACTOR, uuid7_texts

PRIORITY, ORDER_STATUS, SPECIMEN_STATUS, TEST_STATUS = "routine", "completed", "received", "authorised"
_KNOWN_ORDERS = "select order_number from lims.orders where organization_id = %s and order_number = any(%s)"


def add(copier: Copier, known: Known, people: pl.DataFrame, frame: pl.DataFrame) -> tuple[int, int, int]:
    """Import the orders that the organization does not have; returns how many orders, specimens and results."""
    _refuse(known, people, frame)
    numbers = frame["order_number"].unique().to_list()
    there = copier.connection.execute(_KNOWN_ORDERS, (known.organization_id, numbers)).fetchall()
    frame = frame.filter(~pl.col("order_number").is_in([number for (number,) in there]))
    rows = _with_what_is_known(known, people, frame)
    orders, specimens = _with_ids(rows, "order_number", "order_id"), _with_ids(rows, "accession_number", "specimen_id")
    rows = rows.join(orders, on="order_number", how="left", maintain_order="left")
    rows = rows.join(specimens, on="accession_number", how="left", maintain_order="left")
    tests = _with_ids(rows, ["order_id", "test_code"], "order_test_id")
    rows = rows.join(tests, on=["order_id", "test_code"], how="left", maintain_order="left")
    placed, drawn = copier.copy("orders", _orders(rows)), copier.copy("specimens", _specimens(rows))
    copier.copy("order_tests", _order_tests(rows))
    return placed, drawn, copier.copy("results", _results(rows))


def _refuse(known: Known, people: pl.DataFrame, frame: pl.DataFrame) -> None:
    one_each(frame, "order_number", "uhid")
    one_each(frame, "order_number", "site_code")
    for of in ("order_number", "specimen_type", "container"):
        one_each(frame, "accession_number", of)
    unknown = set(frame["test_code"].unique()) - set(known.tests["test_code"])
    if unknown:
        raise HistoryUnusable(f"the catalogue has no {', '.join(sorted(unknown))}; import the catalogue first")
    units = frame.select("test_code", "unit").unique().join(known.tests, on="test_code")
    others = units.filter(pl.col("unit") != pl.col("own_unit")).sort("test_code")
    for code, unit, own in others.select("test_code", "unit", "own_unit").rows():
        raise HistoryUnusable(f"{code} comes in {unit}, the catalogue has {own}")
    sites = set(frame["site_code"].drop_nulls().unique()) - set(known.sites)
    if sites:
        raise HistoryUnusable(f"the organization has no site {', '.join(sorted(sites))}")
    strangers = frame.join(people, on="uhid", how="anti").height
    if strangers:
        raise HistoryUnusable(f"results.parquet: {strangers} rows are of a uhid that patients.parquet does not have")


def _with_what_is_known(known: Known, people: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """Each row with its patient, its definition, its site, its analyser and what it is judged to be."""
    sites = {code: id_.hex for code, id_ in known.sites.items()}
    analysers = {code: id_.hex for code, id_ in known.analysers.items()}
    rows = frame.join(people, on="uhid", how="left", maintain_order="left")
    rows = rows.join(known.tests, on="test_code", how="left", maintain_order="left")
    rows = rows.with_columns(
        pl.col("site_code").fill_null(known.laboratory).replace_strict(sites, return_dtype=pl.String).alias("site_id"),
        pl.col("analyser").replace_strict(analysers, default=None, return_dtype=pl.String).alias("analyser_id"),
        pl.coalesce("specimen_type", "usual_specimen_type").alias("specimen_type"),
        pl.coalesce("container", "usual_container").alias("container"),
        (pl.col("ordered_at") + pl.duration(minutes="turnaround_minutes")).alias("due_at"),
        judging.ages().alias("age_days"),
        pl.when(pl.col("is_judged").fill_null(value=True)).then(judging.flags()).alias("flag"),
    )
    one_each(rows, "accession_number", "specimen_type")
    return rows


def _with_ids(rows: pl.DataFrame, key: str | list[str], name: str) -> pl.DataFrame:
    """One new id for each of the keys, in the order in which they first appear."""
    keys = rows.select(key).unique(maintain_order=True)
    return keys.with_columns(pl.Series(name, uuid7_texts(keys.height), pl.String))


def _orders(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by("order_number", maintain_order=True).agg(
        pl.first("order_id").alias("id"),
        pl.first("patient_id", "site_id"),
        pl.lit(PRIORITY).alias("priority"),
        pl.lit(ORDER_STATUS).alias("status"),
        pl.first("ordered_at").alias("placed_at"),
        pl.max("due_at"),
        pl.max("authorised_at").alias("completed_at"),
        pl.first("ordered_at").alias("occurred_at"),
        pl.first("ordered_at").alias("available_at"),
    )


def _specimens(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by("accession_number", maintain_order=True).agg(
        pl.first("specimen_id").alias("id"),
        pl.first("order_id", "patient_id", "site_id", "specimen_type", "container"),
        pl.lit(SPECIMEN_STATUS).alias("status"),
        pl.first("collected_at", "received_at"),
    )


def _order_tests(rows: pl.DataFrame) -> pl.DataFrame:
    """A test measured twice was ordered once, in the specimen of its first result."""
    return rows.unique("order_test_id", keep="first", maintain_order=True).select(
        pl.col("order_test_id").alias("id"),
        "order_id",
        "test_code",
        "definition_id",
        "specimen_id",
        pl.lit(TEST_STATUS).alias("status"),
        "due_at",
    )


def _results(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        pl.Series("id", uuid7_texts(rows.height), pl.String),
        "occurred_at", "available_at", "patient_id", "order_id", "order_test_id", "specimen_id", "site_id",
        "test_code", "loinc", "definition_id", "analyser_id",
        pl.lit("import").alias("entry"),
        pl.lit(SYSTEM_ACTOR.hex).alias("entered_by_id"),
        "value_text", "value", "comparator", "unit", "reference_low", "reference_high", "critical_low",
        "critical_high", "age_days", "sex", "flag",
        _array("instrument_flags"),
        pl.lit(TEST_STATUS).alias("status"),
        "authorised_at",
    )  # fmt: skip


def _array(column: str) -> pl.Expr:
    """'A,,B' as PostgreSQL's array {"A","B"}."""
    items = pl.col(column).fill_null("").str.replace_all(r'(["\\])', r"\${1}").str.split(",")
    quoted = items.list.eval(pl.concat_str(pl.lit('"'), pl.element().filter(pl.element() != ""), pl.lit('"')))
    return pl.concat_str(pl.lit("{"), quoted.list.join(","), pl.lit("}")).alias(column)
