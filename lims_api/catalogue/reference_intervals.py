"""Which reference interval holds for a person; pure."""

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Protocol, TypeVar

ANY_SEX = "any"


class Pregnancy(StrEnum):
    """For whom an interval holds: whether she is pregnant or not, who is not, or who is in one trimester."""

    ANY = "any"
    NOT_PREGNANT = "not_pregnant"
    TRIMESTER_1 = "trimester_1"
    TRIMESTER_2 = "trimester_2"
    TRIMESTER_3 = "trimester_3"


class Band(Protocol):
    """One row of limits: for a sex ('male', 'female', 'any'), a state of pregnancy, and ages from (inclusive) to
    (exclusive), in days."""

    @property
    def sex(self) -> str: ...
    @property
    def pregnancy(self) -> str: ...
    @property
    def age_from_days(self) -> int: ...
    @property
    def age_to_days(self) -> int: ...


B = TypeVar("B", bound=Band)


def interval_for(
    bands: Iterable[B], sex: str | None, age_days: int | None, pregnancy: Pregnancy | None = None
) -> B | None:
    """The band of this person; a row of their state of pregnancy goes before one of any, then a row of their sex.

    An interval for a trimester holds only for whom that trimester is stated; who states nothing is judged as not
    pregnant. None when sex or age is missing and the bands differ by it, so that nothing is judged by a range that may
    be another person's.
    """
    state = pregnancy or Pregnancy.NOT_PREGNANT
    of_age = [band for band in bands if age_days is None or band.age_from_days <= age_days < band.age_to_days]
    of_state = [band for band in of_age if band.pregnancy in (state, Pregnancy.ANY)]
    possible = [band for band in of_state if sex is None or band.sex in (sex, ANY_SEX)]
    possible = [band for band in possible if band.pregnancy == state] or possible
    own = [band for band in possible if band.sex != ANY_SEX]
    chosen = own or possible
    if (own and sex is None) or (age_days is None and not all(map(_covers_all_ages, chosen))):
        return None
    return next(iter(chosen), None)


def overlapping(bands: Iterable[Band]) -> bool:
    """Whether two bands of one sex and state of pregnancy claim the same age."""
    alike: dict[tuple[str, str], list[Band]] = {}
    for band in bands:
        alike.setdefault((band.sex, band.pregnancy), []).append(band)
    for same in alike.values():
        same.sort(key=lambda band: band.age_from_days)
        if any(later.age_from_days < earlier.age_to_days for earlier, later in pairwise(same)):
            return True
    return False


def _covers_all_ages(band: Band) -> bool:
    return band.age_from_days == 0 and band.age_to_days >= 120 * 365


def within(value: Decimal, low: Decimal | None, high: Decimal | None) -> bool:
    """Both limits belong to the interval."""
    return (low is None or value >= low) and (high is None or value <= high)
