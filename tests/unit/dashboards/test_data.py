"""Rows from gold: of the right days, and of the caller's organization only."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from dashboards import data, lake
from dashboards.access import Access
from pipelines.gold import MARTS
from tests.unit.dashboards.laboratories import NOBODYS, OURS, THEIRS, LakeOnDisk, control

ALWAYS = (date(2000, 1, 1), date(2100, 1, 1))
QUERIES = [data.released_tests, data.judged_results, data.corrections, data.control_results]


def access(organization: str) -> Access:
    """A right to one organization, as `verify` makes it."""
    return Access(organization_id=organization, subject="x", expires_at=datetime.now(UTC) + timedelta(minutes=5))


@pytest.mark.usefixtures("lake", "signer")
@pytest.mark.req("3.13.1")
def test_each_organization_reads_its_own_rows_and_a_stranger_none() -> None:
    counted = {who: [query(access(who), *ALWAYS).height for query in QUERIES] for who in (OURS, THEIRS, NOBODYS)}

    assert counted == {OURS: [11, 10, 1, 20], THEIRS: [5, 6, 0, 7], NOBODYS: [0, 0, 0, 0]}
    for who in (OURS, THEIRS):
        for query in QUERIES:
            assert set(query(access(who), *ALWAYS)["organization_id"]) <= {who}
    assert [data.open_tests(access(who)).height for who in (OURS, THEIRS)] == [1, 0]
    assert [data.held_results(access(who)).height for who in (OURS, THEIRS)] == [1, 0]
    for days in (data.released_days, data.judged_days, data.control_days):
        assert days(access(NOBODYS)) is None


@pytest.mark.usefixtures("lake", "signer")
def test_a_new_token_of_the_same_organization_finds_the_cached_rows_and_another_organization_does_not() -> None:
    first = data.open_tests(access(OURS))

    assert data.open_tests(access(OURS)).equals(first)
    assert data.open_tests(access(THEIRS)).height == 0


def test_days_are_days_in_india(empty_lake: LakeOnDisk, signer: object) -> None:
    late_evening_utc = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)  # 21-Nov-2026 00:00 IST
    just_before = late_evening_utc - timedelta(microseconds=1)
    rows = [control(0, occurred_at=late_evening_utc), control(1, occurred_at=just_before)]
    empty_lake.publish("fct_control_results", rows)

    assert data.control_days(access(OURS)) == (date(2026, 11, 20), date(2026, 11, 21))
    assert data.control_results(access(OURS), date(2026, 11, 21), date(2026, 11, 21)).height == 1
    assert data.control_results(access(OURS), date(2026, 11, 20), date(2026, 11, 20)).height == 1


@pytest.mark.usefixtures("empty_lake", "signer")
def test_a_lake_without_tables_is_empty() -> None:
    assert data.released_days(access(OURS)) is None
    assert data.control_results(access(OURS), *ALWAYS).is_empty()
    assert data.known_until(access(OURS), lake.RESULTS) == (None, None)


@pytest.mark.usefixtures("lake", "signer")
def test_a_catalogue_that_does_not_answer_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMS_LAKE_CATALOG_URL", "sqlite:////nonexistent/folder/catalog.db")

    with pytest.raises(lake.LakeUnavailable):
        data.released_days(access(OURS))


@pytest.mark.parametrize("name", lake.COLUMNS)
@pytest.mark.req("4.1.2")
def test_what_is_read_is_published_and_nothing_of_it_is_a_patients(name: str) -> None:
    assert lake.COLUMNS[name].keys() <= set(MARTS[name].schema.names)
    assert not {"patient_key", "order_id", "specimen_id", "value_text", "age_days", "sex"} & lake.COLUMNS[name].keys()


def test_filters_choose_and_choosing_nothing_means_all() -> None:
    rows = pl.DataFrame({"test": ["GLU", "NA", "K"], "priority": ["stat", "stat", "routine"]})

    assert data.chosen(rows, {"test": [], "priority": []}).height == 3
    assert data.chosen(rows, {"test": ["GLU", "K"]}).height == 2
    assert data.chosen(rows, {"test": ["GLU", "K"], "priority": ["stat"]})["test"].to_list() == ["GLU"]
    assert data.chosen(rows, {"test": ["TSH"]}).is_empty()


def test_an_exported_text_cannot_run_in_a_spreadsheet() -> None:
    rows = pl.DataFrame({"lot": ["=1+1", "+1", "-1", "@x", "L100", None], "z": [-1.5, 0, 0, 0, 0, 0]})

    lines = data.as_csv(rows).decode("utf-8-sig").splitlines()

    assert lines[1:] == ["'=1+1,-1.5", "'+1,0.0", "'-1,0.0", "'@x,0.0", "L100,0.0", ",0.0"]
