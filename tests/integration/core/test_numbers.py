"""Consecutive numbers: none twice, none left out, also when many ask at once and some fail."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from lims_api.core.db import SystemCaller, transaction
from lims_api.core.db.numbers import next_number
from tests.conftest import Environment
from tests.factories import organization

SERIES = (("order", 2026), ("order", 2026), ("order", 2027), ("uhid", 2026))


class Failed(Exception):
    """What a test's transaction ends with."""


def test_numbers_are_consecutive_over_many_transactions_of_which_some_fail(environment: Environment) -> None:
    caller = SystemCaller(database=environment.app, organization_id=organization(environment))

    def take(attempt: int) -> int | None:
        try:
            with transaction(caller) as session:
                number = next_number(session, "order", 2026)
                if attempt % 3 == 0:
                    raise Failed
        except Failed:
            return None
        return number

    with ThreadPoolExecutor(4) as pool:
        taken = [number for number in pool.map(take, range(30)) if number is not None]

    assert sorted(taken) == list(range(1, 21))


def test_each_series_year_and_laboratory_counts_for_itself(environment: Environment) -> None:
    one, other = (SystemCaller(database=environment.app, organization_id=organization(environment)) for _ in range(2))

    with transaction(one) as session:
        first = [
            next_number(session, *of) for of in (("order", 2026), ("order", 2026), ("order", 2027), ("uhid", 2026))
        ]
    with transaction(other) as session:
        elsewhere = next_number(session, "order", 2026)

    assert first == [1, 2, 1, 1]
    assert elsewhere == 1
