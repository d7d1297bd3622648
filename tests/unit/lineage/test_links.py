"""The rules of a chain: what was captured, what a report shows, what the delta check looked at."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lims_api.lineage.attached import line_of
from lims_api.lineage.chain import Finding, Step, compared
from lims_api.lineage.copies import is_captured
from lims_api.lineage.judgement import last_authorised
from lims_api.lineage.known import Version
from lims_api.lineage.scoring import history_then, superseded_then
from lims_api.lineage.standing import shown_by
from lims_api.results.models import Entry, Result

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def version(number: int = 1, *, authorised: timedelta | None = -5 * HOUR, specimen: int = 1, **changed: Any) -> Version:
    at = NOON + (authorised or -5 * HOUR)
    known: dict[str, Any] = {
        "id": UUID(int=specimen * 100 + number), "patient_id": UUID(int=1), "specimen_id": UUID(int=specimen),
        "test_code": "GLU", "version": number, "status": "authorised", "value": Decimal(85), "corrects_id": None,
        "recorded_at": at, "available_at": at, "authorised_at": None if authorised is None else at,
        "entry": Entry.INSTRUMENT, "comparator": None, "reference_low": Decimal(70), "reference_high": Decimal(100),
        "sex": "male", "age_days": 15_000,
    }  # fmt: skip
    return Version(**(known | changed))


@pytest.mark.req("11.1")
@pytest.mark.parametrize(
    ("xid", "captured"), [(9, True), (10, True), (11, False), (12, True), (13, False), (20, False), (21, False)]
)
def test_captured_is_what_was_over_in_the_snapshot(xid: int, captured: bool) -> None:
    assert is_captured(xid, "11:20:11,13") is captured


@pytest.mark.parametrize("snapshot", ["1:1:", "", "nonsense"])
def test_before_the_first_capture_nothing_is(snapshot: str) -> None:
    assert not is_captured(1, snapshot)


@given(st.sets(st.integers(5, 30)), st.integers(1, 40))
def test_a_transaction_in_flight_was_never_captured(flying: set[int], xid: int) -> None:
    snapshot = f"5:31:{','.join(map(str, sorted(flying)))}"

    assert is_captured(xid, snapshot) is (xid < 31 and xid not in flying)


def test_a_report_shows_the_version_that_stood_when_it_was_released() -> None:
    first, second = version(1, authorised=-5 * HOUR), version(2, authorised=-1 * HOUR)
    both = [first, second]

    assert [shown_by(one, both, NOON - 2 * HOUR) for one in both] == [True, False]
    assert [shown_by(one, both, NOON) for one in both] == [False, True]
    assert not shown_by(version(authorised=None), both, NOON)


def test_the_delta_check_saw_the_last_value_that_stood_then_of_another_specimen() -> None:
    result = Result(specimen_id=UUID(int=9), recorded_at=NOON)
    older, newer = version(specimen=1, authorised=-9 * HOUR), version(specimen=2, authorised=-3 * HOUR)
    own, held = version(specimen=9, authorised=-2 * HOUR), version(specimen=3, authorised=None)
    later = version(specimen=4, authorised=HOUR)
    imported_later = version(specimen=5, authorised=-2 * HOUR, recorded_at=NOON + HOUR)

    seen = last_authorised([newer, older, own, held, later, imported_later], result)

    assert seen == newer
    assert last_authorised([own, held, later], result) is None


def test_a_correction_counts_from_when_it_was_authorised() -> None:
    result = Result(specimen_id=UUID(int=9), recorded_at=NOON)
    first = version(1, authorised=-5 * HOUR)
    early, late = version(2, authorised=-1 * HOUR), version(2, authorised=HOUR, recorded_at=NOON - HOUR)

    assert last_authorised([first, early], result) == early
    assert last_authorised([first, late], result) == first


def test_a_version_typed_over_a_held_one_takes_its_place_at_once_over_an_authorised_one_when_signed() -> None:
    held, released = version(1, authorised=None), version(1, authorised=-5 * HOUR)
    typed = version(2, authorised=HOUR, entry=Entry.MANUAL, corrects_id=held.id, recorded_at=NOON - HOUR)

    assert superseded_then(held, [held, typed], NOON)
    assert not superseded_then(held, [held, typed], NOON - 2 * HOUR)
    assert not superseded_then(released, [released, typed], NOON)
    assert superseded_then(released, [released, typed], NOON + 2 * HOUR)


@given(st.lists(st.booleans(), max_size=9))
def test_the_history_is_each_tests_newest_four_and_its_newest_two_authorised(authorised: list[bool]) -> None:
    results = [
        version(specimen=number, authorised=-number * HOUR if signed else None, available_at=NOON - number * HOUR)
        for number, signed in enumerate(authorised, start=1)
    ]
    signed = [one for one in results if one.authorised_at]

    kept = history_then(results, NOON)

    assert {one.id for one in kept} == {one.id for one in results[:4] + signed[:2]}
    assert len(kept) == len({one.id for one in kept})


def test_a_link_shows_both_sides_of_what_differs_and_only_that() -> None:
    link = compared(Step.VALUE, [("value", Decimal("85"), Decimal("58")), ("unit", "mg/dL", "mg/dL")])

    assert (link.finding, len(link.differences)) == (Finding.DIFFERS, 1)
    assert (link.differences[0].derived, link.differences[0].stored) == ("85", "58")


@given(st.lists(st.tuples(st.text(), st.none() | st.integers() | st.text()), max_size=5))
def test_equal_sides_never_differ(sides: list[tuple[str, Any]]) -> None:
    assert compared(Step.VALUE, [(name, side, side) for name, side in sides]).finding is Finding.OK


def _pdf(content: bytes) -> bytes:
    return b"%PDF\n1 0 obj\n<</Type /EmbeddedFile /Filter /FlateDecode>>\nstream\n" + content + b"\nendstream\nendobj"


def test_a_reports_part_for_computers_is_read_out_of_its_file() -> None:
    observation = {
        "resourceType": "Observation", "id": str(UUID(int=1)), "code": {"coding": [{"code": "2345-7"}]},
        "valueQuantity": {"value": 4.1, "unit": "mg/dL", "comparator": "<"},
        "interpretation": [{"coding": [{"code": "L"}]}],
    }  # fmt: skip
    content = json.dumps({"entry": [{"resource": {"resourceType": "Patient"}}, {"resource": observation}]})
    whole = _pdf(zlib.compress(content.replace("4.1", "4.10").encode()))

    assert line_of(whole, UUID(int=1)) == {
        "loinc": "2345-7", "value": Decimal("4.10"), "comparator": "<", "unit": "mg/dL", "flag": "L",
    }  # fmt: skip
    assert line_of(whole, UUID(int=2)) == {}


@pytest.mark.parametrize("content", [b"", b"no stream", zlib.compress(b"[not JSON"), zlib.compress(b'{"results": []}')])
def test_a_file_without_a_readable_part_says_nothing(content: bytes) -> None:
    assert line_of(_pdf(content), UUID(int=1)) is None
    assert line_of(b"%PDF", UUID(int=1)) is None
