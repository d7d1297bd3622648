from __future__ import annotations

import numpy as np
import pytest

from ml import errors, schemas
from ml.features import ANALYTES, Draws
from ml.frames import batch_of
from tests.unit.ml.panels import made_up_results

BATCH = batch_of(schemas.validated(made_up_results(600, seed=9), schemas.RESULTS))
DRAWS = BATCH.draws
PATIENT = BATCH.events["patient_key"].rank("dense").to_numpy().astype(np.int64)


def injected(kind: str, seed: int = 1) -> errors.Injected:
    return errors.inject(DRAWS, PATIENT, kind, seed=seed)


def column(draws: Draws, code: str) -> np.ndarray:
    return draws.value[:, ANALYTES.index(code)]


@pytest.mark.parametrize("kind", errors.KINDS)
def test_the_same_seed_makes_the_same_errors_and_another_seed_others(kind: str) -> None:
    one, again, other = injected(kind), injected(kind), injected(kind, seed=2)

    np.testing.assert_array_equal(one.draws.value, again.draws.value)
    assert not np.array_equal(one.draws.value, other.draws.value, equal_nan=True)


@pytest.mark.parametrize("kind", errors.KINDS)
def test_a_result_is_an_error_exactly_when_it_moved_beyond_allowable_error(kind: str) -> None:
    made = injected(kind)

    change = np.abs(made.draws.value - DRAWS.value)
    assert made.moved.sum() > 100
    assert (change[made.moved] > errors.allowable_errors(DRAWS.value, ANALYTES)[made.moved]).all()
    assert not (change[~made.moved] > errors.allowable_errors(DRAWS.value, ANALYTES)[~made.moved]).any()
    np.testing.assert_array_equal(made.applied, made.moved.any(axis=1))


@pytest.mark.parametrize("kind", errors.KINDS)
def test_errors_leave_history_and_the_ordered_tests_alone(kind: str) -> None:
    made = injected(kind)

    np.testing.assert_array_equal(made.draws.prior, DRAWS.prior)
    assert not (~np.isnan(made.draws.value) & np.isnan(DRAWS.value)).any()
    assert (made.draws.value[~np.isnan(made.draws.value)] >= 0).all()


def test_a_swap_takes_all_results_of_another_patient_of_the_same_sex_and_age() -> None:
    full = DRAWS.take(np.flatnonzero(~np.isnan(DRAWS.value).any(axis=1)))
    patient = PATIENT[~np.isnan(DRAWS.value).any(axis=1)]

    made = errors.inject(full, patient, "swap", seed=1)

    for place in np.flatnonzero(made.applied):
        donor = np.flatnonzero((full.value == made.draws.value[place]).all(axis=1))[0]
        assert patient[donor] != patient[place]
        assert full.sex[donor] == full.sex[place]
        assert abs(full.age_years[donor] - full.age_years[place]) < 10


def test_haemolysis_raises_potassium_and_ast_and_spares_creatinine() -> None:
    made = injected("haemolysis").draws
    has = ~np.isnan(column(DRAWS, "K"))

    assert (column(made, "K")[has] > column(DRAWS, "K")[has]).all()
    assert (np.nan_to_num(column(made, "AST")) >= np.nan_to_num(column(DRAWS, "AST"))).all()
    np.testing.assert_array_equal(column(made, "CREA"), column(DRAWS, "CREA"))


@pytest.mark.parametrize("kind", ["bias", "unit", "decimal"])
def test_an_error_of_one_result_changes_one_result(kind: str) -> None:
    changed = (injected(kind).draws.value != DRAWS.value) & ~np.isnan(DRAWS.value)

    assert (changed.sum(axis=1) <= 1).all()
    assert changed.sum() > 300


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(KeyError, match="gremlin"):
        injected("gremlin")
