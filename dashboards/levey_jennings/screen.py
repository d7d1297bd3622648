"""The Levey-Jennings chart in the browser: one Altair chart for each level, with what a point is on hovering."""

from datetime import date, timedelta

import altair as alt
import polars as pl

from dashboards.colours import ACCENT, ALARM, LIMIT_COLOURS, SOFT, WARNING
from dashboards.levey_jennings.plan import STATUSES, Panel, Subject

HEIGHT = 300
LABEL_WIDTH = 50  # of the values in the test's unit, right of the lines
SHAPES = ("circle", "triangle-up", "diamond")


def levey_jennings(panel: Panel, about: Subject) -> alt.LayerChart:
    """One level: z over time, lines at the mean and 1, 2 and 3 SD with values in the analyte's unit.

    Rejected points are hollow and never left out, and each names its rule; a new lot or target has a vertical line; no
    line smooths the points. All levels of a subject have the same days, so that they can be read below each other.
    """
    layers = [*_limit_lines(panel), *_changes(panel), _run_line(panel), *_marks(panel, about)]
    padding = {"left": 5, "top": 5, "bottom": 5, "right": LABEL_WIDTH}
    return alt.layer(*layers).properties(height=HEIGHT, padding=padding)


def _limit_lines(panel: Panel) -> tuple[alt.Chart, alt.Chart]:
    colours = pl.Series("colour", [LIMIT_COLOURS[abs(z)] for z in panel.lines["z"]])
    base = alt.Chart(panel.lines.with_columns(colours)).encode(
        y=alt.Y("z:Q", axis=_Z_AXIS), color=alt.Color("colour:N", scale=None)
    )
    rules = base.mark_rule(strokeWidth=1).encode(
        strokeDash=alt.condition("datum.z == 0", alt.value([1, 0]), alt.value([4, 3]))
    )
    labels = base.mark_text(align="left", dx=6, fontSize=11).encode(x=alt.value("width"), text="value:N")
    return rules, labels


def _changes(panel: Panel) -> tuple[alt.Chart, alt.Chart]:
    base = alt.Chart(panel.changes).encode(x="at:T")
    rules = base.mark_rule(color=SOFT, strokeWidth=2)
    labels = base.mark_text(align="left", baseline="top", dx=4, fontSize=11).encode(y=alt.value(2), text="label:N")
    return rules, labels


def _run_line(panel: Panel) -> alt.Chart:
    # Joins neighbours only; the detail breaks it where lot or target change.
    return (
        alt.Chart(panel.points)
        .mark_line(color=SOFT, strokeWidth=1, opacity=0.6)
        .encode(x="at:T", y=alt.Y("shown:Q", axis=_Z_AXIS), detail="segment:N")
    )


def _marks(panel: Panel, about: Subject) -> tuple[alt.Chart, alt.Chart, alt.Chart]:
    base = alt.Chart(panel.points).encode(
        x=alt.X("at:T", title=None, axis=alt.Axis(format="%d %b", labelOverlap=True), scale=_days(about)),
        y=alt.Y("shown:Q", title="z, SD from the target mean", scale=_reach(panel), axis=_Z_AXIS),
        color=alt.Color("status:N", title=None, scale=_by_status((ACCENT, WARNING, ALARM)), legend=None),
        tooltip=_tooltip(about.unit),
    )
    shaped = base.encode(shape=alt.Shape("status:N", title=None, scale=_by_status(SHAPES), legend=_LEGEND))
    kept = shaped.transform_filter("datum.status != 'rejected'").mark_point(filled=True, size=55, opacity=1)
    rejected = shaped.transform_filter("datum.status == 'rejected'").mark_point(filled=False, size=110, strokeWidth=2.2)
    written = (
        base.transform_filter("datum.rules != ''").mark_text(fontSize=10, dy=alt.expr(_BESIDE)).encode(text="rules")
    )
    return kept, rejected, written


_LEGEND = alt.Legend(orient="top")
_Z_AXIS = alt.Axis(values=list(range(-6, 7)), grid=False, labelOverlap=False, format="d")
_BESIDE = "datum.shown < 0 ? 14 : -12"  # a rule stands on the far side of its point


def _reach(panel: Panel) -> alt.Scale:
    return alt.Scale(domain=[-panel.furthest, panel.furthest], nice=False)


def _days(about: Subject) -> alt.Scale:
    ends = (about.first, about.last + timedelta(days=1))
    return alt.Scale(domain=[_day(day) for day in ends], nice=False)


def _day(day: date) -> alt.DateTime:
    return alt.DateTime(year=day.year, month=day.month, date=day.day)


def _by_status(values: tuple[str, ...]) -> alt.Scale:
    return alt.Scale(domain=list(STATUSES), range=list(values))


def _tooltip(unit: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("at:T", title="When (IST)", format="%d-%b-%Y %H:%M"),
        alt.Tooltip("lot:N", title="Lot"),
        alt.Tooltip("value:Q", title=f"Value, {unit}", format=".4g"),
        alt.Tooltip("z:Q", title="z", format="+.2f"),
        alt.Tooltip("mean:Q", title="Target mean", format=".4g"),
        alt.Tooltip("sd:Q", title="Target SD", format=".4g"),
        alt.Tooltip("status:N", title="Status"),
        alt.Tooltip("violated:N", title="Rules violated"),
    ]
