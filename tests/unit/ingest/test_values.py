from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.instruments.values import day, instant, number

INDIA = ZoneInfo("Asia/Kolkata")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5.1", (None, Decimal("5.1"))),
        (" 104.20 ", (None, Decimal("104.20"))),
        ("-0.3", (None, Decimal("-0.3"))),
        ("+7", (None, Decimal(7))),
        ("<0.15", ("<", Decimal("0.15"))),
        (">= 750", (">=", Decimal(750))),
        (".5", (None, Decimal("0.5"))),
        ("5.", (None, Decimal(5))),
        ("1e3", (None, Decimal("1E+3"))),
    ],
)
def test_numbers_keep_their_digits_and_their_comparator(text: str, expected: tuple[str | None, Decimal]) -> None:
    comparator, value = number(text)

    assert (comparator, value) == expected
    assert str(value) == str(expected[1])


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ".",
        "5,4",
        "5-7",
        "1:40",
        "Negative",
        "NaN",
        "Infinity",
        "1e999",
        "\u0665",
        "5²",
        "<",
        "+-",
        "1 2",
        "=5",
    ],
)
def test_what_is_no_number_is_not_guessed(text: str) -> None:
    assert number(text) == (None, None)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=4))
def test_every_decimal_an_analyser_writes_is_read_back(value: Decimal) -> None:
    assert number(f"{value:f}") == (None, value)


@given(st.text(max_size=20))
def test_no_text_breaks_the_readers(text: str) -> None:
    _, value = number(text)
    moment, on = instant(text, INDIA), day(text)

    assert value is None or value.is_finite()
    assert moment is None or moment.tzinfo is not None
    assert on is None or isinstance(on, date)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20260123140955", datetime(2026, 1, 23, 14, 9, 55, tzinfo=INDIA)),
        ("202601231409", datetime(2026, 1, 23, 14, 9, tzinfo=INDIA)),
        ("20260123140955.25", datetime(2026, 1, 23, 14, 9, 55, 250_000, tzinfo=INDIA)),
        ("20260123140955+0000", datetime(2026, 1, 23, 14, 9, 55, tzinfo=UTC)),
        ("20260123140955.1234567-0130", datetime(2026, 1, 23, 15, 39, 55, 123_456, tzinfo=UTC)),
    ],
)
def test_times_are_instants_in_the_analysers_zone(text: str, expected: datetime) -> None:
    assert instant(text, INDIA) == expected


@pytest.mark.parametrize(
    "text",
    ["", "20260123", "2026012314", "20261323140955", "20260123246060", "2026-01-23T14:09:55", "20260123140955+9900"],
)
def test_what_is_no_instant_is_none(text: str) -> None:
    assert instant(text, INDIA) is None


@given(st.datetimes(timezones=st.just(INDIA)), st.integers(-12 * 60, 14 * 60))
def test_every_instant_an_analyser_writes_is_read_back(moment: datetime, minutes: int) -> None:
    moment = moment.replace(microsecond=0, fold=0)
    sign, offset = "-" if minutes < 0 else "+", abs(minutes)
    zone = timezone(timedelta(minutes=minutes))
    text = f"{moment.year:04}{moment:%m%d%H%M%S}"

    assert instant(text, INDIA) == moment
    assert instant(f"{text}{sign}{offset // 60:02}{offset % 60:02}", INDIA) == moment.replace(tzinfo=zone)


def test_a_birth_day_is_read_from_a_day_or_a_time() -> None:
    assert day("19840612") == day("19840612000000") == date(1984, 6, 12)
    assert [day(text) for text in (None, "", "1984", "198406", "19841301", "1984061x")] == [None] * 6
