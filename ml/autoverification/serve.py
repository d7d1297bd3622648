"""Scores the results of one accession with an exported model. Imports lightgbm and numpy, never mlflow or polars.

The score never changes a result: the verification policy decides what a risk above the threshold means.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np

from ml.features import (
    DEFINITION,
    Array,
    Draws,
    FeatureSpec,
    Judgement,
    Panel,
    Prior,
    compute,
    draw_of,
    feature_names,
    judge,
)

MODEL_FILE, MANIFEST_FILE = "model.lgb", "manifest.json"
REASONS = 3
NOT_IN_MODEL = "not_in_model"


class ModelUnusable(Exception):
    """No score can be had: the policy must hold, or run by rules alone, and say so."""


class ModelMissing(ModelUnusable):
    """The folder, or a file in it, is not there."""


class ModelTampered(ModelUnusable):
    """A file is not the one that was registered."""


class ModelIncompatible(ModelUnusable):
    """The model was made for other features, or for another organization."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Turns a booster's raw score into a risk, and a risk into a hold.

    Risk = P(error) at `prevalence`: a logistic fit (slope, intercept) at even odds, re-based by the prior log odds.
    """

    slope: float
    intercept: float
    prevalence: float
    threshold: float

    def risk(self, raw: Array) -> Array:
        """Raw scores (log odds of the booster) to probabilities, same shape."""
        prior = np.log(self.prevalence / (1.0 - self.prevalence))
        odds: Array = np.exp(-np.clip(self.slope * raw + self.intercept + prior, -500.0, 500.0))
        return 1.0 / (1.0 + odds)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a risk is what it is: `z` standard deviations between a value and the `expected` one (the test's unit).

    Codes: other_results (today's other results and the history predict another value), own_history (the patient's
    earlier results do), population (no earlier result: sex and age do), not_in_model (no opinion; z and expected None).
    """

    code: str
    test_code: str
    z: float | None = None
    expected: float | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """Of one result. `risk` is None, and nothing is added to the rules, when the model does not know the test."""

    test_code: str
    risk: float | None
    exceeds_threshold: bool
    reasons: tuple[Reason, ...]


def _reason(draws: Draws, judged: Judgement, spec: FeatureSpec, row: int, index: int) -> Reason:
    """The larger of the two z of one analyte."""
    alone, among = float(judged.history_z[row, index]), float(judged.conditional_z[row, index])
    code = spec.analytes[index]
    if abs(among) > abs(alone):
        return Reason("other_results", code, among, float(np.exp(judged.conditional_expected[row, index])))
    name = "population" if np.isnan(draws.prior[row, index, 0]) else "own_history"
    return Reason(name, code, alone, float(np.exp(judged.history_expected[row, index])))


def _reasons(own: Reason, others: list[Reason]) -> tuple[Reason, ...]:
    """The three largest |z| of the accession; the result's own comes first when it is among them."""
    ranked = sorted(others, key=lambda reason: -abs(reason.z or 0.0))[:REASONS]
    return tuple(sorted(ranked, key=lambda reason: reason is not own))


@dataclass(frozen=True, eq=False)
class Scorer:
    """One model version in memory; safe to share between threads."""

    name: str
    version: str
    organization_id: str
    sha256: str
    spec: FeatureSpec
    decision: Decision
    booster: lgb.Booster

    def score(self, panel: Panel, history: Iterable[Prior]) -> list[Score]:
        """A score for every result of the panel, in its order; see `score_many`."""
        return self.score_many([(panel, history)])[0]

    def score_many(self, accessions: Sequence[tuple[Panel, Iterable[Prior]]]) -> list[list[Score]]:
        """A score for every result of every panel, in their order; many accessions cost little more than one.

        `history`: results of the patient's other specimens, not superseded; those not strictly before
        `panel.scored_at` are ignored. Raises ValueError for a value that is not a finite number.
        """
        if not accessions:
            return []
        draws = Draws.stacked([draw_of(panel, history, self.spec) for panel, history in accessions])
        judged = judge(draws, self.spec)
        place, index = np.nonzero(~np.isnan(draws.value))
        risks = self._risks(compute(draws, self.spec, judged)[place, index])
        own: list[dict[str, tuple[Reason, float]]] = [{} for _ in accessions]
        for row, column, risk in zip(place.tolist(), index.tolist(), risks, strict=True):
            reason = _reason(draws, judged, self.spec, row, column)
            own[row][reason.test_code] = (reason, risk)
        return [self._scores(panel, scored) for (panel, _), scored in zip(accessions, own, strict=True)]

    def _scores(self, panel: Panel, scored: Mapping[str, tuple[Reason, float]]) -> list[Score]:
        reasons = [reason for reason, _ in scored.values()]
        return [self._score(code, scored, reasons) for code in panel.results]

    def _score(self, code: str, scored: Mapping[str, tuple[Reason, float]], reasons: list[Reason]) -> Score:
        if code not in scored:
            return Score(code, None, False, (Reason(NOT_IN_MODEL, code),))
        reason, risk = scored[code]
        return Score(code, risk, risk > self.decision.threshold, _reasons(reason, reasons))

    def _risks(self, matrix: Array) -> list[float]:
        if not len(matrix):
            return []
        raw = self.booster.predict(matrix, raw_score=True, num_threads=1)
        return [float(risk) for risk in self.decision.risk(np.asarray(raw))]


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of the manifest's canonical JSON without its own digest: a changed threshold or baseline is found too."""
    body = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _read(folder: Path) -> tuple[dict[str, Any], bytes]:
    try:
        version = folder.resolve(strict=True)  # one version is read, even while another is being put in place
        return json.loads((version / MANIFEST_FILE).read_bytes()), (version / MODEL_FILE).read_bytes()
    except FileNotFoundError as error:
        raise ModelMissing(f"no model in {folder.name}: {Path(error.filename).name} is missing") from error
    except ValueError as error:
        raise ModelTampered(f"{MANIFEST_FILE} is not JSON") from error


def _check(manifest: Mapping[str, Any], model: bytes, sha256: str | None, organization_id: str | None) -> None:
    digest = hashlib.sha256(model).hexdigest()
    if digest != manifest.get("sha256") or digest != (sha256 or digest):
        raise ModelTampered(f"{MODEL_FILE} is not the file that was registered")
    if manifest_digest(manifest) != manifest.get("manifest_sha256"):
        raise ModelTampered(f"{MANIFEST_FILE} was changed after registration")
    if organization_id is not None and manifest["organization_id"] != organization_id:
        raise ModelIncompatible("the model belongs to another organization")
    names = list(feature_names(FeatureSpec.from_json(manifest["baselines"])))
    if manifest["definition"] != DEFINITION or manifest["features"] != names:
        raise ModelIncompatible("the model was trained on another definition of the features")


def load(folder: Path, *, sha256: str | None = None, organization_id: str | None = None) -> Scorer:
    """The exported model of a folder, verified before use.

    `sha256`: what the deployment record says model.lgb must hash to; `organization_id`: whose model it must be.
    Raises ModelMissing, ModelTampered, ModelIncompatible (all ModelUnusable).
    """
    manifest, model = _read(folder)
    _check(manifest, model, sha256, organization_id)
    return Scorer(
        name=manifest["name"],
        version=manifest["version"],
        organization_id=manifest["organization_id"],
        sha256=manifest["sha256"],
        spec=FeatureSpec.from_json(manifest["baselines"]),
        decision=Decision(**manifest["calibration"], threshold=manifest["threshold"]),
        booster=lgb.Booster(model_str=model.decode()),
    )


def calibration(decision: Decision) -> dict[str, float]:
    """What the manifest says of the calibration; the threshold stands beside it."""
    return {key: value for key, value in asdict(decision).items() if key != "threshold"}
