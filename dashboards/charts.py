"""The pictures of turnaround and verification. Frames in, Altair charts out."""

from collections.abc import Mapping, Sequence

import altair as alt
import polars as pl

from dashboards.colours import ACCENT, SECOND, SOFT, WARNING
from dashboards.verification import OUTCOMES

OUTCOME_COLOURS = (ACCENT, SECOND, WARNING, SOFT)
HEIGHT = 300
ROW = 26  # pixels a bar, with the space around it
LABEL = 190  # pixels of a bar's name


def trend(daily: pl.DataFrame, names: Mapping[str, str], title: str, *, ceiling: float | None = None) -> alt.LayerChart:
    """Lines over days: a column of `daily` for each of `names` (column: what it is called). `ceiling` ends the axis."""
    long = daily.unpivot(on=list(names), index="day", variable_name="measure", value_name="value")
    named = long.with_columns(pl.col("measure").replace(names))
    scale = alt.Scale(domain=[0, ceiling]) if ceiling else alt.Scale(zero=True)
    base = alt.Chart(named, height=HEIGHT).encode(
        x=alt.X("day:T", title=None, axis=alt.Axis(format="%d %b", labelOverlap=True, tickCount="day")),
        y=alt.Y("value:Q", title=title, scale=scale),
        color=_colours("measure", list(names.values()), (ACCENT, WARNING)),
        tooltip=[
            alt.Tooltip("day:T", title="Day", format="%d-%b-%Y"),
            alt.Tooltip("measure:N", title="Measure"),
            alt.Tooltip("value:Q", title=title, format=".1f"),
        ],
    )
    shape = alt.Shape("measure:N", title=None, scale=alt.Scale(domain=list(names.values()), range=["circle", "square"]))
    return base.mark_line(strokeWidth=2) + base.mark_point(filled=True, size=45, opacity=1).encode(shape=shape)


def medians(groups: pl.DataFrame, key: str, order: Sequence[str]) -> alt.LayerChart:
    """A bar to the median of each group and a tick at the 90th percentile, in this order."""
    base = alt.Chart(groups, height=alt.Step(ROW)).encode(
        y=alt.Y(f"{key}:N", title=None, sort=list(order), axis=alt.Axis(labelLimit=LABEL)),
        tooltip=[
            alt.Tooltip(f"{key}:N", title=" "),
            alt.Tooltip("median:Q", title="Median, min", format=".0f"),
            alt.Tooltip("p90:Q", title="90th percentile, min", format=".0f"),
            alt.Tooltip("measured:Q", title="Tests"),
        ],
    )
    axis = {"title": "minutes: bar median, tick P90"}
    bars = base.mark_bar(color=ACCENT, height=13).encode(x=alt.X("median:Q", **axis))
    ticks = base.mark_tick(color=WARNING, thickness=3, size=20).encode(x=alt.X("p90:Q", **axis))
    return bars + ticks


def shares_by_day(outcomes: pl.DataFrame) -> alt.Chart:
    """A standing bar for each day, cut by outcome."""
    axis = alt.Axis(format="%d %b", labelOverlap=True, labelAngle=0)
    day = alt.X("yearmonthdate(day):O", title=None, axis=axis)
    tooltip = alt.Tooltip("day:T", title="Day", format="%d-%b-%Y")
    return _shares(outcomes, tooltip, legend_columns=2).encode(x=day, y=alt.Y(**_SHARE)).properties(height=HEIGHT)


def shares_by_test(outcomes: pl.DataFrame, order: Sequence[str]) -> alt.Chart:
    """A lying bar for each test, cut by outcome, in this order."""
    test = alt.Y("test:N", title=None, sort=list(order), axis=alt.Axis(labelLimit=LABEL))
    bars = _shares(outcomes, alt.Tooltip("test:N", title="Test"), legend_columns=1)
    return bars.encode(x=alt.X(**_SHARE), y=test).properties(height=alt.Step(ROW))


def counts(rows: pl.DataFrame, key: str, column: str, title: str) -> alt.Chart:
    """A lying bar of one number for each row, in the order of the rows."""
    return (
        alt.Chart(rows, height=alt.Step(ROW))
        .mark_bar(color=ACCENT, height=13)
        .encode(
            y=alt.Y(f"{key}:N", title=None, sort=rows[key].to_list(), axis=alt.Axis(labelLimit=260)),
            x=alt.X(f"{column}:Q", title=title),
            tooltip=[alt.Tooltip(f"{key}:N", title=" "), alt.Tooltip(f"{column}:Q", title=title)],
        )
    )


_SHARE = {
    "shorthand": "percent:Q",
    "title": "share of results, %",
    "stack": "zero",
    "scale": alt.Scale(domain=[0, 100]),
}


def _shares(outcomes: pl.DataFrame, of: alt.Tooltip, *, legend_columns: int) -> alt.Chart:
    # Vega stacks in the order of the names unless told another.
    placed = outcomes.with_columns(pl.col("outcome").cast(pl.Enum(OUTCOMES)).to_physical().alias("place"))
    return (
        alt.Chart(placed)
        .mark_bar()
        .encode(
            color=_colours("outcome", OUTCOMES, OUTCOME_COLOURS, columns=legend_columns),
            order=alt.Order("place:Q"),
            tooltip=[
                of,
                alt.Tooltip("outcome:N", title="Outcome"),
                alt.Tooltip("percent:Q", title="%", format=".1f"),
                alt.Tooltip("results:Q", title="Results"),
            ],
        )
    )


def _colours(field: str, names: Sequence[str], colours: Sequence[str], *, columns: int = 2) -> alt.Color:
    scale = alt.Scale(domain=list(names), range=list(colours[: len(names)]))
    legend = alt.Legend(orient="top", columns=columns)
    return alt.Color(f"{field}:N", title=None, scale=scale, legend=legend)
