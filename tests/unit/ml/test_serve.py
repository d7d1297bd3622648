from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml.autoverification import serve, train
from ml.autoverification.serve import MANIFEST_FILE, MODEL_FILE, Scorer
from ml.features import Panel, Prior, Reading
from tests.unit.ml.panels import CODES, LIMITS, ORGANIZATION

NOW = datetime(2026, 7, 1, 9, tzinfo=UTC)
USUAL = {
    "GLU": 95.0, "CREA": 0.8, "BUN": 13.0, "NA": 140.0, "K": 4.3, "CL": 103.0, "ALT": 22.0, "AST": 23.0, "ALP": 75.0,
    "TBIL": 0.6,
}  # fmt: skip
HISTORY = [Prior(code, value, NOW - timedelta(days=days)) for code, value in USUAL.items() for days in (20, 60, 150)]


def panel(**changed: float) -> Panel:
    limits = dict(zip(CODES, LIMITS, strict=True))
    return Panel("female", 16_000, NOW, {code: Reading(v, *limits[code]) for code, v in (USUAL | changed).items()})


def risks(scorer: Scorer, one: Panel, history: list[Prior]) -> dict[str, float]:
    return {score.test_code: score.risk for score in scorer.score(one, history) if score.risk is not None}


def test_the_usual_results_of_a_patient_pass(scorer: Scorer) -> None:
    scores = scorer.score(panel(), HISTORY)

    assert [score.test_code for score in scores] == list(USUAL)
    assert not any(score.exceeds_threshold for score in scores)


@pytest.mark.req("1.6.2")
def test_haemolysis_is_held_with_reasons_in_the_labs_words(scorer: Scorer) -> None:
    scores = {score.test_code: score for score in scorer.score(panel(K=6.0, AST=52.0), HISTORY)}

    potassium, sodium = scores["K"], scores["NA"]
    assert potassium.exceeds_threshold
    assert sodium.risk is not None
    assert potassium.risk is not None
    assert potassium.risk > 10 * sodium.risk
    first = potassium.reasons[0]
    assert (first.test_code, len(potassium.reasons)) == ("K", 3)
    assert first.code in {"own_history", "other_results"}
    assert first.z is not None
    assert first.z > 4
    assert first.expected == pytest.approx(4.3, abs=0.3)
    assert "AST" in {reason.test_code for reason in potassium.reasons}


def test_another_patients_blood_is_held(scorer: Scorer) -> None:
    stranger = panel(GLU=160.0, CREA=1.4, BUN=22.0, NA=137.0, K=4.9, CL=100.0, ALT=48.0, AST=39.0, ALP=130.0, TBIL=1.1)

    assert sum(score.exceeds_threshold for score in scorer.score(stranger, HISTORY)) >= 7


def test_a_patient_without_a_history_is_scored_against_the_population(scorer: Scorer) -> None:
    scores = scorer.score(panel(K=9.5), [])

    assert {score.test_code for score in scores if score.exceeds_threshold} >= {"K"}
    assert {reason.code for score in scores for reason in score.reasons} <= {"population", "other_results"}


def test_one_result_alone_is_scored(scorer: Scorer) -> None:
    one = Panel("male", None, NOW, {"GLU": Reading(95.0)})

    (score,) = scorer.score(one, [])
    assert score.risk is not None
    assert 0.0 < score.risk < 1.0
    assert [reason.test_code for reason in score.reasons] == ["GLU"]


def test_a_test_the_model_does_not_know_gets_no_opinion_and_changes_none(scorer: Scorer) -> None:
    known = panel()
    more = replace(known, results={"HIV": Reading(1.0)} | dict(known.results))

    scores = scorer.score(more, [*HISTORY, Prior("HIV", 1.0, NOW - timedelta(days=3))])
    assert scores[0] == serve.Score("HIV", None, False, (serve.Reason(serve.NOT_IN_MODEL, "HIV"),))
    assert scores[1:] == scorer.score(known, HISTORY)
    assert scorer.score(replace(known, results={"HIV": Reading(1.0)}), HISTORY) == scores[:1]


def test_a_larger_change_is_no_smaller_risk_on_average(scorer: Scorer, candidate: train.Candidate) -> None:
    spec = candidate.spec

    def mean_risk(size: float, sign: float) -> float:
        moved = {
            code: USUAL[code] * float(np.exp(sign * size * spec.delta_sd[place]))
            for place, code in enumerate(spec.analytes)
        }
        return float(np.mean([risks(scorer, panel(**{code: moved[code]}), HISTORY)[code] for code in spec.analytes]))

    for sign in (1.0, -1.0):
        rising = [mean_risk(size, sign) for size in (0.0, 1.5, 3.0, 6.0, 12.0)]
        assert rising == sorted(rising)
        assert rising[-1] > 20 * rising[0]


def test_serving_and_training_give_the_same_risk(
    scorer: Scorer, candidate: train.Candidate, results: pl.DataFrame
) -> None:
    clean = candidate.features.filter((pl.col("error") == train.CLEAN) & (pl.col("block") == train.TEST))
    stated = candidate.decision.risk(train.raw_scores(candidate.booster, clean))
    expected = dict(zip(clean["result_id"], stated, strict=True))

    for specimen_id in clean["specimen_id"].unique().sort()[:60]:
        rows = results.filter(pl.col("specimen_id") == specimen_id)
        first = rows.row(0, named=True)
        earlier = results.filter(
            (pl.col("patient_key") == first["patient_key"]) & (pl.col("specimen_id") != specimen_id)
        )
        readings = {
            row["test_code"]: Reading(row["value"], row["reference_low"], row["reference_high"])
            for row in rows.iter_rows(named=True)
        }
        one = Panel(first["sex"], first["age_days"], first["available_at"], readings)
        scored = risks(scorer, one, [Prior(*row) for row in earlier["test_code", "value", "available_at"].iter_rows()])
        for result_id, code in rows["result_id", "test_code"].iter_rows():
            assert scored[code] == pytest.approx(expected[result_id], rel=1e-9)


def test_the_scorer_says_which_model_it_is(scorer: Scorer, exported: Path) -> None:
    manifest = json.loads((exported / MANIFEST_FILE).read_text())

    assert (scorer.name, scorer.version, scorer.organization_id) == ("autoverification", "1", ORGANIZATION)
    assert scorer.sha256 == manifest["sha256"]
    assert manifest["approved_by"] == "director"


@pytest.mark.req("12.7")
@pytest.mark.parametrize("missing", [MODEL_FILE, MANIFEST_FILE, None])
def test_a_missing_file_is_a_missing_model(exported: Path, missing: str | None) -> None:
    if missing:
        (exported / missing).unlink()

    with pytest.raises(serve.ModelMissing):
        serve.load(exported if missing else exported.parent / "nowhere")


def lower_threshold(manifest: dict[str, Any]) -> None:
    manifest["threshold"] = 1.0


def shift_baseline(manifest: dict[str, Any]) -> None:
    manifest["baselines"]["population"][0][0] += 0.1


def other_digest(manifest: dict[str, Any]) -> None:
    manifest["sha256"] = "0" * 64


@pytest.mark.req("12.7")
@pytest.mark.parametrize("change", [lower_threshold, shift_baseline, other_digest])
def test_a_changed_manifest_is_refused(exported: Path, change: Callable[[dict[str, Any]], None]) -> None:
    manifest = json.loads((exported / MANIFEST_FILE).read_text())
    change(manifest)
    (exported / MANIFEST_FILE).write_text(json.dumps(manifest))

    with pytest.raises(serve.ModelTampered):
        serve.load(exported)


@pytest.mark.req("12.7")
def test_one_changed_byte_of_the_model_is_refused(exported: Path) -> None:
    body = bytearray((exported / MODEL_FILE).read_bytes())
    body[len(body) // 2] ^= 1
    (exported / MODEL_FILE).write_bytes(body)

    with pytest.raises(serve.ModelTampered):
        serve.load(exported)


@pytest.mark.req("12.7")
def test_a_manifest_that_is_no_json_is_refused(exported: Path) -> None:
    (exported / MANIFEST_FILE).write_text("{")

    with pytest.raises(serve.ModelTampered):
        serve.load(exported)


@pytest.mark.req("12.7")
def test_another_file_than_the_deployment_record_names_is_refused(exported: Path, scorer: Scorer) -> None:
    assert serve.load(exported, sha256=scorer.sha256).sha256 == scorer.sha256
    with pytest.raises(serve.ModelTampered):
        serve.load(exported, sha256="0" * 64)


def test_another_organizations_model_is_refused(exported: Path) -> None:
    assert serve.load(exported, organization_id=ORGANIZATION)
    with pytest.raises(serve.ModelIncompatible):
        serve.load(exported, organization_id="another")


def test_a_model_of_another_feature_definition_is_refused(exported: Path) -> None:
    manifest = json.loads((exported / MANIFEST_FILE).read_text()) | {"definition": -1}
    manifest["manifest_sha256"] = serve.manifest_digest(manifest)
    (exported / MANIFEST_FILE).write_text(json.dumps(manifest))

    with pytest.raises(serve.ModelIncompatible):
        serve.load(exported)


def test_scoring_imports_neither_mlflow_nor_polars(exported: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ml.autoverification import serve;"
        "serve.load(Path(sys.argv[1]));"
        "print(sorted({'mlflow', 'polars', 'pandera', 'pyarrow.dataset', 'lims_api'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code, str(exported)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
