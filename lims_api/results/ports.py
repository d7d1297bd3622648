"""What results asks of a risk model, in our words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


class ModelUnusable(Exception):
    """No model, or not the file that was registered: hold, and say so."""


@dataclass(frozen=True)
class PanelValue:
    """One result of the accession, in the test's unit."""

    value: float
    reference_low: float | None
    reference_high: float | None
    comparator: str | None


@dataclass(frozen=True)
class EarlierValue:
    """A result of an earlier specimen of the patient."""

    test_code: str
    value: float
    available_at: datetime


@dataclass(frozen=True)
class Accession:
    """The results of one specimen that are judged together."""

    sex: str
    age_days: int | None
    scored_at: datetime
    results: Mapping[str, PanelValue]
    history: Sequence[EarlierValue]


@dataclass(frozen=True)
class Risk:
    """The model's word on one result; `risk` is None when it does not know the test."""

    risk: float | None
    holds: bool
    because: tuple[tuple[str, str, float | None, float | None], ...] = ()


class RiskModel(Protocol):
    """A deployed model of one organization."""

    version: str
    sha256: str
    threshold: float

    def score(self, accessions: Sequence[Accession]) -> list[dict[str, Risk]]:
        """One answer an accession, by test code; every result has one."""


class RiskModels(Protocol):
    """Where an organization's champion is found."""

    def champion(self, organization_id: UUID) -> RiskModel:
        """The deployed champion, verified against its hash, or `ModelUnusable`."""
