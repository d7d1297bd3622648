"""Turnaround in figures, whatever the minutes are."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards import turnaround

SCHEMA = {"minutes_total": pl.Float64, "minutes_target": pl.Float64, "is_late": pl.Boolean}
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@given(st.lists(st.tuples(st.floats(0, 10_000), st.booleans()), min_size=1, max_size=30))
def test_the_median_lies_between_the_ends_and_never_above_the_90th_percentile(tests: list[tuple[float, bool]]) -> None:
    minutes = [total for total, _ in tests]
    rows = pl.DataFrame({"minutes_total": minutes, "minutes_target": 60.0, "is_late": [late for _, late in tests]})

    found = rows.select(turnaround.figures("minutes_total")).row(0, named=True)

    assert min(minutes) <= found["median"] <= found["p90"] + 1e-9
    assert found["p90"] <= max(minutes) + 1e-9
    assert found["within_percent"] == pytest.approx(100 * sum(not late for _, late in tests) / len(tests))


def test_a_test_whose_stage_is_unknown_counts_among_the_tests_and_not_in_the_median() -> None:
    rows = pl.DataFrame({"minutes_total": [10.0, None], "minutes_target": 60.0, "is_late": False}, schema=SCHEMA)

    found = rows.select(turnaround.figures("minutes_total")).row(0, named=True)

    assert (found["tests"], found["measured"], found["median"]) == (2, 1, 10.0)


def test_weekdays_stand_in_the_order_of_the_week() -> None:
    rows = pl.DataFrame({"weekday": ["Friday", "Sunday", "Monday"], "minutes_total": 1.0, "minutes_target": 1.0,
                         "is_late": False})  # fmt: skip

    assert turnaround.by(rows, "weekday", "minutes_total")["weekday"].to_list() == ["Monday", "Friday", "Sunday"]


@pytest.mark.parametrize(
    ("placed", "hour", "weekday"),
    [
        (datetime(2026, 11, 22, 18, 29, tzinfo=UTC), "23:00", "Sunday"),
        (datetime(2026, 11, 22, 18, 30, tzinfo=UTC), "00:00", "Monday"),
    ],
)
def test_hour_and_weekday_are_indian(placed: datetime, hour: str, weekday: str) -> None:
    rows = pl.DataFrame({"placed_at": [placed], "test_code": ["GLU"], "test_name": [None]},
                        schema_overrides={"test_name": pl.String})  # fmt: skip

    (row,) = turnaround.with_groups(rows).to_dicts()

    assert (row["hour"], row["weekday"], row["test"]) == (hour, weekday, "GLU")


@pytest.mark.parametrize(
    ("known", "waits_for"),
    [((), "collection"), (("collected_at",), "receipt"), (("received_at",), "result"),
     (("collected_at", "received_at", "first_result_at"), "release")],
)  # fmt: skip
def test_an_open_test_waits_for_what_comes_after_the_last_thing_that_happened(
    known: tuple[str, ...], waits_for: str
) -> None:
    row = {"collected_at": None, "received_at": None, "first_result_at": None} | dict.fromkeys(known, NOW)
    rows = pl.DataFrame([row | {"placed_at": NOW - timedelta(minutes=30)}],
                        schema_overrides=dict.fromkeys(row, pl.Datetime("us", "UTC")))  # fmt: skip

    (found,) = turnaround.waiting(rows, NOW).to_dicts()

    assert (found["waits_for"], found["minutes"]) == (waits_for, 30.0)
