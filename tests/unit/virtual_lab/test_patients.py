import re
from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.virtual_lab import homes, patients

ON = date(2026, 11, 24)
STATES = ("MH", "KA", "TN", "UP")


def _registered(seed: int, count: int, *, on: date, prefix: str = "VL") -> pl.DataFrame:
    states = [STATES[number % len(STATES)] for number in range(count)]
    return patients.at_home(patients.register(seed, count, on=on), states, prefix=prefix)


@pytest.mark.req("7.2.1")
def test_the_same_seed_gives_the_same_persons_and_another_seed_others() -> None:
    once, again, others = (_registered(seed, 50, on=ON) for seed in (7, 7, 8))

    assert once.equals(again)
    assert not once.equals(others)


def test_the_first_persons_do_not_depend_on_the_clock() -> None:
    assert _registered(3, 5, on=ON)["name"].to_list() == _registered(3, 5, on=date(2030, 1, 1))["name"].to_list()


def test_there_are_at_least_150_given_and_150_family_names() -> None:
    given_names = {name for region in homes.regions() for name in region["male"] + region["female"]}
    family_names = {name for region in homes.regions() for name in region["last"]}

    assert len(given_names) >= 150
    assert len(family_names) >= 150


def test_names_have_the_forms_of_many_regions() -> None:
    names = _registered(1, 3000, on=ON)["name"].to_list()

    assert any(re.fullmatch(r"[A-Z]\. \w+", name) for name in names)
    assert any(re.fullmatch(r"[A-Z]\. [A-Z]\. \w+", name) for name in names)
    assert any(" " not in name for name in names)
    assert len(set(names)) > 1500


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 200))
def test_every_person_is_complete_and_has_a_number_of_their_own(seed: int, count: int) -> None:
    found = patients.people(_registered(seed, count, on=ON, prefix="T"))

    assert len({person.uhid for person in found}) == len(found) == count
    for person in found:
        assert re.fullmatch(r"T\d{7}", person.uhid)
        assert person.phone is None or re.fullmatch(r"\+91 9\d{4} \d{5}", person.phone)
        assert person.sex in {"male", "female", "other"}
        assert date(1925, 1, 1) < person.birth_on <= ON


def test_a_birth_date_known_to_the_year_is_the_first_of_january() -> None:
    found = patients.people(_registered(2, 500, on=ON))

    by_precision = {
        precision: [p.birth_on for p in found if p.birth_precision == precision] for precision in patients.PRECISIONS
    }
    assert all((day.month, day.day) == (1, 1) for day in by_precision["year"])
    assert all(day.day == 1 for day in by_precision["month"])
    assert len({day.day for day in by_precision["day"]}) > 20
    assert 0.15 < len(by_precision["year"]) / 500 < 0.31
