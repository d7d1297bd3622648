"""The exam of the virtual laboratory's house: arrivals, queues, controls, failures, errors, people's decisions, truth.

Frozen with `realism.toml`: corrected only on its merits, in a commit of its own, never in one that touches `ml/`.
"""

import hashlib
import stat
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.unit.virtual_lab import realism
from tests.unit.virtual_lab.realism import INDIA, Files, about, exam

pytestmark = pytest.mark.req("7.2.1")
ARRIVALS = exam()["arrivals"]
DECISIONS = exam()["decisions"]
CONTROLS = exam()["controls"]
FAILURES = exam()["failures"]
APPLICATION = ("patients", "results", "controls", "decisions", "equipment_events", "reagents")
TIMES = ("ordered_at", "collected_at", "received_at", "loaded_at", "occurred_at", "available_at", "authorised_at")


@pytest.fixture(scope="session")
def visits(simulated: Files) -> pl.DataFrame:
    """One row a visit, with its Indian day and hour."""
    local = pl.col("ordered_at").dt.convert_time_zone(INDIA)
    return (
        simulated.read("results")
        .unique("order_number")
        .with_columns(on=local.dt.date(), hour=local.dt.hour() + local.dt.minute() / 60)
    )


def test_weekdays_have_their_loads(visits: pl.DataFrame) -> None:
    ordinary = _by_day(visits).filter(~pl.col("on").is_in(_near_festivals()))
    means = dict(ordinary.group_by(pl.col("on").dt.weekday()).agg(pl.col("len").mean()).iter_rows())
    middle = np.mean([means[day] for day in (3, 4, 5)])

    off = {day: means[day] / middle - wanted for day, wanted in enumerate(ARRIVALS["weekday"], start=1)}
    assert {day: by for day, by in off.items() if abs(by) > ARRIVALS["weekday_off"]} == {}


def test_on_a_festival_few_come_and_on_its_morrow_many(visits: pl.DataFrame) -> None:
    counts = _by_day(visits)
    usual = dict(
        counts.filter(~pl.col("on").is_in(_near_festivals()))
        .group_by(pl.col("on").dt.weekday())
        .agg(pl.col("len").mean())
        .iter_rows()
    )
    found = dict(counts.iter_rows())

    def ratio(days: list[date]) -> float:
        return sum(found.get(day, 0) for day in days) / sum(usual[day.isoweekday()] for day in days)

    after = [day + timedelta(days=1) for day in ARRIVALS["festivals"]]
    assert ARRIVALS["festival"][0] <= ratio(ARRIVALS["festivals"]) <= ARRIVALS["festival"][1]
    assert ARRIVALS["day_after"][0] <= ratio(after) <= ARRIVALS["day_after"][1]


def test_they_come_fasting_in_the_morning_and_some_in_the_evening(visits: pl.DataFrame) -> None:
    hours = np.bincount(visits.filter(pl.col("source") != "camp")["hour"].to_numpy().astype(int), minlength=24)
    smooth = hours / hours.sum()

    low, high = ARRIVALS["morning_peak_hours"]
    assert low <= smooth.argmax() < high
    assert smooth[low:high].sum() > 0.4
    low, high = ARRIVALS["evening_peak_hours"]
    assert smooth[low:high].mean() > 1.5 * smooth[13:16].mean()
    assert visits.filter(pl.col("is_fasting"))["hour"].median() < 11


def test_visits_come_from_sites_homes_companies_and_camps(visits: pl.DataFrame) -> None:
    rates = exam()["rates"]
    usual = visits.filter(pl.col("source") != "camp")
    shares = usual["site_code"].value_counts(normalize=True).sort("proportion", descending=True)["proportion"].to_list()

    assert all(low <= share <= high for share, (low, high) in zip(shares, rates["sites"], strict=True)), shares
    for source, name in (("home", "home_collection"), ("b2b", "b2b")):
        assert rates[name][0] <= (usual["source"] == source).mean() <= rates[name][1]
    camps = (
        visits.filter(pl.col("source") == "camp")
        .group_by("on")
        .agg(pl.len(), hours=pl.col("hour").max() - pl.col("hour").min())
    )
    assert camps.height >= 2
    assert camps["len"].is_between(*ARRIVALS["camp_visits"]).all()
    assert (camps["hours"] <= ARRIVALS["camp_hours"]).all()


def test_the_stages_follow_each_other_and_the_analysers_are_busy_in_the_morning(simulated: Files) -> None:
    results = simulated.read("results")
    for earlier, later in pairwise(TIMES):
        assert (results[later] >= results[earlier]).all(), (earlier, later)
    low, high = exam()["rates"]["peak_utilisation"]
    busy = simulated.read("truth/queue").filter(
        pl.col("hour").is_in([9, 10]) & (pl.col("on").dt.weekday() < 7) & ~pl.col("on").is_in(_near_festivals())
    )
    for share in busy.group_by("analyser").agg(pl.col("busy").mean())["busy"]:
        assert low <= share <= high
    rerun = (results["rerun"] > 0).mean()
    assert exam()["rates"]["reruns"][0] <= rerun <= exam()["rates"]["reruns"][1]


def test_urgent_specimens_wait_less(simulated: Files) -> None:
    waits = (
        simulated.read("results")
        .unique("accession_number")
        .group_by("priority")
        .agg((pl.col("loaded_at") - pl.col("received_at")).dt.total_seconds().mean().alias("wait"))
    )
    found = dict(waits.iter_rows())

    assert found["stat"] < 0.8 * found["routine"]


@pytest.mark.parametrize("kind", exam()["errors"])
def test_errors_are_as_rare_as_they_are_said_to_be(judged: pl.DataFrame, kind: str) -> None:
    rate, carrier = exam()["errors"][kind]
    # an immunoassay is done in serum; the same analyser's HBA1C is none
    assayed = (pl.col("analyser") == carrier) & (pl.col("container") == "SST 5 mL")
    able = pl.lit(True) if carrier == "any" else (pl.col("container") == carrier) | assayed
    carriers = judged.filter(able)["accession_number"].unique()
    specimens = len(carriers)
    spoilt = judged.filter(pl.col("kind") == kind)

    assert spoilt.filter(~pl.col("accession_number").is_in(carriers.implode())).is_empty()
    assert realism.within_chance(spoilt["accession_number"].n_unique(), specimens, rate)
    assert specimens > 5000


def test_only_what_moved_beyond_the_allowable_error_is_consequential(judged: pl.DataFrame) -> None:
    by_specimen = judged.group_by("accession_number").agg(
        pl.col("is_consequential").first(), pl.col("kind").first(), moved=(pl.col("error_size") > 1).any()
    )
    wrong = judged.filter(pl.col("is_wrong"))

    assert (by_specimen["is_consequential"] == by_specimen["moved"]).all()
    assert not by_specimen.filter(pl.col("kind") == "clean")["moved"].any()
    assert wrong.height > 50
    assert (wrong["value"] == wrong["sent_value"]).all()
    assert (judged.filter(~pl.col("is_wrong") & pl.col("is_consequential")).height) > 50


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("swap_with_history", (pl.col("kind") == "swap") & pl.col("is_consequential") & pl.col("has_history")),
        ("swap_without_history", (pl.col("kind") == "swap") & pl.col("is_consequential") & ~pl.col("has_history")),
        ("haemolysis", pl.col("kind") == "haemolysis"),
        ("iv_fluid", (pl.col("kind") == "iv_fluid") & pl.col("is_consequential")),
        (
            "below_twice_the_allowable_error",
            pl.col("kind").is_in(["delayed_separation", "edta", "clot", "manual_entry", "short_specimen", "biotin"])
            & (pl.col("largest") < 2),
        ),
        ("false_hold", pl.col("kind") == "clean"),
    ],
)
def test_people_hold_what_studies_say_they_hold(
    judged: pl.DataFrame, simulated: Files, name: str, chosen: pl.Expr
) -> None:
    first_looks = _decisions(judged, simulated).filter(chosen & pl.col("flag_shown").is_null() & pl.col("is_fresh"))

    assert about(int(first_looks["is_held"].sum()), first_looks.height, DECISIONS[name])


def test_people_tire_and_follow_the_flag(judged: pl.DataFrame, simulated: Files) -> None:
    looks = _decisions(judged, simulated)
    shown = looks.filter(pl.col("flag_shown").is_not_null())
    tired = looks.filter((pl.col("kind") == "haemolysis") & pl.col("flag_shown").is_null() & ~pl.col("is_fresh"))
    low, high = (limit - DECISIONS["fatigue"] for limit in DECISIONS["haemolysis"])

    agreed = (shown["flag_shown"] == shown["is_held"]).sum()
    assert shown.height > 1000
    assert about(int(agreed), shown.height, DECISIONS["agrees_with_flag"])
    assert tired.height > 15
    assert about(int(tired["is_held"].sum()), tired.height, [low, high])


def test_controls_stand_around_their_targets_but_in_scripted_events(simulated: Files) -> None:
    controls, events = _controls(simulated), simulated.read("truth/control_events")
    calm = controls.filter(~pl.col("in_event"))["z"].to_numpy()
    runs = controls.group_by("analyser", "test_code", "level", "on").len()["len"]

    assert set(events["kind"]) == set(CONTROLS["kinds"])
    assert abs(calm.mean()) < CONTROLS["mean_z"]
    assert CONTROLS["sd_z"][0] <= calm.std() <= CONTROLS["sd_z"][1]
    assert runs.mode().to_list() == [CONTROLS["runs_a_day"]]
    for event in events.filter(pl.col("kind") == "shift").iter_rows(named=True):
        own = controls.filter(
            (pl.col("analyser") == event["analyser"])
            & (pl.col("test_code") == event["test_code"])
            & pl.col("on").is_between(event["first_on"], event["last_on"])
        )
        assert abs(own["z"].to_numpy().mean()) > CONTROLS["shift_z"], event


def test_parts_wear_out_as_weibull_says_and_some_break_without_a_sign(decade: Files) -> None:
    failures = decade.read("equipment_events").filter(pl.col("kind") == "failure").sort("occurred_at")
    end = exam()["run"]["until"]
    begin = end - timedelta(days=FAILURES["days"])
    lives, censored = [], []
    for rows in failures.partition_by("analyser", "component"):
        days = [begin, *rows["occurred_at"].dt.convert_time_zone(INDIA).dt.date()]
        lives += [(later - earlier).days for earlier, later in pairwise(days)]
        censored.append((end - days[-1]).days)
    shape = realism.weibull_shape(np.array(lives, float).clip(0.5), np.array(censored, float).clip(0.5))

    assert len(lives) > 80
    assert abs(shape - FAILURES["shape"]) < FAILURES["shape_off"]
    wear = decade.read("truth/wear")
    ends = wear.filter(pl.col("fails_today"))
    assert about(int((~ends["has_signs"]).sum()), ends.height, [FAILURES["abrupt"]] * 2)


def test_worn_parts_say_so_in_error_codes(decade: Files) -> None:
    codes = decade.read("equipment_events").filter(pl.col("kind") == "error_code")
    each = codes.group_by(
        "analyser", "component", pl.col("occurred_at").dt.convert_time_zone(INDIA).dt.date().alias("on")
    ).len()
    days = decade.read("truth/wear").join(each, on=["analyser", "component", "on"], how="left").fill_null(0)

    new = days.filter(pl.col("wear") < 0.1)["len"].to_numpy().mean()
    worn = days.filter(pl.col("wear") > 0.8)["len"].to_numpy().mean()
    assert FAILURES["error_codes_when_new"][0] <= new <= FAILURES["error_codes_when_new"][1]
    assert FAILURES["error_codes_when_worn"][0] <= worn <= FAILURES["error_codes_when_worn"][1]


def test_reagents_are_used_by_what_is_measured(simulated: Files) -> None:
    reagents, results = simulated.read("reagents"), simulated.read("results")
    day = pl.col("occurred_at").dt.convert_time_zone(INDIA).dt.date().alias("on")
    measured = results.group_by("test_code", day).len()
    joined = measured.join(
        reagents.group_by("test_code", "on").agg(pl.col("used").sum()), on=["test_code", "on"], how="left"
    )

    assert joined["used"].null_count() == 0
    assert (joined["used"] >= joined["len"]).all()
    assert (reagents["left"] >= 0).all()
    assert reagents.group_by("test_code").agg(pl.col("lot_number").n_unique())["lot_number"].min() >= 6


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    run = exam()["run"] | {"patients": 300, "days": 60}
    once, again = (realism.simulate(tmp_path / name, **run) for name in ("once", "again"))
    other = realism.simulate(tmp_path / "other", **run | {"seed": run["seed"] + 1})

    assert _digests(once) == _digests(again)
    same = {name for name, digest in _digests(other).items() if digest == _digests(once)[name]}
    assert same == set()


def test_what_the_application_reads_tells_nothing_of_the_truth(simulated: Files) -> None:
    hidden = {
        column for file in (simulated.folder / "truth").glob("*.parquet") for column in pl.read_parquet_schema(file)
    }
    shared = {"accession_number", "analyser", "component", "test_code", "uhid", "on", "hour"}

    for name in APPLICATION:
        own = {"kind"} if name == "equipment_events" else set()  # of an event in the log, not of an error
        assert set(simulated.read(name).columns) & (hidden - shared - own) == set(), name
    for file in (simulated.folder / "truth").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((simulated.folder / "truth").stat().st_mode) == 0o700


def test_a_simulation_without_a_day_or_a_patient_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in (["--patients", "0"], ["--days", "0"]):
        assert realism.app(["simulate", "--out", str(tmp_path / "none"), *wrong]) == 2
        assert "at least 1" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def _near_festivals() -> list[date]:
    """Every festival that the laboratory knows, and its morrow, are kept out of what is usual."""
    return sorted({day + timedelta(days=after) for day in ARRIVALS["holidays"] for after in (0, 1)})


def _by_day(visits: pl.DataFrame) -> pl.DataFrame:
    usual = visits.filter(pl.col("source") != "camp").group_by("on").len()
    run = exam()["run"]
    every = pl.DataFrame(
        {"on": pl.date_range(run["until"] - timedelta(days=run["days"]), run["until"] - timedelta(days=1), eager=True)}
    )
    return every.join(usual, on="on", how="left").with_columns(pl.col("len").fill_null(0))


def _decisions(judged: pl.DataFrame, simulated: Files) -> pl.DataFrame:
    specimens = judged.group_by("accession_number").agg(
        pl.col("kind").first(),
        pl.col("is_consequential").first(),
        pl.col("has_history").any(),
        largest=pl.col("error_size").max(),
    )
    worked = (pl.col("decided_at") - pl.col("shift_started_at")).dt.total_seconds() / 3600
    fresh = worked <= DECISIONS["fatigue_after_hours"]
    return simulated.read("decisions").join(specimens, on="accession_number").with_columns(is_fresh=fresh)


def _controls(simulated: Files) -> pl.DataFrame:
    rows = simulated.read("controls").with_columns(
        z=(pl.col("value") - pl.col("mean")) / pl.col("sd"),
        on=pl.col("occurred_at").dt.convert_time_zone(INDIA).dt.date(),
    )
    events = simulated.read("truth/control_events").select("analyser", "test_code", "first_on", "last_on")
    joined = rows.with_row_index().join(events, on=["analyser", "test_code"], how="left")
    inside = joined.filter(pl.col("on").is_between("first_on", "last_on"))["index"].unique()
    return rows.with_row_index().with_columns(in_event=pl.col("index").is_in(inside.implode()))


def _digests(files: Files) -> dict[str, str]:
    return {
        str(file.relative_to(files.folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(files.folder.rglob("*.parquet"))
    }
