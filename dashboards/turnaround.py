"""Turnaround in figures: frames of ordered tests in, frames of minutes and shares out. Pure."""

from datetime import datetime

import polars as pl

WHOLE_WAY = "Order to release"
STAGES = {
    "Order to collection": "minutes_order_to_collection",
    "Collection to receipt": "minutes_collection_to_receipt",
    "Receipt to result": "minutes_receipt_to_result",
    "Result to release": "minutes_result_to_authorised",
    WHOLE_WAY: "minutes_total",
}
GROUPS = {
    "Test": "test",
    "Discipline": "discipline",
    "Priority": "priority",
    "Analyser": "analyser_code",
    "Site": "site_name",
    "Hour of the order": "hour",
    "Weekday of the order": "weekday",
}
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WAITS_FOR = ("collection", "receipt", "result", "release")


def with_groups(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with `test` (code and name), and `hour` and `weekday` of the order in India."""
    placed = pl.col("placed_at").dt.convert_time_zone("Asia/Kolkata")
    return rows.with_columns(
        named_test(),
        placed.dt.strftime("%H:00").alias("hour"),
        placed.dt.weekday().replace_strict(dict(enumerate(WEEKDAYS, 1)), return_dtype=pl.String).alias("weekday"),
    )


def named_test() -> pl.Expr:
    """A test as a person reads it: code and name, or the code alone where the name is unknown."""
    return pl.format("{} · {}", "test_code", "test_name").fill_null(pl.col("test_code")).alias("test")


def figures(minutes: str) -> list[pl.Expr]:
    """How many tests, median and 90th percentile (linear interpolation) of a column of minutes, shares in per cent.

    `median` and `p90` are over the tests with both instants of the stage, `measured` of them; the shares are over all.
    """
    return [
        pl.len().alias("tests"),
        pl.col(minutes).count().alias("measured"),
        pl.col(minutes).median().alias("median"),
        pl.col(minutes).quantile(0.9, "linear").alias("p90"),
        (100 - pl.col("is_late").mean() * 100).alias("within_percent"),
        pl.col("minutes_target").median().alias("target"),
    ]


def by(rows: pl.DataFrame, key: str, minutes: str) -> pl.DataFrame:
    """The figures of each `day` or of each group of `GROUPS`, in the order of the key; weekdays in that of the week."""
    grouped = rows.group_by(key).agg(figures(minutes))
    return grouped.sort(pl.col(key).cast(pl.Enum(WEEKDAYS)) if key == "weekday" else key)


def by_stage(rows: pl.DataFrame) -> pl.DataFrame:
    """`stage`, `measured`, `median` and `p90` of each stage in the order of the way, the whole way last."""
    return pl.DataFrame(
        [
            {"stage": stage} | rows.select(figures(column)).select("measured", "median", "p90").row(0, named=True)
            for stage, column in STAGES.items()
        ],
        schema={"stage": pl.String, "measured": pl.Int64, "median": pl.Float64, "p90": pl.Float64},
    )


def waiting(rows: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Each open test with `waits_for` (what comes next) and `minutes`, the age of its order at `as_of`."""
    # By the last thing that happened: a specimen may be received whose collection nobody noted.
    waits_for = (
        pl.when(pl.col("first_result_at").is_not_null())
        .then(pl.lit("release"))
        .when(pl.col("received_at").is_not_null())
        .then(pl.lit("result"))
        .when(pl.col("collected_at").is_not_null())
        .then(pl.lit("receipt"))
        .otherwise(pl.lit("collection"))
    )
    return rows.with_columns(
        waits_for.alias("waits_for"),
        ((pl.lit(as_of) - pl.col("placed_at")).dt.total_seconds() / 60).alias("minutes"),
    )


def waiting_by_test(waiting: pl.DataFrame) -> pl.DataFrame:
    """Of each test: how many are open, how many of them overdue, what they wait for, and the oldest order's age."""
    counts = [(pl.col("waits_for") == wait).sum().alias(wait) for wait in WAITS_FOR]
    return (
        waiting.with_columns(named_test())
        .group_by("test")
        .agg(pl.len().alias("open"), pl.col("is_late").sum().alias("overdue"), *counts, pl.col("minutes").max())
        .sort("overdue", "open", "test", descending=[True, True, False])
    )
