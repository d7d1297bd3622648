import subprocess
import sys
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ingest.virtual_lab.analytes import codes
from ingest.virtual_lab.cohort import Origin
from ingest.virtual_lab.controls import INDIA
from ingest.virtual_lab.history import TIMES, Counts, write_history

UNTIL = date(2026, 11, 24)
MOMENT = pl.Datetime("us", "UTC")
ORIGIN = Origin(seed=7, patients=1500, days=90, until=UNTIL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("history")
    write_history(made, ORIGIN)
    return made


@pytest.fixture(scope="module")
def results(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "results.parquet")


def test_the_counts_are_those_of_the_files(folder: Path, results: pl.DataFrame, tmp_path: Path) -> None:
    counts = write_history(tmp_path, ORIGIN)

    assert counts == Counts(
        patients=1500, results=results.height, controls=pl.read_parquet(folder / "controls.parquet").height
    )


@pytest.mark.req("7.2.1")
def test_another_process_writes_the_same_rows(folder: Path, tmp_path: Path) -> None:
    """What a set or a hash would put in another order shows only there."""
    program = (
        "import sys; from datetime import date; from pathlib import Path; "
        "from ingest.virtual_lab.history import write_history; from ingest.virtual_lab.cohort import Origin; "
        "write_history(Path(sys.argv[1]), Origin(seed=7, patients=1500, days=90, until=date(2026, 11, 24)))"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, env={"PYTHONHASHSEED": "5"})

    files = sorted(path.relative_to(folder) for path in folder.rglob("*.parquet"))
    assert len(files) == 14
    assert [path for path in files if (folder / path).read_bytes() != (tmp_path / path).read_bytes()] == []


def test_the_columns_are_those_the_importer_reads(folder: Path, results: pl.DataFrame) -> None:
    text, number = pl.String(), pl.Float64()
    assert dict(results.schema) == {
        "uhid": text, "order_number": text, "accession_number": text, "test_code": text, "value": number,
        "value_text": text, "comparator": text, "unit": text, "reference_low": number, "reference_high": number,
        "critical_low": number, "critical_high": number, "ordered_at": MOMENT, "collected_at": MOMENT,
        "received_at": MOMENT, "occurred_at": MOMENT, "available_at": MOMENT, "authorised_at": MOMENT,
        "analyser": text, "instrument_flags": text, "specimen_type": text, "container": text, "site_code": text,
        "source": text, "priority": text, "panel": text, "is_fasting": pl.Boolean(), "loaded_at": MOMENT,
        "rerun": pl.Int64(),
    }  # fmt: skip
    assert dict(pl.read_parquet(folder / "patients.parquet").schema) == {
        "uhid": text, "name": text, "phone": text, "sex": text, "birth_on": pl.Date(), "birth_precision": text,
        "pin_code": text, "abha_number": text,
    }  # fmt: skip
    assert dict(pl.read_parquet(folder / "controls.parquet").schema) == {
        "analyser": text, "material": text, "lot_number": text, "level": pl.Int64(), "test_code": text,
        "value": number, "unit": text, "mean": number, "sd": number, "occurred_at": MOMENT,
    }  # fmt: skip


def test_every_result_belongs_to_a_patient_who_was_born(folder: Path, results: pl.DataFrame) -> None:
    joined = results.join(pl.read_parquet(folder / "patients.parquet"), on="uhid", how="left")

    assert joined["birth_on"].null_count() == 0
    assert (joined["collected_at"].dt.date() >= joined["birth_on"]).all()
    without = joined.filter(pl.col("reference_high").is_null())
    assert set(without.filter(pl.col("test_code") != "HDL")["sex"].unique()) <= {"other"}


def test_times_follow_each_other_and_all_is_authorised_before_the_end(results: pl.DataFrame) -> None:
    for earlier, later in pairwise(TIMES):
        assert (results[later] > results[earlier]).all(), (earlier, later)
    days = [results[name].dt.convert_time_zone(INDIA.key).dt.date() for name in TIMES]
    assert (days[-1] < UNTIL).all()
    assert (days[-1] - days[0]).dt.total_days().max() <= 5  # type: ignore[operator]
    assert results["ordered_at"].dt.date().min() == ORIGIN.first_day


def test_each_container_of_an_order_is_a_specimen_of_its_own(results: pl.DataFrame) -> None:
    each = results.group_by("accession_number").agg(pl.col("container", "specimen_type", "order_number").n_unique())

    assert each.drop("accession_number").unique().rows() == [(1, 1, 1)]
    assert set(results["container"]) == {"SST 5 mL", "EDTA 3 mL"}
    assert results.group_by("accession_number", "test_code").len()["len"].max() == 1
    assert results.filter(pl.col("container") == "EDTA 3 mL")["analyser"].unique().sort().to_list() == [
        "IMM-1", "XN1000-1",
    ]  # fmt: skip


def test_texts_say_the_values(results: pl.DataFrame) -> None:
    said = results["value_text"].str.strip_chars("<>").cast(pl.Float64)

    assert said.equals(results["value"].alias("value_text"))
    assert (results["value_text"].str.contains("[<>]") == results["comparator"].is_not_null()).all()


def test_blood_counts_and_fats_are_consistent(results: pl.DataFrame) -> None:
    wide = results.pivot("test_code", index="order_number", values="value", aggregate_function="first")
    blood, fats = wide.drop_nulls(["HGB", "RBC"]), wide.drop_nulls(["CHOL"])
    mchc = (100 * blood["HGB"] / blood["HCT"]).to_numpy()

    assert np.median(np.abs(blood["RBC"] * blood["MCV"] / 10 - blood["HCT"])) < 0.1
    assert (mchc > 37).mean() < 0.01
    assert (blood["NEUT"] + blood["LYMPH"] < blood["WBC"]).mean() > 0.99
    assert np.median(np.abs(fats["LDL"] + fats["HDL"] + fats["TG"] / 5 - fats["CHOL"])) < 1
    assert (wide["DBIL"] < wide["TBIL"]).mean() > 0.99
    assert (wide["ALB"] < wide["TP"]).mean() > 0.99


def test_critical_values_are_rare(results: pl.DataFrame) -> None:
    low = (results["value"] < results["critical_low"]).fill_null(False)
    high = (results["value"] > results["critical_high"]).fill_null(False)

    assert 0 < (low | high).to_numpy().mean() < 0.015


def test_of_some_tests_only_those_are_measured_and_nothing_is_asked_of_idle_analysers(tmp_path: Path) -> None:
    tests = ("GLU", "NA")
    counts = write_history(tmp_path, Origin(seed=7, patients=200, days=60, until=UNTIL, tests=tests), control_days=10)

    frames = {name: pl.read_parquet(tmp_path / f"{name}.parquet") for name in ("results", "controls", "reagents")}
    assert all(set(frame["test_code"]) == set(tests) for frame in frames.values())
    assert frames["controls"].height == counts.controls == 2 * 2 * 10 * len(tests)
    assert Origin.load(tmp_path).measured == tests


def test_controls_are_two_levels_twice_a_day_of_one_lot_an_analyser(folder: Path) -> None:
    found = pl.read_parquet(folder / "controls.parquet")
    day = found["occurred_at"].dt.convert_time_zone(INDIA.key).dt.date()

    each = found.group_by("test_code", "level", day).len()
    assert each.height == len(codes()) * 2 * 90
    assert each["len"].min() == 2
    assert found.select("analyser", "material", "lot_number").unique().height == 3
