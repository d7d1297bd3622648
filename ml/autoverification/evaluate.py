"""Judges a booster on patients it has never seen, beside the rules a laboratory has without it.

The unit is one result. Clean results are those of the test block as they were; errors are the results that an injected
error moved consequentially, every kind weighing alike. Release and false release are always told together.

Baselines: `rule` (changed by more than half, or critical), `delta` (log change over the analyte's own SD of change: a
tuned delta check), `delta_panel` (the largest such change in the accession).
"""

from __future__ import annotations

from collections.abc import Mapping

import lightgbm as lgb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml.autoverification.serve import Decision
from ml.autoverification.train import CLEAN, PREVALENCE, TEST, raw_scores
from ml.errors import KINDS
from ml.features import Array

Metrics = dict[str, float]
RELEASE = 0.80
FALSE_HOLDS = {"5pct": 0.05, "1pct": 0.01}
RESAMPLES = 200
MINIMUM = 20  # results of a kind, below which nothing is said of it
RULES = ("rule", "delta", "delta_panel")


def _severities(test: pl.DataFrame) -> dict[str, Array]:
    """How loudly each baseline objects to each result; 0 where it has nothing to compare with."""
    change = (pl.col("log_ratio_last").exp() - 1.0).abs().fill_null(0.0)
    outside = pl.max_horizontal(pl.col("interval_position") - 1.0, -pl.col("interval_position"), 0.0).fill_null(0.0)
    flagged = ((change > 0.5) | pl.col("is_critical")).cast(pl.Float64)
    delta = pl.col("delta_z").abs().fill_null(0.0)
    frame = test.select(
        rule=100.0 * flagged + pl.max_horizontal(change / 0.5, outside),
        delta=delta,
        delta_panel=delta.max().over("error", "event"),
    )
    return {name: frame[name].to_numpy() for name in RULES}


def auc(clean: Array, errors: Array) -> float:
    """Chance that an error scores above a clean result; ties count half."""
    ranked = np.sort(clean)
    below = np.searchsorted(ranked, errors, side="left") + np.searchsorted(ranked, errors, side="right")
    return float(below.mean() / (2.0 * len(ranked)))


def missed(clean: Array, errors: Array, release: float) -> float:
    """Share of errors released when `release` of the clean results are; ties at the limit are released in part."""
    ranked = np.sort(clean)
    limit = ranked[min(int(np.ceil(release * len(ranked))), len(ranked)) - 1]
    under = np.searchsorted(ranked, limit, side="left")
    ties = np.searchsorted(ranked, limit, side="right") - under
    share = (release * len(ranked) - under) / ties
    return float((errors < limit).mean() + share * (errors == limit).mean())


class _Sorted:
    """One score, parted into clean results and errors by kind; the errors of a kind weigh alike."""

    def __init__(self, score: Array, kind: NDArray[np.str_]) -> None:
        self.clean = score[kind == CLEAN]
        self.kinds = {name: score[kind == name] for name in KINDS if (kind == name).sum() >= MINIMUM}

    def auc(self) -> float:
        return float(np.mean([auc(self.clean, errors) for errors in self.kinds.values()]))

    def missed(self, release: float) -> float:
        return float(np.mean([missed(self.clean, errors, release) for errors in self.kinds.values()]))

    def false_releases(self, prevalence: float) -> float:
        """Errors in ten thousand released results, at the release rate and prevalence stated."""
        wrong = prevalence * self.missed(RELEASE)
        return 1e4 * wrong / (wrong + (1.0 - prevalence) * RELEASE)


def _of_score(name: str, score: Array, kind: NDArray[np.str_], prevalence: float) -> Metrics:
    parted = _Sorted(score, kind)
    caught = {f"catch_at_{word}_{name}": 1.0 - parted.missed(1.0 - rate) for word, rate in FALSE_HOLDS.items()}
    return {f"auc_{name}": parted.auc(), f"fr10k_80_{name}": parted.false_releases(prevalence)} | caught


def _interval(
    score: Array, test: pl.DataFrame, kind: NDArray[np.str_], prevalence: float, seed: int
) -> tuple[Metrics, int]:
    """95 % interval of the false releases and of the AUC, resampling patients; and the number of patients."""
    patient = test["patient_key"].rank("dense").to_numpy().astype(np.int64) - 1
    order = np.argsort(patient, kind="stable")
    count = int(patient.max()) + 1
    members = np.split(order, np.searchsorted(patient[order], np.arange(1, count)))
    rng = np.random.default_rng(seed)
    seen = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([members[one] for one in rng.integers(0, count, count)])
        parted = _Sorted(score[rows], kind[rows])
        seen.append((parted.false_releases(prevalence), parted.auc()))
    (low, auc_low), (high, auc_high) = np.quantile(np.array(seen), [0.025, 0.975], axis=0)
    return {"fr10k_80_low": low, "fr10k_80_high": high, "auc_low": auc_low, "auc_high": auc_high}, count


def _strata(score: Array, best: Array, test: pl.DataFrame, kind: NDArray[np.str_]) -> Metrics:
    """AUC by what is known of the patient and by analyte; a swap without a history cannot be seen in the results."""
    common = test["n_common"].to_numpy()
    masks = {"history": common >= 3, "no_history": common == 0}
    masks |= {f"test_{code}": (test["test_code"] == code).to_numpy() for code in test["test_code"].unique().sort()}
    metrics: Metrics = {}
    for name, mask in masks.items():
        parted = _Sorted(score[mask], kind[mask])
        if len(parted.clean) >= MINIMUM and parted.kinds:
            metrics[f"auc_{name}"] = parted.auc()
            metrics[f"auc_{name}_best_rule"] = _Sorted(best[mask], kind[mask]).auc()
    return metrics


def _calibration_error(risk: Array, label: Array, weight: Array) -> float:
    """Mean distance of the stated risk from the observed share of errors, over ten bins of equal weight."""
    order = np.argsort(risk, kind="stable")
    bins = np.minimum((np.cumsum(weight[order]) / weight.sum() * 10).astype(int), 9)
    stated, observed = (np.bincount(bins, (weight * of)[order], 10) for of in (risk, label))
    return float(np.abs(stated - observed).sum() / weight.sum())


def _of_decision(decision: Decision, raw: Array, kind: NDArray[np.str_]) -> Metrics:
    """What the threshold does on the test block, and how true the stated risk is at the stated prevalence."""
    risk, label = decision.risk(raw), (kind != CLEAN).astype(np.float64)
    held = risk > decision.threshold
    kinds, place, counts = np.unique(kind, return_inverse=True, return_counts=True)
    share = np.where(kinds == CLEAN, 1.0 - decision.prevalence, decision.prevalence / (len(kinds) - 1))
    weight = (share / counts)[place]
    return {
        "threshold": decision.threshold,
        "false_hold_rate": float(held[kind == CLEAN].mean()),
        "catch_at_threshold": float(np.mean([held[kind == name].mean() for name in kinds if name != CLEAN])),
        "calibration_error": _calibration_error(risk, label, weight),
        "prevalence": decision.prevalence,
    }


def evaluate(booster: lgb.Booster, features: pl.DataFrame, decision: Decision | None = None, seed: int = 0) -> Metrics:
    """Metrics on the test block of a training frame; with a `decision`, also those of its threshold and calibration.

    `auc`, `catch_at_*`, `fr10k_80` (false releases in ten thousand at 80 % release) are means over the kinds of error;
    each baseline has its own beside them, and `*_best_rule` is the best of the three.
    Raises ValueError when the block is too small.
    """
    test = features.filter((pl.col("block") == TEST) & ((pl.col("label") == 1) | (pl.col("error") == CLEAN)))
    kind = test["error"].to_numpy().astype(np.str_)
    raw = raw_scores(booster, test) if len(test) else np.empty(0)
    if (kind == CLEAN).sum() < MINIMUM or not _Sorted(raw, kind).kinds:
        raise ValueError("too few patients after the cut to evaluate")
    prevalence = decision.prevalence if decision else PREVALENCE
    severity = _severities(test)
    metrics = _of_score("model", raw, kind, prevalence)
    for name in RULES:
        metrics |= _of_score(name, severity[name], kind, prevalence)
    best = max(RULES, key=lambda name: metrics[f"auc_{name}"])
    metrics |= {
        "auc_best_rule": metrics[f"auc_{best}"],
        "fr10k_80_best_rule": min(metrics[f"fr10k_80_{name}"] for name in RULES),
    }
    parted = _Sorted(raw, kind)
    metrics |= {f"auc_{name}": auc(parted.clean, errors) for name, errors in parted.kinds.items()}
    metrics |= _strata(raw, severity[best], test, kind)
    interval, patients = _interval(raw, test, kind, prevalence, seed)
    counts = {"n_patients": patients, "n_clean": len(parted.clean), "n_errors": sum(map(len, parted.kinds.values()))}
    return _plain(metrics | interval | counts | (_of_decision(decision, raw, kind) if decision else {}))


def _plain(metrics: Mapping[str, float]) -> Metrics:
    """Python floats, the model's own names without a suffix, in order of name."""
    return {name.removesuffix("_model"): float(value) for name, value in sorted(metrics.items())}
