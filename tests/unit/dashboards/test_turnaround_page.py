"""The turnaround page: its numbers against ones computed by hand from the published rows."""

from datetime import timedelta
from statistics import median, quantiles

import pytest

from tests.unit.dashboards.laboratories import LAST_RELEASE, LakeOnDisk, Row, Signer, ordered_test, our_turnaround
from tests.unit.dashboards.visits import figures, table, visit

pytestmark = pytest.mark.req("3.10.1")
LAST_DAY = LAST_RELEASE.date()


def released(days: int) -> list[Row]:
    """Our rows released on the last so many days."""
    since = LAST_RELEASE - timedelta(days=days - 1)
    return [row for row in our_turnaround() if row["authorised_at"] and row["authorised_at"] >= since]


def p90(values: list[float]) -> float:
    return quantiles(values, n=10, method="inclusive")[8]


@pytest.mark.usefixtures("lake")
def test_the_last_seven_days_are_shown_first(signer: Signer) -> None:
    page = visit(signer.token())

    totals = [row["minutes_total"] for row in released(7)]
    assert figures(page) == {
        "Tests released": "7", "Median": f"{median(totals):.0f} min", "90th percentile": f"{p90(totals):.0f} min",
        "Within target": "100.0 %", "Target": "60 min", "Open tests": "1", "Overdue": "1", "Oldest order": "300 min",
    }  # fmt: skip


@pytest.mark.usefixtures("lake")
def test_a_longer_period_has_more_tests_and_the_late_ones(signer: Signer) -> None:
    page = visit(signer.token())

    page.date_input(key="turnaround period").set_value((LAST_DAY - timedelta(days=29), LAST_DAY)).run()

    totals = [row["minutes_total"] for row in released(30)]
    shown = figures(page)
    assert (shown["Tests released"], shown["Median"]) == ("10", f"{median(totals):.0f} min")
    assert shown["90th percentile"] == f"{p90(totals):.0f} min"
    assert shown["Within target"] == "80.0 %"


@pytest.mark.usefixtures("lake")
def test_each_stage_has_its_median(signer: Signer) -> None:
    page = visit(signer.token())

    medians = {row["Stage"]: row["Median, min"] for row in table(page, "Stage")}

    assert medians == {"Order to collection": 1.0, "Collection to receipt": 4.0, "Receipt to result": 2.0,
                       "Result to release": 3.0, "Order to release": 40.0}  # fmt: skip


@pytest.mark.usefixtures("lake")
def test_another_stage_changes_the_figures_and_not_the_share_within_target(signer: Signer) -> None:
    page = visit(signer.token())

    page.selectbox(key="stage").select("Receipt to result").run()

    assert (figures(page)["Median"], figures(page)["Within target"]) == ("2 min", "100.0 %")


@pytest.fixture
def mixed(empty_lake: LakeOnDisk) -> None:
    """A routine glucose at 06:00, and an urgent TSH of another discipline and site at 15:00 Indian time, twice."""
    other = {"test_code": "TSH", "test_name": "Thyrotropin", "discipline": "Immunoassay", "priority": "urgent",
             "analyser_code": "AU-2", "site_name": "Second site", "is_example": True}  # fmt: skip
    morning = LAST_RELEASE.replace(hour=0, minute=30)
    afternoon = LAST_RELEASE.replace(hour=9, minute=30)
    rows = [ordered_test(0, placed_at=morning, minutes_total=60.0),
            *[ordered_test(n, placed_at=afternoon, minutes_total=100.0 * n, **other) for n in (1, 2)]]  # fmt: skip
    empty_lake.publish("fct_turnaround", rows)


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize(
    ("group", "column", "expected"),
    [
        ("Test", "Test", {"GLU · Glucose": 60.0, "TSH · Thyrotropin": 150.0}),
        ("Discipline", "Discipline", {"Chemistry": 60.0, "Immunoassay": 150.0}),
        ("Priority", "Priority", {"routine": 60.0, "urgent": 150.0}),
        ("Analyser", "Analyser", {"AU-1": 60.0, "AU-2": 150.0}),
        ("Site", "Site", {"Our laboratory": 60.0, "Second site": 150.0}),
        ("Hour of the order", "Hour of the order", {"06:00": 60.0, "15:00": 150.0}),
        ("Weekday of the order", "Weekday of the order", {f"{LAST_RELEASE:%A}": 100.0}),
    ],
)
def test_tests_are_compared_by(group: str, column: str, expected: dict[str, float], signer: Signer) -> None:
    page = visit(signer.token())

    page.selectbox(key="group").select(group).run()

    assert not page.exception
    assert {row[column]: row["Median, min"] for row in table(page, "Within target, %")} == expected


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("test", "TSH · Thyrotropin"),
        ("discipline", "Immunoassay"),
        ("priority", "urgent"),
        ("analyser_code", "AU-2"),
        ("site_name", "Second site"),
    ],
)
def test_a_filter_leaves_what_it_names(column: str, value: str, signer: Signer) -> None:
    page = visit(signer.token())

    page.multiselect(key=f"turnaround {column}").select(value).run()

    assert (figures(page)["Tests released"], figures(page)["Median"]) == ("2", "150 min")


@pytest.mark.usefixtures("mixed")
def test_filters_that_leave_nothing_say_so(signer: Signer) -> None:
    page = visit(signer.token())

    page.multiselect(key="turnaround priority").select("urgent").run()
    page.multiselect(key="turnaround discipline").select("Chemistry").run()

    assert "Choose a longer period or fewer filters" in page.info[0].value
    assert "Tests released" not in figures(page)


@pytest.mark.usefixtures("mixed")
@pytest.mark.req("12.3")
def test_tests_with_an_example_target_are_marked_and_others_are_not(signer: Signer) -> None:
    page = visit(signer.token())
    (mark,) = [text.value for text in page.markdown if "EXAMPLE" in text.value]
    assert "of TSH are examples" in mark

    page.multiselect(key="turnaround test").select("GLU · Glucose").run()

    assert not [text for text in page.markdown if "EXAMPLE" in text.value]


@pytest.mark.usefixtures("lake")
def test_an_open_test_is_counted_where_it_waits(signer: Signer) -> None:
    page = visit(signer.token())

    assert table(page, "Overdue") == [
        {"Test": "GLU · Glucose", "Open": 1, "Overdue": 1, "wait for collection": 0, "wait for receipt": 0,
         "wait for result": 1, "wait for release": 0, "Oldest, min": 300.0}
    ]  # fmt: skip


@pytest.mark.usefixtures("lake")
def test_half_a_period_is_one_day(signer: Signer) -> None:
    page = visit(signer.token())

    page.date_input(key="turnaround period").set_value((LAST_DAY,)).run()

    assert not page.exception
    assert figures(page)["Tests released"] == "1"


@pytest.mark.usefixtures("lake")
def test_the_tables_can_be_downloaded(signer: Signer, downloads: dict[str, bytes]) -> None:
    visit(signer.token())

    assert downloads["turnaround_by_test.csv"].decode("utf-8-sig").splitlines() == [
        'Test,Tests,"Target, min","Median, min","90th percentile, min","Within target, %"',
        "GLU · Glucose,7,60.0,40.0,64.0,100.0",
    ]
    assert downloads.keys() == {"turnaround_by_stage.csv", "turnaround_by_test.csv", "open_tests.csv"}
