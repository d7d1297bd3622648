"""What was observed against each target: n, mean, SD, CV and bias of the window. Pure."""

import polars as pl

ALL, KEPT = "all points", "without rejected"
NAMES = {
    "level": "Level", "lot_number": "Lot", "points": "Points", "n": "n", "target_mean": "Target mean",
    "target_sd": "Target SD", "observed_mean": "Observed mean", "observed_sd": "Observed SD", "cv_percent": "CV, %",
    "bias_percent": "Bias, %", "warnings": "Warnings", "rejected": "Rejected",
}  # fmt: skip
"""The columns that people see, and their headings."""


def control_statistics(rows: pl.DataFrame) -> pl.DataFrame:
    """What was observed against each level's target, over all points and over those not rejected.

    Unit of mean, SD and target is the analyte's; CV and bias are per cent. A rejected point stays in "all points". A
    new lot or target starts a new row: points of two targets are never mixed.
    """
    both = [rows.with_columns(points=pl.lit(ALL))]
    both.append(rows.filter(pl.col("status") != "rejected").with_columns(points=pl.lit(KEPT)))
    return (
        pl.concat(both)
        .rename({"mean": "target_mean", "sd": "target_sd"})
        .group_by("level", "lot_number", "target_mean", "target_sd", "points")
        .agg(
            pl.len().alias("n"),
            pl.col("value").mean().alias("observed_mean"),
            pl.col("value").std().alias("observed_sd"),
            pl.col("occurred_at").min().alias("since"),
            (pl.col("status") == "rejected").sum().alias("rejected"),
            (pl.col("status") == "warning").sum().alias("warnings"),
        )
        .with_columns(
            (100 * pl.col("observed_sd") / pl.col("observed_mean")).alias("cv_percent"),
            (100 * (pl.col("observed_mean") / pl.col("target_mean") - 1)).alias("bias_percent"),
        )
        .sort("level", "since", "points")
    )


def as_table(statistics: pl.DataFrame) -> pl.DataFrame:
    """The statistics as people see them, to three decimals."""
    return statistics.select(list(NAMES)).rename(NAMES).with_columns(pl.col(pl.Float64).round(3))
