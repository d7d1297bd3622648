"""Numbers, times and short phrases as they are printed, in the report's language. No database, no clock, no markup.

Numbers have ASCII digits and a dot, times the laboratory's clock and English months, in every language.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from lims_api.core.clock import INDIA
from lims_api.core.i18n import Words

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
EN_DASH = "\u2013"
REASONS = {
    "dilution_error": "dilution error",
    "typing_error": "typing error",
    "wrong_specimen": "wrong specimen",
    "instrument_error": "instrument error",
    "repeat_measurement": "measured again",
}
"""Reasons of corrections that have words of their own; any other code is printed as it is."""


def moment_text(moment: datetime | None) -> str:
    """An instant as the laboratory's calendar and clock say it, `24-Nov-2026 14:05 IST`; empty when not known.

    Raises ValueError for a naive datetime: it names no instant.
    """
    if moment is None:
        return ""
    if moment.tzinfo is None:
        raise ValueError("A printed time needs a timezone.")
    local = moment.astimezone(INDIA)
    return f"{local.day:02d}-{MONTHS[local.month - 1]}-{local.year:04d} {local.hour:02d}:{local.minute:02d} IST"


def date_text(moment: datetime | None) -> str:
    """The laboratory's calendar day of an instant, `24-Nov-2026`."""
    return moment_text(moment).partition(" ")[0]


def number_text(value: float | Decimal, decimals: int) -> str:
    """A number with the decimals of its test's definition, half up, ASCII digits, dot, never `-0`.

    A float is read by its shortest decimal form, so that 0.125 and "0.125" round alike.
    Raises ValueError unless finite.
    """
    number = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    if not number.is_finite():
        raise ValueError("A printed result must be a finite number.")
    rounded = number.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    return f"{abs(rounded) if rounded.is_zero() else rounded:f}"


def value_text(value: float | Decimal | None, *, comparator: str | None, decimals: int, received: str) -> str:
    """The printed result: the comparator is kept (`<0.10`); without a number, the text the analyser sent."""
    if value is None:
        return received
    return f"{comparator or ''}{number_text(value, decimals)}"


def interval_text(low: float | Decimal | None, high: float | Decimal | None, decimals: int, say: Words) -> str:
    """A reference interval, `70 - 99` with an en dash, `up to 40`, `from 60`, or that none is established."""
    if low is not None and high is not None:
        return f"{number_text(low, decimals)} {EN_DASH} {number_text(high, decimals)}"
    if high is not None:
        return say("up to {limit}", limit=number_text(high, decimals))
    return say("Not established") if low is None else say("from {limit}", limit=number_text(low, decimals))


def age_text(age_days: int | None, say: Words) -> str:
    """Age as a clinician reads it: days to four weeks, months to two years, then years; empty when not known."""
    if age_days is None:
        return ""
    if age_days < 28:
        return say("{count} d", count=age_days)
    if age_days < 731:
        return say("{count} mo", count=int(age_days / 30.4375))
    return say("{count} y", count=int(age_days / 365.25))


def sex_text(sex: str | None, say: Words) -> str:
    """The administrative sex as printed."""
    known = {"male": say("Male"), "female": say("Female"), "other": say("Other")}
    return known.get(sex or "", say("Not stated"))


def previous_text(value: str, moment: datetime) -> dict[str, str]:
    """The two fields of a `Line` that hold the earlier value of the same test: `Line(..., **previous_text(...))`."""
    return {"previous": value, "previous_on": date_text(moment)}


def release_statement(name: str, say: Words, *, signed_at: datetime | None = None) -> str:
    """Who answers for the release. An automatic one names whose standing authorisation, signed when, covers it."""
    if signed_at is None:
        return say("Examined and authorised by {name}", name=name)
    return say(
        "Released automatically under the standing authorisation of {name}, signed on {day}",
        name=name, day=date_text(signed_at),
    )  # fmt: skip


def reason_text(reasons: Iterable[str], say: Words) -> str:
    """Why a report was amended: the reasons' codes as words."""
    said = sorted({say(REASONS[code]) if code in REASONS else code.replace("_", " ") for code in reasons})
    return ", ".join(said) or say("result corrected")
