"""Levey-Jennings: the controls of one test on one analyser, level by level, as an assessor expects them."""

from datetime import date
from functools import partial

import polars as pl
import streamlit as st

from dashboards import data, parts
from dashboards.access import Access, utc_now
from dashboards.lake import CONTROLS
from dashboards.levey_jennings import plan, screen
from dashboards.levey_jennings.statistics import as_table, control_statistics
from dashboards.turnaround import named_test

USUAL_DAYS = 30
EVERY_LOT = "All lots"
# The columns of the points that are handed out.
POINTS = ["occurred_at", "site_name", "analyser_code", "test_code", "test_name", "unit", "material", "lot_number",
          "level", "value", "mean", "sd", "z", "status", "violated", "target_source", "is_example"]  # fmt: skip


def page(access: Access) -> None:
    """Filters, figures, a chart for each level, statistics, and the same on paper."""
    days = data.control_days(access)
    if days is None:
        st.info(
            "No control was measured yet, as far as the lake knows. Register a lot with its targets and run a control; "
            "it appears here after the next hourly run of the pipelines (or `lims pipelines run`)."
        )
        return
    chosen, rows = filters(access, days)
    if rows.is_empty():
        st.info("No control was measured in this period with these filters. Choose a longer period or other levels.")
        return
    about, panels = plan.subject(rows, *chosen), plan.panels(rows)
    st.markdown(f"**{about.laboratory}** · {about.material}, {', '.join(about.lots)} · {about.unit} · {about.period}")
    parts.example_mark(rows, "The targets")
    key_figures(rows)
    levels(rows, panels, about)
    st.subheader("Observed against target")
    statistics = as_table(control_statistics(rows))
    st.dataframe(statistics, hide_index=True, width="stretch", height="content")
    exports(rows, statistics, panels, about)


def filters(access: Access, days: tuple[date, date]) -> tuple[tuple[date, date], pl.DataFrame]:
    """The period, and the points of one analyser, test and control material; each choice narrows the next."""
    places = st.columns([1.4, 1, 1.2, 1.2, 1, 0.9])
    with places[0]:
        chosen = parts.period("Measured", days, USUAL_DAYS, "control period")
    rows = data.control_results(access, *chosen).with_columns(named_test())
    if rows.is_empty():
        return chosen, rows
    choices = {"analyser_code": "Analyser", "test": "Test", "material": "Control"}
    for place, (column, label) in zip(places[1:4], choices.items(), strict=True):
        with place:
            rows = rows.filter(pl.col(column) == parts.one(label, parts.values(rows, column), f"control {column}"))
    with places[4]:
        lot = parts.one("Lot", [EVERY_LOT, *parts.values(rows, "lot_number")], "control lot")
    rows = rows if lot == EVERY_LOT else rows.filter(pl.col("lot_number") == lot)
    with places[5]:
        wanted = parts.several("Levels", sorted(rows["level"].unique()), "control levels")
    return chosen, rows.filter(pl.col("level").is_in(wanted)) if wanted else rows


def key_figures(rows: pl.DataFrame) -> None:
    """How many points, and how many were warned about or rejected."""
    counted = {status: rows.filter(pl.col("status") == status).height for status in plan.STATUSES}
    parts.figures(
        {
            "Control results": (
                f"{rows.height:,}",
                "Measurements of the chosen levels in the period; none is left out.",
            ),
            "Warnings": (f"{counted['warning']:,}", "Points of runs with 1-2s and no rejecting rule."),
            "Rejected": (
                f"{counted['rejected']:,}",
                "Points of runs that broke 1-3s, 2-2s or R-4s when they were measured. Patient results were held.",
            ),
        }
    )


def levels(rows: pl.DataFrame, panels: list[plan.Panel], about: plan.Subject) -> None:
    """A chart for each level, below each other on the same days."""
    drawn = {panel.level: panel for panel in panels}
    for level in sorted(rows["level"].unique()):
        st.subheader(f"Level {level}")
        if level in drawn:
            chart = screen.levey_jennings(drawn[level], about)
            st.altair_chart(chart, width="stretch", alt=f"Levey-Jennings chart of level {level}")
        else:
            st.info("This level has no target mean and SD. Set a target; later controls are judged by it.")
    st.caption(
        "Circles are accepted, triangles warnings, hollow diamonds rejected; the rule stands at the point, with "
        "\u201crun:\u201d where another level of the run broke it. A vertical line marks a new lot or target; the "
        f"values at the lines are those of the newest. A point beyond {plan.FURTHEST:.0f} SD stands at the edge. Times "
        "are Indian Standard Time."
    )


def exports(rows: pl.DataFrame, statistics: pl.DataFrame, panels: list[plan.Panel], about: plan.Subject) -> None:
    """Points and statistics as CSV, and the chart on an A4 page."""
    with st.container(horizontal=True):
        parts.download(rows.select(POINTS), "control_results", label="Points (CSV)")
        parts.download(statistics, "control_statistics", label="Statistics (CSV)")
        if panels:
            name = f"levey_jennings_{about.analyser}_{rows['test_code'][0]}.png"
            page_of = partial(printed_page, panels, rows, about)
            st.download_button(
                "Chart to print (PNG, A4)", page_of, name, "image/png", key="download chart", on_click="ignore"
            )


def printed_page(panels: list[plan.Panel], rows: pl.DataFrame, about: plan.Subject) -> bytes:
    """Drawn when somebody asks for it."""
    from dashboards.levey_jennings import printed  # imports matplotlib: only who prints pays

    return printed.png(panels, rows, about, printed_at=utc_now())


visiting = parts.visitor()
parts.heading("Levey\u2013Jennings", visiting, CONTROLS)
page(visiting)
