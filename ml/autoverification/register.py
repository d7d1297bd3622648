"""Registers a candidate in MLflow, names the champion, and exports a model for the scoring process.

The alias `champion` is set only when every gate of gates.toml holds and a named person approved; otherwise the version
is `challenger`. MLflow is imported when it is used: it is slow, and nothing online may need it. Telemetry stays off.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml.autoverification.serve import MANIFEST_FILE, MODEL_FILE, calibration, load, manifest_digest
from ml.autoverification.train import PARAMETERS, PATIENT_SHARES, ROUNDS, TRAIN_UNTIL, Candidate
from ml.features import DEFINITION, feature_names

HERE = Path(__file__).parent
GATES_FILE, CARD_FILE = HERE / "gates.toml", HERE / "model_card.md"
CHAMPION, CHALLENGER = "champion", "challenger"
SERVING = "serving"  # artifact folder of a run that holds the exported files
Gates = Mapping[str, Mapping[str, Any]]


class NotPromotable(Exception):
    """The version failed a gate, or nobody approved it; the alias stays where it is."""


class NotEmpty(Exception):
    """The export would replace a folder that is not an exported model."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A registered version. `failures`: the gates that did not hold, in words; empty and approved means champion."""

    name: str
    version: str
    run_id: str
    alias: str
    failures: tuple[str, ...]


def read_gates(path: Path = GATES_FILE) -> Gates:
    """The gates in force."""
    return tomllib.loads(path.read_text())


def failed_gates(
    metrics: Mapping[str, float], gates: Gates, champion: Mapping[str, float] | None = None
) -> tuple[str, ...]:
    """The gates that do not hold, in words. A metric that is missing or not a number fails its gate."""

    def value(name: str, of: Mapping[str, float] | None = metrics) -> float:
        return (of or {}).get(name, float("nan"))

    checks = [(name, value(name) >= bound, f">= {bound}") for name, bound in gates.get("minimum", {}).items()]
    checks += [(name, value(name) <= bound, f"<= {bound}") for name, bound in gates.get("maximum", {}).items()]
    for name, by in gates.get("at_least", {}).items():
        bound = value(by["other"]) + by["margin"]
        checks.append((name, value(name) >= bound, f">= {by['other']} + {by['margin']} = {bound:.4f}"))
    for name, by in gates.get("at_most", {}).items():
        bound = value(by["other"]) + by["margin"]
        checks.append((name, value(name) <= bound, f"<= {by['other']} + {by['margin']} = {bound:.4f}"))
    for name, by in gates.get("champion", {}).items() if champion else ():
        bound = value(name, champion) + by["margin"]
        checks.append((name, value(name) >= bound, f">= the champion's + {by['margin']} = {bound:.4f}"))
    return tuple(f"{name} = {value(name):.4f}, must be {rule}" for name, holds, rule in checks if not holds)


def _client(tracking_uri: str) -> Any:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when mlflow is imported
    os.environ["DO_NOT_TRACK"] = "true"
    import mlflow

    return mlflow.MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


def _experiment(client: Any, name: str, artifact_location: str | None) -> str:
    found = client.get_experiment_by_name(name)
    identifier: str = found.experiment_id if found else client.create_experiment(name, artifact_location)
    return identifier


def _champion_metrics(client: Any, name: str) -> dict[str, float] | None:
    from mlflow.exceptions import MlflowException

    try:
        version = client.get_model_version_by_alias(name, CHAMPION)
    except MlflowException:
        return None
    return dict(client.get_run(version.run_id).data.metrics)


def _registered_name(client: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(name)
    except MlflowException:
        client.create_registered_model(name)


def _parameters(candidate: Candidate, data_version: str) -> dict[str, Any]:
    return PARAMETERS | {
        "rounds": ROUNDS,
        "patient_shares": PATIENT_SHARES,
        "train_until": TRAIN_UNTIL,
        "analytes": ",".join(candidate.spec.analytes),
        "data_version": data_version,
        "data_until": candidate.data_until,
        "organization_id": candidate.organization_id,
        "definition": DEFINITION,
    }


def _signature(candidate: Candidate) -> dict[str, Any]:
    """What goes in and comes out, for the registry's readers."""
    columns = [{"name": name, "type": "double", "required": False} for name in feature_names(candidate.spec)]
    return {"inputs": columns, "outputs": [{"name": "log_odds", "type": "double"}]}


def _log(client: Any, run_id: str, candidate: Candidate, metrics: Mapping[str, float], data_version: str) -> None:
    from mlflow.entities import Metric, Param

    client.log_batch(
        run_id,
        metrics=[Metric(name, value, 0, 0) for name, value in metrics.items()],
        params=[Param(name, str(value)) for name, value in _parameters(candidate, data_version).items()],
    )
    client.log_dict(run_id, _signature(candidate), "signature.json")
    client.log_artifact(run_id, str(CARD_FILE))


def register(
    candidate: Candidate,
    metrics: Mapping[str, float],
    *,
    tracking_uri: str,
    name: str,
    data_version: str,
    approver: str | None = None,
    gates: Gates | None = None,
    artifact_location: str | None = None,
) -> Registered:
    """A new version of the registered model `name`: parameters, metrics, signature, model card and serving files.

    `data_version`: what it was trained on (the Iceberg snapshot); `approver`: who signs for it. Champion when the gates
    hold (also against the present champion) and there is an approver, else challenger. Raises MlflowException.
    """
    client = _client(tracking_uri)
    failures = failed_gates(metrics, read_gates() if gates is None else gates, _champion_metrics(client, name))
    alias = CHAMPION if approver and not failures else CHALLENGER
    run = client.create_run(_experiment(client, name, artifact_location)).info
    _log(client, run.run_id, candidate, metrics, data_version)
    _registered_name(client, name)
    tags = {"organization_id": candidate.organization_id, "gates": "; ".join(failures) or "passed"}
    tags |= {"approved_by": approver} if approver else {}
    source = f"{run.artifact_uri}/{SERVING}"
    version = str(client.create_model_version(name, source=source, run_id=run.run_id, tags=tags).version)
    with tempfile.TemporaryDirectory() as folder:
        written = export(
            Path(folder) / "model",
            candidate,
            name=name,
            version=version,
            metrics=metrics,
            approved_by=approver,
            data_version=data_version,
        )
        client.log_artifacts(run.run_id, str(written.resolve()), SERVING)
    client.set_terminated(run.run_id)
    client.set_registered_model_alias(name, alias, version)
    return Registered(name, version, run.run_id, alias, failures)


def promote(tracking_uri: str, name: str, version: str, approver: str) -> None:
    """Makes a version champion: a challenger that passed its gates, or, to roll back, an earlier champion.

    Raises NotPromotable when its gates did not hold or `approver` is empty.
    """
    client = _client(tracking_uri)
    tags = client.get_model_version(name, version).tags
    if not approver:
        raise NotPromotable("a named person must approve")
    if tags.get("gates") != "passed":
        raise NotPromotable(f"version {version}: {tags.get('gates', 'was never judged')}")
    client.set_model_version_tag(name, version, "approved_by", approver)
    client.set_registered_model_alias(name, CHAMPION, version)


def deploy(tracking_uri: str, name: str, folder: Path, alias: str = CHAMPION) -> str:
    """Puts the serving files of the aliased version in `folder`; returns the version.

    Raises MlflowException when there is none, ModelUnusable when the stored files are not the registered ones.
    """
    client = _client(tracking_uri)
    version = client.get_model_version_by_alias(name, alias)
    with tempfile.TemporaryDirectory() as scratch:
        files = Path(client.download_artifacts(version.run_id, SERVING, scratch))
        load(files)
        manifest = json.loads((files / MANIFEST_FILE).read_bytes()) | {"approved_by": version.tags.get("approved_by")}
        _put(folder, (files / MODEL_FILE).read_bytes(), manifest)
    return str(version.version)


def export(
    folder: Path,
    candidate: Candidate,
    *,
    name: str,
    version: str,
    metrics: Mapping[str, float],
    approved_by: str | None,
    data_version: str,
) -> Path:
    """Writes model.lgb and manifest.json so that a reader sees the old version or the new one, never a mixture.

    `folder` becomes a link to a folder of that version beside it; the link is replaced in one step. Earlier versions
    stay. Raises NotEmpty when `folder` is a real folder with something in it.
    """
    model = candidate.booster.model_to_string().encode()
    manifest = {
        "name": name,
        "version": version,
        "organization_id": candidate.organization_id,
        "sha256": hashlib.sha256(model).hexdigest(),
        "definition": DEFINITION,
        "features": list(feature_names(candidate.spec)),
        "baselines": candidate.spec.as_json(),
        "threshold": candidate.decision.threshold,
        "calibration": calibration(candidate.decision),
        "metrics": dict(metrics),
        "approved_by": approved_by,
        "data_version": data_version,
        "data_until": candidate.data_until,
    }
    return _put(folder, model, manifest)


def _put(folder: Path, model: bytes, manifest: Mapping[str, Any]) -> Path:
    manifest = dict(manifest) | {"manifest_sha256": manifest_digest(manifest)}
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.is_dir() and not folder.is_symlink():
        _remove_empty(folder)
    label = re.sub(r"[^A-Za-z0-9_-]", "-", str(manifest["version"]))
    place = folder.parent / f".{folder.name}-{label}-{manifest['manifest_sha256'][:12]}"
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-new-"))
    scratch.chmod(0o755)
    _write(scratch / MODEL_FILE, model)
    _write(scratch / MANIFEST_FILE, json.dumps(manifest, sort_keys=True, indent=1).encode())
    if place.exists():
        shutil.rmtree(scratch)  # the same version with the same content is there already
    else:
        scratch.rename(place)
    _link(folder, place)
    return folder


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError as error:
        raise NotEmpty(f"{folder.name} is not an exported model") from error


def _write(path: Path, body: bytes) -> None:
    with path.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def _link(folder: Path, place: Path) -> None:
    fresh = place.with_name(place.name + ".link")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(place.name)
    fresh.replace(folder)
