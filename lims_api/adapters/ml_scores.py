"""The risk model's port, answered by an exported model file; never imports mlflow."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from lims_api.results.ports import Accession, ModelUnusable, Risk
from ml.autoverification import serve
from ml.features import Panel, Prior, Reading

NAME = "autoverification"
LOOK_AGAIN_SECONDS = 2.0


class ExportedModel:
    """A champion in memory."""

    def __init__(self, scorer: serve.Scorer) -> None:
        self._scorer = scorer
        self.version, self.sha256 = scorer.version, scorer.sha256
        self.threshold = scorer.decision.threshold

    def score(self, accessions: Sequence[Accession]) -> list[dict[str, Risk]]:
        """One answer an accession, by test code."""
        scored = self._scorer.score_many([(_panel(item), _history(item)) for item in accessions])
        return [{score.test_code: _risk(score) for score in scores} for scores in scored]


def _panel(accession: Accession) -> Panel:
    return Panel(
        sex=accession.sex, age_days=accession.age_days, scored_at=accession.scored_at,
        results={
            code: Reading(value.value, value.reference_low, value.reference_high, value.comparator)
            for code, value in accession.results.items()
        },
    )  # fmt: skip


def _history(accession: Accession) -> list[Prior]:
    return [Prior(item.test_code, item.value, item.available_at) for item in accession.history]


def _risk(score: serve.Score) -> Risk:
    because = tuple((reason.code, reason.test_code, reason.z, reason.expected) for reason in score.reasons)
    return Risk(score.risk, holds=score.exceeds_threshold, because=because)


@dataclass
class _Held:
    model: ExportedModel
    stamp: tuple[int, ...]
    looked: float


class ModelFolder:
    """`<folder>/<organization>/autoverification`: read when it changes, verified against its hash every time it is
    read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[UUID, _Held] = {}
        self._lock = threading.Lock()

    def champion(self, organization_id: UUID) -> ExportedModel:
        """The deployed champion, or `ModelUnusable`."""
        held = self._held.get(organization_id)
        if held and time.monotonic() - held.looked < LOOK_AGAIN_SECONDS:
            return held.model
        with self._lock:
            return self._look(organization_id)

    def _look(self, organization_id: UUID) -> ExportedModel:
        folder = self._folder / str(organization_id) / NAME
        stamp = _stamp(folder)
        held = self._held.get(organization_id)
        if held is None or held.stamp != stamp:
            try:
                held = _Held(ExportedModel(serve.load(folder, organization_id=str(organization_id))), stamp, 0.0)
            except serve.ModelUnusable as error:
                self._held.pop(organization_id, None)
                raise ModelUnusable(str(error)) from error
            self._held[organization_id] = held
        held.looked = time.monotonic()
        return held.model


def _stamp(folder: Path) -> tuple[int, ...]:
    """What changes when a file is replaced or altered."""
    stamp: list[int] = []
    for name in (serve.MODEL_FILE, serve.MANIFEST_FILE):
        file = folder / name
        if file.exists():
            status = file.stat()
            stamp += [status.st_ino, status.st_size, status.st_mtime_ns]
    return tuple(stamp)
