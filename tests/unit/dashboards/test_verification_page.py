"""The verification page: its numbers against ones counted by hand from the published rows."""

from datetime import timedelta

import pytest

from dashboards.reasons import REASONS
from lims_api.results.autoverification import Reason
from tests.unit.dashboards.laboratories import LAST_RELEASE, LakeOnDisk, Signer, held, result
from tests.unit.dashboards.visits import figures, table, visit

pytestmark = pytest.mark.req("3.10.1")
LAST_DAY = LAST_RELEASE.date()


@pytest.mark.usefixtures("lake")
def test_results_are_counted_by_outcome_and_imports_are_not(signer: Signer) -> None:
    page = visit(signer.token(), "verification")

    # Four automatic, three by a person (one of them a correction), one waits, one was replaced; waits 5, 20 and 60 min.
    assert figures(page) == {
        "Results": "9", "Automatic": "44.4 %", "Held": "55.6 %", "By a person": "3", "Median wait": "20 min",
        "Waiting now": "1", "Corrections": "1 (142.9 \u2030)",
    }  # fmt: skip


@pytest.mark.usefixtures("lake")
def test_reasons_are_told_in_words_and_counted_once_for_each_result(signer: Signer) -> None:
    page = visit(signer.token(), "verification")

    told = {row["Code"]: (row["Reason"], row["Kind"], row["Results"], row["For this alone"], row["Of the held, %"])
            for row in table(page, "Code")}  # fmt: skip
    assert told == {
        "delta_check": ("Differs much from the patient's last value", "rule", 2, 1, 40.0),
        "model_risk": ("The model doubts the value", "model", 1, 0, 20.0),
        "critical_value": ("Critical value", "gate", 1, 1, 20.0),
        "repeat_measurement": ("Measured more than once", "gate", 1, 1, 20.0),
        "correction": ("A correction entered by a person", "by hand", 1, 1, 20.0),
    }


@pytest.mark.usefixtures("lake")
def test_each_test_has_its_hold_rate(signer: Signer) -> None:
    page = visit(signer.token(), "verification")

    rows = {row["Test"]: row for row in table(page, "Held, %") if "Test" in row}

    assert rows["K · Potassium"]["Held, %"] == 100.0
    assert rows["GLU · Glucose"]["Held, %"] == 50.0
    assert rows["K · Potassium"]["Median wait, min"] == 60.0


@pytest.mark.usefixtures("lake")
def test_versions_of_model_and_rules_stand_beside_what_they_released(signer: Signer) -> None:
    page = visit(signer.token(), "verification")

    page.date_input(key="verification period").set_value((LAST_DAY - timedelta(days=40), LAST_DAY)).run()

    versions = {(row["Model"], row["Rules"]): (row["Results"], row["Automatic, %"]) for row in table(page, "Model")}
    assert versions == {("2", "1"): (1, 100.0), ("3", "1"): (9, 44.4)}


@pytest.mark.usefixtures("lake")
def test_a_correction_is_listed_without_anything_of_the_patient(signer: Signer, downloads: dict[str, bytes]) -> None:
    page = visit(signer.token(), "verification")

    (row,) = table(page, "Codes")
    at = LAST_RELEASE + timedelta(hours=5, minutes=35)
    assert row == {"Released (IST)": f"{at:%d-%b-%Y %H:%M}", "Test": "GLU · Glucose", "Site": "Our laboratory",
                   "Analyser": "AU-1", "Entry": "manual", "Codes": "correction"}  # fmt: skip
    assert not [name for name, content in downloads.items() if b"patient 0" in content or b"h5" in content]


@pytest.mark.usefixtures("lake")
def test_a_filter_leaves_what_it_names(signer: Signer) -> None:
    page = visit(signer.token(), "verification")

    page.multiselect(key="verification test").select("K · Potassium").run()

    assert (figures(page)["Results"], figures(page)["Held"]) == ("1", "100.0 %")
    assert figures(page)["Corrections"] == "0 (0.0 \u2030)"
    assert "No released result was corrected in this period." in [info.value for info in page.info]


def test_where_nothing_was_held_nothing_is_explained(empty_lake: LakeOnDisk, signer: Signer) -> None:
    empty_lake.publish("fct_results", [result(0), result(1)])

    page = visit(signer.token(), "verification")

    assert not page.exception
    assert "Nothing was held." in [info.value for info in page.info]
    assert figures(page)["Automatic"] == "100.0 %"


def test_the_oldest_held_result_counts_whatever_the_period(empty_lake: LakeOnDisk, signer: Signer) -> None:
    empty_lake.publish("fct_results", [result(0), held(50, result_id="forgotten")])

    page = visit(signer.token(), "verification")

    assert (figures(page)["Results"], figures(page)["Waiting now"]) == ("1", "1")
    (waiting,) = [metric for metric in page.metric if metric.label == "Waiting now"]
    assert "The oldest for 12" in waiting.proto.help  # 51 days in hours


@pytest.mark.req("12.3")
def test_results_judged_by_example_limits_are_marked(empty_lake: LakeOnDisk, signer: Signer) -> None:
    empty_lake.publish("fct_results", [result(0, is_example=True), result(1)])

    page = visit(signer.token(), "verification")

    assert [text.value for text in page.markdown if "EXAMPLE" in text.value] == [
        ":red-badge[EXAMPLE] The limits of GLU are examples, not this laboratory's own."
    ]


def test_every_reason_of_the_application_has_a_text_here() -> None:
    assert REASONS.keys() == set(Reason)
