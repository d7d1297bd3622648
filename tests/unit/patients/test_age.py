"""Age is coarse: right for a reference interval, useless for finding a birth date."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lims_api.patients.age import BirthPrecision, age_days, is_plausible

DAY, MONTH, YEAR = BirthPrecision.DAY, BirthPrecision.MONTH, BirthPrecision.YEAR
births = st.dates(date(1895, 1, 1), date(2090, 12, 31))
spans = st.one_of(st.integers(0, 400), st.integers(0, 2500), st.integers(0, 45_000))
precisions = st.sampled_from(BirthPrecision)


def days_in_month(year: int, month: int) -> int:
    return (date(year + month // 12, month % 12 + 1, 1) - date(year, month, 1)).days


@pytest.mark.parametrize(
    ("birth_on", "precision", "on", "expected"),
    [
        (date(2026, 11, 24), DAY, date(2026, 11, 24), 0),
        (date(2026, 11, 1), DAY, date(2026, 11, 24), 23),
        (date(2026, 10, 27), DAY, date(2026, 11, 24), 28),
        (date(2026, 10, 20), DAY, date(2026, 11, 24), 35),
        (date(2026, 10, 19), DAY, date(2026, 11, 24), 35),
        (date(2025, 11, 25), DAY, date(2026, 11, 24), 357),
        (date(2025, 11, 24), DAY, date(2026, 11, 24), 365),
        (date(2025, 5, 24), DAY, date(2026, 11, 24), 547),  # eighteen months
        (date(2025, 2, 1), DAY, date(2026, 3, 1), 365),  # thirteen short months: still twelve of 30.4375 days
        (date(2021, 11, 25), DAY, date(2026, 11, 24), 1795),  # 59 months
        (date(2021, 11, 24), DAY, date(2026, 11, 24), 1826),
        (date(2008, 11, 24), DAY, date(2026, 11, 24), 6574),  # eighteen on the day
        (date(2008, 11, 25), DAY, date(2026, 11, 24), 6209),  # and seventeen the day before
        (date(2004, 2, 29), DAY, date(2026, 2, 28), 7670),
        (date(1990, 6, 1), MONTH, date(2026, 6, 15), 12783),  # 35: perhaps the birthday has not come
        (date(1990, 6, 1), MONTH, date(2026, 7, 1), 13149),
        (date(2025, 3, 7), MONTH, date(2026, 4, 1), 365),
        (date(1990, 1, 1), YEAR, date(2026, 11, 24), 12783),
        (date(2026, 11, 25), DAY, date(2026, 11, 24), None),
        (date(2026, 1, 1), MONTH, date(2026, 11, 24), None),
        (date(2023, 1, 1), YEAR, date(2026, 11, 24), None),
        (date(2021, 1, 1), YEAR, date(2026, 11, 24), None),  # four or five
    ],
)
def test_an_age_is_given_in_the_step_of_its_time_of_life(
    birth_on: date, precision: BirthPrecision, on: date, expected: int | None
) -> None:
    assert age_days(birth_on, precision, on) == expected


@given(birth_on=births, precision=precisions, days=spans)
def test_nobody_is_made_older_than_they_are(birth_on: date, precision: BirthPrecision, days: int) -> None:
    on = birth_on + timedelta(days=days)

    stated = age_days(birth_on, precision, on)

    assert stated is None or 0 <= stated <= days


@given(birth_on=births, precision=precisions, days=spans, later=st.integers(0, 800))
def test_nobody_grows_younger(birth_on: date, precision: BirthPrecision, days: int, later: int) -> None:
    earlier = age_days(birth_on, precision, birth_on + timedelta(days=days))
    after = age_days(birth_on, precision, birth_on + timedelta(days=days + later))

    if earlier is not None:
        assert after is not None
        assert after >= earlier


@given(birth_on=births, days=st.integers(36, 40_000))
def test_a_stated_age_fits_many_birth_dates(birth_on: date, days: int) -> None:
    """Whoever knows the age and the day is left with a week at least, later a month, and a year from five on."""
    on = birth_on + timedelta(days=days)
    stated = age_days(birth_on, DAY, on)

    alike = [n for n in range(-370, 371) if age_days(birth_on + timedelta(days=n), DAY, on) == stated]

    least = 7 if days < 367 else 26 if days < 1795 else 364 if days > 1827 else 26
    assert len(alike) >= least


@given(year=st.integers(1920, 2060), month=st.integers(1, 12), on=st.dates(date(1920, 1, 1), date(2070, 1, 1)))
def test_the_day_is_not_used_when_only_the_month_is_known(year: int, month: int, on: date) -> None:
    days = range(1, days_in_month(year, month) + 1)

    assert len({age_days(date(year, month, day), MONTH, on) for day in days}) == 1
    assert len({age_days(date(year, 1 + day % 12, day), YEAR, on) for day in days}) == 1


def test_a_birth_date_is_plausible_within_a_life() -> None:
    today = date(2026, 11, 24)

    assert is_plausible(today, DAY, today)
    assert is_plausible(date(2026, 11, 30), MONTH, today)
    assert is_plausible(date(1897, 1, 1), YEAR, today)
    assert not is_plausible(date(2026, 11, 25), DAY, today)
    assert not is_plausible(date(2026, 12, 1), MONTH, today)
    assert not is_plausible(date(1895, 1, 1), YEAR, today)
