"""Errors to train and measure on: each kind is done to whole accessions before their features are computed.

The kinds and severities are those of the public literature on wrong blood in tube, contamination and delayed
separation. A result counts as an error only when it moved by more than its total allowable error: a haemolysed
creatinine is harmless.
Deterministic: the same draws, kind and seed give the same errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ml.features import ANALYTES, Array, Draws

Bools = NDArray[np.bool_]
Codes = tuple[str, ...]


class Allowable(NamedTuple):
    """Total allowable error: the greater of an absolute amount (reported unit) and a share of the value."""

    absolute: float
    share: float


# Acceptance limits of 42 CFR 493.931 as amended in 2022 (in force 2025); a laboratory may pass its own.
ALLOWABLE: Mapping[str, Allowable] = MappingProxyType(
    {
        "GLU": Allowable(6.0, 0.08),
        "CREA": Allowable(0.2, 0.10),
        "BUN": Allowable(2.0, 0.09),
        "NA": Allowable(4.0, 0.0),
        "K": Allowable(0.3, 0.0),
        "CL": Allowable(0.0, 0.05),
        "ALT": Allowable(6.0, 0.15),
        "AST": Allowable(6.0, 0.15),
        "ALP": Allowable(0.0, 0.20),
        "TBIL": Allowable(0.4, 0.20),
    }
)

# Infusions: sodium chloride 0.9 %, glucose 5 %, Ringer's (mmol/L; glucose in mg/dL).
FLUIDS: tuple[Mapping[str, float], ...] = (
    {"NA": 154.0, "CL": 154.0},
    {"GLU": 5000.0},
    {"NA": 130.0, "CL": 109.0, "K": 4.0},
)
# A value in the other common unit taken for ours: mmol/L or umol/L for mg/dL; urea for urea nitrogen.
UNIT_FACTORS: Mapping[str, float] = MappingProxyType({"GLU": 1 / 18.016, "CREA": 88.4, "BUN": 2.14, "TBIL": 17.1})


@dataclass(frozen=True, eq=False)
class Injected:
    """Draws with one kind of error. `applied` (E,): the accession was changed; `moved` (E, A): beyond allowable."""

    draws: Draws
    applied: Bools
    moved: Bools


@dataclass(frozen=True, eq=False)
class _Case:
    """One injection under way. `patient` (E,): a number a patient, so that nobody is swapped with himself."""

    draws: Draws
    patient: NDArray[np.int64]
    codes: Codes
    allowable: Array  # (E, A)
    rng: np.random.Generator

    def severity(self, low: float, high: float) -> Array:
        return self.rng.uniform(low, high, len(self.draws.sex))


def _matched_donors(case: _Case) -> NDArray[np.int64]:
    """For each accession another of the same sex and ten-year band of age, or itself where there is none."""
    age = np.nan_to_num(case.draws.age_years, nan=-1.0)
    stratum = case.draws.sex * 1_000.0 + age // 10.0
    donor = np.arange(len(stratum))
    for kind in np.unique(stratum):
        members = case.rng.permutation(np.flatnonzero(stratum == kind))
        donor[members] = np.roll(members, 1)
    return np.where(case.patient[donor] == case.patient, np.arange(len(donor)), donor)


def _swap(case: _Case) -> Array:
    """The tube of another patient: every result is the donor's; what the donor lacks is not there."""
    return case.draws.value[_matched_donors(case)]


def _infusion(case: _Case) -> Array:
    """Drawn above a running infusion: a share of the specimen is the fluid."""
    fluids = np.array([[fluid.get(code, 0.0) for code in case.codes] for fluid in FLUIDS])
    share = case.severity(0.08, 0.40)[:, None]
    chosen = case.rng.integers(0, len(FLUIDS), len(share))
    mixed: Array = (1.0 - share) * case.draws.value + share * fluids[chosen]
    return mixed


def _shifted(case: _Case, severity: Array, plus: Mapping[str, float], times: Mapping[str, float]) -> Array:
    """value * (1 + severity * times) + severity * plus, by analyte."""
    factor = np.array([times.get(code, 0.0) for code in case.codes])
    amount = np.array([plus.get(code, 0.0) for code in case.codes])
    shifted: Array = case.draws.value * (1.0 + severity[:, None] * factor) + severity[:, None] * amount
    return shifted


def _edta(case: _Case) -> Array:
    """Potassium EDTA carried over from the haematology tube."""
    return _shifted(case, case.severity(0.1, 1.0), {"K": 6.0}, {"ALP": -0.6})


def _haemolysis(case: _Case) -> Array:
    return _shifted(case, case.severity(0.2, 1.0), {"K": 2.0}, {"AST": 1.5, "TBIL": -0.15})


def _delay(case: _Case) -> Array:
    """Serum left on the cells: glucose is used up, potassium leaks out."""
    return _shifted(case, case.severity(0.2, 1.0), {"K": 1.5}, {"GLU": -0.4})


def _one_of(case: _Case, candidates: Bools) -> Bools:
    """One candidate cell of each accession that has any: (E, A)."""
    lots = np.where(candidates, case.rng.uniform(size=candidates.shape), -1.0)
    chosen = np.zeros(candidates.shape, dtype=np.bool_)
    chosen[np.arange(len(lots)), lots.argmax(axis=1)] = True
    return chosen & candidates


def _bias(case: _Case) -> Array:
    """One analyte off by four or eight times its allowable error, either way."""
    chosen = _one_of(case, ~np.isnan(case.draws.value))
    size = case.rng.choice([4.0, 8.0], len(chosen)) * case.rng.choice([-1.0, 1.0], len(chosen))
    biased = np.maximum(case.draws.value + size[:, None] * case.allowable, 0.0)
    return np.where(chosen, biased, case.draws.value)


def _unit(case: _Case) -> Array:
    """One value typed in another unit."""
    factor = np.array([UNIT_FACTORS.get(code, 1.0) for code in case.codes])
    chosen = _one_of(case, ~np.isnan(case.draws.value) & (factor != 1.0))
    return np.where(chosen, case.draws.value * factor, case.draws.value)


def _decimal(case: _Case) -> Array:
    """One decimal point misplaced."""
    chosen = _one_of(case, ~np.isnan(case.draws.value))
    factor = case.rng.choice([0.1, 10.0], len(chosen))[:, None]
    return np.where(chosen, case.draws.value * factor, case.draws.value)


INJECTORS: Mapping[str, Callable[[_Case], Array]] = MappingProxyType(
    {
        "swap": _swap,
        "infusion": _infusion,
        "edta": _edta,
        "haemolysis": _haemolysis,
        "delay": _delay,
        "bias": _bias,
        "unit": _unit,
        "decimal": _decimal,
    }
)
KINDS = tuple(INJECTORS)


def allowable_errors(values: Array, codes: Codes, table: Mapping[str, Allowable] = ALLOWABLE) -> Array:
    """Total allowable error of each value, in its unit (E, A); an analyte outside the table allows 20 %."""
    limits = np.array([table.get(code, Allowable(0.0, 0.20)) for code in codes])
    allowed: Array = np.maximum(limits[:, 0], limits[:, 1] * values)
    return allowed


def inject(
    draws: Draws,
    patient: NDArray[np.int64],
    kind: str,
    *,
    seed: int,
    codes: Codes = ANALYTES,
    table: Mapping[str, Allowable] = ALLOWABLE,
) -> Injected:
    """One kind of error in every accession that can have it; histories are left alone.

    `patient` (E,) numbers the patients. A donor's result counts only where the recipient's test was ordered.
    Raises KeyError for an unknown kind.
    """
    injector, before = INJECTORS[kind], draws.value
    allowed = allowable_errors(before, codes, table)
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    after = injector(_Case(draws, patient, codes, allowed, rng))
    after = np.where(np.isnan(before), np.nan, after)
    moved = np.abs(after - before) > allowed
    return Injected(replace(draws, value=after), np.asarray(moved.any(axis=1)), moved)
