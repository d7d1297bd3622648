"""Verification in figures: frames of judged results in, counts, shares and waits out. Pure.

Each result that became known here has one outcome: released automatically, released by a person, still waiting for
one, or set aside (replaced or rejected before its release). Held are all but the first.
"""

from datetime import datetime

import polars as pl

from dashboards.reasons import kind_of, text_of
from dashboards.turnaround import named_test

AUTOMATIC, PERSON, WAITING, SET_ASIDE = "Automatic", "By a person", "Waiting", "Set aside"
OUTCOMES = (AUTOMATIC, PERSON, WAITING, SET_ASIDE)
MOST_WAITS = 0.9


def with_outcome(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with `test` and `outcome`, one of `OUTCOMES`."""
    released = pl.col("authorised_at").is_not_null()
    outcome = (
        pl.when(released & pl.col("is_automatic"))
        .then(pl.lit(AUTOMATIC))
        .when(released)
        .then(pl.lit(PERSON))
        .when(pl.col("status") == "held")
        .then(pl.lit(WAITING))
        .otherwise(pl.lit(SET_ASIDE))
    )
    return rows.with_columns(named_test(), outcome.alias("outcome"))


def figures() -> list[pl.Expr]:
    """How many results by outcome, the shares of automatic and held in per cent, and how long the held waited."""
    is_held = pl.col("outcome") != AUTOMATIC
    return [
        pl.len().alias("results"),
        *[(pl.col("outcome") == outcome).sum().alias(outcome) for outcome in OUTCOMES],
        (100 - is_held.mean() * 100).alias("automatic_percent"),
        (is_held.mean() * 100).alias("held_percent"),
        pl.col("minutes_held").median().alias("median_wait"),
        pl.col("minutes_held").quantile(MOST_WAITS, "linear").alias("p90_wait"),
    ]


def by(rows: pl.DataFrame, *keys: str) -> pl.DataFrame:
    """The figures of each `day`, `test`, or pair of `model_version` and `rules_version`."""
    return rows.group_by(keys).agg(figures()).sort(keys, nulls_last=True)


def outcomes(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    """`key`, `outcome`, `results`, `percent` (of the key's), and the key's `held_percent`: what is drawn in bars."""
    grouped = rows.group_by(key, "outcome").agg(pl.len().alias("results"))
    held = by(rows, key).select(key, pl.col("results").alias("of"), "held_percent")
    joined = grouped.join(held, on=key).with_columns((100 * pl.col("results") / pl.col("of")).alias("percent"))
    return joined.sort(key, pl.col("outcome").cast(pl.Enum(OUTCOMES)))


def by_reason(rows: pl.DataFrame) -> pl.DataFrame:
    """Each reason code: what it means, of which kind, how many held results have it, alone, and their share.

    A result held for several reasons counts for each of them, so that the shares add up to more than 100 per cent.
    """
    held = rows.filter(pl.col("outcome") != AUTOMATIC)
    codes = held.select(pl.col("reasons").fill_null("").str.split(",").alias("code"), "minutes_held")
    listed = codes.with_columns((pl.col("code").list.len() == 1).alias("alone")).explode("code")
    return (
        listed.filter(pl.col("code") != "")
        .group_by("code")
        .agg(pl.len().alias("results"), pl.col("alone").sum(), pl.col("minutes_held").median().alias("median_wait"))
        .with_columns(
            (100 * pl.col("results") / max(held.height, 1)).alias("percent"),
            pl.col("code").map_elements(text_of, return_dtype=pl.String).alias("text"),
            pl.col("code").map_elements(kind_of, return_dtype=pl.String).alias("kind"),
        )
        .sort("results", "code", descending=[True, False])
    )


def corrected(rows: pl.DataFrame) -> pl.DataFrame:
    """Each correction after a release: test, site, analyser, how it was entered and when, newest first."""
    local = pl.col("authorised_at").dt.convert_time_zone("Asia/Kolkata").dt.strftime("%d-%b-%Y %H:%M")
    return rows.sort("authorised_at", descending=True).select(
        named_test(), "site_name", "analyser_code", "entry", local.alias("at"), "reasons"
    )


def longest_wait(held: pl.DataFrame, now: datetime) -> float | None:
    """Minutes since the oldest of the held results became known; None when nothing waits."""
    minutes: float | None = held.select((pl.lit(now) - pl.col("available_at").min()).dt.total_seconds() / 60).item()
    return minutes
