"""Which interval holds for a person: their own, or none."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lims_api.catalogue.reference_intervals import Pregnancy, interval_for, overlapping, within
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
    pregnancy: str = Pregnancy.ANY


NEWBORN, CHILD = Band("newborn", "any", 0, 28), Band("child", "any", 28, ADULT)
MAN, WOMAN = Band("man", "male", ADULT, FOREVER), Band("woman", "female", ADULT, FOREVER)
CREATININE = (NEWBORN, CHILD, MAN, WOMAN)
EVERYBODY = Band("everybody", "any", 0, FOREVER)
sexes = st.sampled_from(["male", "female", None])
ages = st.none() | st.integers(0, FOREVER - 1)
STATES = [*Pregnancy]
kinds = st.sampled_from(["any", "male", "female"]).map(lambda sex: (sex, Pregnancy.ANY)) | st.sampled_from(
    [("female", state) for state in STATES]
)
bands = st.builds(
    lambda kind, start, length: Band("x", kind[0], start, start + length, kind[1]),
    kinds, st.integers(0, 40_000), st.integers(1, 15_000),
)  # fmt: skip
"""As reviewed files may state them: an interval for a state of pregnancy is a woman's."""
stated = st.sampled_from([None, Pregnancy.NOT_PREGNANT, *STATES[2:]])


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


@given(st.lists(bands, max_size=6), sexes, ages, stated)
def test_what_is_found_holds_whatever_was_not_known(
    given_bands: list[Band], sex: str | None, age: int | None, state: Pregnancy | None
) -> None:
    """An interval is given only if it is the one that every person could have whom this may be."""
    if overlapping(given_bands):
        return
    found = interval_for(given_bands, sex, age, state)
    if found is None:
        return
    possible_sexes = [sex] if sex else ["male", "female"]
    possible_ages = [age] if age is not None else [0, found.age_from_days, 10_000, 40_000]
    for each_sex in possible_sexes:
        for each_age in possible_ages:
            assert interval_for(given_bands, each_sex, each_age, state) == found


@given(st.lists(bands, max_size=6), sexes, ages, stated)
def test_the_order_of_the_rows_does_not_matter(
    given_bands: list[Band], sex: str | None, age: int | None, state: Pregnancy | None
) -> None:
    if not overlapping(given_bands):
        assert interval_for(given_bands, sex, age, state) == interval_for(given_bands[::-1], sex, age, state)


@pytest.mark.req("12.3")
@given(st.lists(bands, max_size=6), st.sampled_from(["male", "female"]), st.integers(0, FOREVER - 1), stated)
def test_exactly_one_row_fits_or_none(given_bands: list[Band], sex: str, age: int, state: Pregnancy | None) -> None:
    """Taking the row away that was found leaves another row or none, never the same limits from a second one."""
    if overlapping(given_bands):
        return
    found = interval_for(given_bands, sex, age, state)
    as_good = [
        band for band in given_bands
        if found and (band.sex, band.pregnancy) == (found.sex, found.pregnancy)
        and band.age_from_days <= age < band.age_to_days
    ]  # fmt: skip
    assert as_good == ([found] if found else [])


@given(st.lists(bands, max_size=6), st.sampled_from(["male", "female"]), ages)
def test_who_states_nothing_is_judged_as_not_pregnant(given_bands: list[Band], sex: str, age: int | None) -> None:
    unstated = interval_for(given_bands, sex, age)

    assert unstated == interval_for(given_bands, sex, age, Pregnancy.NOT_PREGNANT)
    assert unstated is None or unstated.pregnancy in (Pregnancy.ANY, Pregnancy.NOT_PREGNANT)


FERTILE = Band("not pregnant", "female", 12 * YEAR, 55 * YEAR, Pregnancy.NOT_PREGNANT)
FIRST = Band("first trimester", "female", 12 * YEAR, 55 * YEAR, Pregnancy.TRIMESTER_1)


@pytest.mark.parametrize(
    ("sex", "age", "state", "expected"),
    [
        ("female", 30 * YEAR, None, "not pregnant"),
        ("female", 30 * YEAR, Pregnancy.NOT_PREGNANT, "not pregnant"),
        ("female", 30 * YEAR, Pregnancy.TRIMESTER_1, "first trimester"),
        ("female", 60 * YEAR, None, "everybody"),
        ("male", 30 * YEAR, None, "everybody"),
        ("male", 30 * YEAR, Pregnancy.TRIMESTER_1, "everybody"),
        (None, 30 * YEAR, None, None),
        ("female", None, None, None),
        ("female", None, Pregnancy.TRIMESTER_1, None),
    ],
)
def test_a_trimesters_interval_is_for_whom_that_trimester_is_stated(
    sex: str | None, age: int | None, state: Pregnancy | None, expected: str | None
) -> None:
    found = interval_for([EVERYBODY, FERTILE, FIRST], sex, age, state)

    assert (found.name if found else None) == expected


def test_a_trimester_without_a_row_has_no_interval_where_the_others_are_for_women_who_are_not_pregnant() -> None:
    assert interval_for([FERTILE, FIRST], "female", 30 * YEAR, Pregnancy.TRIMESTER_3) is None


@given(st.lists(bands, max_size=5), st.integers(0, FOREVER))
def test_bands_overlap_exactly_when_one_age_has_two_alike(given_bands: list[Band], age: int) -> None:
    def of(day: int, sex: str, state: str) -> int:
        return sum(
            (band.sex, band.pregnancy) == (sex, state) and band.age_from_days <= day < band.age_to_days
            for band in given_bands
        )

    alike = {(band.sex, band.pregnancy) for band in given_bands}
    starts = [band.age_from_days for band in given_bands]
    assert overlapping(given_bands) == any(of(day, *kind) > 1 for day in starts for kind in alike)
    assert overlapping(given_bands) or all(of(age, *kind) <= 1 for kind in alike)


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
