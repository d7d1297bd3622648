"""The only place that reads the clock."""

from datetime import UTC, date, datetime, timedelta, timezone

INDIA = timezone(timedelta(hours=5, minutes=30), "IST")


def utc_now() -> datetime:
    """The current instant, aware, in UTC."""
    return datetime.now(UTC)


def business_day(moment: datetime) -> date:
    """The laboratory's calendar day (IST) on which a moment falls."""
    return moment.astimezone(INDIA).date()
