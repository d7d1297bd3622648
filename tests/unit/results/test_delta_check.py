"""The delta check: a change in percent of the value before, within a window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lims_api.results.delta_check import Delta, delta

NOW = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)
positive = st.decimals("0.01", 10_000, places=2, allow_nan=False)


def against(value: str, previous: str, *, days: float = 1, limit: str = "40") -> Delta | None:
    return delta(
        Decimal(value), NOW, Decimal(previous), NOW - timedelta(days=days), limit_percent=Decimal(limit), window_days=30
    )


@pytest.mark.parametrize(
    ("value", "previous", "percent", "exceeded"),
    [
        ("100", "100", "0", False),
        ("140", "100", "40", False),
        ("140.01", "100", "40.01", True),
        ("60", "100", "40", False),
        ("59.99", "100", "40.01", True),
        ("100", "140", "28.57", False),
        ("-50", "100", "150", True),
        ("-100", "-50", "100", True),
        ("0", "100", "100", True),
    ],
)
def test_the_limit_itself_is_allowed(value: str, previous: str, percent: str, exceeded: bool) -> None:
    found = against(value, previous)

    assert found is not None
    assert (round(found.percent, 2), found.exceeded) == (Decimal(percent), exceeded)


@pytest.mark.parametrize(("days", "looks"), [(0, True), (30, True), (30.001, False), (400, False)])
def test_a_value_of_long_ago_says_nothing(days: float, looks: bool) -> None:
    assert (against("200", "100", days=days) is not None) is looks


def test_a_value_of_nothing_has_no_percent() -> None:
    assert against("5", "0") is None


@given(positive, positive, st.decimals("0.5", 20, places=1))
def test_the_unit_does_not_matter(value: Decimal, previous: Decimal, factor: Decimal) -> None:
    one = delta(value, NOW, previous, NOW, limit_percent=Decimal(40), window_days=30)
    other = delta(value * factor, NOW, previous * factor, NOW, limit_percent=Decimal(40), window_days=30)

    assert one is not None
    assert other is not None
    assert other.percent == pytest.approx(one.percent)


@given(positive, positive, positive)
def test_a_wider_limit_never_holds_more(value: Decimal, previous: Decimal, limit: Decimal) -> None:
    narrow = delta(value, NOW, previous, NOW, limit_percent=limit, window_days=30)
    wide = delta(value, NOW, previous, NOW, limit_percent=limit * 2, window_days=30)

    assert narrow is not None
    assert wide is not None
    assert narrow.exceeded or not wide.exceeded
