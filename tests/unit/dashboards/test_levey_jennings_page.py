"""The Levey-Jennings page: filters narrow, levels stack, and what is drawn is what was measured."""

from datetime import timedelta

import pytest

from dashboards.levey_jennings.command import measurements
from tests.unit.dashboards.laboratories import LAST_RELEASE, OURS, LakeOnDisk, Signer, control
from tests.unit.dashboards.visits import charts_sent, figures, table, visit

pytestmark = pytest.mark.req("3.6.3")
LAST_DAY = LAST_RELEASE.date()


@pytest.mark.usefixtures("lake")
def test_the_levels_stand_below_each_other_with_their_statistics(signer: Signer) -> None:
    page = visit(signer.token(), "levey_jennings")

    assert figures(page) == {"Control results": "20", "Warnings": "1", "Rejected": "1"}
    assert [heading.value for heading in page.subheader] == ["Level 1", "Level 2", "Observed against target"]
    assert len(page.get("vega_lite_chart")) == 2
    everything = [row for row in table(page, "CV, %") if row["Points"] == "all points"]
    assert [(row["Level"], row["Lot"], row["n"], row["Target mean"], row["Observed mean"]) for row in everything] == [
        (1, "L100", 10, 100.0, 100.8), (2, "L100", 10, 250.0, 251.1)
    ]  # fmt: skip


@pytest.mark.usefixtures("lake")
def test_one_level_alone(signer: Signer) -> None:
    page = visit(signer.token(), "levey_jennings")

    page.multiselect(key="control levels").select(2).run()

    assert figures(page) == {"Control results": "10", "Warnings": "1", "Rejected": "0"}
    assert [heading.value for heading in page.subheader] == ["Level 2", "Observed against target"]


@pytest.fixture
def two_analysers(empty_lake: LakeOnDisk) -> LakeOnDisk:
    """Glucose on two analysers; a new lot of the control on the first; sodium on the second alone."""
    rows = [
        *[control(n, lot_number="L100" if n > 2 else "L200", is_example=True) for n in range(6)],
        *[control(10 + n, analyser_code="AU-2", occurred_at=LAST_RELEASE) for n in range(2)],
        control(20, analyser_code="AU-2", test_code="NA", test_name="Sodium", occurred_at=LAST_RELEASE),
        control(21, material="Other serum", lot_number="Z1", occurred_at=LAST_RELEASE),
    ]
    empty_lake.publish("fct_control_results", rows)
    return empty_lake


@pytest.mark.usefixtures("two_analysers")
def test_each_choice_narrows_the_next(signer: Signer) -> None:
    page = visit(signer.token(), "levey_jennings")
    assert page.selectbox(key="control analyser_code").options == ["AU-1", "AU-2"]
    assert page.selectbox(key="control test").options == ["GLU · Glucose"]
    assert page.selectbox(key="control material").options == ["Example Serum", "Other serum"]
    assert page.selectbox(key="control lot").options == ["All lots", "L100", "L200"]

    page.selectbox(key="control analyser_code").select("AU-2").run()

    assert page.selectbox(key="control test").options == ["GLU · Glucose", "NA · Sodium"]
    assert figures(page)["Control results"] == "2"


@pytest.mark.usefixtures("two_analysers")
def test_a_lot_alone_has_no_line_of_a_change_and_all_lots_have_one(signer: Signer) -> None:
    page = visit(signer.token(), "levey_jennings")
    assert figures(page)["Control results"] == "6"
    assert "lot L200" in charts_sent(page)

    page.selectbox(key="control lot").select("L200").run()

    assert figures(page)["Control results"] == "3"
    assert "lot L200" not in charts_sent(page)


@pytest.mark.usefixtures("two_analysers")
@pytest.mark.req("12.3")
def test_controls_with_an_example_target_are_marked(signer: Signer) -> None:
    page = visit(signer.token(), "levey_jennings")
    assert [text for text in page.markdown if "EXAMPLE" in text.value]

    page.selectbox(key="control analyser_code").select("AU-2").run()

    assert not [text for text in page.markdown if "EXAMPLE" in text.value]


def test_a_day_without_controls_says_what_to_do(empty_lake: LakeOnDisk, signer: Signer) -> None:
    empty_lake.publish("fct_control_results", [control(0), control(9)])
    page = visit(signer.token(), "levey_jennings")

    page.date_input(key="control period").set_value((LAST_DAY - timedelta(days=5), LAST_DAY - timedelta(days=5))).run()

    assert not page.exception
    assert "Choose a longer period" in page.info[0].value
    assert figures(page) == {}


def test_a_level_without_a_target_says_what_to_do(empty_lake: LakeOnDisk, signer: Signer) -> None:
    empty_lake.publish("fct_control_results", [control(n, mean=None, sd=None, z=None) for n in range(2)])

    page = visit(signer.token(), "levey_jennings")

    assert not page.exception
    assert "Set a target" in page.info[0].value
    assert not page.get("vega_lite_chart")
    assert "Chart to print (PNG, A4)" not in [button.label for button in page.download_button]


@pytest.mark.usefixtures("lake")
def test_points_and_statistics_can_be_downloaded_and_the_chart_printed(
    signer: Signer, downloads: dict[str, bytes]
) -> None:
    page = visit(signer.token(), "levey_jennings")

    header, *points = downloads["control_results.csv"].decode("utf-8-sig").splitlines()
    assert len(points) == measurements(OURS, "GLU").height == 20
    assert header.startswith("occurred_at,site_name,analyser_code,test_code")
    assert sum("1-3s (run)" in point for point in points) == 1
    assert len(downloads["control_statistics.csv"].splitlines()) == 5
    assert [button.label for button in page.download_button][-1] == "Chart to print (PNG, A4)"
