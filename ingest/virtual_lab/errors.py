"""What goes wrong with a specimen or a measurement, as pure functions of a panel and a random generator.

A panel is a specimen's true values by test code, in the units of `analytes.toml`. Each injector returns the values that
the analyser would send instead, for the same tests. An error counts only if it is consequential: at least one reported
value moves by more than the allowable error of `allowable_error.toml`. Severities follow the published benchmark
design that the project's own trainers do not use: nothing here is imported by them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ingest.virtual_lab.analytes import reported

Panel = Mapping[str, float]


class ErrorKind(StrEnum):
    """The kinds of error that are injected; the values are written to the truth store."""

    SWAP = "swap"
    IV_FLUID = "iv_fluid"
    EDTA = "edta"
    HAEMOLYSIS = "haemolysis"
    DELAYED_SEPARATION = "delayed_separation"
    BIAS = "bias"
    UNIT = "unit"
    DECIMAL = "decimal"
    CLOT = "clot"
    MANUAL_ENTRY = "manual_entry"
    SHORT_SPECIMEN = "short_specimen"
    LIPAEMIA = "lipaemia"
    BIOTIN = "biotin"


# mmol/L of the fluid, glucose in mg/dL (5 % dextrose holds 277 mmol/L). Everything absent is diluted to nothing.
FLUIDS: Mapping[str, Panel] = MappingProxyType(
    {
        "saline": {"NA": 154.0, "CL": 154.0},
        "dextrose": {"GLU": 277 * 18.016},
        "ringer": {"NA": 130.0, "CL": 109.0, "K": 4.0, "CA": 1.4 * 4.008},
    }
)
# From the reported unit to the one that the value is sent in by mistake.
WRONG_UNIT: Mapping[str, float] = MappingProxyType(
    {
        "GLU": 1 / 18.016, "CREA": 88.4, "BUN": 1 / 2.8, "TBIL": 17.1, "ALT": 1 / 60, "AST": 1 / 60, "ALP": 1 / 60,
        "DBIL": 17.1, "CHOL": 1 / 38.67, "LDL": 1 / 38.67, "HDL": 1 / 38.67, "TG": 1 / 88.57, "CA": 1 / 4.008,
        "URIC": 59.48, "IRON": 0.1791, "HGB": 10.0, "FT4": 12.87,
    }
)  # fmt: skip
# Of a blood count, what is not diluted with the blood: per cell, or a share of the haemoglobin.
UNDILUTED = frozenset({"MCV", "MCH", "RDW", "HBA1C"})
BIAS_SIZES = (2, 4, 8)
# What happens to a number after it was measured: no analyser dilutes for it.
AFTER_MEASURING = frozenset({ErrorKind.UNIT, ErrorKind.DECIMAL, ErrorKind.MANUAL_ENTRY})


@cache
def _limits() -> dict[str, dict[str, float]]:
    text = Path(__file__).with_name("allowable_error.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def limit(test_code: str) -> dict[str, float]:
    """The allowable error of a test: the larger of its `share` of the value and its `amount`."""
    return _limits()[test_code]


def allowable(test_code: str, true_value: float) -> float:
    """How far a value may be from the truth, in the test's unit."""
    about = limit(test_code)
    return max(about["share"] * abs(true_value), about["amount"])


def is_wrong(test_code: str, true_value: float, sent_value: float) -> bool:
    """Whether what was sent is further from the truth than is allowed."""
    return abs(sent_value - true_value) > allowable(test_code, true_value)


def is_consequential(true: Panel, sent: Panel) -> bool:
    """Whether at least one value, as it is reported, moved by more than the allowable error."""
    return any(
        is_wrong(code, reported(code, value, dilutes=True).value, reported(code, sent[code], dilutes=True).value)
        for code, value in true.items()
    )


def swap(panel: Panel, other: Panel) -> Panel | None:
    """The tests of `panel` measured in the tube of another person; `None` where that person's value is not known."""
    return {code: other[code] for code in panel} if panel.keys() <= other.keys() else None


def iv_fluid(panel: Panel, rng: np.random.Generator) -> Panel:
    """Drawn above a drip: 8 to 40 % of the specimen is infusion fluid."""
    share = rng.uniform(0.08, 0.40)
    fluid = FLUIDS[str(rng.choice(list(FLUIDS)))]
    return {
        code: value if code in UNDILUTED else (1 - share) * value + share * fluid.get(code, 0.0)
        for code, value in panel.items()
    }


def edta(panel: Panel, rng: np.random.Generator) -> Panel:
    """Poured over from an EDTA tube: potassium of the salt; calcium, and zinc and magnesium of ALP bound."""
    amount = rng.uniform(0.1, 1.0)
    return _changed(
        panel,
        {
            "K": lambda k: k + 6 * amount,
            "CA": lambda calcium: calcium * (1 - 0.7 * amount),
            "MG": lambda magnesium: magnesium * (1 - 0.3 * amount),
            "ALP": lambda alp: alp * (1 - 0.6 * amount),
        },
    )


def haemolysis(panel: Panel, rng: np.random.Generator) -> Panel:
    """Red cells burst: potassium, AST, LDH and phosphate leak out, haemoglobin disturbs CK and bilirubin."""
    amount = rng.uniform(0.2, 1.0)
    return _changed(
        panel,
        {
            "K": lambda k: k + 2 * amount,
            "AST": lambda ast: ast * (1 + 1.5 * amount),
            "LDH": lambda ldh: ldh * (1 + 2 * amount),
            "PHOS": lambda phosphate: phosphate * (1 + 0.25 * amount),
            "CK": lambda ck: ck * (1 + 0.2 * amount),
            "TBIL": lambda bilirubin: bilirubin * (1 - 0.15 * amount),
        },
    )


def delayed_separation(panel: Panel, rng: np.random.Generator) -> Panel:
    """Left on the cells for hours: they eat glucose and lose potassium and phosphate."""
    amount = rng.uniform(0.2, 1.0)
    return _changed(
        panel,
        {
            "GLU": lambda glucose: glucose * (1 - 0.4 * amount),
            "K": lambda k: k + 1.5 * amount,
            "PHOS": lambda phosphate: phosphate * (1 + 0.3 * amount),
        },
    )


def clot(panel: Panel, rng: np.random.Generator) -> Panel:
    """Clotted in the tube: platelets are caught in it, and some leucocytes."""
    amount = rng.uniform(0.2, 0.85)
    caught = {code: lambda count: count * (1 - 0.3 * amount) for code in ("WBC", "NEUT", "LYMPH")}
    return _changed(panel, {"PLT": lambda count: count * (1 - amount), **caught})


def short_specimen(panel: Panel, rng: np.random.Generator) -> Panel:
    """Too little in the tube: the probe takes air, and one or two tests read low. EXAMPLE."""
    amount = rng.uniform(0.1, 0.6)
    low = rng.permutation(sorted(panel))[: int(rng.integers(1, 3))]
    return _changed(panel, {str(code): lambda value: value * (1 - amount) for code in low})


def lipaemia(panel: Panel, rng: np.random.Generator) -> Panel:
    """Turbid with fat: electrolytes are displaced, and some colours read wrong. EXAMPLE."""
    amount = rng.uniform(0.2, 1.0)
    return _changed(
        panel,
        {
            "NA": lambda sodium: sodium * (1 - 0.07 * amount),
            "CL": lambda chloride: chloride * (1 - 0.07 * amount),
            "TP": lambda protein: protein * (1 + 0.15 * amount),
            "ALT": lambda alt: alt * (1 - 0.4 * amount),
            "AST": lambda ast: ast * (1 - 0.35 * amount),
            "DBIL": lambda bilirubin: bilirubin * (1 + 0.5 * amount),
        },
    )


def biotin(panel: Panel, rng: np.random.Generator) -> Panel:
    """High doses of biotin: a sandwich assay reads low, a competitive one high. EXAMPLE."""
    amount = rng.uniform(0.2, 1.0)
    high = {code: lambda value: value * (1 + 1.5 * amount) for code in ("FT4", "FT3", "B12", "VITD")}
    return _changed(
        panel,
        {"TSH": lambda tsh: tsh * (1 - 0.9 * amount), "FERR": lambda ferritin: ferritin * (1 - 0.6 * amount), **high},
    )


def manual_entry(panel: Panel, rng: np.random.Generator) -> Panel:
    """Typed by hand: another unit, the decimal point, or the first two digits the other way round."""
    how = (unit, decimal, _transposed)[int(rng.integers(3))]
    return how(panel, rng) or decimal(panel, rng)


def _transposed(panel: Panel, rng: np.random.Generator) -> Panel | None:
    """The first two digits of one value changed places; `None` where that changes nothing."""
    code = _one(sorted(panel), rng)
    digits = reported(code, panel[code], dilutes=True).text.lstrip("<>")
    places = [place for place, sign in enumerate(digits) if sign.isdigit()][:2]
    if len(places) < 2:
        return None
    signs = list(digits)
    signs[places[0]], signs[places[1]] = signs[places[1]], signs[places[0]]
    value = float("".join(signs))
    return {**panel, code: value} if value != float(digits) else None


def bias(panel: Panel, rng: np.random.Generator) -> Panel:
    """One analyte 2, 4 or 8 allowable errors too high or too low; never below a twentieth of the value."""
    code = _one(sorted(panel), rng)
    moved = int(rng.choice(BIAS_SIZES)) * allowable(code, panel[code]) * (1 if rng.random() < 0.5 else -1)
    return {**panel, code: max(panel[code] + moved, panel[code] / 20)}


def unit(panel: Panel, rng: np.random.Generator) -> Panel | None:
    """One analyte in another unit's number; `None` where no test of the panel has a second unit in use."""
    able = sorted(panel.keys() & WRONG_UNIT.keys())
    if not able:
        return None
    code = _one(able, rng)
    return {**panel, code: panel[code] * WRONG_UNIT[code]}


def decimal(panel: Panel, rng: np.random.Generator) -> Panel:
    """One analyte with the decimal point one place off."""
    code = _one(sorted(panel), rng)
    return {**panel, code: panel[code] * (10.0 if rng.random() < 0.5 else 0.1)}


INJECTORS: Mapping[ErrorKind, Callable[[Panel, np.random.Generator], Panel | None]] = MappingProxyType(
    {
        ErrorKind.IV_FLUID: iv_fluid,
        ErrorKind.EDTA: edta,
        ErrorKind.HAEMOLYSIS: haemolysis,
        ErrorKind.DELAYED_SEPARATION: delayed_separation,
        ErrorKind.BIAS: bias,
        ErrorKind.UNIT: unit,
        ErrorKind.DECIMAL: decimal,
        ErrorKind.CLOT: clot,
        ErrorKind.MANUAL_ENTRY: manual_entry,
        ErrorKind.SHORT_SPECIMEN: short_specimen,
        ErrorKind.LIPAEMIA: lipaemia,
        ErrorKind.BIOTIN: biotin,
    }
)


def inject(kind: ErrorKind, panel: Panel, rng: np.random.Generator) -> Panel | None:
    """A consequential error of a kind (all but a swap, which needs two panels), or `None` if this draw is not one."""
    sent = INJECTORS[kind](panel, rng)
    return sent if sent is not None and is_consequential(panel, sent) else None


def _changed(panel: Panel, changes: Mapping[str, Callable[[float], float]]) -> Panel:
    return {code: changes[code](value) if code in changes else value for code, value in panel.items()}


def _one(codes: list[str], rng: np.random.Generator) -> str:
    return codes[int(rng.integers(len(codes)))]
