"""The pictures: turnaround over time and by test, and the Levey-Jennings chart. Frames in, Altair charts out."""

import altair as alt
import polars as pl

ACCENT, SECOND, ALARM, WARNING, SOFT = "#0b5563", "#7fa8b0", "#a3121f", "#c77700", "#8a97a3"
STATUSES = ("accepted", "warning", "rejected")
LIMITS = (-3, -2, -1, 0, 1, 2, 3)
FURTHEST = 6.0  # SD; a point beyond is drawn at the edge, so that one wild value does not flatten the chart
HEIGHT = 300
LABEL_WIDTH = 95  # of the values in the analyte's unit, right of the lines


def turnaround_trend(daily: pl.DataFrame, promised: str) -> alt.LayerChart:
    """Median and 90th percentile of each day in minutes. `promised` names what is measured."""
    long = daily.unpivot(on=["median", "p90"], index=["day", "tests"], variable_name="measure", value_name="minutes")
    named = long.with_columns(pl.col("measure").replace({"median": "Median", "p90": "90th percentile"}))
    base = alt.Chart(named, height=HEIGHT).encode(
        x=alt.X("day:T", title=None, axis=alt.Axis(format="%d %b", labelOverlap=True)),
        y=alt.Y("minutes:Q", title=f"{promised}, minutes", scale=alt.Scale(zero=True)),
        color=alt.Color(
            "measure:N",
            title=None,
            scale=alt.Scale(domain=["Median", "90th percentile"], range=[ACCENT, SECOND]),
            legend=alt.Legend(orient="top"),
        ),
        tooltip=[
            alt.Tooltip("day:T", title="Day", format="%d-%b-%Y"),
            alt.Tooltip("measure:N", title="Measure"),
            alt.Tooltip("minutes:Q", title="Minutes", format=".0f"),
            alt.Tooltip("tests:Q", title="Tests"),
        ],
    )
    return base.mark_line(strokeWidth=2) + base.mark_point(filled=True, size=35, opacity=1)


def shares_trend(daily: pl.DataFrame) -> alt.LayerChart:
    """Share late and share released automatically of each day, per cent."""
    columns = {"late_percent": "Late", "automatic_percent": "Released automatically"}
    long = daily.unpivot(on=list(columns), index=["day", "tests"], variable_name="share", value_name="percent")
    named = long.with_columns(pl.col("share").replace(columns))
    base = alt.Chart(named, height=HEIGHT).encode(
        x=alt.X("day:T", title=None, axis=alt.Axis(format="%d %b", labelOverlap=True)),
        y=alt.Y("percent:Q", title="Share of tests, %", scale=alt.Scale(domain=[0, 100])),
        color=alt.Color(
            "share:N",
            title=None,
            scale=alt.Scale(domain=list(columns.values()), range=[ALARM, ACCENT]),
            legend=alt.Legend(orient="top"),
        ),
        tooltip=[
            alt.Tooltip("day:T", title="Day", format="%d-%b-%Y"),
            alt.Tooltip("share:N", title="Share"),
            alt.Tooltip("percent:Q", title="%", format=".1f"),
            alt.Tooltip("tests:Q", title="Tests"),
        ],
    )
    return base.mark_line(strokeWidth=2) + base.mark_point(filled=True, size=35, opacity=1)


def turnaround_by_test(by_test: pl.DataFrame, promised: str) -> alt.LayerChart:
    """Median as a bar and the 90th percentile as a tick, longest first."""
    base = alt.Chart(by_test, height=alt.Step(24)).encode(
        y=alt.Y("test_code:N", title=None, sort=alt.EncodingSortField("p90", order="descending")),
        tooltip=[
            alt.Tooltip("test_code:N", title="Test"),
            alt.Tooltip("median:Q", title="Median, min", format=".0f"),
            alt.Tooltip("p90:Q", title="90th percentile, min", format=".0f"),
            alt.Tooltip("tests:Q", title="Tests"),
        ],
    )
    median = base.mark_bar(color=ACCENT, height=12).encode(x=alt.X("median:Q", title=f"{promised}, minutes"))
    p90 = base.mark_tick(color=WARNING, thickness=3, size=18).encode(x=alt.X("p90:Q", title=f"{promised}, minutes"))
    return median + p90


def control_points(level: pl.DataFrame) -> pl.DataFrame:
    """The points of one level as drawn: local time without a zone, z held inside the chart, what changed its target."""
    changed = (pl.col("mean") != pl.col("mean").shift()) | (pl.col("sd") != pl.col("sd").shift())
    return level.sort("occurred_at").select(
        pl.col("occurred_at").dt.convert_time_zone("Asia/Kolkata").dt.replace_time_zone(None).alias("at"),
        pl.col("z"),
        pl.col("z").clip(-FURTHEST, FURTHEST).alias("shown"),
        "value",
        "mean",
        "sd",
        "status",
        pl.col("violated").fill_null(""),
        changed.fill_null(value=False).alias("has_new_target"),
    )


def levey_jennings(level: pl.DataFrame) -> alt.LayerChart:
    """One level of one control lot: z over time, lines at the mean and 1, 2 and 3 SD with values in the analyte's unit.

    Rejected points are hollow and never left out; a new target has a vertical line; no line smooths the points.
    """
    points = control_points(level)
    layers = alt.layer(*_limit_lines(points), _target_changes(points), _run_line(points), _marks(points))
    return layers.properties(height=HEIGHT, padding={"left": 5, "top": 5, "bottom": 5, "right": LABEL_WIDTH})


def _limit_lines(points: pl.DataFrame) -> tuple[alt.Chart, alt.Chart]:
    mean, sd = points["mean"][-1], points["sd"][-1]
    limits = pl.DataFrame(
        {
            "z": list(LIMITS),
            "label": [f"{k:+d} SD  {mean + k * sd:.4g}" if k else f"mean  {mean:.4g}" for k in LIMITS],
            "colour": [{0: ACCENT, 1: SOFT, 2: WARNING, 3: ALARM}[abs(k)] for k in LIMITS],
        }
    )
    base = alt.Chart(limits).encode(y=alt.Y("z:Q"), color=alt.Color("colour:N", scale=None))
    rules = base.mark_rule(strokeWidth=1).encode(
        strokeDash=alt.condition("datum.z == 0", alt.value([1, 0]), alt.value([4, 3]))
    )
    labels = base.mark_text(align="left", dx=6, fontSize=11).encode(x=alt.value("width"), text="label:N")
    return rules, labels


def _target_changes(points: pl.DataFrame) -> alt.Chart:
    changes = points.filter("has_new_target")
    return (
        alt.Chart(changes)
        .mark_rule(color=SOFT, strokeWidth=2)
        .encode(
            x="at:T",
            tooltip=[
                alt.Tooltip("mean:Q", title="New mean", format=".4g"),
                alt.Tooltip("sd:Q", title="New SD", format=".4g"),
            ],
        )
    )


def _run_line(points: pl.DataFrame) -> alt.Chart:
    # Joins neighbours only; the detail breaks it where the target changes.
    joined = points.with_columns(pl.col("has_new_target").cum_sum().alias("target"))
    return (
        alt.Chart(joined)
        .mark_line(color=SOFT, strokeWidth=1, opacity=0.6)
        .encode(x="at:T", y="shown:Q", detail="target:N")
    )


def _marks(points: pl.DataFrame) -> alt.LayerChart:
    furthest = max(3.5, *(abs(z) + 0.5 for z in points["shown"].to_list()))
    base = alt.Chart(points).encode(
        x=alt.X("at:T", title=None, axis=alt.Axis(format="%d %b", labelOverlap=True), scale=alt.Scale(padding=12)),
        y=alt.Y("shown:Q", title="z, SD from the target mean", scale=alt.Scale(domain=[-furthest, furthest])),
        color=alt.Color(
            "status:N",
            title=None,
            scale=alt.Scale(domain=list(STATUSES), range=[ACCENT, WARNING, ALARM]),
            legend=alt.Legend(orient="top"),
        ),
        shape=alt.Shape(
            "status:N", legend=None, scale=alt.Scale(domain=list(STATUSES), range=["circle", "triangle-up", "diamond"])
        ),
        tooltip=[
            alt.Tooltip("at:T", title="When (IST)", format="%d-%b-%Y %H:%M"),
            alt.Tooltip("value:Q", title="Value", format=".4g"),
            alt.Tooltip("z:Q", title="z", format="+.2f"),
            alt.Tooltip("mean:Q", title="Target mean", format=".4g"),
            alt.Tooltip("sd:Q", title="Target SD", format=".4g"),
            alt.Tooltip("status:N", title="Status"),
            alt.Tooltip("violated:N", title="Rules violated"),
        ],
    )
    kept = base.transform_filter("datum.status != 'rejected'").mark_point(filled=True, size=55, opacity=1)
    rejected = base.transform_filter("datum.status == 'rejected'").mark_point(filled=False, size=110, strokeWidth=2.2)
    return kept + rejected
