"""The persons of the virtual laboratory together with what only nature knows: their own healthy values and diseases.

A cohort is a pure function of its origin, so a day can be played for the same persons whose history was written before.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ingest.virtual_lab import courses, homes, panels, patients, set_points
from ingest.virtual_lab.analytes import Numbers, codes, composed, drawn, place, root
from ingest.virtual_lab.courses import Sickness
from ingest.virtual_lab.patients import Registered

Indices = NDArray[np.int64]
ORIGIN_FILE = "origin.json"
NEVER = np.iinfo(np.int64).max // 4
ILL_BEFORE_DAYS = (1, 5)
FEVER_BEFORE_DAYS = (2, 5)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a cohort and its history are made from; `until` is the first day after it, `tests` what is measured."""

    seed: int
    patients: int
    days: int
    until: date
    prefix: str = "VL"
    tests: tuple[str, ...] = ()

    @property
    def first_day(self) -> date:
        """The first day of the history."""
        return self.until - timedelta(days=self.days)

    @property
    def open_days(self) -> Indices:
        """The ordinals of its days."""
        return np.arange(self.first_day.toordinal(), self.until.toordinal(), dtype=np.int64)

    @property
    def measured(self) -> tuple[str, ...]:
        """The tests, all of the laboratory's where none were named, in the order of the analytes."""
        return tuple(code for code in codes() if not self.tests or code in self.tests)

    def save(self, folder: Path) -> None:
        """Write it beside the history, for the day that is played later."""
        text = json.dumps({**asdict(self), "until": self.until.isoformat()}, indent=2)
        (folder / ORIGIN_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Origin:
        """Read it back. Raises `FileNotFoundError` where no history was written by this laboratory."""
        row = json.loads((folder / ORIGIN_FILE).read_text(encoding="utf-8"))
        return cls(**{**row, "until": date.fromisoformat(row["until"]), "tests": tuple(row["tests"])})


@dataclass(frozen=True, kw_only=True, eq=False)
class Cohort:
    """Registrations and what is true of them; `person` is the same number for both of a double registration.

    `settled`: the drawn logarithms of the healthy set points. `ill_before`: days from falling ill to the first visit.
    """

    persons: pl.DataFrame
    person: Indices
    site: Indices
    sex: NDArray[np.str_]
    birth_day: Indices
    settled: Numbers
    sickness: Sickness
    ill_before: Indices

    @property
    def settled_haemoglobin(self) -> Numbers:
        """Each person's own haemoglobin with their lasting diseases, untreated, in g/dL."""
        nothing = np.full(len(self.person), -1.0)
        shift, _ = courses.effects(self.sickness, since_ill=nothing, since_treated=nothing)
        return np.asarray(np.exp(composed(self.settled + shift)[:, place("HGB")]))


@dataclass(frozen=True, kw_only=True, eq=False)
class Body:
    """What would be found in persons, as drawn logarithms, visits by analytes, and how much of it disease has done."""

    logs: Numbers
    disease_shift: Numbers


def make(origin: Origin) -> Cohort:
    """The cohort of an origin: the same persons, values and diseases every time."""
    known = patients.register(origin.seed, origin.patients, on=origin.until)
    person = np.where(known.original >= 0, known.original, np.arange(origin.patients))
    rng = np.random.default_rng([origin.seed, 2])
    birth_day = np.array([day.toordinal() for day in known.birth_on], dtype=np.int64)
    age_years = (origin.until.toordinal() - birth_day) / 365.25
    sickness = courses.fall_ill(rng, age_years=age_years, is_male=known.sex == "male", days=origin.open_days)
    before = np.where(
        sickness.has("dengue"),
        *(rng.integers(*x, (2, origin.patients))[0] for x in (FEVER_BEFORE_DAYS, ILL_BEFORE_DAYS)),
    )
    site = rng.choice(len(panels.sites()), origin.patients, p=[site.share for site in panels.sites()])[person]
    return Cohort(
        persons=_persons(origin, known, person, site),
        person=person,
        site=site,
        sex=known.sex,
        birth_day=birth_day,
        settled=set_points.set_points(rng, is_male=known.sex == "male", age_years=age_years)[person],
        sickness=sickness.take(person),
        ill_before=before[person],
    )


def _persons(origin: Origin, known: Registered, person: Indices, site: Indices) -> pl.DataFrame:
    """The columns of `patients.parquet`; both registrations of a person have one home."""
    states = homes.states(origin.seed, [panels.sites()[number].state for number in site.tolist()])
    states = [states[one] for one in person.tolist()]
    pins = homes.pin_codes(origin.seed, states)
    return patients.at_home(known, states, prefix=origin.prefix).with_columns(
        pin_code=pl.Series([pins[one] for one in person.tolist()], dtype=pl.String),
        abha_number=homes.abha_numbers(origin.seed, person),
    )


def bodies(
    cohort: Cohort,
    rng: np.random.Generator,
    *,
    who: Indices,
    day: Indices,
    first_day: Indices,
    hour: Numbers,
    is_fasting: NDArray[np.bool_],
) -> Body:
    """What is in these persons' blood at these visits, by person, then day. `first_day` is of their first visit."""
    since = (day - first_day).astype(np.float64)
    sickness = cohort.sickness.take(who)
    shift, unrest = courses.effects(sickness, since_ill=since + cohort.ill_before[who], since_treated=since)
    own = cohort.settled[who]
    changing = set_points.day_to_day(rng, who=who, day=day, unrest=unrest)
    passing = set_points.by_the_hour(hour) + set_points.after_a_meal(rng, is_fasting)
    return Body(logs=own + shift + changing + passing, disease_shift=courses.moved(own, shift))


def analytic_noise(rng: np.random.Generator, rows: int) -> Numbers:
    """What a sound analyser adds to the drawn logarithms, visits by analytes."""
    return np.asarray(rng.standard_normal((rows, len(codes()))) @ root("analytic").T * drawn("analytic"))
