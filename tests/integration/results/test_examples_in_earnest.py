"""EXAMPLE limits outside an example organization: approved or not, nothing is released or authorised by them."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from lims_api.results.autoverification import Reason
from tests.integration.laboratory import Laboratory


@pytest.fixture
def in_earnest(lab: Laboratory) -> Iterator[Laboratory]:
    """The laboratory as if it were a real one, with the shipped EXAMPLE rows approved."""
    _is_example(lab, False)
    yield lab
    _is_example(lab, True)


def _is_example(lab: Laboratory, value: bool) -> None:
    with psycopg.connect(lab.environment.superuser_dsn) as connection:
        connection.execute("update lims.organizations set is_example = %s where id = %s", (value, lab.organization_id))


@pytest.mark.req("12.3")
def test_an_approved_example_releases_and_authorises_nothing_in_a_real_laboratory(in_earnest: Laboratory) -> None:
    measured = in_earnest.measure("GLU")

    answer = in_earnest.call("POST", "/v1/results/authorise", {"result_ids": [measured.line()["id"]]})

    assert measured.reasons() == [Reason.UNAPPROVED_DEFINITION]
    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]) == (409, "not-authorisable")
    assert measured.line()["status"] == "held"


@pytest.mark.req("12.3")
def test_the_same_is_released_in_an_example_laboratory(lab: Laboratory) -> None:
    assert lab.measure("GLU").reasons() == []
