"""Whether the person that an analyser states is the one registered."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.contract import StatedIdentity
from lims_api.patients.age import BirthPrecision
from lims_api.patients.schemas import Identity
from lims_api.results.identity_check import agrees, differences

BORN = date(1984, 3, 9)


def registered(**changed: Any) -> Identity:
    known = {"uhid": "P26-000042", "name": "Lakshmi Sharma", "birth_on": BORN, "birth_precision": BirthPrecision.DAY}
    return Identity(**(known | changed))


def stated(**changed: Any) -> StatedIdentity:
    known = {"patient_number": "P26-000042", "name": "SHARMA LAKSHMI", "sex": "female", "birth_on": BORN}
    return StatedIdentity(**(known | changed))


def test_the_same_person_differs_in_nothing() -> None:
    assert differences(stated(), registered(), "female") == []
    assert agrees(stated(), registered(), "female") is True


@pytest.mark.req("12.2")
@pytest.mark.parametrize(
    ("field", "said", "known"),
    [
        ("patient_number", "P26-000043", "P26-000042"),
        ("patient_number", "p26-000042", "P26-000042"),
        ("name", "Lakshmi Verma", "Lakshmi Sharma"),
        ("name", "", "Lakshmi Sharma"),
        ("sex", "male", "female"),
        ("birth_on", date(1984, 9, 3), "1984-03-09"),
    ],
)
def test_each_difference_is_named_with_both_values(field: str, said: object, known: str) -> None:
    (found,) = differences(stated(**{field: said}), registered(), "female")

    assert (found.field, found.stated, found.registered) == (field, str(said), known)
    assert agrees(stated(**{field: said}), registered(), "female") is False


@pytest.mark.parametrize(
    ("precision", "said", "agree"),
    [
        (BirthPrecision.YEAR, date(1984, 12, 31), True),
        (BirthPrecision.YEAR, date(1985, 3, 9), False),
        (BirthPrecision.MONTH, date(1984, 3, 31), True),
        (BirthPrecision.MONTH, date(1984, 4, 9), False),
        (BirthPrecision.MONTH, date(1985, 3, 9), False),
        (BirthPrecision.DAY, date(1984, 3, 10), False),
    ],
)
def test_birth_dates_are_compared_as_far_as_they_are_known(precision: BirthPrecision, said: date, agree: bool) -> None:
    assert agrees(stated(birth_on=said), registered(birth_precision=precision), "female") is agree


def test_what_is_not_registered_does_not_differ() -> None:
    assert agrees(stated(), registered(birth_on=None, birth_precision=None), "female") is True


@pytest.mark.parametrize("said", [None, StatedIdentity(), StatedIdentity(sex="female"), StatedIdentity(birth_on=BORN)])
def test_without_a_number_or_a_name_nothing_is_confirmed(said: StatedIdentity | None) -> None:
    assert agrees(said, registered(), "female") is None


def test_an_unknown_sex_is_not_the_one_stated() -> None:
    assert agrees(stated(sex="male"), registered(), "unknown") is False


@given(st.sampled_from(["patient_number", "name", "sex", "birth_on"]), st.sets(st.sampled_from(
    ["patient_number", "name", "sex", "birth_on"])))  # fmt: skip
def test_saying_less_of_what_agrees_never_makes_a_difference_go(wrong: str, silent: set[str]) -> None:
    other = {"patient_number": "X", "name": "Ravi Kumar", "sex": "male", "birth_on": date(1950, 1, 1)}[wrong]
    said = dict.fromkeys(silent - {wrong}) | {wrong: other}

    assert agrees(stated(**said), registered(), "female") is False
