"""Which interval holds for a person: their own, or none."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lims_api.catalogue.reference_intervals import interval_for, overlapping, within
from lims_api.cli.seeding import example_tests

YEAR = 365
ADULT = 18 * YEAR
FOREVER = 55_000


@dataclass(frozen=True)
class Band:
    name: str
    sex: str
    age_from_days: int
    age_to_days: int


NEWBORN, CHILD = Band("newborn", "any", 0, 28), Band("child", "any", 28, ADULT)
MAN, WOMAN = Band("man", "male", ADULT, FOREVER), Band("woman", "female", ADULT, FOREVER)
CREATININE = (NEWBORN, CHILD, MAN, WOMAN)
EVERYBODY = Band("everybody", "any", 0, FOREVER)
sexes = st.sampled_from(["male", "female", None])
ages = st.none() | st.integers(0, FOREVER - 1)
bands = st.builds(
    lambda sex, start, length: Band("x", sex, start, start + length),
    st.sampled_from(["any", "male", "female"]), st.integers(0, 40_000), st.integers(1, 15_000),
)  # fmt: skip


@pytest.mark.parametrize(
    ("sex", "age", "expected"),
    [
        ("male", 0, "newborn"),
        ("male", 27, "newborn"),
        ("female", 28, "child"),
        ("female", ADULT - 1, "child"),
        ("male", ADULT, "man"),
        ("female", ADULT, "woman"),
        ("female", FOREVER - 1, "woman"),
        ("female", FOREVER, None),
        ("male", -1, None),
        (None, 5, "newborn"),
        (None, ADULT, None),
        ("male", None, None),
        ("other", ADULT, None),
    ],
)
def test_known_people(sex: str | None, age: int | None, expected: str | None) -> None:
    found = interval_for(CREATININE, sex, age)

    assert (found.name if found else None) == expected


@pytest.mark.parametrize("sex", ["male", "female", None])
@pytest.mark.parametrize("age", [0, 10_000, None])
def test_one_interval_for_all_is_everybodys(sex: str | None, age: int | None) -> None:
    assert interval_for([EVERYBODY], sex, age) == EVERYBODY


def test_an_interval_of_the_sex_goes_before_one_of_any() -> None:
    bands = [EVERYBODY, MAN]

    assert interval_for(bands, "male", ADULT) == MAN
    assert interval_for(bands, "female", ADULT) == EVERYBODY
    assert interval_for(bands, "male", 5) == EVERYBODY


def test_whose_sex_is_not_known_gets_no_interval_where_one_of_the_sexes_has_its_own() -> None:
    assert interval_for([EVERYBODY, MAN], None, ADULT) is None
    assert interval_for([EVERYBODY, MAN], None, 5) == EVERYBODY


def test_whose_age_is_not_known_gets_no_interval_where_an_age_has_its_own() -> None:
    assert interval_for([EVERYBODY, MAN], "male", None) is None
    assert interval_for([EVERYBODY, MAN], "female", None) == EVERYBODY
    assert interval_for([EVERYBODY, MAN], None, None) is None


@given(st.lists(bands, max_size=6), sexes, ages)
def test_what_is_found_holds_whatever_was_not_known(given_bands: list[Band], sex: str | None, age: int | None) -> None:
    """An interval is given only if it is the one that every person could have whom this may be."""
    if overlapping(given_bands):
        return
    found = interval_for(given_bands, sex, age)
    if found is None:
        return
    possible_sexes = [sex] if sex else ["male", "female"]
    possible_ages = [age] if age is not None else [0, found.age_from_days, 10_000, 40_000]
    for each_sex in possible_sexes:
        for each_age in possible_ages:
            assert interval_for(given_bands, each_sex, each_age) == found


@given(st.lists(bands, max_size=6), sexes, ages)
def test_the_order_of_the_rows_does_not_matter(given_bands: list[Band], sex: str | None, age: int | None) -> None:
    if not overlapping(given_bands):
        assert interval_for(given_bands, sex, age) == interval_for(given_bands[::-1], sex, age)


@given(st.lists(bands, max_size=5), st.integers(0, FOREVER))
def test_bands_overlap_exactly_when_one_age_has_two_of_a_sex(given_bands: list[Band], age: int) -> None:
    def of(day: int, sex: str) -> int:
        return sum(band.sex == sex and band.age_from_days <= day < band.age_to_days for band in given_bands)

    starts = [band.age_from_days for band in given_bands]
    assert overlapping(given_bands) == any(of(day, sex) > 1 for day in starts for sex in ("any", "male", "female"))
    assert overlapping(given_bands) or of(age, "any") <= 1


def test_bands_that_meet_do_not_overlap() -> None:
    assert overlapping(CREATININE) is False
    assert overlapping([CHILD, Band("x", "any", ADULT - 1, FOREVER)]) is True
    assert overlapping([MAN, WOMAN, EVERYBODY]) is False


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        ("70", "70", "100", True),
        ("100", "70", "100", True),
        ("69.999", "70", "100", False),
        ("100.001", "70", "100", False),
        ("1e9", "70", None, True),
        ("-1", None, "100", True),
        ("5", None, None, True),
    ],
)
def test_both_limits_belong_to_an_interval(value: str, low: str | None, high: str | None, expected: bool) -> None:
    assert within(Decimal(value), low and Decimal(low), high and Decimal(high)) is expected  # type: ignore[arg-type]


@pytest.mark.parametrize("test", example_tests(), ids=lambda test: test.code)
def test_every_adult_and_child_has_an_interval_in_the_examples_and_no_age_has_two(test: object) -> None:
    intervals = test.intervals  # type: ignore[attr-defined]

    assert overlapping(intervals) is False
    for sex in ("male", "female"):
        for age in (0, 28, 729, 730, 4382, 4383, 6573, 6574, 30_000):
            assert interval_for(intervals, sex, age) is not None


@pytest.mark.req("12.3")
@pytest.mark.parametrize("test", example_tests(), ids=lambda test: test.code)
def test_every_example_says_that_it_is_one_and_whence(test: object) -> None:
    assert test.is_example  # type: ignore[attr-defined]
    assert "EXAMPLE" in test.source  # type: ignore[attr-defined]
    assert all(interval.source for interval in test.intervals)  # type: ignore[attr-defined]
