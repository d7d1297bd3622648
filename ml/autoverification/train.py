"""Trains the autoverification model of one organization: gold results in, a booster, its baselines and a threshold out.

Pure and repeatable: the same rows and seed give the same bytes. Patients are split three ways and time two ways: the
booster sees train patients before the cut, the calibration and the threshold other patients after it, the test still
others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml import baselines, errors, frames, schemas
from ml.autoverification.serve import Decision
from ml.features import ANALYTES, Array, Draws, FeatureSpec

SEED = 7
TRAIN, CALIBRATE, TEST = "train", "calibrate", "test"
CLEAN = "none"
PATIENT_SHARES = (0.6, 0.2, 0.2)
TRAIN_UNTIL = 0.6  # quantile of the scoring instants
PREVALENCE = 0.01  # of results in consequential error, before any check; replay logs give a laboratory its own
FALSE_HOLD_RATE = 0.02
UNMOVED_SHARE = 0.15  # of the results beside an error that did not themselves move
ERROR_WEIGHT = 0.5  # total weight of the errors, to one of clean results
UNMOVED_WEIGHT = 0.1

PARAMETERS = {
    "objective": "binary",
    "learning_rate": 0.06,
    "num_leaves": 31,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.7,
    "lambda_l2": 1.0,
    "max_bin": 127,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
ROUNDS = 220


@dataclass(frozen=True, eq=False)
class Candidate:
    """A trained model that has not been judged yet; `features` hold the test block that `evaluate` needs."""

    booster: lgb.Booster
    spec: FeatureSpec
    decision: Decision
    features: pl.DataFrame
    organization_id: str
    data_until: str  # the newest scoring instant, ISO


def _blocks(events: pl.DataFrame, seed: int) -> NDArray[np.str_]:
    """Block of each event: 'train', 'calibrate', 'test', or '' (its time is not for its patient's block)."""
    patients = events["patient_key"].unique().sort()
    ends = np.floor(np.cumsum(PATIENT_SHARES) * len(patients)).astype(int)
    drawn = np.random.default_rng(seed).permutation(len(patients))
    names = np.where(drawn < ends[0], TRAIN, np.where(drawn < ends[1], CALIBRATE, TEST))
    of_patient = dict(zip(patients.to_list(), names.tolist(), strict=True))
    block = events["patient_key"].replace_strict(of_patient, return_dtype=pl.String).to_numpy()
    at = events["scored_at"].dt.epoch("us").to_numpy()
    is_early = at < np.quantile(at, TRAIN_UNTIL)
    return np.where(is_early == (block == TRAIN), block, "").astype(np.str_)


def _is_critical(draws: Draws, low: Array, high: Array) -> NDArray[np.bool_]:
    return (draws.value < low) | (draws.value > high)


@dataclass(frozen=True, eq=False)
class _Part:
    """The accessions of one block."""

    batch: frames.Batch
    spec: FeatureSpec
    block: str
    members: NDArray[np.intp]
    patient: NDArray[np.int64]
    seed: int

    def copies(self) -> Iterator[pl.DataFrame]:
        """The block as it was, then once with each kind of error."""
        draws = self.batch.draws.take(self.members)
        nothing = np.zeros(draws.value.shape, dtype=np.bool_)
        yield self._copy(draws, CLEAN, nothing, np.ones(len(self.members), dtype=np.bool_))
        for kind in errors.KINDS:
            injected = errors.inject(draws, self.patient, kind, seed=self.seed, codes=self.spec.analytes)
            yield self._copy(injected.draws, kind, injected.moved, injected.applied)

    def _copy(self, draws: Draws, kind: str, moved: NDArray[np.bool_], applied: NDArray[np.bool_]) -> pl.DataFrame:
        rows = self._rows(draws, kind, moved, applied)
        return rows.hstack(frames.feature_columns(draws, rows, self.spec)).drop("place")

    def _rows(self, draws: Draws, kind: str, moved: NDArray[np.bool_], applied: NDArray[np.bool_]) -> pl.DataFrame:
        """The scored results of a copy; `event` becomes the place in the block."""
        place = np.full(len(self.batch.events), -1)
        place[self.members] = np.arange(len(self.members))
        event, analyte = place[self.batch.rows["event"].to_numpy()], self.batch.rows["place"].to_numpy()
        low, high = (self.batch.matrix(name)[self.members] for name in ("critical_low", "critical_high"))
        keep = (event >= 0) & applied[event] & ~np.isnan(draws.value[event, analyte])
        keep &= self._kept_unmoved(kind, moved[event, analyte])
        return self.batch.rows.with_columns(
            event=pl.Series(event),
            block=pl.lit(self.block),
            error=pl.lit(kind),
            label=pl.Series(moved[event, analyte].astype(np.int8)),
            is_critical=pl.Series(_is_critical(draws, low, high)[event, analyte]),
        ).filter(pl.Series(keep))

    def _kept_unmoved(self, kind: str, moved: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A few results beside an error teach where it is; none of a swap, where nothing is right, nor of a test."""
        if kind == CLEAN:
            return np.ones(len(moved), dtype=np.bool_)
        share = UNMOVED_SHARE if kind != "swap" and self.block == TRAIN else 0.0
        rng = np.random.default_rng([self.seed, errors.KINDS.index(kind), 1])
        return moved | (rng.uniform(size=len(moved)) < share)


def _weighted(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds `weight`: within a block every kind of error weighs alike, and the errors together a fixed share."""
    clean = ((pl.col("error") == CLEAN).sum() / len(errors.KINDS)).over("block")
    share = pl.when(pl.col("label") == 1).then(ERROR_WEIGHT).otherwise(UNMOVED_WEIGHT)
    error = share * clean / pl.len().over("block", "error", "label")
    return frame.with_columns(weight=pl.when(pl.col("error") == CLEAN).then(1.0).otherwise(error))


def prepare(results: pl.DataFrame, seed: int = SEED) -> tuple[FeatureSpec, pl.DataFrame]:
    """Baselines fitted on the train block, and the training frame (`schemas.training_schema`) of all three blocks.

    `results`: rows of gold.fct_results of one organization. Accessions with a result that was corrected later are left
    out: they are known to be wrong, and are not clean examples. Raises as `frames.feature_frame`.
    """
    results = schemas.validated(results, schemas.TRAINING_RESULTS)
    batch = frames.batch_of(results)
    block = _blocks(batch.events, seed)
    spec = baselines.fit(batch.draws.take(np.flatnonzero(block == TRAIN)))
    if spec.analytes != ANALYTES:
        batch = frames.batch_of(results, spec.analytes)
        block = _blocks(batch.events, seed)
    block[_corrected(batch)] = ""
    patient = (batch.events["patient_key"].rank("dense").cast(pl.Int64)).to_numpy()
    parts = [
        _Part(batch, spec, name, members, patient[members], seed + place)
        for place, name in enumerate((TRAIN, CALIBRATE, TEST))
        if len(members := np.flatnonzero(block == name))
    ]
    frame = _weighted(pl.concat([copy for part in parts for copy in part.copies()]))
    columns = [*schemas.training_schema(spec).columns]
    return spec, schemas.validated(frame.select(columns), schemas.training_schema(spec))


def _corrected(batch: frames.Batch) -> NDArray[np.bool_]:
    """Events that hold a result which was corrected at any time."""
    corrected = batch.results["superseded_at"].is_not_null().to_numpy()
    return np.asarray(((batch.source >= 0) & corrected[batch.source]).any(axis=1))


def _names(features: pl.DataFrame) -> list[str]:
    """The feature columns of a training frame, in the model's order: all that is no key and no label."""
    return [name for name in features.columns if name not in schemas.KEYS and name not in schemas.LABELS]


def matrix(features: pl.DataFrame) -> Array:
    """The features of a training frame by row; null becomes NaN."""
    return features.select(_names(features)).to_numpy().astype(np.float64)


def train(features: pl.DataFrame, seed: int = SEED) -> lgb.Booster:
    """A booster of the train block of a training frame. Pure: the same frame and seed give the same model text."""
    block = features.filter(pl.col("block") == TRAIN)
    data = lgb.Dataset(
        matrix(block),
        label=block["label"].to_numpy(),
        weight=block["weight"].to_numpy(),
        feature_name=_names(block),
        categorical_feature=["analyte"],
    )
    return lgb.train(PARAMETERS | {"seed": seed}, data, num_boost_round=ROUNDS)


def raw_scores(booster: lgb.Booster, features: pl.DataFrame) -> Array:
    """Log odds of each row, before calibration."""
    return np.asarray(booster.predict(matrix(features), raw_score=True, num_threads=1))


def _logistic(score: Array, label: Array, weight: Array) -> tuple[float, float]:
    """Slope and intercept of a weighted logistic fit, by Newton's method."""
    x = np.stack([score, np.ones_like(score)], axis=1)
    coefficients = np.array([1.0, 0.0])
    for _ in range(50):
        chance = 1.0 / (1.0 + np.exp(-np.clip(x @ coefficients, -500, 500)))
        gradient = x.T @ (weight * (label - chance))
        curvature = (x * (weight * chance * (1.0 - chance))[:, None]).T @ x + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        coefficients = coefficients + np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-10:
            break
    return float(coefficients[0]), float(coefficients[1])


def calibrate(
    booster: lgb.Booster,
    features: pl.DataFrame,
    prevalence: float = PREVALENCE,
    false_hold_rate: float = FALSE_HOLD_RATE,
) -> Decision:
    """Calibration and threshold from the calibration block: other patients than the booster's, after its time.

    The fit weighs errors and clean results alike and is then re-based to `prevalence`; the threshold is the risk that
    `false_hold_rate` of the clean results exceed. Raises ValueError when the block has no clean results or no errors.
    """
    block = features.filter((pl.col("block") == CALIBRATE) & ((pl.col("label") == 1) | (pl.col("error") == CLEAN)))
    label = block["label"].to_numpy().astype(np.float64)
    if not 0 < label.sum() < len(label):
        raise ValueError("too few patients after the cut to calibrate")
    raw, weight = raw_scores(booster, block), block["weight"].to_numpy()
    weight = (
        np.where(label == 1, weight / weight[label == 1].sum(), weight / weight[label == 0].sum()) * len(label) / 2.0
    )
    slope, intercept = _logistic(raw, label, weight)
    decision = Decision(slope, intercept, prevalence, 1.0)
    threshold = np.quantile(decision.risk(raw[label == 0]), 1.0 - false_hold_rate, method="higher")
    return Decision(slope, intercept, prevalence, float(threshold))


def develop(
    results: pl.DataFrame,
    *,
    seed: int = SEED,
    prevalence: float = PREVALENCE,
    false_hold_rate: float = FALSE_HOLD_RATE,
) -> Candidate:
    """Results of one organization to a candidate model: prepare, train, calibrate. Raises as those do."""
    spec, features = prepare(results, seed)
    booster = train(features, seed)
    return Candidate(
        booster=booster,
        spec=spec,
        decision=calibrate(booster, features, prevalence, false_hold_rate),
        features=features,
        organization_id=results["organization_id"][0],
        data_until=str(features["scored_at"].dt.to_string("iso:strict").max()),
    )
