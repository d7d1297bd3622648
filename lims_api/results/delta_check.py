"""The delta check: a change against the patient's last result that is larger than the test's limit; pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal


@dataclass(frozen=True)
class Delta:
    """The change against the previous value, in percent of it, and whether it is within the limit."""

    percent: Decimal
    exceeded: bool


def delta(
    value: Decimal, at: datetime, previous: Decimal, previous_at: datetime, *, limit_percent: Decimal, window_days: int
) -> Delta | None:
    """|value - previous| / |previous| against the limit; None outside the window or when the previous value is zero."""
    if previous == 0 or at - previous_at > timedelta(days=window_days):
        return None
    percent = abs(value - previous) / abs(previous) * 100
    return Delta(percent, percent > limit_percent)
