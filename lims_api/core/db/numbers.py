"""Consecutive numbers: one row a series and year, taken under lock."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from lims_api.core.db.database import actor_of

_NEXT = text(
    "insert into lims.number_series as s (organization_id, series, year, last)"
    " values (:organization_id, :series, :year, 1)"
    " on conflict (organization_id, series, year) do update set last = s.last + 1 returning last"
)


def next_number(session: Session, series: str, year: int) -> int:
    """The next number of a series ('order', 'accession', 'uhid') in a year, from 1, without gaps.

    The series stays locked until the transaction ends, and a roll-back gives the number back: take it as the last
    thing before the row that bears it.
    """
    taken: int = session.execute(
        _NEXT, {"organization_id": actor_of(session).organization_id, "series": series, "year": year}
    ).scalar_one()
    return taken
