"""Age in days, coarse on purpose: enough for a reference interval, too little to find a birth date. Pure.

The age at which a result was judged stands in clear in the ledger and the lake, beside the day of the test. An exact
age would give the birth date away. So it moves in steps that widen with age, which is how intervals are drawn too:
days up to 28, then weeks to the first birthday, months to the fifth, years after that. One value then fits at least
seven birth dates after the first four weeks, and a whole year of them from five years on.

A birth date known by its month or year only is read as the latest day it can mean, so that nobody is made older than
they are. Where the intervals are finer than what is known, the age is None and the result is held.
"""

from calendar import monthrange
from datetime import date, timedelta
from enum import StrEnum

NEWBORN_DAYS = 28
WEEKS_UNTIL_YEARS = 1
LAST_WEEK = 51  # a 52nd would last a day or two before the birthday, and tell it
MONTHS_UNTIL_YEARS = 5
OLDEST_YEARS = 130


class BirthPrecision(StrEnum):
    """How much of a birth date is known."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"


KNOWN_FROM_YEARS = {BirthPrecision.DAY: 0, BirthPrecision.MONTH: 1, BirthPrecision.YEAR: 5}
"""From which age on a precision decides: below it, intervals depend on what is not known."""


def age_days(birth_on: date, precision: BirthPrecision, on: date) -> int | None:
    """The age on a day, in days and in steps; None when it cannot be decided.

    Exact to 28 days; completed weeks * 7 below one year; completed months * 30.4375 below five; completed years *
    365.25 from then on, all rounded down; a step that would overtake the true age (thirteen short months, the missing
    leap days of 1900 and 2100) waits until it does not. Never falling as days pass. None before birth, for a known
    month below one year and for a known year below five.
    """
    latest = _latest(birth_on, precision)
    if latest > on or _completed_months(latest, on) < 12 * KNOWN_FROM_YEARS[precision]:
        return None
    return _step(latest, on)


def is_plausible(birth_on: date, precision: BirthPrecision, on: date) -> bool:
    """Whether somebody alive on a day can have been born then: not after it, not 130 years before."""
    return _earliest(birth_on, precision) <= on and on.year - birth_on.year <= OLDEST_YEARS


def _step(birth_on: date, on: date) -> int:
    days, months = (on - birth_on).days, _completed_months(birth_on, on)
    if days <= NEWBORN_DAYS:
        return days
    if months < 12 * WEEKS_UNTIL_YEARS:
        return min(days // 7, LAST_WEEK) * 7
    step = 1 if months < 12 * MONTHS_UNTIL_YEARS else 12
    completed = months // step * step
    return _of_months(completed if _of_months(completed) <= days else completed - step)


def _of_months(months: int) -> int:
    """Months as days of 365.25 a year, rounded down: as catalogues write the limits of an interval."""
    return months * 1461 // 48


def _completed_months(birth_on: date, on: date) -> int:
    return (on.year - birth_on.year) * 12 + on.month - birth_on.month - (on.day < birth_on.day)


def _earliest(birth_on: date, precision: BirthPrecision) -> date:
    if precision is BirthPrecision.YEAR:
        return date(birth_on.year, 1, 1)
    return birth_on.replace(day=1) if precision is BirthPrecision.MONTH else birth_on


def _latest(birth_on: date, precision: BirthPrecision) -> date:
    if precision is BirthPrecision.YEAR:
        return date(birth_on.year, 12, 31)
    if precision is BirthPrecision.MONTH:
        return _earliest(birth_on, precision) + timedelta(days=monthrange(birth_on.year, birth_on.month)[1] - 1)
    return birth_on
