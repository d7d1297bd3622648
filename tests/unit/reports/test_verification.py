"""The page of a report's code is markup of ours around words of others."""

from datetime import UTC, datetime

import pytest

from lims_api.reports.verification import Verified, page

AT = datetime(2026, 11, 24, 12, 36, tzinfo=UTC)
REPORT = Verified("Nidan", "26-0000003", 1, AT, "ab" * 32, False, 1, False)


def test_the_page_says_the_time_as_the_paper_does() -> None:
    assert "24-Nov-2026 18:06 IST" in page(REPORT)


@pytest.mark.parametrize("field", ["laboratory", "order_number"])
def test_a_name_is_never_markup(field: str) -> None:
    made = page(REPORT._replace(**{field: "<script>{title}</script>"}, newest_version=2))

    assert "<script>" not in made
    assert "&lt;script&gt;{title}&lt;/script&gt;" in made


@pytest.mark.parametrize(
    ("changed", "stands"),
    [({}, True), ({"newest_version": 2}, False), ({"is_in_question": True}, False)],
    ids=["newest", "replaced", "in question"],
)
def test_only_the_newest_report_that_nobody_doubts_stands(changed: dict[str, int | bool], stands: bool) -> None:
    assert ("its newest version" in page(REPORT._replace(**changed))) is stands


def test_an_example_says_so() -> None:
    assert "EXAMPLE" in page(REPORT._replace(is_example=True))
    assert "EXAMPLE" not in page(REPORT)
