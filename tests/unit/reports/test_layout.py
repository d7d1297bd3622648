"""What is printed, and how it is kept in its column."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lims_api.reports.layout import ZERO_WIDTH_SPACE, Line, ReportContent, breakable, printed

MakeReport = Callable[..., ReportContent]
MakeLine = Callable[..., Line]


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


@pytest.mark.parametrize(
    ("word", "pieces"),
    [
        (
            "\u0c35\u0c46\u0c02\u0c15\u0c1f\u0c38\u0c41\u0c2c\u0c4d\u0c30\u0c39\u0c4d\u0c2e\u0c23\u0c4d\u0c2f",
            [
                "\u0c35\u0c46\u0c02\u0c15\u0c1f\u0c38\u0c41",
                "\u0c2c\u0c4d\u0c30\u0c39\u0c4d\u0c2e",
                "\u0c23\u0c4d\u0c2f",
            ],
        ),
        ("\u0915\u094d\u200d\u0937" * 2, ["\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d\u0937"]),
        ("e" + "\u0301" * 9, ["e" + "\u0301" * 6, "\u0301" * 3]),
    ],
    ids=["Telugu", "a joiner", "nothing but signs"],
)
def test_a_long_word_is_never_broken_inside_a_syllable(word: str, pieces: list[str]) -> None:
    assert breakable(word, 7).split(ZERO_WIDTH_SPACE) == pieces


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
