"""`make demo ONCE=1` in small: the installed command, every program in a process of its own, over real sockets."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pikepdf
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import EqualTo

from tests.e2e.conftest import Day

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.timeout(900)]
KEYS = {
    "patients", "orders", "specimens", "results_sent", "results_recorded", "results_lost", "results_duplicated",
    "auto_released", "held", "reports", "ledger_rows", "bronze_rows", "marts", "model", "seconds", "urls",
}  # fmt: skip


@pytest.mark.req("0.2")
@pytest.mark.req("0.6")
@pytest.mark.req("11.9")
def test_a_day_leaves_nothing_lost_and_the_lake_holds_the_whole_ledger(day: Day) -> None:
    account = day.account

    assert account.keys() >= KEYS
    assert account["results_sent"] == account["results_recorded"] + account["results_parked"] > 0
    assert (account["results_lost"], account["results_duplicated"]) == (0, 0)
    released = account["auto_released"] + account["authorised_by_hand"]
    assert released + account["held"] == account["results_recorded"]
    assert account["authorised_by_hand"] > 0
    assert account["auto_released"] > 0
    assert account["reports"] > 0
    assert account["bronze_rows"] == account["ledger_rows"] > 0
    assert all(rows > 0 for rows in account["marts"].values())
    assert account["model"]["alias"] == "champion"


@pytest.mark.req("0.2")
def test_each_ordered_test_is_due_after_its_own_turnaround_also_when_it_was_imported(day: Day) -> None:
    tests, wrong = day.rows(
        "select count(*), count(*) filter (where t.due_at <> o.placed_at + d.turnaround_minutes * interval '1 minute')"
        " from lims.order_tests t join lims.orders o on o.organization_id = t.organization_id and o.id = t.order_id"
        " join lims.test_definitions d on d.organization_id = t.organization_id and d.id = t.definition_id"
    )[0]
    orders = day.rows(
        "select o.due_at, max(t.due_at) from lims.orders o join lims.order_tests t"
        " on t.organization_id = o.organization_id and t.order_id = o.id group by o.organization_id, o.id, o.due_at"
    )

    assert (tests > 0, wrong) == (True, 0)
    assert {due == last for due, last in orders} == {True}


@pytest.mark.req("0.5", "0.2")
def test_three_analysers_in_two_languages_of_the_bench_leave_reports_in_two_languages_and_a_chart(day: Day) -> None:
    ours = day.account["organizations"]["demo"]["analysers"]
    messages = dict(
        day.rows(
            "select a.code, count(*) from lims.instrument_messages m join lims.analysers a"
            " on a.organization_id = m.organization_id and a.channel = m.channel"
            " where m.organization_id = %s and m.outcome = 'recorded' group by 1",
            day.organization("demo"),
        )
    )

    assert set(ours) == {"BS480-1", "XN1000-1", "IMM-1"}
    assert all(counts["results_recorded"] > 0 for counts in ours.values())
    assert all(messages[code] > 0 for code in ours)
    kept = {name: Path(file).read_bytes() for name, file in day.account["kept"].items()}
    assert set(kept) == {"report_en", "report_hi", "levey_jennings"}
    assert kept["levey_jennings"].startswith(b"\x89PNG")
    with pikepdf.open(BytesIO(kept["report_hi"])) as hindi, pikepdf.open(BytesIO(kept["report_en"])) as english:
        assert (str(hindi.Root.Lang), str(english.Root.Lang)) == ("hi-IN", "en-IN")
        assert "report.fhir.json" in hindi.attachments


@pytest.mark.req("1.7.2", "1.7.5")
def test_recordings_are_matched_where_the_specimen_is_registered_and_parked_where_not(day: Day) -> None:
    sent = day.account["captures"]
    of = {one["file"]: one for one in sent["of"]}

    assert sent["recorded"] > 0
    assert sent["parked"] > 0
    assert of["own/1_sysmex_cbc.astm"]["recorded"] > 0
    assert (of["own/3_unknown_specimen.hl7"]["recorded"], of["own/3_unknown_specimen.hl7"]["parked"]) == (0, 2)
    assert of["own/4_damaged_frame.astm"]["taken"] == 0
    assert all(one["unheard"] == 0 for one in sent["of"])


# The organization of the CDISC pilot study: its history in bulk, each patient's last draw over the socket.

UCUM = {"mEq/L": "meq/L"}  # the file's other units are written the same
FLAGS = {"LOW": "L", "HIGH": "H", "NORMAL": "N"}
TESTS = {
    "GLUC": "GLU", "CREAT": "CREA", "BUN": "BUN", "SODIUM": "NA", "K": "K",
    "CL": "CL", "ALT": "ALT", "AST": "AST", "ALP": "ALP", "BILI": "TBIL",
}  # fmt: skip
DrawOf = dict[tuple[str, datetime], list[dict[str, str]]]


@pytest.fixture
def study(day: Day) -> UUID:
    """The study's organization."""
    return day.organization("cdisc")


@pytest.fixture(scope="module")
def draws(day: Day) -> DrawOf:
    """The file's rows of the ten tests that are sent, by subject and time; its last time is a subject's last."""
    return {key: ten for key, rows in _whole(day).items() if (ten := [row for row in rows if row["LBTESTCD"] in TESTS])}


def _whole(day: Day) -> DrawOf:
    """All of the file's rows, as they stand in it, by subject and time."""
    day.organization("cdisc")
    source = Path(__file__).parents[2] / ".." / "shared" / "data" / "lab_datasets" / "cdisc_pilot" / "lb.csv.gz"
    found: DrawOf = {}
    with gzip.open(source, "rt", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault((row["USUBJID"], _moment(row["LBDTC"])), []).append(row)
    return found


def _moment(text: str) -> datetime:
    """The file's times bear no zone, and a few are days alone."""
    return datetime.fromisoformat(text if "T" in text else f"{text}T12:00").replace(tzinfo=UTC)


def _last(draws: DrawOf) -> dict[str, datetime]:
    return dict(sorted(draws))


def _live(day: Day, study: UUID, columns: str) -> list[tuple[Any, ...]]:
    """What came through the study's socket."""
    return day.rows(
        f"select {columns} from lims.results r join lims.specimens s on s.organization_id = r.organization_id"
        " and s.id = r.specimen_id where r.organization_id = %s and r.entry = 'instrument'",
        study,
    )


@pytest.mark.req("0.2", "11.20")
def test_each_subject_of_the_study_has_its_draws_from_bulk_and_the_last_from_the_socket(
    day: Day, study: UUID, draws: DrawOf
) -> None:
    people = day.people()
    last, whole = _last(draws), _whole(day)
    expected = Counter(
        (subject, moment, "instrument" if moment == last[subject] and row["LBTESTCD"] in TESTS else "import")
        for (subject, moment), rows in whole.items()
        for row in rows
    )

    rows = day.rows(
        "select r.patient_id, s.collected_at, r.entry from lims.results r join lims.specimens s"
        " on s.organization_id = r.organization_id and s.id = r.specimen_id where r.organization_id = %s",
        study,
    )

    assert Counter((people[patient].uhid, moment, entry) for patient, moment, entry in rows) == expected
    assert {patient for patient, _, _ in rows} == {row[0] for row in day.rows(
        "select id from lims.patients where organization_id = %s", study
    )}  # fmt: skip
    orders = day.rows("select count(*) from lims.orders where organization_id = %s", study)
    assert orders == [(len(expected),)], "one a draw, and one more where a part of it is sent"
    assert sum(expected.values()) == 32_043


def test_the_analyser_got_an_acknowledgement_for_each_of_the_studys_messages_and_each_was_recorded(
    day: Day, study: UUID, draws: DrawOf
) -> None:
    sent = day.account["organizations"]["cdisc"]["day"]
    values = sum(len(draws[subject, moment]) for subject, moment in _last(draws).items())

    outcomes = day.rows(
        "select kind, outcome, count(*), sum(recorded), sum(parked) from lims.instrument_messages"
        " where organization_id = %s group by 1, 2 order by 1",
        study,
    )

    line = sent["line"]
    assert line["accepted"] == line["transmissions"] == sent["messages"] == sent["specimens"] + sent["controls_sent"]
    assert (line["rejected"], line["unanswered"], line["given_up"]) == (0, 0, [])
    assert outcomes == [
        ("control", "recorded", sent["controls_sent"], sent["controls_sent"], 0),
        ("patient", "recorded", sent["specimens"], values, 0),
    ]
    assert sent["results_sent"] == values > 1000
    parked = day.rows("select count(*) from lims.parked_observations where organization_id = %s", study)
    assert parked == [(0,)]


def test_each_value_from_the_studys_socket_has_the_files_own_unit_limits_and_flag(
    day: Day, study: UUID, draws: DrawOf
) -> None:
    people = day.people()
    columns = (
        "r.patient_id, s.collected_at, r.test_code, r.value_text, r.unit, r.reference_low, r.reference_high, r.flag"
    )
    kept: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for patient, moment, test, text, *judged in _live(day, study, columns):
        kept.setdefault((people[patient].uhid, moment, test, text), []).append(tuple(judged))

    units, flags, limits, judged_by_the_file = [], [], [], Counter[str]()
    for subject, moment in _last(draws).items():
        for row in draws[subject, moment]:
            unit, low, high, flag = kept[subject, moment, TESTS[row["LBTESTCD"]], row["LBORRES"]].pop()
            judged_by_the_file[row["LBNRIND"]] += 1
            units += [row] if unit != UCUM.get(row["LBORRESU"], row["LBORRESU"]) else []
            flags += [row] if flag != FLAGS.get(row["LBNRIND"], flag) else []
            if (low, high) != (Decimal(row["LBORNRLO"]), Decimal(row["LBORNRHI"])):
                limits.append((row["LBTESTCD"], low, high, row["LBORNRLO"], row["LBORNRHI"]))

    assert units == []
    assert flags == []
    # The file lowers women's limit at an age, and for two subjects at another one: a catalogue has one limit an age.
    assert limits == [("ALT", 6, 34, "6.0", "32.0")] * 2
    assert not any(kept.values()), "nothing but what the file holds"
    assert judged_by_the_file["NORMAL"] > 1000
    assert judged_by_the_file["HIGH"] > judged_by_the_file["LOW"] > 5


@pytest.mark.req("12.1")
def test_each_value_of_the_study_is_held_with_its_reasons_for_no_model_may_decide(day: Day, study: UUID) -> None:
    rows = _live(
        day, study, "r.status, r.is_automatic, r.reasons, r.rules_version, r.evidence, r.flag, r.comparator, r.risk"
    )

    assert rows
    for status, is_automatic, reasons, rules_version, evidence, flag, comparator, risk in rows:
        assert (status, is_automatic, risk) == ("held", False, None)
        assert {"no_standing_authorisation", "model_unusable"} <= set(reasons)
        assert ("outside_reference_interval" in reasons) == (flag != "N" and comparator is None)
        assert ("censored" in reasons) == (comparator is not None)
        assert rules_version
        assert json.loads(evidence).keys() >= {"clock_offset_ms"}


@pytest.mark.req("0.3")
def test_the_studys_ledger_lies_in_the_lake_row_by_row_and_marts_and_features_have_its_rows(
    day: Day, study: UUID
) -> None:
    lake = SqlCatalog("lake", uri=day.installation.url("lims_lake", "lake"), warehouse=(day.folder / "lake").as_uri())

    def column(table: str, name: str) -> list[Any]:
        scan = lake.load_table(table).scan(EqualTo("organization_id", str(study)), selected_fields=(name,))
        values: list[Any] = scan.to_arrow()[name].to_pylist()
        return values

    ledger = [row[0] for row in day.rows("select seq from lims.ledger where organization_id = %s", study)]
    counted = "select count(*) from {} where organization_id = %s"
    results, tests, controls = (
        day.rows(counted.format(table), study)[0][0]
        for table in ("lims.results", "lims.order_tests", "lims.control_results")
    )
    assert sorted(column("bronze.ledger", "seq")) == sorted(ledger)
    assert len(column("gold.fct_results", "result_id")) == results
    assert len(set(column("gold.fct_turnaround", "order_test_id"))) == tests
    assert len(column("gold.fct_control_results", "control_result_id")) == controls > 0
    for mart, rows in (("clinical.fct_results", results), ("operations.fct_turnaround", tests)):
        assert day.rows(counted.format(mart), str(study), database="warehouse") == [(rows,)]
    of_the_model = counted.format("lims.results") + " and entry = 'import' and test_code = any(%s)"
    imported = day.rows(of_the_model, study, list(TESTS.values()))[0][0]
    assert len(column("gold.features_autoverification", "result_id")) == imported, "what was there to learn from"


def test_the_studys_model_is_registered_as_challenger_says_which_gate_failed_and_is_not_deployed(
    day: Day, study: UUID
) -> None:
    name = f"autoverification.{study}"

    aliases = day.rows("select alias, version from registered_model_aliases where name = %s", name, database="mlflow")
    told = dict(day.rows("select key, value from model_version_tags where name = %s", name, database="mlflow"))
    ((run, source),) = day.rows("select run_id, source from model_versions where name = %s", name, database="mlflow")

    assert aliases == [("challenger", 1)]
    assert told["organization_id"] == str(study)
    assert "n_patients" in told["gates"]
    assert "must be" in told["gates"]
    assert day.account["organizations"]["cdisc"]["model"] is None
    assert not (day.folder / "models" / str(study)).exists()
    files = {file.name for file in Path(source.removeprefix("file://")).iterdir()}
    assert files == {"model.lgb", "manifest.json"}
    metrics = dict(day.rows("select key, value from latest_metrics where run_uuid = %s", run, database="mlflow"))
    assert metrics["n_patients"] < 100
    assert metrics["auc"] > 0.5
