"""Turnaround: from the order to the release, stage by stage, against the target; and what is still open."""

from datetime import date

import polars as pl
import streamlit as st

from dashboards import charts, data, parts, turnaround
from dashboards.access import Access, utc_now
from dashboards.lake import TURNAROUND
from dashboards.turnaround import GROUPS, STAGES, WAITS_FOR, WHOLE_WAY, with_groups

USUAL_DAYS = 7
FILTERS = {"site_name": "Site", "discipline": "Discipline", "test": "Test", "priority": "Priority",
           "analyser_code": "Analyser"}  # fmt: skip
FIGURES = {"tests": "Tests", "target": "Target, min", "median": "Median, min", "p90": "90th percentile, min",
           "within_percent": "Within target, %"}  # fmt: skip


def page(access: Access) -> None:
    """Released tests of a period, then what is open now."""
    days = data.released_days(access)
    if days is None:
        st.info(
            "No test was released yet, as far as the lake knows. Release one in the application; it appears here after "
            "the next hourly run of the pipelines (or `lims pipelines run`)."
        )
    else:
        released(access, days)
    still_open(access)


def released(access: Access, days: tuple[date, date]) -> None:
    """Filters, figures, and four blocks: stages, days, groups, and the table of the groups."""
    rows, stage = filters(access, days)
    if rows.is_empty():
        st.info("No test was released in this period with these filters. Choose a longer period or fewer filters.")
        return
    parts.example_mark(rows, "The turnaround targets")
    key_figures(rows, stage)
    st.subheader("Each stage")
    stages = turnaround.by_stage(rows)
    left, right = st.columns(2)
    left.altair_chart(
        charts.medians(stages, "stage", list(STAGES)), width="stretch", alt="Median and P90 of each stage"
    )
    with right:
        names = {"stage": "Stage", "measured": "Tests", "median": "Median, min", "p90": "90th percentile, min"}
        parts.table(stages, names, "turnaround_by_stage")
    trends(rows, stage)
    groups(rows, stage)


def filters(access: Access, days: tuple[date, date]) -> tuple[pl.DataFrame, str]:
    """The released tests of the period that pass the filters, and the stage that is measured."""
    places = st.columns([1.5, 1.1, 1.1, 1.1, 1, 1, 1.3])
    with places[0]:
        rows = with_groups(
            data.released_tests(access, *parts.period("Released", days, USUAL_DAYS, "turnaround period"))
        )
    choices = {}
    for place, (column, label) in zip(places[1:6], FILTERS.items(), strict=True):
        with place:
            choices[column] = parts.several(label, parts.values(rows, column), f"turnaround {column}")
    with places[6]:
        stage = parts.one("Stage", [WHOLE_WAY, *[stage for stage in STAGES if stage != WHOLE_WAY]], "stage")
    return data.chosen(rows, choices), stage


def key_figures(rows: pl.DataFrame, stage: str) -> None:
    """The stage's figures over all rows."""
    found = rows.select(turnaround.figures(STAGES[stage])).row(0, named=True)
    parts.figures(
        {
            "Tests released": (f"{found['tests']:,}", "Tests whose first release falls into the period."),
            "Median": (parts.minutes(found["median"]), f"Half of the tests took at most this long: {stage.lower()}."),
            "90th percentile": (
                parts.minutes(found["p90"]),
                f"Nine tests of ten took at most this long: {stage.lower()}.",
            ),
            "Within target": (
                parts.percent(found["within_percent"]),
                "Share of the tests released at or before the instant at which they were due: order plus the "
                "turnaround target of the test. Always of the whole way, order to release.",
            ),
            "Target": (parts.minutes(found["target"]), "Median of the tests' targets, from the order."),
        }
    )


def trends(rows: pl.DataFrame, stage: str) -> None:
    """Minutes and the share within target, day by day."""
    daily = turnaround.by(rows, "day", STAGES[stage])
    left, right = st.columns(2)
    left.subheader("Each day")
    lines = {"median": "Median", "p90": "90th percentile"}
    left.altair_chart(
        charts.trend(daily, lines, f"{stage}, minutes"), width="stretch", alt="Median and P90 of each day"
    )
    right.subheader("Within target")
    share = charts.trend(daily, {"within_percent": "Within target"}, "share of tests, %", ceiling=100)
    right.altair_chart(share, width="stretch", alt="Share within target of each day")


def groups(rows: pl.DataFrame, stage: str) -> None:
    """The stage by test, discipline, priority, site, hour or weekday: bars and a table."""
    st.subheader("Compared")
    left, right = st.columns([2, 3])
    with left:
        said = "Hours and weekdays are those of the order, in Indian time."
        key = GROUPS[parts.one("By", list(GROUPS), "group", help=said)]
    grouped = turnaround.by(rows, key, STAGES[stage])
    in_time = key in ("hour", "weekday")
    order = grouped if in_time else grouped.sort("p90", descending=True, nulls_last=True)
    chart = charts.medians(grouped, key, order[key].to_list())
    left.altair_chart(chart, width="stretch", alt="Median and P90 of each group")
    with right:
        label = next(label for label, column in GROUPS.items() if column == key)
        parts.table(order, {key: label} | FIGURES, f"turnaround_by_{key}")


def still_open(access: Access) -> None:
    """What is ordered and not released: how much, how late, and what it waits for."""
    rows = data.open_tests(access)
    _, newest = data.known_until(access, TURNAROUND)
    st.subheader("Still open")
    if rows.is_empty() or newest is None:
        st.info("No ordered test is open, as far as the lake knows.")
        return
    rows = turnaround.waiting(rows, min(newest, utc_now()))
    as_of = f"As of {parts.moment(newest)}; the filters above do not apply."
    parts.figures(
        {
            "Open tests": (f"{rows.height:,}", f"Ordered, not cancelled and not released. {as_of}"),
            "Overdue": (f"{rows['is_late'].sum():,}", f"Open although their due instant has passed. {as_of}"),
            "Oldest order": (
                parts.minutes(rows.select(pl.col("minutes").max()).item()),
                f"Age of the oldest open test's order. {as_of}",
            ),
        }
    )
    names = {"test": "Test", "open": "Open", "overdue": "Overdue"}
    names |= {wait: f"wait for {wait}" for wait in WAITS_FOR} | {"minutes": "Oldest, min"}
    parts.table(turnaround.waiting_by_test(rows), names, "open_tests")


visiting = parts.visitor()
parts.heading("Turnaround", visiting, TURNAROUND)
page(visiting)
