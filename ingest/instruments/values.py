"""Texts that analysers send, as numbers, instants and days. A text that is not one is simply `None`."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal

_NUMBER = re.compile(
    r"\s*(<=|>=|<|>)?\s*([+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,2})?)\s*"
)
_TIME = re.compile(r"([0-9]{12}(?:[0-9]{2})?)(?:\.([0-9]{1,6})[0-9]*)?(?:([+-])([0-9]{2})([0-9]{2}))?")


def number(text: str) -> tuple[str | None, Decimal | None]:
    """Comparator and number when the text is nothing else: `<0.5` is ("<", 0.5), `5.4` is (None, 5.4).

    A comma, a range or a word is no number: it is never guessed.
    """
    if text.isascii() and text.replace(".", "", 1).isdigit() and len(text) < 40:
        return None, Decimal(text)
    found = _NUMBER.fullmatch(text)
    return (found[1], Decimal(found[2])) if found else (None, None)


def instant(text: str, zone: tzinfo) -> datetime | None:
    """HL7's YYYYMMDDHHMM[SS[.S]][+ZZZZ], in the analyser's `zone` when it has no offset; a mere day is no instant."""
    if len(text) == 14 and text.isascii() and text.isdigit():
        return _local(text, zone)
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    digits, fraction, sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    if offset >= timedelta(days=1) or offset <= -timedelta(days=1):
        return None
    moment = _local(digits, timezone(offset) if sign else zone)
    return moment.replace(microsecond=int((fraction or "0").ljust(6, "0"))) if moment else None


def day(text: str | None) -> date | None:
    """The calendar day that an HL7 time begins with, if there is such a day."""
    digits = (text or "")[:8]
    if len(digits) < 8 or not (digits.isascii() and digits.isdigit()):
        return None
    try:
        return date.fromisoformat(digits)
    except ValueError:
        return None


def _local(digits: str, zone: tzinfo) -> datetime | None:
    try:
        naive = datetime.fromisoformat(f"{digits[:8]}T{digits[8:]}")
    except ValueError:
        return None
    return datetime.combine(naive, naive.time(), zone)  # four times faster than `replace`
