"""`lims dashboards levey-jennings`: one chart as PNG, read from the lake by an operator of this machine."""

import argparse
import sys
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import polars as pl

from dashboards import lake
from dashboards.access import utc_now
from dashboards.levey_jennings import plan
from dashboards.settings import NotConfigured

USUAL_DAYS = 30


class NoChart(Exception):
    """There is nothing to draw, or it is not clear what. The message says what to do next."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--organization", required=True, help="its id, or the name of one of its laboratories")
    parser.add_argument("--test", required=True, help="the test's code, e.g. GLU")
    parser.add_argument(
        "--analyser", help="the analyser's code; needed only where several measured the test's controls"
    )
    parser.add_argument("--lot", help="one lot of the control; all of the period's unless given")
    parser.add_argument("--days", type=int, default=USUAL_DAYS, help="up to the newest control (default %(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png", help="where the picture goes")


def run(arguments: argparse.Namespace) -> int:
    """Write the picture and say where it is. Returns the exit code: 1, and nothing written, when there is no chart."""
    try:
        rows = measurements(
            arguments.organization, arguments.test, analyser=arguments.analyser, lot=arguments.lot, days=arguments.days
        )
        picture = draw(rows, days=arguments.days)
        arguments.out.write_bytes(picture)
    except (NoChart, NotConfigured, lake.LakeUnavailable, OSError) as problem:
        print(f"lims dashboards levey-jennings: {problem}", file=sys.stderr)
        return 1
    print(f"{arguments.out}: {rows.height} control results")
    return 0


def measurements(
    organization: str, test: str, *, analyser: str | None = None, lot: str | None = None, days: int = USUAL_DAYS
) -> pl.DataFrame:
    """The control results of one test, analyser and material of the last `days` days up to the newest; else NoChart."""
    if days < 1:
        raise NoChart("--days must be 1 or more.")
    rows = lake.with_day(lake.read(lake.CONTROLS, organization_id(organization)), "occurred_at")
    rows = _only(rows, "test_code", test, "--test")
    rows = _only(rows, "analyser_code", analyser, "--analyser")
    if lot is not None:
        rows = _only(rows, "lot_number", lot, "--lot")
    first, _ = _ends(rows, days)
    rows = rows.filter(pl.col("day") >= first)
    if rows["material"].n_unique() > 1:
        lots = ", ".join(sorted(rows["lot_number"].unique()))
        raise NoChart(f"Several control materials were measured. Give --lot one of: {lots}.")
    return rows


def draw(rows: pl.DataFrame, *, days: int) -> bytes:
    """The picture of measurements of one test, analyser and material."""
    from dashboards.levey_jennings import printed  # imports matplotlib: only who draws pays

    panels = plan.panels(rows)
    if not panels:
        raise NoChart("None of these controls has a target mean and SD. Set a target first.")
    about = plan.subject(rows, *_ends(rows, days))
    return printed.png(panels, rows, about, printed_at=utc_now())


def organization_id(wanted: str) -> str:
    """The id, given as it is or as the name of one of the organization's laboratories; else NoChart."""
    try:
        return str(UUID(wanted))
    except ValueError:
        found = lake.owners_of_site(wanted)
    if len(found) != 1:
        raise NoChart(f"{len(found)} organizations have a laboratory named {wanted!r}. Give the organization's id.")
    return found[0]


def _only(rows: pl.DataFrame, column: str, wanted: str | None, option: str) -> pl.DataFrame:
    """The rows with this value; without one wanted, there must be only one."""
    values = sorted(rows[column].unique())
    if wanted is None and len(values) == 1:
        return rows
    if wanted is None or wanted not in values:
        raise NoChart(f"Give {option} one of: {', '.join(values) or 'nothing, there are no control results here'}.")
    return rows.filter(pl.col(column) == wanted)


def _ends(rows: pl.DataFrame, days: int) -> tuple[date, date]:
    last = rows["day"].max()
    assert isinstance(last, date)  # noqa: S101 - `_only` left at least one row
    return last - timedelta(days=days - 1), last
