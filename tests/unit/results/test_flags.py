"""The flag of a value: certain or absent, never a guess."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lims_api.results.flags import flag

LOW, HIGH, CRITICAL_LOW, CRITICAL_HIGH = (Decimal(limit) for limit in (70, 100, 45, 450))
GLUCOSE = (LOW, HIGH, CRITICAL_LOW, CRITICAL_HIGH)
numbers = st.decimals(-1000, 1000, allow_nan=False, allow_infinity=False, places=2)
limits = st.tuples(*[st.none() | numbers] * 4).filter(lambda four: _ordered(*four))
comparators = st.sampled_from([None, "<", "<=", ">", ">="])


def _ordered(low: Decimal | None, high: Decimal | None, clow: Decimal | None, chigh: Decimal | None) -> bool:
    known = [limit for limit in (clow, low, high, chigh) if limit is not None]
    return known == sorted(known)


@pytest.mark.parametrize(
    ("value", "comparator", "expected"),
    [
        ("85", None, "N"),
        ("70", None, "N"),
        ("100", None, "N"),
        ("69.99", None, "L"),
        ("100.01", None, "H"),
        ("45", None, "L"),
        ("44.9", None, "LL"),
        ("450", None, "H"),
        ("450.1", None, "HH"),
        ("-5", None, "LL"),
        ("70", "<", "L"),
        ("45", "<", "LL"),
        ("45", "<=", "L"),
        ("60", "<", "L"),
        ("71", "<", None),
        ("100", ">", "H"),
        ("450", ">", "HH"),
        ("450", ">=", "H"),
        ("99", ">", None),
        ("600", ">", "HH"),
        ("20", "<", "LL"),
        ("80", "<", None),
        ("80", ">", None),
    ],
)
def test_known_values(value: str, comparator: str | None, expected: str | None) -> None:
    assert flag(Decimal(value), comparator, *GLUCOSE) == expected


@pytest.mark.parametrize(
    ("value", "comparator", "four", "expected"),
    [
        ("30", None, (None, Decimal(45), None, Decimal(1000)), "N"),
        ("30", "<", (None, Decimal(45), None, None), "N"),
        ("50", "<", (None, Decimal(45), None, None), None),
        ("30", ">", (None, Decimal(45), None, None), None),
        ("30", ">", (Decimal(20), None, None, None), "N"),
        ("5", "<", (None, Decimal(10), Decimal(3), None), None),
        ("12", ">", (Decimal(10), None, None, Decimal(15)), None),
        ("30", None, (None, None, None, None), None),
        ("30", None, (None, None, Decimal(45), None), "LL"),
        ("60", None, (None, None, Decimal(45), None), None),
    ],
)
def test_with_one_limit_or_none(
    value: str, comparator: str | None, four: tuple[Decimal | None, ...], expected: str | None
) -> None:
    assert flag(Decimal(value), comparator, *four) == expected


def test_without_a_value_there_is_no_flag() -> None:
    assert flag(None, None, *GLUCOSE) is None


@given(numbers, limits)
def test_both_limits_belong_to_the_interval(value: Decimal, four: tuple[Decimal | None, ...]) -> None:
    low, high, *_ = four
    found = flag(value, None, *four)

    if low is not None and value == low and (high is None or low <= high):
        assert found == "N"
    if found == "N":
        assert low is None or value >= low
        assert high is None or value <= high
    if found in ("L", "LL"):
        assert any(limit is not None and value < limit for limit in (low, four[2]))


@given(numbers, limits)
def test_mirroring_value_and_limits_mirrors_the_flag(value: Decimal, four: tuple[Decimal | None, ...]) -> None:
    low, high, clow, chigh = (None if limit is None else -limit for limit in four)
    mirror = {"LL": "HH", "HH": "LL", "L": "H", "H": "L", "N": "N", None: None}

    assert flag(-value, None, high, low, chigh, clow) == mirror[flag(value, None, *four)]


@given(numbers, comparators.filter(bool), limits, st.decimals("0.01", 500, places=2))
@settings(suppress_health_check=[HealthCheck.filter_too_much])  # few censored values are told a flag
def test_a_flag_of_a_censored_value_is_true_of_every_value_it_may_be(
    value: Decimal, comparator: str | None, four: tuple[Decimal | None, ...], away: Decimal
) -> None:
    """`<5` with a flag says of 4.99 and of -100 what the flag says; a critical flag may be the stronger word."""
    told = flag(value, comparator, *four)
    assume(told is not None)
    true = flag(value - away if comparator in ("<", "<=") else value + away, None, *four)

    assert true == told or (told, true) in {("L", "LL"), ("H", "HH")}
