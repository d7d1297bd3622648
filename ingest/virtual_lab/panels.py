"""What is ordered together, by whom, and at which of the laboratory's sites (`panels.toml`)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.virtual_lab.analytes import Numbers, codes
from ingest.virtual_lab.courses import Sickness

CAMP = "CAMP"
SAME_AGAIN = 0.7
CONTROLLED = 0.9


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Tests that are ordered together, and their `price` in rupees; `likely` are factors on its weight by disease."""

    code: str
    weight: float
    price: int
    tests: tuple[str, ...]
    likely: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where people come; `minutes` is a courier's mean way to the laboratory."""

    code: str
    state: str
    share: float
    minutes: float


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("panels.toml").read_text(encoding="utf-8"))


@cache
def panels() -> tuple[Panel, ...]:
    """The panels in the order of every array of panel numbers."""
    return tuple(Panel(**{**row, "tests": tuple(row["tests"])}) for row in _file()["panel"])


@cache
def sites() -> tuple[Site, ...]:
    """The sites, the laboratory first."""
    return tuple(Site(**row) for row in _file()["site"])


def camp() -> int:
    """The number of the panel that a camp offers."""
    return [panel.code for panel in panels()].index(CAMP)


def mask(tests: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which analytes each panel asks for of those that are measured, panels by analytes."""
    return np.array([[code in panel.tests and code in tests for code in codes()] for panel in panels()])


def chosen(rng: np.random.Generator, sickness: Sickness, tests: tuple[str, ...]) -> NDArray[np.int64]:
    """A panel for each row of `sickness`, among those of which something is measured."""
    weights: Numbers = np.ones((len(sickness.severity), len(panels())))
    for number, panel in enumerate(panels()):
        weights[:, number] *= panel.weight if mask(tests)[number].any() else 0.0
        for disease, factor in panel.likely.items():
            weights[sickness.has(disease), number] *= factor
    shares = weights.cumsum(axis=1) / weights.sum(axis=1, keepdims=True)
    return np.asarray((rng.random((len(shares), 1)) > shares).sum(axis=1), dtype=np.int64)
