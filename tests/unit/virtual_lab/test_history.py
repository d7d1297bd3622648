from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ingest.virtual_lab.controls import INDIA
from ingest.virtual_lab.history import TIMES, Counts, write_history

UNTIL = date(2026, 11, 24)
MOMENT = pl.Datetime("us", "UTC")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("history")
    write_history(made, 7, until=UNTIL, patients=1500)
    return made


@pytest.fixture(scope="module")
def results(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "results.parquet")


@pytest.mark.req("7.2.1")
def test_the_same_seed_writes_the_same_rows_and_another_seed_others(folder: Path, tmp_path: Path) -> None:
    counts = write_history(tmp_path / "again", 7, until=UNTIL, patients=1500)
    write_history(tmp_path / "other", 8, until=UNTIL, patients=1500)

    for name in ("patients", "results", "controls"):
        once, again, other = (
            pl.read_parquet(path / f"{name}.parquet") for path in (folder, tmp_path / "again", tmp_path / "other")
        )
        assert once.equals(again)
        assert not once.equals(other)
    assert counts == Counts(patients=1500, results=pl.read_parquet(folder / "results.parquet").height, controls=3600)


def test_the_columns_are_those_the_importer_reads(folder: Path, results: pl.DataFrame) -> None:
    text, number = pl.String(), pl.Float64()
    assert dict(results.schema) == {
        "uhid": text, "order_number": text, "accession_number": text, "test_code": text, "value": number,
        "value_text": text, "comparator": text, "unit": text, "reference_low": number, "reference_high": number,
        "critical_low": number, "critical_high": number, "ordered_at": MOMENT, "collected_at": MOMENT,
        "received_at": MOMENT, "occurred_at": MOMENT, "available_at": MOMENT, "authorised_at": MOMENT,
        "analyser": text, "instrument_flags": text,
    }  # fmt: skip
    assert dict(pl.read_parquet(folder / "patients.parquet").schema) == {
        "uhid": text, "name": text, "phone": text, "sex": text, "birth_on": pl.Date(), "birth_precision": text,
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
    assert set(without["sex"].unique()) <= {"other"}


def test_times_follow_each_other_within_one_indian_day(results: pl.DataFrame) -> None:
    for earlier, later in pairwise(TIMES):
        assert (results[later] > results[earlier]).all(), (earlier, later)
    days = [results[name].dt.convert_time_zone(INDIA.key).dt.date() for name in TIMES]
    assert (days[0] == days[-1]).all()
    assert (days[-1] < UNTIL).all()


def test_patients_come_on_working_days_and_in_the_morning(results: pl.DataFrame) -> None:
    visits = results.unique("order_number")["ordered_at"].dt.convert_time_zone(INDIA.key)

    by_weekday = np.bincount(visits.dt.weekday().to_numpy(), minlength=8)[1:]
    assert by_weekday.argmax() == 0
    assert by_weekday[6] < 0.4 * by_weekday[:6].mean()
    assert 0.5 < (visits.dt.hour() < 12).to_numpy().mean() < 0.8
    assert visits.dt.hour().is_between(7, 20).all()


def test_about_sixty_percent_of_the_patients_came_several_times(results: pl.DataFrame) -> None:
    orders = results.group_by("uhid").agg(pl.col("order_number").n_unique())["order_number"]

    assert 0.55 < (orders > 1).to_numpy().mean() < 0.65
    assert results.group_by("accession_number", "test_code").len()["len"].max() == 1


def test_texts_say_the_values(results: pl.DataFrame) -> None:
    said = results["value_text"].str.strip_chars("<>").cast(pl.Float64)

    assert said.equals(results["value"].alias("value_text"))
    assert (results["value_text"].str.contains("[<>]") == results["comparator"].is_not_null()).all()


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [("NA", "CL", 0.5, 0.8), ("ALT", "AST", 0.65, 0.9), ("CREA", "BUN", 0.55, 0.9), ("NA", "ALP", -0.1, 0.1)],
)
def test_values_are_correlated_as_in_serum(
    results: pl.DataFrame, first: str, second: str, low: float, high: float
) -> None:
    pairs = results.filter(pl.col("test_code").is_in([first, second])).with_columns(pl.col("value").log())
    wide = pairs.pivot("test_code", index="order_number", values="value").drop_nulls()

    assert low < wide.select(pl.corr(first, second)).item() < high


def test_a_person_varies_less_than_persons_differ(results: pl.DataFrame) -> None:
    creatinine = results.filter(pl.col("test_code") == "CREA").with_columns(pl.col("value").log())
    each = creatinine.group_by("uhid").agg(pl.col("value").std().alias("within"), pl.col("value").mean(), pl.len())
    many = each.filter(pl.col("len") >= 4)

    assert np.median(many["within"].to_numpy()) < 0.07
    assert np.std(many["value"].to_numpy()) > 0.2


def test_abnormal_and_critical_values_occur_in_a_minority(results: pl.DataFrame) -> None:
    below = (results["value"] < results["reference_low"]).fill_null(False)
    above = (results["value"] > results["reference_high"]).fill_null(False)
    low = (results["value"] < results["critical_low"]).fill_null(False)
    high = (results["value"] > results["critical_high"]).fill_null(False)

    assert 0.05 < (below | above).to_numpy().mean() < 0.2
    assert 0 < (low | high).to_numpy().mean() < 0.01


def test_controls_are_two_levels_twice_a_day_around_their_targets(folder: Path) -> None:
    found = pl.read_parquet(folder / "controls.parquet")
    z = ((found["value"] - found["mean"]) / found["sd"]).to_numpy()

    each = found.group_by("test_code", "level", found["occurred_at"].dt.convert_time_zone(INDIA.key).dt.date()).len()
    assert each.height == 10 * 2 * 90
    assert each["len"].unique().to_list() == [2]
    assert abs(z.mean()) < 0.15
    assert 0.9 < z.std() < 1.3
    assert (np.abs(z) > 2).mean() < 0.12
    assert found.group_by("lot_number", "level").len()["level"].sort().to_list() == [1, 2]
