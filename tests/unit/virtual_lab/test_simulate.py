from collections import Counter
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from ingest.virtual_lab.analyser import Analyser, Patience
from ingest.virtual_lab.day import DayPlan, Defect, plan_day
from ingest.virtual_lab.front_desk import FrontDesk
from ingest.virtual_lab.simulate import TruthStore, play
from tests.unit.virtual_lab.servers import Core, Gateway

ON = date(2026, 11, 24)


class Played:
    """A day of 40 patients, played once against real sockets."""

    def __init__(self, folder: Path) -> None:
        self.plan: DayPlan = plan_day(3, 40, on=ON, error_share=0.2)
        self.core, self.gateway = Core(), Gateway()
        truth = folder / "truth.parquet"
        with self.core.running(), self.gateway.running(), FrontDesk(self.core.url) as desk:
            desk.sign_in(organization="lab", username="desk", password="secret")
            with Analyser("127.0.0.1", self.gateway.port, patience=Patience(answer=2, pause=0.01)) as analyser:
                self.report = play(
                    self.plan, desk=desk, analyser=analyser, site_id="s", store=TruthStore(file=truth), reboot_after=30
                )
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
    assert played.report["line"]["accepted"] == played.report["messages"] == len(played.messages) == 60


def test_controls_are_sent_before_patients(played: Played) -> None:
    kinds = [segments[0].split("|")[15] for segments in played.messages]

    assert kinds == ["2"] * 20 + ["0"] * 40


def test_control_ids_count_up_from_one_and_restart_after_the_reboot(played: Played) -> None:
    assert played.gateway.control_ids == [str(number) for number in [*range(1, 31), *range(1, 31)]]


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
    assert played.report["controls_sent"] == 20
    assert played.report["patients_registered"] == 40
    assert sum(played.report["specimens_by_kind"].values()) == 40
    assert played.report["truth"]["rows"] == played.truth.height
