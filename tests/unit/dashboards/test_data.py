"""Figures from gold: right, of the right days, and of the caller's organization only."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards import data
from dashboards.access import Access
from dashboards.charts import FURTHEST, control_points, levey_jennings

OURS, THEIRS, NOBODYS = (f"01990000-0000-7000-8000-00000000000{n}" for n in (1, 2, 3))
MakeControl = Callable[..., dict[str, Any]]


class Lake(Protocol):
    """What `lake` of conftest offers."""

    url: str
    folder: str

    def publish(self, name: str, rows: list[dict[str, Any]], schema: dict[str, Any]) -> None: ...


def access(organization: str) -> Access:
    """A right to one organization, as `verify` makes it."""
    return Access(organization_id=organization, subject="x", expires_at=datetime.now(UTC) + timedelta(minutes=5))


@pytest.mark.usefixtures("lake", "signer")
def test_turnaround_of_the_last_month_by_test() -> None:
    rows = data.released_tests(access(OURS), date(2026, 10, 22), date(2026, 11, 20))

    (glucose,) = data.turnaround_by(rows, "test_code", "minutes_total").to_dicts()

    assert glucose == {"test_code": "GLU", "tests": 10, "median": 55.0, "p90": 91.0,
                       "late_percent": 20.0, "automatic_percent": 70.0}  # fmt: skip


@pytest.mark.usefixtures("lake", "signer")
def test_each_organization_reads_its_own_rows_and_a_stranger_none() -> None:
    always = (date(2000, 1, 1), date(2100, 1, 1))

    ours, theirs, nobodys = (data.released_tests(access(who), *always) for who in (OURS, THEIRS, NOBODYS))
    our_controls, their_controls = (data.control_results(access(who), *always) for who in (OURS, THEIRS))

    assert (ours.height, theirs.height, nobodys.height) == (11, 5, 0)
    assert set(ours["test_code"]) == {"GLU"}
    assert set(theirs["test_code"]) == {"TSH"}
    assert (our_controls.height, their_controls.height) == (20, 7)
    assert set(our_controls["organization_id"]) == {OURS}
    assert data.waiting_tests(access(OURS)).height == 1
    assert data.waiting_tests(access(THEIRS)).height == 0
    assert data.released_days(access(NOBODYS)) is None
    assert data.control_days(access(NOBODYS)) is None


@pytest.mark.usefixtures("lake", "signer")
def test_a_new_token_of_the_same_organization_finds_the_cached_rows_and_another_organization_does_not() -> None:
    first = data.waiting_tests(access(OURS))

    assert data.waiting_tests(access(OURS)).equals(first)
    assert data.waiting_tests(access(THEIRS)).height == 0


def test_days_are_days_in_india(empty_lake: Lake, signer: object, make_control: MakeControl) -> None:
    late_evening_utc = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)  # 21-Nov-2026 00:00 IST
    just_before = late_evening_utc - timedelta(microseconds=1)
    rows = [make_control(0, occurred_at=late_evening_utc), make_control(1, occurred_at=just_before)]
    schema = data.COLUMNS[data.CONTROLS] | {
        "control_result_id": pl.String(),
        "run_id": pl.String(),
        "analyser_id": pl.String(),
    }
    empty_lake.publish("fct_control_results", rows, schema)

    assert data.control_days(access(OURS)) == (date(2026, 11, 20), date(2026, 11, 21))
    assert data.control_results(access(OURS), date(2026, 11, 21), date(2026, 11, 21)).height == 1
    assert data.control_results(access(OURS), date(2026, 11, 20), date(2026, 11, 20)).height == 1


@pytest.mark.usefixtures("empty_lake", "signer")
def test_a_lake_without_tables_is_empty() -> None:
    assert data.released_days(access(OURS)) is None
    assert data.control_results(access(OURS), date(2026, 1, 1), date(2026, 1, 2)).is_empty()


@pytest.mark.usefixtures("signer")
def test_a_catalogue_that_does_not_answer_is_said_so(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMS_LAKE_CATALOG_URL", "sqlite:////nonexistent/folder/catalog.db")

    with pytest.raises(data.LakeUnavailable):
        data.released_days(access(OURS))


def test_filters_choose_and_choosing_nothing_means_all() -> None:
    rows = pl.DataFrame({"test_code": ["GLU", "NA", "K"], "priority": ["stat", "stat", "routine"]})

    assert data.filtered(rows, tests=[], priorities=[]).height == 3
    assert data.filtered(rows, tests=["GLU", "K"], priorities=[]).height == 2
    assert data.filtered(rows, tests=["GLU", "K"], priorities=["stat"])["test_code"].to_list() == ["GLU"]


def test_statistics_keep_rejected_points_and_show_what_they_do(make_control: MakeControl) -> None:
    rows = pl.DataFrame([make_control(0, value=100.0), make_control(1, value=102.0), make_control(2, value=98.0),
                         make_control(3, value=112.0, status="rejected")])  # fmt: skip

    everything, without = data.control_statistics(rows).to_dicts()

    assert (everything["points"], everything["n"], everything["observed_mean"]) == ("all points", 4, 103.0)
    assert everything["bias_percent"] == pytest.approx(3.0)
    assert everything["rejected"] == 1
    assert (without["n"], without["observed_mean"], without["observed_sd"]) == (3, 100.0, 2.0)
    assert without["cv_percent"] == pytest.approx(2.0)


def test_statistics_never_mix_two_targets(make_control: MakeControl) -> None:
    rows = pl.DataFrame([make_control(0), make_control(1, mean=90.0, value=90.0)])

    statistics = data.control_statistics(rows).filter(pl.col("points") == "all points")

    assert sorted(statistics["target_mean"]) == [90.0, 100.0]
    assert statistics["bias_percent"].to_list() == [0.0, 0.0]


@given(st.lists(st.floats(0, 10_000), min_size=1, max_size=30))
def test_the_median_is_never_above_the_90th_percentile(minutes: list[float]) -> None:
    rows = pl.DataFrame({"test_code": "GLU", "minutes_total": minutes, "is_late": False, "is_automatic": None},
                        schema_overrides={"is_automatic": pl.Boolean, "minutes_total": pl.Float64})  # fmt: skip

    (figures,) = data.turnaround_by(rows, "test_code", "minutes_total").to_dicts()

    assert min(minutes) <= figures["median"] <= figures["p90"] + 1e-9
    assert figures["p90"] <= max(minutes) + 1e-9
    assert figures["automatic_percent"] == 0.0


def test_an_exported_text_cannot_run_in_a_spreadsheet() -> None:
    rows = pl.DataFrame({"lot": ["=1+1", "+1", "-1", "@x", "L100", None], "z": [-1.5, 0, 0, 0, 0, 0]})

    lines = data.as_csv(rows).decode("utf-8-sig").splitlines()

    assert lines[1:] == ["'=1+1,-1.5", "'+1,0.0", "'-1,0.0", "'@x,0.0", "L100,0.0", ",0.0"]


def test_points_are_drawn_in_indian_time_inside_the_chart_and_keep_their_z(make_control: MakeControl) -> None:
    rows = pl.DataFrame([make_control(0, value=140.0, occurred_at=datetime(2026, 11, 20, 18, 30, tzinfo=UTC)),
                         make_control(1)])  # fmt: skip

    points = control_points(rows)

    assert points["at"][-1] == datetime(2026, 11, 21, 0, 0)  # noqa: DTZ001
    assert (points["z"][-1], points["shown"][-1]) == (20.0, FURTHEST)


def test_a_new_target_is_marked_where_it_starts(make_control: MakeControl) -> None:
    rows = pl.DataFrame([make_control(n, mean=100.0 if n > 2 else 98.0) for n in range(5)])

    assert control_points(rows)["has_new_target"].to_list() == [False, False, True, False, False]


def test_the_chart_has_lines_at_three_two_and_one_sd_with_values_in_the_analytes_unit(
    make_control: MakeControl,
) -> None:
    chart = levey_jennings(pl.DataFrame([make_control(n) for n in range(3)])).to_dict()

    labels = {row["label"]: row["z"] for rows in chart["datasets"].values() for row in rows if "label" in row}

    assert labels == {"-3 SD  94": -3, "-2 SD  96": -2, "-1 SD  98": -1, "mean  100": 0,
                      "+1 SD  102": 1, "+2 SD  104": 2, "+3 SD  106": 3}  # fmt: skip
