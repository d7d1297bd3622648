"""What a Levey-Jennings chart shows, in the browser and on paper, and the statistics under it."""

import re
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dashboards.levey_jennings import plan, printed, screen
from dashboards.levey_jennings.statistics import control_statistics
from lims_api.qc.westgard import violations
from tests.unit.dashboards.laboratories import LAST_RELEASE, control

pytestmark = pytest.mark.req("3.6.3")
DAYS = (LAST_RELEASE.date() - timedelta(days=29), LAST_RELEASE.date())


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows)


def only_panel(*rows: dict[str, Any]) -> plan.Panel:
    (panel,) = plan.panels(frame(*rows))
    return panel


def test_points_are_drawn_in_indian_time_inside_the_chart_and_keep_their_z() -> None:
    wild = control(0, value=140.0, occurred_at=datetime(2026, 11, 20, 18, 30, tzinfo=UTC))
    points = only_panel(wild, control(1, occurred_at=datetime(2026, 11, 19, 18, 30, tzinfo=UTC))).points

    assert points["at"][-1] == datetime(2026, 11, 21, 0, 0)  # noqa: DTZ001
    assert (points["z"][-1], points["shown"][-1]) == (20.0, plan.FURTHEST)


def test_no_point_is_left_out() -> None:
    rows = [control(n, status=status) for n, status in enumerate(["accepted", "warning", "rejected"])]

    assert only_panel(*rows).points.height == 3


def test_a_new_lot_and_a_new_target_are_marked_where_they_start() -> None:
    rows = [control(n, lot_number="L100" if n > 3 else "L200", mean=100.0 if n > 1 else 98.0) for n in range(6)]

    panel = only_panel(*rows)

    assert panel.changes["label"].to_list() == ["lot L200", "new target"]
    started = [LAST_RELEASE - timedelta(days=n) + timedelta(hours=5.5) for n in (3, 1)]
    assert panel.changes["at"].to_list() == [at.replace(tzinfo=None) for at in started]
    assert panel.points["segment"].to_list() == [0, 0, 1, 1, 2, 2]


def test_the_lines_stand_at_three_two_and_one_sd_of_the_newest_target_in_the_tests_unit() -> None:
    panel = only_panel(*[control(n, mean=100.0 if n < 2 else 90.0) for n in range(4)])

    assert [(z, name, value) for z, name, value in panel.lines.iter_rows()] == [
        (-3, "-3 SD", "94"), (-2, "-2 SD", "96"), (-1, "-1 SD", "98"), (0, "mean", "100"), (1, "+1 SD", "102"),
        (2, "+2 SD", "104"), (3, "+3 SD", "106"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("violated", "z", "written"),
    [
        ("", 0.5, ""),
        ("1-2s (run)", 2.4, "1-2s"),
        ("1-2s (run),1-3s (run)", 3.2, "1-3s"),
        ("1-2s (run),1-3s (run)", 0.4, "run: 1-3s"),
        ("1-2s (run),2-2s (level 1),2-2s (levels)", -2.3, "2-2s"),
        ("1-2s (run),1-3s (run),R-4s (run)", 3.5, "1-3s R-4s"),
    ],
)
def test_the_rule_stands_at_the_point(violated: str, z: float, written: str) -> None:
    assert plan.rules_to_write(violated, z) == written


@given(st.dictionaries(st.integers(1, 3), st.floats(-5, 5), min_size=1), st.floats(-5, 5))
def test_every_rule_that_rejects_is_written(run: dict[int, float], before: float) -> None:
    found = violations(run, [{1: before}])

    written = plan.rules_to_write(",".join(f"{one.rule} ({one.scope})" for one in found), next(iter(run.values())))

    rejecting = {str(one.rule) for one in found} - {plan.WARNING_RULE}
    assert set(re.findall(r"\S-\d+s", written)) == (rejecting or {str(one.rule) for one in found})


def test_the_subject_names_laboratory_analyser_test_unit_and_every_lot() -> None:
    about = plan.subject(frame(control(1), control(0, lot_number="L200", is_example=True)), *DAYS)

    assert (about.laboratory, about.analyser, about.test, about.unit) == (
        "Our laboratory", "AU-1", "Glucose (GLU)", "mg/dL"
    )  # fmt: skip
    assert (about.lots, about.period) == (("L100", "L200"), f"{DAYS[0]:%d-%b-%Y} to {DAYS[1]:%d-%b-%Y}")
    assert about.is_example


def test_statistics_keep_rejected_points_and_show_what_they_do() -> None:
    rows = frame(control(0, value=100.0), control(1, value=102.0), control(2, value=98.0),
                 control(3, value=112.0, status="rejected"))  # fmt: skip

    everything, without = control_statistics(rows).to_dicts()

    assert (everything["points"], everything["n"], everything["observed_mean"]) == ("all points", 4, 103.0)
    assert everything["bias_percent"] == pytest.approx(3.0)
    assert everything["rejected"] == 1
    assert (without["n"], without["observed_mean"], without["observed_sd"]) == (3, 100.0, 2.0)
    assert without["cv_percent"] == pytest.approx(2.0)


@pytest.mark.parametrize("other", [{"mean": 90.0, "value": 90.0}, {"lot_number": "L200"}])
def test_statistics_never_mix_two_targets_or_lots(other: dict[str, Any]) -> None:
    statistics = control_statistics(frame(control(0), control(1, **other)))

    everything = statistics.filter(pl.col("points") == "all points")
    assert everything["n"].to_list() == [1, 1]
    assert everything["bias_percent"].to_list() == [0.0, 0.0]


def test_on_paper_the_figures_without_rejected_points_stand_beside_those_of_all() -> None:
    rows = frame(control(0, value=112.0, status="rejected"), control(1, value=100.0), control(2, value=102.0))

    (row,) = printed.beside_each_other(control_statistics(rows)).to_dicts()

    assert (row["n"], row["rejected"], row["kept_mean"], row["target_mean"]) == (3, 1, 101.0, 100.0)
    assert row["observed_mean"] == pytest.approx(104.667, abs=0.001)


def test_of_a_level_with_rejected_points_alone_nothing_stands_beside() -> None:
    (row,) = printed.beside_each_other(control_statistics(frame(control(0, status="rejected")))).to_dicts()

    assert (row["n"], row["kept_mean"]) == (1, None)


def test_shape_and_text_say_what_the_colours_say() -> None:
    rows = [control(n, status=status) for n, status in enumerate(plan.STATUSES)]
    chart = screen.levey_jennings(only_panel(*rows), plan.subject(frame(*rows), *DAYS)).to_dict()

    shapes = [layer["encoding"]["shape"]["scale"] for layer in chart["layer"] if "shape" in layer.get("encoding", {})]
    assert shapes
    for scale in shapes:
        assert dict(zip(scale["domain"], scale["range"], strict=True)) == {
            "accepted": "circle", "warning": "triangle-up", "rejected": "diamond"
        }  # fmt: skip
    assert len({mark["marker"] for mark in printed.MARKS.values()}) == 3
    assert len(set(printed.LINE_STYLES.values())) == 4


def picture(*rows: dict[str, Any]) -> Image.Image:
    """The printed page of these rows."""
    about = plan.subject(frame(*rows), *DAYS)
    page = printed.png(plan.panels(frame(*rows)), frame(*rows), about, printed_at=LAST_RELEASE)
    return Image.open(BytesIO(page)).convert("RGB")


def test_the_printed_page_is_a4_across_and_has_ink_in_every_panel() -> None:
    levels = [control(n, level=level) for level in (1, 2, 3) for n in range(5)]

    page = picture(*levels)

    assert page.size == (1753, 1240)
    for top in (200, 430, 660):
        assert len(page.crop((120, top, 1500, top + 120)).getcolors(10_000) or []) > 3


def red(page: Image.Image) -> int:
    """How many points of the page are of the alarm's red."""
    return sum(count for count, (r, g, b) in page.getcolors(2_000_000) if r > 140 and g < 60 and b < 70)


def test_an_example_and_a_rejected_point_leave_red_ink() -> None:
    plain, example = picture(control(0)), picture(control(0, is_example=True))
    rejected = picture(control(0, value=107.0, status="rejected", violated="1-3s (run)"), control(1))

    assert red(example) > red(plain) + 1000  # the box and its words
    assert red(rejected) > red(picture(control(0), control(1)))
