"""The exam of the virtual laboratory's persons: variation, correlation, disease, treatment, and what is released.

Frozen with `realism.toml`: corrected only on its merits, in a commit of its own, never in one that touches `ml/`.
"""

import numpy as np
import polars as pl
import pytest

from tests.unit.virtual_lab import realism
from tests.unit.virtual_lab.realism import Files, about, exam

pytestmark = pytest.mark.req("7.2.1")
BOUNDS = exam()["variation_bounds"]
PREVALENCE = exam()["prevalence"]
LARGE = exam()["large_changes"]


@pytest.mark.parametrize("place", [0, 1], ids=["within", "between"])
def test_coefficients_of_variation_are_those_of_the_table(healthy: pl.DataFrame, place: int) -> None:
    off, measured = {}, 0
    for code, table in exam()["variation"].items():
        found = realism.spread(healthy, code)
        if found.pairs < BOUNDS["fewest_pairs"]:
            continue
        measured += 1
        estimate, error = [(found.within, found.within_error), (found.between, found.between_error)][place]
        wanted = table[place] / 100
        if abs(estimate - wanted) > BOUNDS["share"] * wanted + 3 * error:
            off[code] = (round(100 * estimate, 2), table[place])

    assert off == {}
    assert measured >= 36


def test_correlations_within_and_between_persons_are_the_stated_ones(healthy: pl.DataFrame) -> None:
    errors = {}
    for row in exam()["correlation"]:
        found = realism.correlation(healthy, *row["pair"], analytic=row.get("analytic", 0.0) / 1e4)
        assert found.pairs >= exam()["correlation_bounds"]["fewest_pairs"], row["pair"]
        for kind, estimate in (("between", found.between), ("within", found.within)):
            if kind in row:
                errors[*row["pair"], kind] = estimate - row[kind]

    assert np.sqrt(np.mean(np.square(list(errors.values())))) < exam()["correlation_bounds"]["rmse"], errors


def test_every_panel_has_a_share_of_results_outside_the_reference_interval(simulated: Files) -> None:
    outside = (pl.col("value") < pl.col("reference_low")) | (pl.col("value") > pl.col("reference_high"))
    limited = simulated.read("results").filter(pl.col("reference_high").is_not_null())
    rates = dict(limited.group_by("panel").agg(outside.fill_null(False).mean()).iter_rows())

    low, high = exam()["rates"]["out_of_range_per_panel"]
    assert len(rates) >= 10
    assert {panel: round(rate, 3) for panel, rate in rates.items() if not low <= rate <= high} == {}


def test_a_third_of_the_patients_come_again(judged: pl.DataFrame) -> None:
    visits = judged.group_by("uhid").agg(pl.col("order_number").n_unique())["order_number"].to_numpy()

    low, high = exam()["rates"]["repeat_patients"]
    assert low <= (visits > 1).mean() <= high


def test_the_persons_are_those_of_indian_laboratories(simulated: Files) -> None:
    patients, truth = simulated.read("patients"), simulated.read("truth/patients")
    doubles = truth["duplicate_of"].is_not_null()
    once = patients.filter(~doubles)
    phones = once["phone"].drop_nulls()
    rates = exam()["rates"]

    assert rates["male"][0] <= (once["sex"] == "male").mean() <= rates["male"][1]
    assert rates["duplicates"][0] <= doubles.mean() <= rates["duplicates"][1]
    assert rates["shared_phones"][0] <= phones.is_duplicated().mean() <= rates["shared_phones"][1]
    assert patients["uhid"].n_unique() == patients.height == exam()["run"]["patients"]


@pytest.mark.parametrize("name", ["diabetes", "prediabetes", "hypothyroidism", "thalassaemia trait"])
def test_adults_have_the_diseases_as_often_as_surveys_say(simulated: Files, name: str) -> None:
    adults = _adults(simulated)

    sick = adults["diseases"].list.contains(name).sum()
    assert about(int(sick), adults.height, PREVALENCE[name])


@pytest.mark.parametrize(("sex", "limit"), [("female", 12.0), ("male", 13.0)])
def test_anaemia_is_as_common_as_surveys_say(simulated: Files, sex: str, limit: float) -> None:
    """Of persons: by their own settled haemoglobin, not by what those measure who come with symptoms."""
    adults = _adults(simulated).filter(pl.col("sex") == sex)
    anaemic = (adults["settled_haemoglobin"] < limit).sum()

    assert about(int(anaemic), adults.height, PREVALENCE["anaemic_women" if sex == "female" else "anaemic_men"])


def test_most_people_lack_vitamin_d(judged: pl.DataFrame) -> None:
    found = judged.filter(pl.col("test_code") == "VITD").sort("on").unique("person", keep="first")

    assert about(int((found["clean_value"] < 20).sum()), found.height, PREVALENCE["low_vitamin_d"])


def test_glucose_and_hba1c_agree_among_all_who_come(judged: pl.DataFrame) -> None:
    chosen = judged.filter(pl.col("test_code").is_in(["GLU", "HBA1C"]) & pl.col("is_fasting"))
    wide = chosen.with_columns(pl.col("clean_value").log()).pivot(
        "test_code", index="order_number", values="clean_value"
    )
    low, high = exam()["rates"]["glucose_against_hba1c"]

    assert low <= wide.drop_nulls().select(pl.corr("GLU", "HBA1C")).item() <= high


def test_platelets_fall_in_dengue_and_dengue_comes_after_the_rains(judged: pl.DataFrame) -> None:
    ill = judged.filter(pl.col("fell_ill_on").is_not_null() & pl.col("diseases").list.contains("dengue"))
    since = (pl.col("on") - pl.col("fell_ill_on")).dt.total_days()
    fifth = ill.filter((pl.col("test_code") == "PLT") & since.is_between(4, 6))
    feverish = ill.filter(since.is_between(0, 10)).unique("order_number")

    assert fifth.height > 40
    assert LARGE["platelets_in_dengue"][0] <= np.exp(fifth["disease_shift"].to_numpy()).mean()
    assert np.exp(fifth["disease_shift"].to_numpy()).mean() <= LARGE["platelets_in_dengue"][1]
    assert feverish["on"].dt.month().is_in(LARGE["dengue_months"]).mean() >= LARGE["dengue_in_season"]


def test_treatment_moves_hba1c_and_haemoglobin_as_clinics_see_it(judged: pl.DataFrame) -> None:
    """Large changes that are true: without them every delta check would look perfect."""
    sugar = _before_and_after(judged, "HBA1C", "diabetes", 60, 130)
    fall = (sugar["first"] - sugar["later"]).to_numpy()
    blood = _before_and_after(judged, "HGB", "iron deficiency", 20, 60).filter(pl.col("first") < 10)
    rise = ((blood["later"] - blood["first"]) / (blood["days"] / 30.4)).to_numpy()

    assert len(fall) > 25
    assert LARGE["hba1c_fall_at_90_days"][0] <= fall.mean() <= LARGE["hba1c_fall_at_90_days"][1]
    assert len(rise) > 15
    assert LARGE["haemoglobin_rise_a_month"][0] <= rise.mean() <= LARGE["haemoglobin_rise_a_month"][1]


def test_some_clean_results_differ_by_half_from_the_one_before(judged: pl.DataFrame) -> None:
    clean = judged.filter(pl.col("kind") == "clean").sort("person", "test_code", "collected_at")
    ratio = (pl.col("value") / pl.col("value").shift().over("person", "test_code")).log()
    changes = clean.select(ratio.abs()).to_series().drop_nulls().to_numpy()

    low, high = LARGE["share"]
    assert low <= (changes >= np.log(1.5)).mean() <= high


@pytest.mark.parametrize("code", ["TSH", "IRON"])
def test_thyrotropin_and_iron_follow_the_hour(judged: pl.DataFrame, code: str) -> None:
    about_it = exam()["diurnal"][code]
    rows = judged.filter(
        (pl.col("test_code") == code) & (pl.col("kind") == "clean") & (pl.col("disease_shift") == 0)
    ).with_columns(pl.col("value").log() - pl.col("analytic_shift"))
    early = rows.filter(pl.col("hour").is_between(7, 10))
    late = rows.filter(pl.col("hour").is_between(16.5, 19.5))

    def expected(hours: pl.Series) -> float:
        angle = 2 * np.pi * (hours.to_numpy() - about_it["peak_hour"]) / 24
        return float(np.log1p(about_it["amplitude"] * np.cos(angle)).mean())

    apart = early["value"].to_numpy().mean() - late["value"].to_numpy().mean()
    assert late.height > 100
    assert abs(apart - (expected(early["hour"]) - expected(late["hour"]))) < about_it["off"]


def test_nothing_drifts_that_was_not_made_to(judged: pl.DataFrame) -> None:
    frozen = exam()["drift"]
    days = judged["on"].unique().sort()
    cut = days[int(len(days) * frozen["train_share"])]
    moved = {}
    for rows in judged.filter(pl.col("kind") == "clean").partition_by("test_code"):
        train, test = (rows.filter(side)["value"].to_numpy() for side in (pl.col("on") < cut, pl.col("on") >= cut))
        if len(test) >= frozen["fewest"]:
            moved[rows["test_code"][0]] = realism.population_stability(train, test)

    assert len(moved) >= 20
    assert {code: round(psi, 3) for code, psi in moved.items() if psi >= frozen["psi"]} == {}


def _adults(simulated: Files) -> pl.DataFrame:
    on = exam()["run"]["until"]
    persons = simulated.read("truth/patients").filter(pl.col("duplicate_of").is_null())
    known = persons.join(simulated.read("patients").select("uhid", "sex", "birth_on"), on="uhid")
    return known.filter((pl.lit(on) - pl.col("birth_on")).dt.total_days() >= 18 * 365.25)


def _before_and_after(judged: pl.DataFrame, code: str, disease: str, least: int, most: int) -> pl.DataFrame:
    """First and a later value of persons whose treatment began on the day of the first."""
    own = judged.filter(
        (pl.col("test_code") == code) & (pl.col("kind") == "clean") & pl.col("diseases").list.contains(disease)
    )
    first = own.filter(pl.col("on") == pl.col("treated_on")).select("person", "on", first="value")
    both = own.select("person", later_on="on", later="value").join(first, on="person")
    days = (pl.col("later_on") - pl.col("on")).dt.total_days()
    return both.with_columns(days=days).filter(pl.col("days").is_between(least, most)).unique("person")
