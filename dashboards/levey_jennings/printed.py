"""The Levey-Jennings chart on paper: an A4 page with all levels, statistics and a place to sign, as PNG. No browser."""

from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dashboards.colours import ACCENT, ALARM, LIMIT_COLOURS, SOFT, WARNING
from dashboards.lake import LABORATORY_ZONE
from dashboards.levey_jennings.plan import DAY, STATUSES, Panel, Subject
from dashboards.levey_jennings.statistics import ALL, KEPT, control_statistics

A4_LANDSCAPE = (11.69, 8.27)  # inches
DOTS_PER_INCH = 150
LEFT, RIGHT, TOP, BOTTOM = 0.065, 0.9, 0.845, 0.082  # of the page, around the panels
TABLE_ROW = 0.021
MARKS: dict[str, dict[str, Any]] = {
    "accepted": {"marker": "o", "s": 16, "facecolors": ACCENT, "edgecolors": ACCENT},
    "warning": {"marker": "^", "s": 34, "facecolors": WARNING, "edgecolors": WARNING},
    "rejected": {"marker": "D", "s": 44, "facecolors": "white", "edgecolors": ALARM, "linewidths": 1.6},
}
LINE_STYLES = {0: "-", 1: ":", 2: "--", 3: "-."}
KEY = ["level", "lot_number", "target_mean", "target_sd"]
TABLE = {
    "level": ("Level", 0.035), "lot_number": ("Lot", 0.14), "n": ("n", 0.19), "warnings": ("Warnings", 0.26),
    "rejected": ("Rejected", 0.33), "target_mean": ("Target mean", 0.42), "target_sd": ("Target SD", 0.5),
    "observed_mean": ("Mean", 0.57), "observed_sd": ("SD", 0.62), "cv_percent": ("CV, %", 0.67),
    "bias_percent": ("Bias, %", 0.73), "kept_mean": ("Mean*", 0.81), "kept_sd": ("SD*", 0.87),
    "kept_cv_percent": ("CV*, %", 0.93), "kept_bias_percent": ("Bias*, %", 1.0),
}  # fmt: skip
"""Columns of the table: heading, and where their right edge stands."""
MOST_TABLE_ROWS = 9
EXAMPLE = "EXAMPLE"


def png(panels: list[Panel], rows: pl.DataFrame, about: Subject, *, printed_at: datetime) -> bytes:
    """The page as PNG. `rows` are the measurements of the panels, `about` says of what they are."""
    figure = Figure(figsize=A4_LANDSCAPE, dpi=DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    _heading(figure, about)
    statistics = beside_each_other(control_statistics(rows)).tail(MOST_TABLE_ROWS)
    foot = BOTTOM + TABLE_ROW * (statistics.height + 1)
    grid = figure.add_gridspec(len(panels), 1, left=LEFT, right=RIGHT, top=TOP, bottom=foot + 0.06, hspace=0.16)
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(grid[place, 0])
        _panel(axes, panel, about)
        axes.tick_params(labelbottom=place == len(panels) - 1)
    _table(figure, statistics, top=foot)
    _footer(figure, printed_at)
    picture = BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": "Nidan"})
    return picture.getvalue()


def _heading(figure: Figure, about: Subject) -> None:
    unit = f", {about.unit}" if about.unit else ""
    figure.text(LEFT, 0.955, f"Levey\u2013Jennings chart: {about.test}{unit}", fontsize=15, weight="bold", color=ACCENT)
    figure.text(LEFT, 0.925, about.laboratory, fontsize=11, weight="bold")
    figure.text(LEFT, 0.899, f"Analyser {about.analyser}   ·   {_lots(about)}   ·   {about.period}", fontsize=9.5)
    figure.text(
        LEFT, 0.875, f"Targets: {'; '.join(about.sources) or 'source not stated'}", fontsize=8.5, color="#444444"
    )
    _legend(figure)
    if about.is_example:
        box = {"facecolor": "white", "edgecolor": ALARM, "linewidth": 1.5, "pad": 5}
        figure.text(
            0.985, 0.955, f"{EXAMPLE} \u2013 not for clinical use", ha="right", color=ALARM, weight="bold", bbox=box
        )
        figure.text(0.48, 0.55, EXAMPLE, fontsize=110, color=ALARM, alpha=0.06, rotation=24, ha="center", va="center")


def _lots(about: Subject) -> str:
    return f"{about.material}, {'lot' if len(about.lots) == 1 else 'lots'} {', '.join(about.lots)}"


def _legend(figure: Figure) -> None:
    names = dict(zip(STATUSES, ("accepted", "warning", "rejected (hollow)"), strict=True))
    looks = {
        status: {"marker": mark["marker"], "markersize": mark["s"] ** 0.5, "markerfacecolor": mark["facecolors"],
                 "markeredgecolor": mark["edgecolors"]}
        for status, mark in MARKS.items()
    }  # fmt: skip
    figure.legend(
        handles=[Line2D([], [], linestyle="none", label=names[status], **looks[status]) for status in STATUSES],
        loc="upper right", bbox_to_anchor=(0.99, 0.93), ncols=3, frameon=False, fontsize=8.5, handletextpad=0.2,
        columnspacing=1.2,
    )  # fmt: skip


def _panel(axes: Axes, panel: Panel, about: Subject) -> None:
    _limits(axes, panel)
    for at, label in panel.changes.iter_rows():
        axes.axvline(at, color="black", linewidth=1)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
        place: dict[str, Any] = {"xytext": (4, 0), "textcoords": "offset points", "va": "top", "zorder": 5}
        axes.annotate(label, (at, panel.furthest * 0.97), fontsize=7.5, bbox=box, **place)
    for _, segment in panel.points.group_by("segment", maintain_order=True):
        axes.plot(segment["at"].to_list(), segment["shown"].to_list(), color=SOFT, linewidth=0.8, zorder=2)
    for status in STATUSES:
        some = panel.points.filter(pl.col("status") == status)
        axes.scatter(some["at"].to_list(), some["shown"].to_list(), zorder=3, **MARKS[status])
    for at, z, rules in panel.points.filter(pl.col("rules") != "").select("at", "shown", "rules").iter_rows():
        offset: dict[str, Any] = {"xytext": (0, 6 if z >= 0 else -6), "textcoords": "offset points", "ha": "center"}
        axes.annotate(rules, (at, z), fontsize=7, va="bottom" if z >= 0 else "top", zorder=4, **offset)
    axes.set_ylabel(f"Level {panel.level}\nz, SD", fontsize=9)
    axes.set_ylim(-panel.furthest, panel.furthest)
    axes.set_yticks(range(-3, 4))
    _days(axes, about)


def _limits(axes: Axes, panel: Panel) -> None:
    for z, name, value in panel.lines.iter_rows():
        style: dict[str, Any] = {"color": LIMIT_COLOURS[abs(z)], "linestyle": LINE_STYLES[abs(z)], "zorder": 1}
        axes.axhline(z, linewidth=1.1 if z == 0 else 0.8, **style)
        axes.annotate(
            f"{name}  {value}", (1, z), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
            fontsize=7.5, va="center", color=LIMIT_COLOURS[abs(z)] if abs(z) != 1 else "#555555",
        )  # fmt: skip


def _days(axes: Axes, about: Subject) -> None:
    start = datetime(about.first.year, about.first.month, about.first.day)  # noqa: DTZ001 - local, as the points are
    end = datetime(about.last.year, about.last.month, about.last.day) + timedelta(days=1)  # noqa: DTZ001
    margin = (end - start) / 60
    axes.set_xlim(start - margin, end + margin)  # type: ignore[arg-type]  # matplotlib converts instants
    axes.xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=16, interval_multiples=False))  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(DateFormatter("%d %b"))  # type: ignore[no-untyped-call]
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def beside_each_other(statistics: pl.DataFrame) -> pl.DataFrame:
    """A row for each level, lot and target: over all points, and as `kept_` over those not rejected."""
    measures = ["observed_mean", "observed_sd", "cv_percent", "bias_percent"]
    kept = statistics.filter(pl.col("points") == KEPT).select(
        *KEY, *[pl.col(name).alias(f"kept_{name.removeprefix('observed_')}") for name in measures]
    )
    every = statistics.filter(pl.col("points") == ALL)
    return every.join(kept, on=KEY, how="left", maintain_order="left").select(list(TABLE))


def _table(figure: Figure, statistics: pl.DataFrame, *, top: float) -> None:
    for column, (heading, place) in TABLE.items():
        at = LEFT + place * (0.97 - LEFT)
        figure.text(at, top, heading, fontsize=8, weight="bold", ha="right")
        for row, value in enumerate(statistics[column], 1):
            figure.text(at, top - row * TABLE_ROW, _text(value, column), fontsize=8, ha="right")
    for y in (top - 0.006, top - statistics.height * TABLE_ROW - 0.006):
        figure.add_artist(Line2D((LEFT, 0.97), (y, y), color="black", linewidth=0.8))


def _text(value: object, column: str) -> str:
    if value is None:
        return "\u2013"
    if isinstance(value, float):
        return (
            f"{value:.2f}" if column.endswith("percent") else f"{value:.4g}" if "target" in column else f"{value:#.4g}"
        )
    return str(value)


def _footer(figure: Figure, printed_at: datetime) -> None:
    said = (
        "Westgard rules as judged when measured: 1-2s warns; 1-3s, 2-2s and R-4s reject; \u201crun:\u201d marks a "
        "point rejected because of another level of its run.\nA point beyond 6 SD stands at the edge. Values at the "
        "lines are those of the newest target. * without rejected points. Days and times are Indian Standard Time."
    )
    figure.text(LEFT, 0.04, said, fontsize=7.2, color="#444444", linespacing=1.3)
    at = printed_at.astimezone(LABORATORY_ZONE).strftime(f"{DAY} %H:%M")
    figure.text(
        LEFT, 0.018, f"Printed {at} IST by Nidan from the laboratory's own records", fontsize=7.5, color="#444444"
    )
    figure.text(0.97, 0.018, "Reviewed by ______________________   Date ______________", fontsize=8.5, ha="right")
