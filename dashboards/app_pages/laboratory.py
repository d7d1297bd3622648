"""Turnaround and quality control of one laboratory, from gold."""

from datetime import date, timedelta

import polars as pl
import streamlit as st

from dashboards import charts, data
from dashboards.access import Access, current, utc_now

PHASES = {
    "Order to release": "minutes_total",
    "Order to collection": "minutes_order_to_collection",
    "Receipt to result": "minutes_receipt_to_result",
    "Result to release": "minutes_result_to_authorised",
}
USUAL_PERIOD = timedelta(days=29)


def chosen_period(label: str, days: tuple[date, date]) -> tuple[date, date]:
    """Two days picked within what there is; the last thirty days unless changed. A half-made choice is one day."""
    first, last = days
    usual = (max(first, last - USUAL_PERIOD), last)
    chosen = st.date_input(label, usual, min_value=first, max_value=last, format="DD/MM/YYYY", key=f"period {label}")
    picked = chosen if isinstance(chosen, tuple) else (chosen,)
    return (picked[0], picked[-1]) if picked else usual


def minutes(value: float | None) -> str:
    """Minutes as a person reads them."""
    return "\u2013" if value is None else f"{value:.0f} min" if value < 600 else f"{value / 60:.1f} h"


def percent(value: float | None) -> str:
    """A share with one decimal."""
    return "\u2013" if value is None else f"{value:.1f} %"


def turnaround_section(access: Access) -> None:
    """Filters, six figures, three charts, a table and its export."""
    days = data.released_days(access)
    if days is None:
        st.info("No released tests are in the lake yet. They appear after the next run of the pipelines.")
        return
    period, tests, priorities, phase = turnaround_filters(access, days)
    rows = data.filtered(data.released_tests(access, *period), tests=tests, priorities=priorities)
    waiting = data.filtered(data.waiting_tests(access), tests=tests, priorities=priorities)
    turnaround_figures(rows, waiting, PHASES[phase])
    if rows.is_empty():
        st.info("No test was released in this period with these filters.")
        return
    daily = data.turnaround_by(rows, "day", PHASES[phase])
    by_test = data.turnaround_by(rows, "test_code", PHASES[phase])
    left, right = st.columns(2)
    left.subheader("Each day")
    left.altair_chart(charts.turnaround_trend(daily, phase), width="stretch")
    right.subheader("Late and automatic")
    right.altair_chart(charts.shares_trend(daily), width="stretch")
    turnaround_table(by_test, phase)


def turnaround_filters(access: Access, days: tuple[date, date]) -> tuple[tuple[date, date], list[str], list[str], str]:
    """Period of release, tests, priorities, and which stretch of the way is measured."""
    for_period, for_tests, for_priorities, for_phase = st.columns([1.3, 1.5, 1.2, 1.2])
    with for_period:
        period = chosen_period("Released", days)
    rows = data.released_tests(access, *period)
    with for_tests:
        tests = st.multiselect("Tests", sorted(rows["test_code"].unique()), placeholder="All", key="tests")
    with for_priorities:
        priorities = st.multiselect("Priority", sorted(rows["priority"].unique()), placeholder="All", key="priorities")
    with for_phase:
        phase = st.selectbox("Measured", list(PHASES), key="phase")
    return period, tests, priorities, phase


def turnaround_figures(rows: pl.DataFrame, waiting: pl.DataFrame, column: str) -> None:
    """The six figures on top."""
    figures = rows.select(data.median_and_p90(column)).row(0, named=True)
    places = st.columns(6)
    places[0].metric("Tests released", f"{figures['tests']:,}")
    places[1].metric("Median", minutes(figures["median"]))
    places[2].metric("90th percentile", minutes(figures["p90"]))
    places[3].metric("Late", percent(figures["late_percent"]))
    places[4].metric("Released automatically", percent(figures["automatic_percent"]))
    places[5].metric(
        "Waiting now", f"{waiting.height:,}", help="Ordered and not released, as of the last pipeline run."
    )


def turnaround_table(by_test: pl.DataFrame, phase: str) -> None:
    """Each test as a bar, as a row, and as CSV."""
    st.subheader("Each test")
    left, right = st.columns([1, 1])
    left.altair_chart(charts.turnaround_by_test(by_test, phase), width="stretch")
    names = {"test_code": "Test", "tests": "Tests", "median": "Median, min", "p90": "90th percentile, min",
             "late_percent": "Late, %", "automatic_percent": "Automatic, %"}  # fmt: skip
    table = by_test.with_columns(pl.col(pl.Float64).round(1)).rename(names)
    right.dataframe(table, hide_index=True, width="stretch")
    right.download_button("Export CSV", data.as_csv(table), "turnaround.csv", "text/csv", key="export turnaround")


def levey_jennings_section(access: Access) -> None:
    """Filters, a chart for each level, statistics and their export."""
    days = data.control_days(access)
    if days is None:
        st.info("No control results are in the lake yet. They appear after the next run of the pipelines.")
        return
    rows = control_filters(access, days)
    if rows.is_empty():
        st.info("No control was measured in this period with these filters.")
        return
    control_figures(rows)
    for (level,), points in rows.group_by("level", maintain_order=True):
        st.subheader(f"Level {level}")
        control_chart(points.filter(pl.col("z").is_not_null()))
    st.caption(
        "Triangles are warnings; hollow diamonds are rejected and stay in the chart. A vertical line marks a new "
        "target; the values at the lines are those of the latest. "
        f"A point beyond {charts.FURTHEST:.0f} SD stands at the edge. Times are Indian Standard Time."
    )
    control_table(rows)


def control_chart(points: pl.DataFrame) -> None:
    """The chart of one level, or why there is none."""
    if points.is_empty():
        st.info("This level has no target mean and SD yet.")
    else:
        st.altair_chart(charts.levey_jennings(points), width="stretch")


def control_filters(access: Access, days: tuple[date, date]) -> pl.DataFrame:
    """The points of one test, analyser and control lot at the levels chosen; each choice narrows the next."""
    places = st.columns([1.3, 1, 1, 1.4, 1])
    with places[0]:
        period = chosen_period("Measured on", days)
    rows = data.control_results(access, *period).with_columns(
        (pl.col("material") + ", lot " + pl.col("lot_number")).alias("lot")
    )
    for place, label, column in zip(places[1:4], ("Test", "Analyser", "Control"), CONTROL_CHOICES, strict=True):
        with place:
            choice = st.selectbox(label, sorted(rows[column].unique()), key=label)
        rows = rows.filter(pl.col(column) == choice)
    with places[4]:
        levels = st.multiselect("Levels", sorted(rows["level"].unique()), placeholder="All", key="levels")
    rows = rows.filter(pl.col("level").is_in(levels)) if levels else rows
    return rows.sort("level", "occurred_at")


def control_figures(rows: pl.DataFrame) -> None:
    """How many points, and how many were warned about or rejected."""
    places = st.columns(6)
    places[0].metric("Control results", f"{rows.height:,}")
    places[1].metric("Warnings", f"{rows.filter(pl.col('status') == 'warning').height:,}")
    places[2].metric("Rejected", f"{rows.filter(pl.col('status') == 'rejected').height:,}")


def control_table(rows: pl.DataFrame) -> None:
    """Observed against target for each level, and the points as CSV."""
    st.subheader("Observed against target")
    names = {"level": "Level", "points": "Points", "n": "n", "target_mean": "Target mean", "target_sd": "Target SD",
             "observed_mean": "Observed mean", "observed_sd": "Observed SD", "cv_percent": "CV, %",
             "bias_percent": "Bias, %", "warnings": "Warnings", "rejected": "Rejected"}  # fmt: skip
    statistics = data.control_statistics(rows).select(list(names)).rename(names)
    st.dataframe(statistics.with_columns(pl.col(pl.Float64).round(3)), hide_index=True, width="stretch")
    points = rows.drop("organization_id", "lot", "day")
    st.download_button("Export CSV", data.as_csv(points), "control_results.csv", "text/csv", key="export controls")


CONTROL_CHOICES = ("test_code", "analyser_code", "lot")

access = current(st.session_state, now=utc_now())
if access is None:
    st.stop()
st.title("Laboratory")
turnaround_tab, control_tab = st.tabs(["Turnaround", "Levey\u2013Jennings"])
try:
    with turnaround_tab:
        turnaround_section(access)
    with control_tab:
        levey_jennings_section(access)
except data.LakeUnavailable:
    st.error("The lake cannot be read now. Try again in a few minutes.")
