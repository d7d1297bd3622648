"""Numbers, times and marks as they are printed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lims_api.reports.layout import (
    NOT_ESTABLISHED,
    ZERO_WIDTH_SPACE,
    Line,
    ReportContent,
    age_text,
    breakable,
    date_text,
    interval_text,
    moment_text,
    number_text,
    previous_text,
    printed,
    release_statement,
    sex_text,
    value_text,
)

MakeReport = Callable[..., ReportContent]
MakeLine = Callable[..., Line]


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
    assert interval_text(3.5, 5.1, 1) == "3.5 \u2013 5.1"
    assert interval_text(None, 40, 0) == "up to 40"
    assert interval_text(60, None, 0) == "from 60"
    assert interval_text(None, None, 0) == NOT_ESTABLISHED
    assert interval_text(0, 0.3, 1) == "0.0 \u2013 0.3"


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
    assert age_text(days) == text


def test_sex_previous_value_and_statement_of_release() -> None:
    assert sex_text("female") == "Female"
    assert sex_text(None) == "Not stated"
    assert previous_text("4.4", datetime(2026, 8, 3, tzinfo=UTC)) == {"previous": "4.4", "previous_on": "03-Aug-2026"}
    assert (
        release_statement("Dr A", is_automatic=True)
        == "Released automatically under the standing authorisation of Dr A"
    )
    assert release_statement("Dr A", is_automatic=False) == "Examined and authorised by Dr A"


@given(
    st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1), st.integers(1, 30)
)
def test_break_points_add_nothing_that_is_seen(word: str, longest: int) -> None:
    broken = breakable(word, longest)

    assert breakable(word, len(word)).replace(ZERO_WIDTH_SPACE, "") == broken.replace(ZERO_WIDTH_SPACE, "")
    assert max(map(len, broken.split(ZERO_WIDTH_SPACE))) <= longest


def test_control_characters_and_marks_of_direction_are_taken_out() -> None:
    assert breakable("4\x00.\u202e1\u2066 mmol\t/L\u200f") == "4.1 mmol /L"


def test_joiners_of_indic_scripts_stay() -> None:
    assert breakable("\u0915\u094d\u200d\u0937") == "\u0915\u094d\u200d\u0937"


def test_marks_are_numbered_once_each_in_the_order_of_the_lines(everything: ReportContent) -> None:
    shown = printed(everything)

    assert len(shown["marks"]) == 2
    assert shown["groups"][1]["lines"][3]["marks"] == [1, 2]
    assert shown["groups"][1]["lines"][4]["marks"] == [1]


def test_one_specimen_is_told_once_and_two_are_told_apart(make_report: MakeReport, everything: ReportContent) -> None:
    assert [s["accession_number"] for s in printed(make_report())["specimens"]] == ["26-000123"]
    assert len(printed(everything)["specimens"]) == 2


@pytest.mark.parametrize(
    ("flag", "is_critical", "abnormal"),
    [(None, False, False), ("N", False, False), ("L", False, True), ("HH", False, True), (None, True, True)],
)
def test_a_result_is_abnormal_by_its_flag_or_when_critical(
    make_line: MakeLine, flag: str | None, is_critical: bool, abnormal: bool
) -> None:
    assert make_line(flag=flag, is_critical=is_critical).is_abnormal is abnormal
