"""The persons of the virtual laboratory together with what only nature knows: their own healthy values and diseases.

A cohort is a pure function of its seed, so a day can be played for the same persons whose history was written before.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ingest.virtual_lab import analytes, patients
from ingest.virtual_lab.analytes import Numbers

Indices = NDArray[np.int64]
ORIGIN_FILE = "origin.json"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a cohort and its history are made from; `until` is the first day after the history."""

    seed: int
    patients: int
    days: int
    until: date
    analyser: str = "BS480-1"
    prefix: str = "VL"

    @property
    def first_day(self) -> date:
        """The first day of the history."""
        return self.until - timedelta(days=self.days)

    def save(self, folder: Path) -> None:
        """Write it beside the history, for the day that is played later."""
        text = json.dumps({**asdict(self), "until": self.until.isoformat()}, indent=2)
        (folder / ORIGIN_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Origin:
        """Read it back. Raises `FileNotFoundError` where no history was written by this laboratory."""
        row = json.loads((folder / ORIGIN_FILE).read_text(encoding="utf-8"))
        return cls(**{**row, "until": date.fromisoformat(row["until"])})


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Persons and what they have. `onset` is the day (ordinal) an acute disease began; baselines are logarithms."""

    persons: pl.DataFrame
    sex: NDArray[np.str_]
    birth_day: Indices
    baseline: Numbers
    severity: Numbers
    onset: Indices

    @property
    def sickness(self) -> Numbers:
        """The sum of a person's severities; the sick come more often."""
        return np.asarray(self.severity.sum(axis=1))


def make(origin: Origin) -> Cohort:
    """The cohort of an origin: the same persons, values and diseases every time."""
    persons = patients.generate(origin.seed, origin.patients, on=origin.until, prefix=origin.prefix)
    rng = np.random.default_rng([origin.seed, 2])
    birth_day = np.array([day.toordinal() for day in persons["birth_on"]], dtype=np.int64)
    age_years = (origin.until.toordinal() - birth_day) / 365.25
    sex = persons["sex"].to_numpy().astype(np.str_)
    return Cohort(
        persons=persons,
        sex=sex,
        birth_day=birth_day,
        baseline=analytes.baselines(rng, is_male=sex == "male", age_years=age_years),
        severity=analytes.severities(rng, age_years),
        onset=rng.integers(origin.first_day.toordinal() - 30, origin.until.toordinal(), origin.patients),
    )


def measure(cohort: Cohort, who: Indices, day: Indices, *, rng: np.random.Generator) -> Numbers:
    """What an analyser without fault finds in these persons on these days, visits by analytes, not yet rounded."""
    shift, unrest = analytes.disease_effects(cohort.severity[who], (day - cohort.onset[who]).astype(np.float64))
    noise = analytes.within_noise(rng, unrest) + analytes.analytic_noise(rng, len(who))
    return np.asarray(np.exp(cohort.baseline[who] + shift + noise))
