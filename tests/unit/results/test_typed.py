"""What a person may type as a value."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lims_api.catalogue.models import ResultKind
from lims_api.catalogue.schemas import Definition
from lims_api.core.ids import uuid7
from lims_api.results.errors import NotAllowed, NotANumber
from lims_api.results.typed import typed_value


def defined(kind: ResultKind, *allowed: str) -> Definition:
    return Definition(
        id=uuid7(), code="T", version=1, name="A test", translations={}, kind=kind, allowed_values=allowed,
        loinc="2345-7", unit="mg/dL", decimals=1, specimen_type="Serum", container="SST 5 mL", method="M",
        discipline="D", reportable_low=None, reportable_high=None, delta_limit_percent=None, delta_window_days=None,
        turnaround_minutes=60, is_restricted=False, is_example=True, is_approved=True,
    )  # fmt: skip


NUMBER, WORD, TEXT = defined(ResultKind.NUMERIC), defined(ResultKind.CODED, "Negative"), defined(ResultKind.TEXT)
numbers = st.decimals(-999_999, 999_999, allow_nan=False, allow_infinity=False, places=3)


@given(numbers, st.sampled_from([None, "<", "<=", ">", ">="]), st.sampled_from(["", " "]))
def test_a_number_is_read_as_it_was_meant(number: Decimal, comparator: str | None, space: str) -> None:
    typed = f"{comparator}{space}{number:f}" if comparator else f"{number:f}"

    assert typed_value(NUMBER, typed, censored=True) == (comparator, number)


@given(numbers, st.sampled_from(["<", "<=", ">", ">="]))
def test_where_no_comparator_may_stand_it_is_refused(number: Decimal, comparator: str) -> None:
    with pytest.raises(NotANumber):
        typed_value(NUMBER, f"{comparator}{number:f}")


@given(st.text(max_size=40))
def test_whatever_is_typed_is_a_plain_finite_number_or_refused(typed: str) -> None:
    try:
        comparator, value = typed_value(NUMBER, typed, censored=True)
    except NotANumber:
        return

    assert value is not None
    assert value.is_finite()
    assert re.fullmatch(r"[<>=+\-. 0-9]+", typed.strip())
    assert comparator in (None, "<", "<=", ">", ">=")


@given(st.text(max_size=40))
def test_a_word_is_exactly_one_of_the_tests_values(typed: str) -> None:
    if typed == "Negative":
        assert typed_value(WORD, typed) == (None, None)
    else:
        with pytest.raises(NotAllowed):
            typed_value(WORD, typed)


@given(st.text(max_size=40))
def test_no_text_is_taken_for_a_text_result(typed: str) -> None:
    with pytest.raises(NotAllowed):
        typed_value(TEXT, typed, censored=True)
