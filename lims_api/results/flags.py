"""The flag of a value against its limits; pure."""

from decimal import Decimal

CRITICAL_FLAGS = frozenset({"LL", "HH"})
"""A value beyond a critical limit: somebody must be told."""


def flag(
    value: Decimal | None,
    comparator: str | None,
    low: Decimal | None,
    high: Decimal | None,
    critical_low: Decimal | None = None,
    critical_high: Decimal | None = None,
) -> str | None:
    """'LL' or 'HH' critical, 'L' or 'H' outside the interval, 'N' inside (limits belong to it); None when it cannot
    be told: no value, no limits, or a comparator that leaves it open ('<5' against a low limit of 3)."""
    if value is None:
        return None
    if _below(value, comparator, critical_low):
        return "LL"
    if _above(value, comparator, critical_high):
        return "HH"
    if _below(value, comparator, low):
        return "L"
    if _above(value, comparator, high):
        return "H"
    lows, highs = _known(low, critical_low), _known(high, critical_high)
    if (low is None and high is None) or _open(value, comparator, max(lows, default=None), min(highs, default=None)):
        return None
    return "N"


def _known(*limits: Decimal | None) -> list[Decimal]:
    return [limit for limit in limits if limit is not None]


def _below(value: Decimal, comparator: str | None, limit: Decimal | None) -> bool:
    """Certainly below the limit: '<0.2' is below 0.2."""
    if limit is None or comparator in (">", ">="):
        return False
    return value <= limit if comparator == "<" else value < limit


def _above(value: Decimal, comparator: str | None, limit: Decimal | None) -> bool:
    if limit is None or comparator in ("<", "<="):
        return False
    return value >= limit if comparator == ">" else value > limit


def _open(value: Decimal, comparator: str | None, low: Decimal | None, high: Decimal | None) -> bool:
    """A comparator whose range reaches past a limit that the value itself does not pass."""
    if comparator in ("<", "<="):
        return low is not None or (high is not None and value > high)
    if comparator in (">", ">="):
        return high is not None or (low is not None and value < low)
    return False
