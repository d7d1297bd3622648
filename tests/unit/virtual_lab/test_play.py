import time
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from ingest.virtual_lab.analyser import Faults, Patience
from ingest.virtual_lab.analytes import analyte
from ingest.virtual_lab.day import DayPlan, Defect, Visit, plan_day
from ingest.virtual_lab.errors import ErrorKind
from ingest.virtual_lab.front_desk import FrontDesk
from ingest.virtual_lab.lines import Numbering, connected
from ingest.virtual_lab.play import Bench, TruthStore, play, sent_as
from tests.unit.virtual_lab.servers import AstmGateway, Core, Gateway

ON = date(2026, 11, 24)
PATIENCE = Patience(answer=2, pause=0.01)


class Played:
    """A day of 40 patients, played once against real sockets."""

    def __init__(self, folder: Path) -> None:
        self.plan: DayPlan = plan_day(3, 40, on=ON, error_share=0.2, analysers_up=("BS480-1",))
        self.core, self.gateway = Core(), Gateway()
        truth = folder / "truth.parquet"
        with self.core.running(), self.gateway.running(), FrontDesk(self.core.url) as desk:
            desk.sign_in(organization="lab", username="desk", password="secret")
            addresses = {"BS480-1": ("127.0.0.1", self.gateway.port)}
            with connected(addresses, faults=Faults(), patience=PATIENCE, seed=0) as lines:
                numbering = {"BS480-1": Numbering(1, reboot_after=30)}
                bench = Bench(desk=desk, lines=lines, site_id="s", store=TruthStore(file=truth), numbering=numbering)
                self.report = play(self.plan, bench)
        self.truth = pl.read_parquet(truth)
        self.messages = [body.decode().split("\r") for body in self.gateway.bodies]

    def results(self) -> dict[tuple[str, str], tuple[str, str, str]]:
        """(specimen, code) → (value, patient number, control id) of everything sent for patients."""
        found = {}
        for segments in self.messages:
            fields = {segment[:3]: segment.split("|") for segment in segments if segment[:3] in {"MSH", "PID", "OBR"}}
            for observation in (segment.split("|") for segment in segments if segment.startswith("OBX")):
                key = fields["OBR"][2], observation[3]
                found[key] = observation[5], fields["PID"][3], fields["MSH"][9]
        return found


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return Played(tmp_path_factory.mktemp("day"))


def test_everybody_is_registered_and_every_specimen_received(played: Played) -> None:
    assert len(played.core.patients) == 40
    assert {specimen["status"] for specimen in played.core.specimens.values()} == {"received"}
    assert played.report["patients"] == played.report["orders"] == played.report["specimens"] == 40
    assert played.report["line"]["accepted"] == played.report["messages"] == len(played.messages)
    assert played.report["messages"] == 54 + sum(-(-_observations(visit) // 10) for visit in played.plan.visits)


def test_controls_are_sent_before_patients(played: Played) -> None:
    kinds = [segments[0].split("|")[15] for segments in played.messages]

    assert kinds == ["2"] * 54 + ["0"] * (len(kinds) - 54)


def test_control_ids_count_up_from_one_and_restart_after_the_reboot(played: Played) -> None:
    assert played.gateway.control_ids == [
        str(number) for number in [*range(1, 31), *range(1, len(played.messages) - 29)]
    ]


def test_the_truth_holds_a_row_for_every_ordered_test_and_what_was_sent_for_it(played: Played) -> None:
    sent = played.results()
    ordered = {
        (accession_number, code)
        for accession_number, specimen in played.core.specimens.items()
        for code in specimen["tests"]
    }

    assert {(row["accession_number"], row["test_code"]) for row in played.truth.iter_rows(named=True)} == ordered
    for row in played.truth.iter_rows(named=True):
        number = row["accession_number"]
        told = f"X{number}" if row["kind"] == Defect.UNKNOWN_SPECIMEN else number
        text, _, control_id = sent[told, row["test_code"]]
        assert float(text.strip("<>")) == row["sent_value"]
        assert int(control_id) == row["control_id"]


def test_clean_rows_are_true_and_every_spoilt_specimen_has_a_wrong_value(played: Played) -> None:
    clean = played.truth.filter(pl.col("kind").is_in(["clean", *Defect]))
    spoilt = played.truth.join(clean, on=["accession_number", "test_code"], how="anti")

    assert clean["true_value"].equals(clean["sent_value"].alias("true_value"))
    assert not clean["is_wrong"].any()
    assert spoilt.group_by("accession_number").agg(pl.col("is_wrong").any())["is_wrong"].all()
    assert spoilt["accession_number"].n_unique() == sum(visit.error is not None for visit in played.plan.visits) == 8
    assert played.report["wrong_results"] == played.truth["is_wrong"].sum()


def test_each_defect_reaches_the_wire_once(played: Played) -> None:
    text = "\n".join(segment for segments in played.messages for segment in segments)
    owners = {f"p-{uhid}": uhid for uhid in played.core.patients}

    assert text.count("|UA|Uric acid|") == 1
    assert text.count("|LIN|||F|") == 1
    assert Counter(specimen[0] for specimen, _ in played.results())["X"] == len(
        next(visit.tests for visit in played.plan.visits if visit.defect is Defect.UNKNOWN_SPECIMEN)
    )
    stated = {(number, uhid) for (number, _), (_, uhid, _) in played.results().items() if not number.startswith("X")}
    assert sum(uhid != owners[played.core.specimens[number]["patient_id"]] for number, uhid in stated) == 1


def test_the_report_counts_what_was_sent(played: Played) -> None:
    observations = sum(segment.startswith("OBX") for segments in played.messages for segment in segments)

    assert played.report["results_sent"] == observations == played.report["tests_ordered"] + 1
    assert played.report["controls_sent"] == 54
    assert played.report["patients_registered"] == 40
    assert sum(played.report["specimens_by_kind"].values()) == 40
    assert played.report["truth"]["rows"] == played.truth.height


def _observations(visit: Visit) -> int:
    return len(visit.tests) + (visit.defect is Defect.UNMAPPED_CODE)


def test_each_analyser_sends_its_own_tests_in_its_own_language(tmp_path: Path) -> None:
    plan = plan_day(3, 12, on=ON, error_share=0.0)
    kinds = {code: analyte(code).specimen[1] for visit in plan.visits for code in visit.tests}
    core, chemistry, blood, immune = Core(specimens_by_test=kinds), Gateway(), AstmGateway(), AstmGateway()
    with core.running(), chemistry.running(), blood.running(), immune.running(), FrontDesk(core.url) as desk:
        desk.sign_in(organization="lab", username="desk", password="secret")
        ports = {"BS480-1": chemistry.port, "XN1000-1": blood.port, "IMM-1": immune.port}
        addresses = {code: ("127.0.0.1", port) for code, port in ports.items()}
        with connected(addresses, faults=Faults(), patience=PATIENCE, seed=0) as lines:
            store = TruthStore(file=tmp_path / "truth.parquet")
            numbering = {code: Numbering() for code in lines}
            bench = Bench(desk=desk, lines=lines, site_id="s", store=store, numbering=numbering)
            report = play(plan, bench, speed=1e6)

    wanted = {
        name: {code for visit in plan.visits for code in visit.tests if analyte(code).analyser == name}
        for name in ports
    }
    assert all(f"|{code}|" in "".join(body.decode() for body in chemistry.bodies) for code in wanted["BS480-1"])
    assert all(f"^{code}" in blood.text for code in wanted["XN1000-1"])
    assert all(f"^{code}" in immune.text for code in wanted["IMM-1"])
    assert {code: tally["given_up"] for code, tally in report["lines"].items()} == {code: [] for code in ports}
    assert (
        sum(tally["accepted"] for tally in report["lines"].values()) == report["line"]["accepted"] == report["messages"]
    )
    truth = pl.read_parquet(tmp_path / "truth.parquet")
    assert truth.height == report["tests_ordered"] == sum(len(visit.tests) for visit in plan.visits)
    assert truth["accession_number"].n_unique() == report["specimens"] > 12


def test_a_day_takes_its_hours_divided_by_the_speed(tmp_path: Path) -> None:
    plan = plan_day(3, 4, on=ON, error_share=0.0, analysers_up=("BS480-1",))
    hours = plan.visits[-1].seconds - plan.visits[0].seconds
    core, gateway = Core(), Gateway()
    with core.running(), gateway.running(), FrontDesk(core.url) as desk:
        desk.sign_in(organization="lab", username="desk", password="secret")
        addresses = {"BS480-1": ("127.0.0.1", gateway.port)}
        with connected(addresses, faults=Faults(), patience=PATIENCE, seed=0) as lines:
            store = TruthStore(file=tmp_path / "truth.parquet")
            bench = Bench(desk=desk, lines=lines, site_id="s", store=store, numbering={"BS480-1": Numbering()})
            started = time.monotonic()
            play(plan, bench, speed=hours)
            took = time.monotonic() - started

    assert 1.0 <= took < 5.0


def test_an_analyser_dilutes_what_it_measures_but_not_what_is_typed() -> None:
    visit = replace(plan_day(3, 1, on=ON, error_share=0).visits[0], sent={"ALT": 2345.6})

    measured, typed = sent_as(visit, "ALT"), sent_as(replace(visit, error=ErrorKind.DECIMAL), "ALT")

    assert (measured.text, measured.is_diluted) == ("2346", True)
    assert (typed.text, typed.is_diluted) == (">1500", False)
