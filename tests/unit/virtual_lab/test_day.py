from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ingest.virtual_lab import errors
from ingest.virtual_lab.analytes import analyte, codes
from ingest.virtual_lab.cohort import Origin
from ingest.virtual_lab.day import DayPlan, Defect, plan_day
from ingest.virtual_lab.errors import ErrorKind
from ingest.virtual_lab.history import write_history

ON = date(2026, 11, 24)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("history")
    write_history(folder, Origin(seed=7, patients=600, days=90, until=ON))
    return folder


@pytest.fixture(scope="module")
def plan(history: Path) -> DayPlan:
    return plan_day(5, 200, on=ON, history=history)


@pytest.mark.req("7.2.1")
def test_the_same_seed_plans_the_same_day_and_another_seed_another(plan: DayPlan, history: Path) -> None:
    assert plan_day(5, 200, on=ON, history=history) == plan
    assert plan_day(6, 200, on=ON, history=history) != plan


def test_three_of_five_patients_are_those_of_the_history(plan: DayPlan, history: Path) -> None:
    before = {row["uhid"]: row for row in pl.read_parquet(history / "patients.parquet").iter_rows(named=True)}

    known = [visit for visit in plan.visits if visit.is_known]
    assert len(known) == 120
    assert all(vars(visit.person).items() <= before[visit.person.uhid].items() for visit in known)
    assert not {visit.person.uhid for visit in plan.visits if not visit.is_known} & before.keys()
    assert len({visit.person.uhid for visit in plan.visits}) == 200
    assert [visit.number for visit in plan.visits] == list(range(1, 201))


def test_a_known_patients_true_values_continue_their_history(plan: DayPlan, history: Path) -> None:
    past = pl.read_parquet(history / "results.parquet").filter(pl.col("test_code") == "CREA")
    typical = dict(past.group_by("uhid").agg(pl.col("value").log().mean()).iter_rows())

    today = [(visit.full["CREA"], typical[visit.person.uhid]) for visit in plan.visits if visit.person.uhid in typical]

    apart = [np.log(value) - before for value, before in today]
    assert len(apart) > 30
    assert np.median(np.abs(apart)) < 0.08
    assert np.std([before for _, before in today]) > 0.2


def test_four_percent_of_the_specimens_carry_an_error_of_every_kind(history: Path) -> None:
    many = plan_day(5, 400, on=ON, history=history)

    kinds = Counter(visit.error for visit in many.visits if visit.error)
    assert sum(kinds.values()) == 16
    assert kinds.keys() == set(ErrorKind)
    assert kinds[ErrorKind.SWAP] % 2 == 0


def test_every_injected_error_is_consequential_and_everything_else_is_true(plan: DayPlan) -> None:
    for visit in plan.visits:
        assert visit.sent.keys() == set(visit.tests)
        if visit.error:
            assert errors.is_consequential(visit.true, visit.sent)
        else:
            assert visit.sent == visit.true


def test_swapped_specimens_name_each_other_and_carry_each_others_values(history: Path) -> None:
    many = plan_day(5, 400, on=ON, history=history)
    by_number = {visit.number: visit for visit in many.visits}

    swapped = [visit for visit in many.visits if visit.error is ErrorKind.SWAP]
    assert swapped
    for visit in swapped:
        assert visit.partner is not None
        other = by_number[visit.partner]
        assert other.partner == visit.number
        assert visit.sent == {code: other.full[code] for code in visit.tests}


def test_each_defect_is_on_one_message_whose_values_are_true(plan: DayPlan) -> None:
    defective = {visit.defect: visit for visit in plan.visits if visit.defect}

    assert defective.keys() == set(Defect)
    assert sum(visit.defect is not None for visit in plan.visits) == len(Defect)
    assert all(visit.error is None for visit in defective.values())
    mismatch = defective[Defect.IDENTITY_MISMATCH]
    assert mismatch.stated.uhid != mismatch.person.uhid
    assert mismatch.stated.name != mismatch.person.name
    assert any(analyte(code).analyser == "BS480-1" for code in defective[Defect.UNMAPPED_CODE].tests)


def test_patients_come_in_the_order_of_their_hours(plan: DayPlan) -> None:
    seconds = [visit.seconds for visit in plan.visits]

    assert seconds == sorted(seconds)
    assert 6 * 3600 <= seconds[0] < 9 * 3600
    assert sum(second < 12 * 3600 for second in seconds) > 100


def test_only_what_the_running_analysers_measure_is_ordered_and_controlled() -> None:
    plan = plan_day(5, 60, on=ON, analysers_up=("XN1000-1",))

    assert {analyte(code).analyser for visit in plan.visits for code in visit.tests} == {"XN1000-1"}
    assert {one.target.analyser for one in plan.controls} == {"XN1000-1"}
    assert all(visit.tests for visit in plan.visits)


def test_only_the_tests_of_the_history_are_ordered(tmp_path: Path) -> None:
    tests = ("NA", "K", "CREA")
    write_history(tmp_path, Origin(seed=7, patients=60, days=30, until=ON, tests=tests))

    plan = plan_day(5, 60, on=ON, history=tmp_path)

    assert {code for visit in plan.visits for code in visit.tests} == set(tests)


def test_without_a_history_everybody_is_new() -> None:
    plan = plan_day(5, 20, on=ON)

    assert not any(visit.is_known for visit in plan.visits)
    assert len(plan.visits) == 20


def test_controls_are_inside_two_standard_deviations_but_the_one_that_is_asked_for() -> None:
    clean, out = plan_day(5, 5, on=ON), plan_day(5, 5, on=ON, control_out="TBIL")

    assert len(clean.controls) == 2 * len(codes())
    far = [one for one in out.controls if abs(one.value - one.target.mean) > 3.5 * one.target.sd]
    assert [(one.target.test_code, one.target.level) for one in far] == [("TBIL", 2)]
    assert all(abs(one.value - one.target.mean) <= 2 * one.target.sd for one in clean.controls)


@pytest.mark.parametrize("patients", [1, 2, 3])
def test_a_day_of_few_patients_can_be_planned(patients: int) -> None:
    assert len(plan_day(1, patients, on=ON).visits) == patients
