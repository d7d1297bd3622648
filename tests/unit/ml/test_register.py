from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from ml.autoverification import register, serve, train
from ml.autoverification.evaluate import Metrics
from ml.autoverification.register import CHALLENGER, CHAMPION, Registered

NAME = "autoverification"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


def registered(
    store: Path, candidate: train.Candidate, metrics: Metrics, approver: str | None = "director", name: str = NAME
) -> Registered:
    return register.register(
        candidate,
        metrics,
        tracking_uri=uri(store),
        name=name,
        data_version="snapshot 42",
        approver=approver,
        artifact_location=(store / "artifacts").as_uri(),
    )


def uri(store: Path) -> str:
    return f"sqlite:///{store}/mlflow.db"


def test_a_good_model_passes_every_gate(metrics: Metrics) -> None:
    assert register.failed_gates(metrics, register.read_gates(), metrics) == ()


@pytest.mark.req("1.6.5")
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("auc", 0.70, ">= 0.85"),
        ("auc", float("nan"), ">= 0.85"),
        ("fr10k_80", 500.0, "<= fr10k_80_best_rule"),
        ("false_hold_rate", 0.2, "<= 0.04"),
        ("auc_history", 0.5, ">= auc_history_best_rule"),
        ("n_patients", 12.0, ">= 100"),
    ],
)
def test_a_bad_metric_fails_its_gate_and_is_named(metrics: Metrics, name: str, value: float, words: str) -> None:
    failures = register.failed_gates(metrics | {name: value}, register.read_gates())

    assert any(failure.startswith(f"{name} = ") and words in failure for failure in failures)


@pytest.mark.req("1.6.5")
def test_a_metric_that_was_not_measured_fails_its_gate(metrics: Metrics) -> None:
    without = {name: value for name, value in metrics.items() if name != "catch_at_5pct"}

    assert len(register.failed_gates(without, register.read_gates())) == 1


@pytest.mark.req("1.6.5")
def test_a_model_worse_than_the_champion_fails(metrics: Metrics) -> None:
    better = metrics | {"auc": metrics["auc"] + 0.02}

    (failure,) = register.failed_gates(metrics, register.read_gates(), better)
    assert "champion" in failure


@pytest.mark.req("1.6.5")
def test_from_candidate_to_champion_and_back(
    store: Path, candidate: train.Candidate, metrics: Metrics, tmp_path: Path
) -> None:
    unsigned = registered(store, candidate, metrics, approver=None)
    first = registered(store, candidate, metrics)
    bad = registered(store, candidate, metrics | {"auc": 0.6, "auc_history": 0.6})
    second = registered(store, candidate, metrics, approver="deputy")

    assert [one.alias for one in (unsigned, first, bad, second)] == [CHALLENGER, CHAMPION, CHALLENGER, CHAMPION]
    assert [one.version for one in (unsigned, first, bad, second)] == ["1", "2", "3", "4"]
    assert len(bad.failures) >= 2

    folder = tmp_path / "deployed"
    assert register.deploy(uri(store), NAME, folder) == "4"
    assert serve.load(folder).version == "4"

    register.promote(uri(store), NAME, first.version, "director")
    assert register.deploy(uri(store), NAME, folder) == "2"
    manifest = json.loads((folder / serve.MANIFEST_FILE).read_text())
    assert (manifest["version"], manifest["approved_by"]) == ("2", "director")
    assert manifest["metrics"]["auc"] == metrics["auc"]

    with pytest.raises(register.NotPromotable, match=r"must be >= 0\.85"):
        register.promote(uri(store), NAME, bad.version, "director")
    with pytest.raises(register.NotPromotable, match="named person"):
        register.promote(uri(store), NAME, unsigned.version, "")
    assert register.deploy(uri(store), NAME, folder) == "2"


@pytest.mark.req("1.6.5")
def test_the_registry_keeps_what_a_version_was_made_of(
    store: Path, candidate: train.Candidate, metrics: Metrics
) -> None:
    from mlflow import MlflowClient

    made = registered(store, candidate, metrics, name="kept")

    client = MlflowClient(uri(store), uri(store))
    run = client.get_run(made.run_id)
    assert run.data.params["data_version"] == "snapshot 42"
    assert run.data.metrics["auc"] == metrics["auc"]
    assert {file.path for file in client.list_artifacts(made.run_id)} == {
        "model_card.md", "serving", "signature.json"
    }  # fmt: skip
    tags = client.get_model_version("kept", made.version).tags
    assert tags == {"approved_by": "director", "gates": "passed", "organization_id": candidate.organization_id}


def test_deploying_files_that_changed_in_the_store_is_refused(
    store: Path, candidate: train.Candidate, metrics: Metrics, tmp_path: Path
) -> None:
    made = registered(store, candidate, metrics, name="attacked")
    (stored,) = (store / "artifacts").rglob(f"{made.run_id}/**/{serve.MODEL_FILE}")
    stored.write_bytes(stored.read_bytes() + b"\n")

    with pytest.raises(serve.ModelTampered):
        register.deploy(uri(store), "attacked", tmp_path / "deployed")
    assert not (tmp_path / "deployed").exists()


def test_an_export_does_not_replace_a_folder_that_is_something_else(candidate: train.Candidate, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "letters.txt").write_text("mine")

    with pytest.raises(register.NotEmpty):
        exported(candidate, tmp_path, "1")
    assert (tmp_path / "model" / "letters.txt").read_text() == "mine"


def test_a_reader_sees_the_old_version_or_the_new_one(candidate: train.Candidate, tmp_path: Path) -> None:
    versions = [str(number) for number in range(12)]
    exported(candidate, tmp_path, versions[0])
    seen: set[str] = set()
    failures: list[serve.ModelUnusable] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                seen.add(serve.load(tmp_path / "model").version)
            except serve.ModelUnusable as failure:
                failures.append(failure)

    reader = threading.Thread(target=read)
    reader.start()
    for version in versions[1:]:
        exported(candidate, tmp_path, version)
    done.set()
    reader.join()
    assert failures == []
    assert seen <= set(versions)
    assert serve.load(tmp_path / "model").version == versions[-1]
    assert not list(tmp_path.glob(".*-new-*"))


def exported(candidate: train.Candidate, folder: Path, version: str) -> None:
    other = replace(candidate, decision=replace(candidate.decision, threshold=0.01 * (int(version) + 1)))
    register.export(
        folder / "model", other, name=NAME, version=version, metrics={}, approved_by=None, data_version="made up"
    )
