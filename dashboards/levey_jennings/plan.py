"""What a Levey-Jennings chart shows, for whoever draws it. Frames of control measurements in; pure.

Points stand as they were judged when they were measured: rule and target are those frozen on the result.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import polars as pl

STATUSES = ("accepted", "warning", "rejected")
LIMITS = (-3, -2, -1, 0, 1, 2, 3)
FURTHEST = 6.0  # SD; a point beyond is drawn at the edge, so that one wild value does not flatten the chart
WARNING_RULE = "1-2s"
DAY = "%d-%b-%Y"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Of what the chart is. `example` says whether an example test or target is among the points."""

    laboratory: str
    analyser: str
    test: str
    unit: str
    material: str
    lots: tuple[str, ...]
    first: date
    last: date
    sources: tuple[str, ...]
    is_example: bool

    @property
    def period(self) -> str:
        """The days, as a person writes them."""
        return f"{self.first.strftime(DAY)} to {self.last.strftime(DAY)}"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One level. `points`: at (Indian time without a zone), z, shown (z held inside the chart), value, mean, sd, lot,
    status, rules (those to write at the point), violated (as judged), segment (counts up at each change).
    `changes`: at, label. `lines`: z, name, value (in the test's unit, of the newest target)."""

    level: int
    points: pl.DataFrame
    changes: pl.DataFrame
    lines: pl.DataFrame

    @property
    def furthest(self) -> float:
        """How far the z axis reaches, up and down."""
        return max(3.8, float(self.points.select(pl.col("shown").abs().max()).item()) + 0.9)


def subject(rows: pl.DataFrame, first: date, last: date) -> Subject:
    """Of what these control measurements are; `rows` of one analyser, test and material, at least one."""
    newest = rows.sort("occurred_at").tail(1).row(0, named=True)
    name = newest["test_name"]
    return Subject(
        laboratory=", ".join(_distinct(rows, "site_name")) or "Laboratory not named",
        analyser=newest["analyser_code"],
        test=f"{name} ({newest['test_code']})" if name else newest["test_code"],
        unit=newest["unit"] or "",
        material=newest["material"],
        lots=_distinct(rows.sort("occurred_at"), "lot_number"),
        first=first,
        last=last,
        sources=_distinct(rows, "target_source"),
        is_example=bool(rows["is_example"].any()),
    )


def panels(rows: pl.DataFrame) -> list[Panel]:
    """A panel for each level with a target, lowest first."""
    drawn = rows.filter(pl.col("z").is_not_null())
    return [_panel(level, drawn.filter(pl.col("level") == level)) for level in sorted(drawn["level"].unique())]


def rules_to_write(violated: str, z: float) -> str:
    """The rules named at a point, e.g. `1-3s`. A rejecting rule makes the warning 1-2s needless; a point that is itself
    within two SD was rejected with its run, because of another level: `run: 1-3s`."""
    rules = list(dict.fromkeys(item.split(" ")[0] for item in violated.split(",") if item))
    told = [rule for rule in rules if rule != WARNING_RULE] or rules
    return ("" if abs(z) > 2 or not told else "run: ") + " ".join(told)


def _panel(level: int, rows: pl.DataFrame) -> Panel:
    points = _points(rows.sort("occurred_at"))
    newest = points.tail(1).row(0, named=True)
    return Panel(level=level, points=points, changes=_changes(points), lines=_lines(newest["mean"], newest["sd"]))


def _points(rows: pl.DataFrame) -> pl.DataFrame:
    is_other = [pl.col(column) != pl.col(column).shift() for column in ("lot_number", "mean", "sd")]
    return rows.select(
        pl.col("occurred_at").dt.convert_time_zone("Asia/Kolkata").dt.replace_time_zone(None).alias("at"),
        pl.col("z"),
        pl.col("z").clip(-FURTHEST, FURTHEST).alias("shown"),
        "value",
        "mean",
        "sd",
        pl.col("lot_number").alias("lot"),
        "status",
        pl.struct(pl.col("violated").fill_null(""), "z")
        .map_elements(lambda one: rules_to_write(one["violated"], one["z"]), return_dtype=pl.String)
        .alias("rules"),
        pl.col("violated").fill_null(""),
        pl.any_horizontal(is_other).fill_null(value=False).cum_sum().alias("segment"),
    )


def _changes(points: pl.DataFrame) -> pl.DataFrame:
    """Where the lot or the target changed."""
    is_new_lot = pl.col("lot") != pl.col("lot").shift()
    label = pl.when(is_new_lot).then(pl.format("lot {}", "lot")).otherwise(pl.lit("new target"))
    return points.with_columns(label.alias("label")).filter(pl.col("segment").diff() > 0).select("at", "label")


def _lines(mean: float, sd: float) -> pl.DataFrame:
    names = [f"{k:+d} SD" if k else "mean" for k in LIMITS]
    return pl.DataFrame({"z": LIMITS, "name": names, "value": [f"{mean + k * sd:.4g}" for k in LIMITS]})


def _distinct(rows: pl.DataFrame, column: str) -> tuple[str, ...]:
    values: Iterable[str] = rows[column].drop_nulls().unique(maintain_order=True)
    return tuple(values)
