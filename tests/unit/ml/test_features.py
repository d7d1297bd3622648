from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ml import baselines, schemas
from ml.features import ANALYTES, FeatureSpec, Panel, Prior, Reading, feature_names, features_of
from ml.frames import MixedOrganizations, batch_of, feature_frame
from tests.unit.ml.panels import CODES, WITHIN_CV, made_up_results, with_corrections

NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)
Row = dict[str, Any]


def fitted(results: pl.DataFrame) -> FeatureSpec:
    return baselines.fit(batch_of(schemas.validated(results, schemas.RESULTS)).draws)


HARD = with_corrections(made_up_results(1_200, seed=3))
SPEC = fitted(HARD)
FRAME = feature_frame(HARD, SPEC)
NAMES = feature_names(SPEC)


def scored_online(results: pl.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    """Every result through the online form; what was known at its instant is put together row by row."""
    rows = results.to_dicts()
    corrected_at = {row["corrects_id"]: row["available_at"] for row in rows if row["corrects_id"]}
    by_specimen, by_patient = defaultdict(list), defaultdict(list)
    for row in rows:
        by_specimen[row["specimen_id"]].append(row)
        by_patient[row["patient_key"]].append(row)
    for specimen_id, specimen in by_specimen.items():
        for at in sorted({row["available_at"] for row in specimen}):
            known = {
                row["test_code"]: row
                for row in sorted(specimen, key=lambda row: row["available_at"])
                if row["available_at"] <= at
            }
            history = [
                Prior(row["test_code"], row["value"], row["available_at"])
                for row in by_patient[specimen[0]["patient_key"]]
                if row["specimen_id"] != specimen_id and not corrected_at.get(row["result_id"], at) < at
            ]
            codes = [code for code in SPEC.analytes if code in known]
            matrix = features_of(panel_of(specimen[0], at, known), history, SPEC)
            for code, features in zip(codes, matrix, strict=True):
                if known[code]["available_at"] == at:
                    yield known[code]["result_id"], features


def panel_of(row: Row, at: datetime, known: dict[str, Row]) -> Panel:
    readings = {
        code: Reading(one["value"], one["reference_low"], one["reference_high"], one["comparator"])
        for code, one in known.items()
    }
    return Panel(row["sex"] or "unknown", row["age_days"], at, readings)


def named(matrix: np.ndarray, code: str, panel: Panel) -> dict[str, float]:
    place = [one for one in SPEC.analytes if one in panel.results].index(code)
    return dict(zip(NAMES, matrix[place], strict=True))


def panel(**values: float) -> Panel:
    return Panel("female", 16_000, NOW, {code: Reading(value, 1.0, 2.0) for code, value in values.items()})


@pytest.mark.req("1.6.3")
def test_batch_and_online_give_the_same_features_for_every_result() -> None:
    online = dict(scored_online(HARD))

    batch = FRAME.select(NAMES).to_numpy().astype(float)
    expected = np.array([online[result_id] for result_id in FRAME["result_id"]])
    assert len(online) == len(FRAME) > 7_000
    np.testing.assert_allclose(batch, expected, rtol=1e-9, atol=1e-9, equal_nan=True)


@pytest.mark.req("1.6.4")
def test_deleting_everything_later_changes_no_feature() -> None:
    twins = HARD.filter(pl.col("result_id").str.starts_with("t"))
    for specimen_id, at in pl.concat([HARD[::500], twins[::25]])["specimen_id", "available_at"].unique().rows():
        own = pl.col("specimen_id") == specimen_id
        known = HARD.filter((pl.col("available_at") < at) | (own & (pl.col("available_at") == at)))

        truncated = feature_frame(known, SPEC).filter(own & (pl.col("scored_at") == at))

        scored = FRAME.filter(own & (pl.col("scored_at") == at))
        assert not scored.is_empty()
        assert_frame_equal(truncated, scored, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.req("1.6.4")
def test_wild_results_that_come_later_change_nothing_before() -> None:
    middle = HARD["available_at"].median()
    wild = HARD.with_columns(
        value=pl.when(pl.col("available_at") >= middle).then(pl.col("value") * 50.0).otherwise("value")
    )

    before = pl.col("scored_at") < middle
    assert_frame_equal(feature_frame(wild, SPEC).filter(before), FRAME.filter(before))


@pytest.mark.req("1.6.4")
def test_only_the_allow_listed_columns_are_read() -> None:
    allowed = HARD.select(*schemas.RESULTS.columns)

    assert {"status", "reasons", "risk", "is_automatic"} <= set(HARD.columns) - set(allowed.columns)
    assert_frame_equal(feature_frame(allowed, SPEC), FRAME)


@pytest.mark.req("12.4")
def test_a_restricted_test_never_enters() -> None:
    secret = HARD.head(200).with_columns(
        result_id="x" + pl.col("result_id"), test_code=pl.lit("HIV"), corrects_id=pl.lit(None, pl.String)
    )
    everything = pl.concat([HARD, secret])

    assert fitted(everything).analytes == SPEC.analytes
    assert_frame_equal(feature_frame(everything, SPEC), FRAME)


def test_a_patients_key_is_only_a_key() -> None:
    renamed = HARD.with_columns(patient_key=pl.col("patient_key").str.reverse() + "-other")

    same = feature_frame(renamed, SPEC).drop("patient_key")
    assert_frame_equal(same, FRAME.drop("patient_key"))


def test_the_order_of_the_rows_does_not_matter() -> None:
    shuffled = HARD.sample(fraction=1.0, shuffle=True, seed=4)

    assert_frame_equal(feature_frame(shuffled, SPEC), FRAME)


def test_two_organizations_in_one_frame_are_refused() -> None:
    other = HARD.head(5).with_columns(organization_id=pl.lit("other"), result_id="x" + pl.col("result_id"))

    with pytest.raises(MixedOrganizations):
        feature_frame(pl.concat([HARD, other]), SPEC)


def test_rows_that_break_the_contract_are_refused() -> None:
    with pytest.raises(schemas.ContractBroken, match="result_id"):
        feature_frame(pl.concat([HARD, HARD.head(1)]), SPEC)
    with pytest.raises(schemas.ContractBroken, match="missing: available_at"):
        feature_frame(HARD.drop("available_at"), SPEC)


def test_the_baselines_survive_json_exactly() -> None:
    again = FeatureSpec.from_json(json.loads(json.dumps(SPEC.as_json())))

    assert again.analytes == SPEC.analytes
    assert np.array_equal(again.within, SPEC.within)
    assert np.array_equal(again.population, SPEC.population)


def test_the_baselines_find_the_within_person_variation_that_was_put_in() -> None:
    spec = fitted(made_up_results(4_000, seed=8))

    within = np.sqrt(np.diagonal(spec.within))
    assert spec.analytes == CODES == ANALYTES
    np.testing.assert_allclose(within, WITHIN_CV, rtol=0.12)
    assert spec.within[6, 7] / (within[6] * within[7]) == pytest.approx(0.6, abs=0.1)


def test_an_analyte_with_few_values_is_left_out_of_the_baselines() -> None:
    few = HARD.filter((pl.col("test_code") != "ALP") | (pl.int_range(pl.len()).over("test_code") < 10))

    assert fitted(few).analytes == tuple(code for code in CODES if code != "ALP")


def test_values_that_never_vary_still_have_baselines() -> None:
    constant = fitted(HARD.with_columns(value=pl.when(pl.col("test_code") == "NA").then(140.0).otherwise("value")))

    one = panel(NA=140.0, K=4.2)
    assert (np.linalg.eigvalsh(constant.within) > 0).all()
    assert np.isfinite(named(features_of(one, [], constant), "NA", one)["conditional_z"])


def test_without_a_history_the_history_is_missing_and_the_population_stands_in() -> None:
    one = panel(K=4.2, NA=140.0)

    features = named(features_of(one, [], SPEC), "K", one)
    assert math.isnan(features["log_ratio_last"])
    assert math.isnan(features["own_mean_z"])
    assert features["n_prior"] == features["n_common"] == 0
    assert features["history_z"] == pytest.approx(features["population_z"])
    assert features["own_likelihood_ratio"] == pytest.approx(0.0, abs=1e-9)


def test_a_result_available_at_the_very_instant_is_no_history() -> None:
    one = panel(K=4.2)

    now = features_of(one, [Prior("K", 6.0, NOW)], SPEC)
    np.testing.assert_array_equal(now, features_of(one, [], SPEC))
    before = named(features_of(one, [Prior("K", 6.0, NOW - timedelta(microseconds=1))], SPEC), "K", one)
    assert before["n_prior"] == 1


def test_only_the_last_three_results_of_an_analyte_count() -> None:
    one = panel(K=4.2)
    last = [Prior("K", 4.0 + days / 10, NOW - timedelta(days=days)) for days in (1, 2, 3)]
    older = [Prior("K", 9.0, NOW - timedelta(days=400))]

    np.testing.assert_array_equal(features_of(one, older + last, SPEC), features_of(one, last, SPEC))


def test_a_censored_value_is_used_and_marked() -> None:
    reading = {"TBIL": Reading(0.2, 0.2, 1.2, "<")}
    censored = Panel("male", 16_000, NOW, reading)
    plain = Panel("male", 16_000, NOW, {"TBIL": reading["TBIL"]._replace(comparator=None)})

    one = named(features_of(censored, [], SPEC), "TBIL", censored)
    other = named(features_of(plain, [], SPEC), "TBIL", plain)
    assert one.pop("is_censored") == 1.0
    assert other.pop("is_censored") == 0.0
    np.testing.assert_equal(one, other)


def test_the_position_in_the_reference_interval_runs_from_zero_to_one() -> None:
    readings = {"K": Reading(4.3, 3.5, 5.1), "ALT": Reading(45.0, None, 45.0), "GLU": Reading(90.0, 70.0, None)}
    one = Panel("male", 16_000, NOW, readings)

    matrix = features_of(one, [], SPEC)
    assert named(matrix, "K", one)["interval_position"] == pytest.approx(0.5)
    assert named(matrix, "ALT", one)["interval_position"] == pytest.approx(1.0)
    assert math.isnan(named(matrix, "GLU", one)["interval_position"])


@pytest.mark.parametrize("value", [0.0, -1.0, 1e9])
def test_a_value_out_of_all_reason_still_has_finite_features(value: float) -> None:
    one = panel(K=value, NA=140.0)

    features = named(features_of(one, [Prior("K", value, NOW - timedelta(days=3))], SPEC), "K", one)
    assert math.isfinite(features["conditional_z"])
    assert math.isfinite(features["own_likelihood_ratio"])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="K has no finite value"):
        features_of(panel(K=value), [], SPEC)


def test_the_ratios_are_those_of_the_panel() -> None:
    one = panel(AST=40.0, ALT=20.0, BUN=14.0, CREA=0.7, NA=141.0, CL=101.0)

    features = named(features_of(one, [], SPEC), "ALT", one)
    assert features["log_ast_alt"] == pytest.approx(math.log(2))
    assert features["log_bun_crea"] == pytest.approx(math.log(20))
    assert features["na_minus_cl"] == pytest.approx(40.0)


def test_another_patients_values_fit_this_history_worse() -> None:
    own = {"CREA": 0.8, "ALP": 60.0, "ALT": 18.0, "TBIL": 0.4}
    history = [Prior(code, value, NOW - timedelta(days=30)) for code, value in own.items()]
    other = panel(CREA=1.3, ALP=120.0, ALT=50.0, TBIL=1.1)

    def ratio(one: Panel) -> float:
        return named(features_of(one, history, SPEC), "CREA", one)["own_likelihood_ratio"]

    assert ratio(panel(**own)) > 0 > ratio(other)


@given(
    st.dictionaries(st.sampled_from(CODES), st.floats(0.1, 400.0), min_size=1),
    st.lists(st.tuples(st.sampled_from(CODES), st.floats(0.1, 400.0), st.integers(-3, 60)), max_size=12),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_the_order_of_results_and_of_history_does_not_matter(
    values: dict[str, float], past: list[tuple[str, float, int]], random: Any
) -> None:
    history = [Prior(code, value, NOW - timedelta(days=days)) for code, value, days in past]
    shuffled, codes = random.sample(history, len(history)), random.sample(list(values), len(values))

    one = features_of(panel(**values), history, SPEC)
    other = features_of(panel(**{code: values[code] for code in codes}), shuffled, SPEC)
    np.testing.assert_array_equal(one, other)
