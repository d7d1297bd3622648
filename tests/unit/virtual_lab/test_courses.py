import numpy as np
import pytest

from ingest.virtual_lab import courses
from ingest.virtual_lab.analytes import Numbers, place
from ingest.virtual_lab.courses import Sickness

AUTUMN = np.arange(739_500, 739_590)


def _with(name: str, severity: float, rows: int, *, treated: bool = False) -> Sickness:
    found = np.zeros((rows, len(courses.diseases())))
    found[:, courses.names().index(name)] = severity
    return Sickness(severity=found, is_treated=(found > 0) & treated)


def _shift(name: str, code: str, since: list[float], *, treated: bool = False) -> Numbers:
    days = np.array(since)
    sickness = _with(name, 0.5, len(since), treated=treated)
    return courses.effects(sickness, since_ill=days, since_treated=days)[0][:, place(code)]


def _fallen_ill(age: float, days: Numbers = AUTUMN) -> Sickness:
    rng, count = np.random.default_rng(1), 20_000
    return courses.fall_ill(rng, age_years=np.full(count, age), is_male=np.arange(count) % 2 == 0, days=days)


def test_an_acute_illness_begins_at_its_onset_fades_and_is_gone() -> None:
    before, first, fourteenth, later = _shift("acute hepatitis", "ALT", [-1, 0, 14, 365])

    assert before == later == 0
    assert first > 2
    assert fourteenth == pytest.approx(first / 2)


def test_platelets_fall_days_after_the_fever_and_come_back() -> None:
    second, fifth, twentieth = _shift("dengue", "PLT", [1, 5.5, 20])

    assert fifth < np.log(0.4)
    assert second > fifth / 2
    assert twentieth == 0


def test_treatment_undoes_a_disease_by_halves_and_without_it_it_stays() -> None:
    treated = _shift("hypothyroidism", "TSH", [0, 20, 400], treated=True)
    untreated = _shift("hypothyroidism", "TSH", [0, 20, 400])

    assert treated[0] == untreated[0]
    assert treated[1] == pytest.approx(untreated[0] * (0.05 + 0.95 / 2))
    assert treated[2] == pytest.approx(0.05 * untreated[0], rel=0.01)
    assert np.ptp(untreated) == 0


def test_the_old_have_more_of_what_comes_with_age_and_only_women_are_pregnant() -> None:
    rng = np.random.default_rng(3)
    age, male = rng.uniform(18, 85, 30_000), np.arange(30_000) % 2 == 0

    found = courses.fall_ill(rng, age_years=age, is_male=male, days=AUTUMN)

    kidney, old = found.has("chronic kidney disease"), age > 65
    assert kidney[old].mean() > 2 * kidney[~old].mean()
    assert kidney.mean() == pytest.approx(0.05, abs=0.01)
    assert not found.has("pregnancy")[male].any()
    assert found.has("pregnancy")[~male & (age > 60)].mean() < 0.005


def test_nobody_has_two_acute_illnesses_or_is_diabetic_and_about_to_be() -> None:
    found = _fallen_ill(45.0)

    acute = [index for index, one in enumerate(courses.diseases()) if one.is_acute]
    assert ((found.severity[:, acute] > 0).sum(axis=1) <= 1).all()
    assert not (found.has("diabetes") & found.has("prediabetes")).any()


def test_dengue_is_rare_outside_its_season() -> None:
    spring = np.arange(739_300, 739_360)

    assert _fallen_ill(30.0, spring).has("dengue").mean() < 0.1 * _fallen_ill(30.0).has("dengue").mean()


def test_without_disease_nothing_is_shifted() -> None:
    healthy = Sickness(
        severity=np.zeros((3, len(courses.diseases()))), is_treated=np.zeros((3, len(courses.diseases())), bool)
    )

    shift, unrest = courses.effects(healthy, since_ill=np.zeros(3), since_treated=np.zeros(3))

    assert not shift.any()
    assert (unrest == 1).all()
    assert not courses.moved(np.ones((3, 44)), shift).any()
