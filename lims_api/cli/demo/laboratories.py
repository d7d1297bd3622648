"""The organizations of the demonstration: what each starts with, and where its past lies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import polars as pl

from lims_api.catalogue.files import example_catalogue
from lims_api.catalogue.schemas import DefinitionIn
from lims_api.cli.demo.stages import console
from lims_api.cli.seeding import Control, NewAnalyser, NewOrganization, Seeded, definitions, example_tests

CDISC = Path("../shared/data/lab_datasets/cdisc_pilot")
STUDY, LABORATORY = "cdisc", "demo"
MODELS = {"mindray_bs": "Chemistry analyser"}
Run = Callable[..., None]
"""Runs a `lims` command, given its arguments."""


@dataclass
class Lab:
    """One organization of the demonstration and its gateway."""

    code: str
    seeded: Seeded
    history: Path
    analysers: Sequence[NewAnalyser]
    gateways: dict[str, str] = field(default_factory=dict)
    """`host:port` of each channel, known once the gateway listens."""

    def gateway(self, analyser: NewAnalyser) -> str:
        """Where this analyser connects to."""
        return self.gateways[analyser.channel]


def wanted(folder: Path, lims: Run, *, seed: int, patients: int) -> Iterator[tuple[NewOrganization, Path]]:
    """Each organization with the folder of its past, made when it is missing."""
    history = folder / "history"
    if not (history / "results.parquet").exists():
        lims("lab", "history", str(history), "--seed", str(seed), "--patients", str(patients))
    bench = _chemistry("BS480-1", "bench-1", example_tests())
    offered = example_catalogue()
    demo = _organization(LABORATORY, "Nidan Demo Laboratory", offered.test, [bench], history)
    yield replace(demo, panels=offered.panel), history
    if not CDISC.is_dir():
        console.print("  ../shared is not here: the organization of the CDISC pilot's patients is left out.")
        return
    study = folder / "cdisc"
    if not (study / "results.parquet").exists():
        lims("lab", "cdisc", str(CDISC), str(study))
    own = definitions(json.loads((study / "catalogue.json").read_text()))
    bench = _chemistry("BS480-C", "bench-c", own)
    yield _organization(STUDY, "CDISC Pilot Study Laboratory", own, [bench], history), study


def _chemistry(code: str, channel: str, tests: Sequence[DefinitionIn]) -> NewAnalyser:
    return NewAnalyser(code, MODELS["mindray_bs"], "mindray_bs", channel, {test.code: test.unit for test in tests})


def _organization(
    code: str, name: str, tests: Sequence[DefinitionIn], analysers: Sequence[NewAnalyser], history: Path
) -> NewOrganization:
    controls = [control for analyser in analysers for control in _controls(analyser.code, history)]
    return NewOrganization(code=code, name=name, tests=tests, analysers=analysers, controls=controls)


def _controls(analyser: str, history: Path) -> list[Control]:
    """The targets that the virtual laboratory's control lots were given."""
    columns = ("material", "lot_number", "level", "test_code", "mean", "sd")
    rows = pl.read_parquet(history / "controls.parquet", columns=list(columns))
    return [
        Control(analyser, material, lot, level, code, Decimal(repr(mean)), Decimal(repr(sd)))
        for material, lot, level, code, mean, sd in rows.select(columns).unique().sort(columns).iter_rows()
    ]
