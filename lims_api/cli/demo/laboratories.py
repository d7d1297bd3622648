"""The organizations of the demonstration: what each starts with, and where its past lies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import polars as pl

from lims_api.catalogue.files import example_catalogue
from lims_api.cli.demo.stages import console
from lims_api.cli.seeding import Control, NewAnalyser, NewOrganization, Seeded, definitions

CDISC = Path("../shared/data/lab_datasets/cdisc_pilot")
CAPTURES = (Path("../shared/data/astm"), Path("../shared/data/hl7v2/analyzers"))
STUDY, LABORATORY = "cdisc", "demo"
BENCH = {
    "BS480-1": ("mindray_bs", "Chemistry analyser", "bench-1"),
    "XN1000-1": ("sysmex_xn", "Haematology analyser", "bench-2"),
    "IMM-1": ("generic_astm", "Immunoassay analyser", "bench-3"),
}
"""The analysers of the virtual laboratory: profile, name, gateway channel."""
HISTORY_DAYS = 90
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
        lims(
            "lab", "simulate", "--out", str(history), "--days", str(HISTORY_DAYS), "--seed", str(seed), "--patients",
            str(patients),
        )  # fmt: skip
    offered = example_catalogue()
    units = {test.code: test.unit for test in offered.test}
    controls = _controls(history)
    yield NewOrganization(
        code=LABORATORY, name="Nidan Demo Laboratory", tests=offered.test, panels=offered.panel,
        analysers=[_analyser(code, controls, units) for code in BENCH], controls=controls,
    ), history  # fmt: skip
    if not CDISC.is_dir():
        console.print("  ../shared is not here: the organization of the CDISC pilot's patients is left out.")
        return
    study = folder / "cdisc"
    if not (study / "results.parquet").exists():
        lims("lab", "cdisc", str(CDISC), str(study))
    own = definitions(json.loads((study / "catalogue.json").read_text()))
    bench = NewAnalyser(
        "BS480-C", "Chemistry analyser", "mindray_bs", "bench-c", {test.code: test.unit for test in own}
    )
    measured = [replace(one, analyser_code=bench.code) for one in controls if one.analyser_code == "BS480-1"]
    yield NewOrganization(
        code=STUDY, name="CDISC Pilot Study Laboratory", tests=own, analysers=[bench],
        controls=[one for one in measured if one.test_code in bench.units_sent],
    ), study  # fmt: skip


def _analyser(code: str, controls: Sequence[Control], units: dict[str, str]) -> NewAnalyser:
    """It measures what it has controls for, and sends each test in the test's own unit."""
    profile, name, channel = BENCH[code]
    tests = {one.test_code for one in controls if one.analyser_code == code}
    return NewAnalyser(code, name, profile, channel, {test: units[test] for test in sorted(tests)})


def _controls(history: Path) -> list[Control]:
    """The targets that the virtual laboratory's control lots were given."""
    of, target = ["analyser", "material", "lot_number", "level", "test_code"], ["mean", "sd"]
    rows = pl.read_parquet(history / "controls.parquet", columns=[*of, *target])
    # for some days of the past a wrong target was set: the usual one is meant
    usual = rows.group_by(*of, *target).len().sort("len").unique(of, keep="last").sort(of)
    return [
        Control(analyser, material, lot, level, code, Decimal(repr(mean)), Decimal(repr(sd)))
        for analyser, material, lot, level, code, mean, sd in usual.select(*of, *target).iter_rows()
    ]
