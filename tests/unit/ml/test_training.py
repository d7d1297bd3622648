from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ml.autoverification import evaluate, train
from ml.autoverification.evaluate import Metrics
from ml.features import feature_names
from tests.unit.ml.panels import made_up_results, with_corrections


def test_the_same_results_in_any_order_train_the_same_bytes() -> None:
    results = made_up_results(900, seed=11)
    shuffled = results.sample(fraction=1.0, shuffle=True, seed=12)

    one, other = train.develop(results), train.develop(shuffled)
    assert one.booster.model_to_string() == other.booster.model_to_string()
    assert one.decision == other.decision


def test_no_patient_and_no_time_is_on_both_sides(candidate: train.Candidate) -> None:
    blocks = candidate.features.group_by("block").agg(
        pl.col("patient_key").unique(),
        pl.col("scored_at").min().alias("first"),
        pl.col("scored_at").max().alias("last"),
    )
    by_name = {row["block"]: row for row in blocks.to_dicts()}

    patients = [set(by_name[name]["patient_key"]) for name in (train.TRAIN, train.CALIBRATE, train.TEST)]
    assert not patients[0] & patients[1]
    assert not patients[0] & patients[2]
    assert not patients[1] & patients[2]
    assert by_name[train.TRAIN]["last"] < min(by_name[train.CALIBRATE]["first"], by_name[train.TEST]["first"])


def test_results_that_were_corrected_later_are_no_clean_examples() -> None:
    results = with_corrections(made_up_results(900, seed=13))
    corrected = results["corrects_id"].drop_nulls()

    _, features = train.prepare(results)
    assert len(corrected) > 100
    assert not features["result_id"].is_in(corrected.implode()).any()


def test_the_model_sees_the_features_and_nothing_else(candidate: train.Candidate) -> None:
    assert candidate.booster.feature_name() == list(feature_names(candidate.spec))


@pytest.mark.req("1.6.2")
def test_the_model_beats_every_rule_on_patients_it_has_not_seen(metrics: Metrics) -> None:
    assert metrics["auc"] > 0.95
    assert metrics["auc_low"] > metrics["auc_best_rule"] + 0.02
    assert metrics["auc_history"] > metrics["auc_no_history"]
    assert metrics["catch_at_1pct"] > metrics["catch_at_1pct_delta"]
    assert metrics["fr10k_80_high"] < metrics["fr10k_80_best_rule"]


@pytest.mark.req("1.6.2")
def test_stated_risks_are_true_on_average_and_lie_between_0_and_1(candidate: train.Candidate, metrics: Metrics) -> None:
    risk = candidate.decision.risk(train.raw_scores(candidate.booster, candidate.features))

    assert 0.0 <= risk.min() < risk.max() <= 1.0
    assert metrics["calibration_error"] < 0.005


def test_the_threshold_holds_the_stated_share_of_clean_results(candidate: train.Candidate, metrics: Metrics) -> None:
    strict = train.calibrate(candidate.booster, candidate.features, false_hold_rate=0.005)
    clean = candidate.features.filter((pl.col("block") == train.CALIBRATE) & (pl.col("error") == train.CLEAN))
    held = candidate.decision.risk(train.raw_scores(candidate.booster, clean)) > candidate.decision.threshold

    assert held.mean() <= train.FALSE_HOLD_RATE
    assert metrics["false_hold_rate"] == pytest.approx(train.FALSE_HOLD_RATE, abs=0.015)
    assert strict.threshold > candidate.decision.threshold


def test_a_lower_prevalence_lowers_every_risk_and_holds_the_same_results(candidate: train.Candidate) -> None:
    common, rare = (
        train.calibrate(candidate.booster, candidate.features, prevalence=prevalence) for prevalence in (0.01, 0.001)
    )
    raw = np.linspace(-8.0, 8.0, 400)

    assert (rare.risk(raw) < common.risk(raw)).all()
    np.testing.assert_array_equal(rare.risk(raw) > rare.threshold, common.risk(raw) > common.threshold)


def test_too_few_patients_are_refused_with_the_reason() -> None:
    _, features = train.prepare(made_up_results(900, seed=11))
    booster = train.train(features)

    with pytest.raises(ValueError, match="too few patients"):
        train.calibrate(booster, features.filter(pl.col("block") != train.CALIBRATE))
    with pytest.raises(ValueError, match="too few patients"):
        evaluate.evaluate(booster, features.filter(pl.col("block") != train.TEST))


def test_auc_counts_the_pairs_that_are_in_order() -> None:
    clean, wrong = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 4.0])

    assert evaluate.auc(clean, wrong) == pytest.approx((1.5 + 4.0) / 8.0)


def test_what_is_missed_at_a_release_rate_counts_ties_in_proportion() -> None:
    clean = np.arange(10.0)

    assert evaluate.missed(clean, np.array([6.5, 8.5]), 0.8) == 0.5
    assert evaluate.missed(clean, np.array([100.0]), 0.8) == 0.0
    assert evaluate.missed(np.zeros(10), np.zeros(5), 0.8) == pytest.approx(0.8)


def test_a_laboratory_with_fewer_analytes_gets_a_model_of_those() -> None:
    without = made_up_results(900, seed=14).filter(~pl.col("test_code").is_in(["K", "GLU", "ALP"]))

    candidate = train.develop(without)
    assert candidate.spec.analytes == ("CREA", "BUN", "NA", "CL", "ALT", "AST", "TBIL")
    assert "history_z_K" not in candidate.booster.feature_name()
    assert candidate.features.filter(pl.col("error") == "edta").is_empty()
