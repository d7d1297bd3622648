"""Numbers, times and phrases as they are printed."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lims_api.core.i18n import Language, words
from lims_api.reports.wording import (
    age_text,
    date_text,
    interval_text,
    moment_text,
    number_text,
    previous_text,
    reason_text,
    release_statement,
    sex_text,
    value_text,
)

SAY = words(Language.ENGLISH)
IN_HINDI = words(Language.HINDI)


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(4.1, 1, "4.1"), (4, 2, "4.00"), (0.125, 2, "0.13"), (2.675, 2, "2.68"), (112.0, 0, "112"), (-0.04, 1, "0.0"),
     (1e-7, 2, "0.00"), (1234567.5, 1, "1234567.5"), (1e21, 0, "1" + "0" * 21), (Decimal("0.5"), 0, "1")],
)  # fmt: skip
def test_a_number_is_printed_with_the_decimals_of_its_definition(value: float, decimals: int, text: str) -> None:
    assert number_text(value, decimals) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9), st.integers(0, 4))
def test_printing_moves_a_number_by_half_a_last_place_at_most(value: Decimal, decimals: int) -> None:
    text = number_text(value, decimals)

    assert abs(Decimal(text) - value) <= Decimal(1).scaleb(-decimals) / 2
    assert len(text.partition(".")[2]) == decimals
    assert set(text) <= set("-.0123456789")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("-Infinity")])
def test_what_is_not_a_number_is_never_printed_as_one(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        number_text(value, 1)


def test_a_comparator_is_kept_and_a_text_result_stays_as_received() -> None:
    assert value_text(0.1, comparator="<", decimals=2, received="<.1") == "<0.10"
    assert value_text(5.0, comparator=None, decimals=1, received="5") == "5.0"
    assert value_text(None, comparator=None, decimals=1, received="Non-reactive") == "Non-reactive"


def test_intervals_with_two_limits_one_limit_and_none() -> None:
    assert interval_text(3.5, 5.1, 1, SAY) == "3.5 \u2013 5.1"
    assert interval_text(None, 40, 0, SAY) == "up to 40"
    assert interval_text(60, None, 0, SAY) == "from 60"
    assert interval_text(None, None, 0, SAY) == "Not established"
    assert interval_text(0, 0.3, 1, SAY) == "0.0 \u2013 0.3"


def test_times_are_told_in_indian_standard_time_whatever_zone_they_came_in() -> None:
    noon_utc = datetime(2026, 11, 24, 8, 35, tzinfo=UTC)

    assert moment_text(noon_utc) == "24-Nov-2026 14:05 IST"
    assert moment_text(noon_utc.astimezone(timezone(timedelta(hours=-8)))) == "24-Nov-2026 14:05 IST"
    assert date_text(datetime(2026, 12, 31, 20, 0, tzinfo=UTC)) == "01-Jan-2027"
    assert moment_text(None) == ""


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="timezone"):
        moment_text(datetime(2026, 11, 24, 8, 35))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("days", "text"),
    [(0, "0 d"), (27, "27 d"), (28, "0 mo"), (31, "1 mo"), (365, "11 mo"), (366, "12 mo"), (730, "23 mo"), (731, "2 y"),
     (15000, "41 y"), (None, "")],
)  # fmt: skip
def test_age_is_told_in_the_unit_a_clinician_uses(days: int | None, text: str) -> None:
    assert age_text(days, SAY) == text


def test_sex_previous_value_and_statement_of_release() -> None:
    assert sex_text("female", SAY) == "Female"
    assert sex_text("unknown", SAY) == "Not stated"
    assert sex_text(None, SAY) == "Not stated"
    assert previous_text("4.4", datetime(2026, 8, 3, tzinfo=UTC)) == {"previous": "4.4", "previous_on": "03-Aug-2026"}
    assert release_statement("Dr A", SAY) == "Examined and authorised by Dr A"


@pytest.mark.req("12.1")
def test_an_automatic_release_names_whose_authorisation_covers_it_and_when_it_was_signed() -> None:
    signed_at = datetime(2026, 8, 3, 20, 0, tzinfo=UTC)

    assert (
        release_statement("Dr A", SAY, signed_at=signed_at)
        == "Released automatically under the standing authorisation of Dr A, signed on 04-Aug-2026"
    )


def test_reasons_of_an_amendment_are_words_and_an_unknown_code_is_printed_as_it_is() -> None:
    assert reason_text(["typing_error", "dilution_error"], SAY) == "dilution error, typing error"
    assert reason_text(["lot_recalled"], IN_HINDI) == "lot recalled"
    assert reason_text([], SAY) == "result corrected"


@pytest.mark.req("5.1.1")
def test_phrases_in_hindi_keep_latin_digits() -> None:
    said = [
        interval_text(None, 40, 0, IN_HINDI),
        interval_text(3.5, 5.1, 1, IN_HINDI),
        age_text(15000, IN_HINDI),
        sex_text("female", IN_HINDI),
        reason_text(["dilution_error"], IN_HINDI),
    ]

    assert said == [
        "40 \u0924\u0915",
        "3.5 \u2013 5.1",
        "41 \u0935\u0930\u094d\u0937",
        "\u092e\u0939\u093f\u0932\u093e",
        "\u0924\u0928\u0941\u0915\u0930\u0923 \u0915\u0940 \u0924\u094d\u0930\u0941\u091f\u093f",
    ]
