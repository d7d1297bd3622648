"""The exam of homes, dummy health numbers, dilution, external quality assessment and bills (`hooks.toml`).

Set before the generator. It reads the files, and asks the analysers' printer for single values.
"""

import re
import tomllib
from datetime import timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ingest.virtual_lab import analytes
from tests.unit.virtual_lab.realism import INDIA, Files, exam

pytestmark = pytest.mark.req("7.2.1")


@cache
def hooks() -> dict[str, Any]:
    """The figures."""
    return tomllib.loads((Path(__file__).parent / "hooks.toml").read_text("utf-8"))


# Verhoeff, Error Detecting Decimal Codes (1969): products of the dihedral group of ten, and its permutation.
PRODUCTS = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
PERMUTATION = "1576283094"


@pytest.fixture(scope="session")
def people(simulated: Files) -> pl.DataFrame:
    """Registrations with the site that they come to and the person that they are."""
    came = simulated.read("results").group_by("uhid").agg(pl.col("site_code").first())
    truth = simulated.read("truth/patients").select("uhid", "person", "duplicate_of")
    return simulated.read("patients").join(came, on="uhid").join(truth, on="uhid")


@pytest.fixture(scope="session")
def assessed(simulated: Files) -> pl.DataFrame:
    """External quality assessment, with z and the day in India."""
    return simulated.read("eqa").with_columns(
        z=(pl.col("value") - pl.col("assigned_value")) / pl.col("peer_sd"),
        on=pl.col("occurred_at").dt.convert_time_zone(INDIA).dt.date(),
    )


@pytest.fixture(scope="session")
def billed(simulated: Files) -> pl.DataFrame:
    """Bills beside their orders."""
    orders = simulated.read("results").unique("order_number").select("order_number", "source", "ordered_at", "panel")
    return simulated.read("bills").join(orders, on="order_number", how="full", coalesce=True)


@pytest.mark.parametrize("site", hooks()["homes"]["site"], ids=lambda site: str(site["code"]))
def test_people_live_near_their_site(people: pl.DataFrame, site: dict[str, Any]) -> None:
    pins = people.filter(pl.col("site_code") == site["code"])["pin_code"].to_list()
    near = [pin for pin in pins if re.fullmatch(site["pin"], pin)]

    assert hooks()["homes"]["near_the_site"] <= len(near) / len(pins) < 1
    assert all(re.fullmatch(r"[1-9]\d{5}", pin) for pin in people["pin_code"])


@pytest.mark.parametrize("site", hooks()["homes"]["site"], ids=lambda site: str(site["code"]))
def test_people_are_called_as_where_they_live(people: pl.DataFrame, site: dict[str, Any]) -> None:
    is_local = pl.col("name").str.split(" ").list.last().is_in(site["names"])
    shares = dict(people.group_by("site_code").agg(is_local.mean()).iter_rows())
    here = shares.pop(site["code"])

    low, high = site["local_names"]
    assert low <= here <= high
    assert here >= hooks()["homes"]["times"] * max(shares.values())


def test_every_state_has_its_circles_postal_numbers_and_names_of_its_own() -> None:
    table = tomllib.loads((Path(analytes.__file__).with_name("names.toml")).read_text("utf-8"))
    states = {row["code"]: row["pins"] for row in table["state"]}
    named = {state: row["code"] for row in table["region"] for state in row["states"]}

    assert set(states) == set(hooks()["first_digits"])
    assert set(named) == set(states)
    assert named["TN"] == "tamil"
    for code, pins in states.items():
        assert all(re.match(hooks()["first_digits"][code], pin) and len(pin) == 3 for pin in pins), code
    assert "403" not in states["MH"]


def test_both_registrations_of_a_person_have_one_home(people: pl.DataFrame) -> None:
    several = people.filter(pl.len().over("person") > 1)

    assert several.height > 200
    assert several.group_by("person").agg(pl.col("pin_code").n_unique())["pin_code"].unique().to_list() == [1]


def test_no_dummy_health_number_can_be_anybodys(people: pl.DataFrame) -> None:
    """The exam's own table knows a textbook's number, and the one in UIDAI's examples."""
    numbers = people["abha_number"].drop_nulls().to_list()

    assert [_is_valid(number) for number in ("2363", "2364", "999941057058")] == [True, False, True]
    low, high = hooks()["abha"]["share"]
    assert low <= len(numbers) / people.height <= high
    assert [number for number in numbers if _is_valid(number)] == []
    assert all(re.fullmatch(hooks()["abha"]["pattern"], number) for number in numbers)


def test_a_health_number_is_one_persons_and_a_double_may_lack_it(people: pl.DataFrame) -> None:
    known = people.filter(pl.col("abha_number").is_not_null())
    several = people.filter(pl.len().over("person") > 1)
    held = several.group_by("person").agg(pl.col("abha_number").null_count().alias("missing"), pl.len())
    with_one = held.filter(pl.col("missing") < pl.col("len"))

    low, high = hooks()["abha"]["doubles_with_one_lacking"]
    assert known.group_by("abha_number").agg(pl.col("person").n_unique())["person"].max() == 1
    assert known.group_by("person").agg(pl.col("abha_number").n_unique())["abha_number"].max() == 1
    assert low <= (with_one["missing"] > 0).mean() <= high


@pytest.mark.parametrize(("code", "value", "text"), hooks()["dilution"]["printed"])
def test_a_diluted_value_is_printed_up_to_the_factor(code: str, value: float, text: str) -> None:
    limit = analytes.analyte(code).reportable_high

    found = analytes.reported(code, value, dilutes=True)

    assert found.text == text
    assert found.is_diluted == (value > limit and not text.endswith(f">{limit:.{analytes.analyte(code).decimals}f}"))
    assert analytes.reported(code, value).value <= limit


def test_what_is_too_high_to_be_read_is_run_again_diluted_and_later(simulated: Files) -> None:
    results = simulated.read("results")
    limits = pl.DataFrame(
        [(one.code, one.reportable_high) for one in analytes.analytes()], schema=["test_code", "limit"], orient="row"
    )
    judged = results.join(limits, on="test_code").with_columns(
        is_diluted=pl.col("instrument_flags").str.split(",").list.contains(hooks()["dilution"]["flag"])
    )
    diluted = judged.filter("is_diluted")
    later = (diluted["occurred_at"] - diluted["loaded_at"]).dt.total_minutes()

    low, high = hooks()["dilution"]["share"]
    assert low <= diluted.height / results.height <= high
    assert (diluted["value"] > diluted["limit"]).all()
    assert judged.filter(~pl.col("is_diluted") & (pl.col("value") > pl.col("limit"))).is_empty()
    assert (diluted["rerun"] >= 1).all()
    assert (later >= hooks()["dilution"]["later_minutes"]).all()


def test_a_round_a_month_is_measured_by_every_analyser(assessed: pl.DataFrame) -> None:
    figures, run = hooks()["eqa"], exam()["run"]
    rounds = assessed.group_by("test_code").agg(pl.col("round").n_unique(), pl.len())
    begin = run["until"] - timedelta(days=run["days"])

    assert set(assessed["test_code"]) == set(analytes.codes())
    assert rounds["round"].is_between(*figures["rounds"]).all()
    assert (rounds["len"] == figures["specimens"] * rounds["round"]).all()
    assert assessed.select(["round", "specimen", "test_code"]).is_unique().all()
    assert assessed["on"].is_between(begin, run["until"], closed="left").all()
    assert (assessed["on"].dt.to_string("%Y-%m") == assessed["round"]).all()
    units = {one.code: (one.analyser, one.unit) for one in analytes.analytes()}
    told = assessed.select("test_code", "analyser", "unit").unique().rows()
    assert {code: (analyser, unit) for code, analyser, unit in told} == units


def test_the_peers_see_an_ordinary_laboratory(assessed: pl.DataFrame, simulated: Files) -> None:
    figures = hooks()["eqa"]
    off = simulated.read("truth/drift").select("test_code", "on", "shift")
    scripted = simulated.read("truth/control_events").select("test_code", "first_on", "last_on")
    joined = assessed.join(off, on=["test_code", "on"], validate="m:1")
    events = joined.join(scripted, on="test_code").filter(pl.col("on").is_between("first_on", "last_on"))
    calm = joined.join(events, on=["test_code", "on"], how="anti")
    shift, ratio = calm["shift"].to_numpy(), np.log(calm["value"] / calm["assigned_value"]).to_numpy()
    analytic = calm["test_code"].replace_strict({one.code: one.analytic for one in analytes.analytes()}).to_numpy()
    slope = ((shift / analytic) @ (ratio / analytic)) / ((shift / analytic) @ (shift / analytic))

    z = calm["z"].to_numpy()
    assert abs(z.mean()) < figures["mean_z"]
    assert figures["sd_z"][0] <= z.std() <= figures["sd_z"][1]
    assert (np.abs(z) > 3).mean() <= figures["beyond_3"]
    assert figures["own_drift"][0] <= slope <= figures["own_drift"][1]


def test_every_order_has_one_bill(billed: pl.DataFrame, simulated: Files) -> None:
    bills, figures = simulated.read("bills"), hooks()["bills"]

    assert bills["order_number"].is_unique().all()
    assert billed["price_inr"].null_count() == billed["source"].null_count() == 0
    assert (bills["price_inr"] - bills["discount_inr"] == bills["amount_inr"]).all()
    assert bills["price_inr"].is_between(Decimal(1), Decimal(figures["largest_inr"])).all()
    assert (bills["discount_inr"] >= Decimal(0)).all()
    assert (bills["amount_inr"] > Decimal(0)).all()
    assert billed.group_by("panel").agg(pl.col("price_inr").n_unique())["price_inr"].unique().to_list() == [1]
    assert [name for name in bills.columns if "gst" in name or "tax" in name] == []


def test_bills_go_to_who_sent_the_patient_and_are_paid_as_they_pay(billed: pl.DataFrame) -> None:
    figures = hooks()["bills"]
    usual = billed.filter(pl.col("source") != "camp")
    own = billed.filter(pl.col("payer") == "self")
    shares = dict(own["method"].value_counts(normalize=True).iter_rows())
    payers = {"walk_in": "self", "home": "self", "b2b": "b2b", "camp": "camp"}

    assert (billed["source"].replace_strict(payers) == billed["payer"]).all()
    assert figures["self"][0] <= (usual["payer"] == "self").mean() <= figures["self"][1]
    assert set(shares) == set(figures["how_paid"])
    assert all(low <= shares[how] <= high for how, (low, high) in figures["how_paid"].items()), shares
    assert billed.filter(pl.col("payer") != "self")["method"].unique().to_list() == ["credit"]


def test_nothing_is_paid_before_it_is_billed_nor_after_the_year(billed: pl.DataFrame) -> None:
    figures, until = hooks()["bills"], exam()["run"]["until"]
    paid = billed.filter(pl.col("paid_at").is_not_null())
    companies = billed.filter(pl.col("payer") == "b2b")
    after = (companies["paid_at"] - companies["billed_at"]).dt.total_days().drop_nulls()

    assert (billed["billed_at"] >= billed["ordered_at"]).all()
    assert (paid["paid_at"] >= paid["billed_at"]).all()
    assert (paid["paid_at"].dt.convert_time_zone(INDIA).dt.date() < until).all()
    assert billed.filter(pl.col("paid_at").is_null())["method"].unique().to_list() == ["credit"]
    assert figures["companies_pay_after_days"][0] <= after.median() <= figures["companies_pay_after_days"][1]
    low, high = figures["credit_unpaid"]
    assert low <= companies["paid_at"].is_null().mean() <= high


def test_rounds_and_bills_tell_nothing_of_the_truth(simulated: Files) -> None:
    hidden = {
        column for file in (simulated.folder / "truth").glob("*.parquet") for column in pl.read_parquet_schema(file)
    }
    shared = {"accession_number", "analyser", "component", "test_code", "uhid", "on", "hour"}

    for name in ("eqa", "bills", "patients"):
        assert set(simulated.read(name).columns) & (hidden - shared) == set(), name


def _is_valid(number: str) -> bool:
    check = 0
    for place, digit in enumerate(reversed(number)):
        moved = int(digit)
        for _ in range(place % 8):
            moved = int(PERMUTATION[moved])
        check = int(PRODUCTS[check][moved])
    return check == 0
