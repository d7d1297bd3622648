"""One day of the laboratory, planned before anybody comes: who, which tests, the true values, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from itertools import cycle, pairwise
from pathlib import Path

import numpy as np

from ingest.virtual_lab import analysers, arrivals, controls, errors, panels
from ingest.virtual_lab.analytes import Numbers, analyte, codes, composed
from ingest.virtual_lab.arrivals import PRIORITIES, PRIORITY_SHARES
from ingest.virtual_lab.cohort import Cohort, Indices, Origin, analytic_noise, bodies, make
from ingest.virtual_lab.controls import Target
from ingest.virtual_lab.errors import ErrorKind, Panel
from ingest.virtual_lab.patients import Person, people

KNOWN_SHARE = 0.60
ERROR_SHARE = 0.04
STRANGERS = 500_000_000
FAR_OUT = 4.2
CHEMISTRY = "BS480-1"


class Defect(StrEnum):
    """What is wrong with a message although its values are true."""

    FLAGGED = "flagged"
    UNMAPPED_CODE = "unmapped_code"
    UNKNOWN_SPECIMEN = "unknown_specimen"
    IDENTITY_MISMATCH = "identity_mismatch"


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One patient's coming: `full` are the true values of all analytes, `sent` what is sent for the ordered tests.

    `seconds` of the Indian day is when they come.
    """

    number: int
    seconds: int
    person: Person
    is_known: bool
    tests: tuple[str, ...]
    priority: str
    full: Panel
    sent: Panel
    stated: Person
    error: ErrorKind | None = None
    partner: int | None = None
    defect: Defect | None = None

    @property
    def true(self) -> Panel:
        """The true values of the ordered tests."""
        return {code: self.full[code] for code in self.tests}

    @property
    def kind(self) -> str:
        """What the truth store calls it."""
        return self.error or self.defect or "clean"


@dataclass(frozen=True, kw_only=True)
class ControlValue:
    """One control measurement of the day."""

    target: Target
    value: float


@dataclass(frozen=True, kw_only=True)
class DayPlan:
    """A day: the visits in the order of arrival, and the controls measured before them."""

    seed: int
    on: date
    visits: tuple[Visit, ...]
    controls: tuple[ControlValue, ...]


def plan_day(
    seed: int,
    patients: int = 200,
    *,
    on: date,
    history: Path | None = None,
    error_share: float = ERROR_SHARE,
    control_out: str | None = None,
    analysers_up: Sequence[str] = analysers.ANALYSERS,
) -> DayPlan:
    """Plan the day `on`; the same arguments give the same plan.

    With a history folder 60 % of the patients are from it, with values that continue theirs, and only its tests are
    ordered; of those, only what the analysers that are up measure. `control_out` names a test whose second control
    level is far outside (its run should be rejected).
    """
    rng = np.random.default_rng([seed, 11, on.toordinal()])
    shift = analysers.day_shift(seed, on)
    origin = Origin.load(history) if history else None
    measured = origin.measured if origin else codes()
    tests = tuple(code for code in measured if analyte(code).analyser in analysers_up)
    visits = _visits(seed, patients, on=on, origin=origin, tests=tests, shift=shift, rng=rng)
    visits = _with_errors(visits, round(error_share * patients), rng)
    return DayPlan(
        seed=seed,
        on=on,
        visits=tuple(_with_defects(visits, rng)),
        controls=tuple(_controls(shift, tests, control_out, rng)),
    )


def _visits(
    seed: int, patients: int, *, on: date, origin: Origin | None, tests: tuple[str, ...], shift: Numbers,
    rng: np.random.Generator,
) -> list[Visit]:  # fmt: skip
    found: list[Visit] = []
    known = min(round(KNOWN_SHARE * patients), origin.patients) if origin else 0
    if origin is not None:
        cohort = make(origin)
        first_day = _first_days(origin, cohort)
        weight = 1 + cohort.sickness.burden
        who = rng.choice(origin.patients, known, replace=False, p=weight / weight.sum())
        found += _of_cohort(cohort, who, True, on=on, first_day=first_day[who], tests=tests, shift=shift, rng=rng)
    if known < patients:
        strangers = Origin(seed=seed + STRANGERS, patients=patients - known, days=60, until=on, prefix=f"VD{seed}N")
        who, today = np.arange(patients - known), np.full(patients - known, on.toordinal())
        found += _of_cohort(make(strangers), who, False, on=on, first_day=today, tests=tests, shift=shift, rng=rng)
    found.sort(key=lambda visit: visit.seconds)
    return [replace(visit, number=number) for number, visit in enumerate(found, start=1)]


def _first_days(origin: Origin, cohort: Cohort) -> Indices:
    """When each person of a history first came: treatments began then."""
    first = np.full(origin.patients, origin.until.toordinal() - 1)
    visits = arrivals.visits(origin, cohort)
    first[visits.who] = visits.first_day
    return first


def _of_cohort(
    cohort: Cohort, who: Indices, is_known: bool, *, on: date, first_day: Indices, tests: tuple[str, ...],
    shift: Numbers, rng: np.random.Generator,
) -> Iterator[Visit]:  # fmt: skip
    source = rng.choice(len(arrivals.SOURCES), len(who), p=arrivals.SOURCE_SHARES)
    hour = arrivals.hours(rng, source)
    body = bodies(
        cohort, rng, who=who, day=np.full(len(who), on.toordinal()), first_day=first_day, hour=hour,
        is_fasting=hour < arrivals.FASTING_BEFORE_HOUR,
    )  # fmt: skip
    values = np.exp(composed(body.logs + analytic_noise(rng, len(who)) + shift))
    panel = panels.chosen(rng, cohort.sickness.take(who), tests)
    priorities = rng.choice(PRIORITIES, len(who), p=PRIORITY_SHARES)
    for place, person in enumerate(people(cohort.persons[who])):
        full = dict(zip(codes(), values[place].tolist(), strict=True))
        ordered = tuple(code for code in panels.panels()[panel[place]].tests if code in tests)
        yield Visit(
            number=0,
            seconds=int(hour[place] * 3600),
            person=person,
            is_known=is_known,
            tests=ordered,
            priority=str(priorities[place]),
            full=full,
            sent={code: full[code] for code in ordered},
            stated=person,
        )


def _with_errors(visits: list[Visit], wanted: int, rng: np.random.Generator) -> list[Visit]:
    """Every kind in turn, each on the first untouched specimen in random order where it is consequential."""
    visits, done = list(visits), 0
    kinds = cycle([list(ErrorKind)[place] for place in rng.permutation(len(ErrorKind)).tolist()])
    for _ in range(4 * wanted):
        if done >= wanted:
            break
        done += _one_error(visits, next(kinds), wanted - done, rng)
    return visits


def _one_error(visits: list[Visit], kind: ErrorKind, room: int, rng: np.random.Generator) -> int:
    """Put one error of a kind into the list; how many specimens it spoilt (0 where none can carry it)."""
    free = [place for place in rng.permutation(len(visits)).tolist() if visits[place].error is None]
    if kind is ErrorKind.SWAP:
        return _one_swap(visits, free) if room > 1 else 0
    for place in free:
        sent = errors.inject(kind, visits[place].true, rng)
        if sent is not None:
            visits[place] = replace(visits[place], sent=sent, error=kind)
            return 1
    return 0


def _one_swap(visits: list[Visit], free: list[int]) -> int:
    """Two tubes with each other's label; consequential for both."""
    for first, second in pairwise(free):
        one, other = visits[first], visits[second]
        sent, sent_other = errors.swap(one.true, other.full), errors.swap(other.true, one.full)
        if sent is None or sent_other is None:
            continue
        if errors.is_consequential(one.true, sent) and errors.is_consequential(other.true, sent_other):
            visits[first] = replace(one, sent=sent, error=ErrorKind.SWAP, partner=other.number)
            visits[second] = replace(other, sent=sent_other, error=ErrorKind.SWAP, partner=one.number)
            return 2
    return 0


def _with_defects(visits: list[Visit], rng: np.random.Generator) -> list[Visit]:
    """One message of each defect, on specimens without an error, as far as there are any."""
    visits = list(visits)
    free = [place for place in rng.permutation(len(visits)).tolist() if visits[place].error is None]
    for defect in Defect:
        place = next((place for place in free if _can_carry(visits[place], defect)), None)
        if place is None:
            continue
        free.remove(place)
        stated = _another(visits, place) if defect is Defect.IDENTITY_MISMATCH else visits[place].stated
        visits[place] = replace(visits[place], defect=defect, stated=stated)
    return visits


def _can_carry(visit: Visit, defect: Defect) -> bool:
    return defect is not Defect.UNMAPPED_CODE or any(analyte(code).analyser == CHEMISTRY for code in visit.tests)


def _another(visits: list[Visit], place: int) -> Person:
    """A person of this day whose identity differs in number, name and birth date."""
    own = visits[place].person
    others = (visit.person for visit in visits if visit.person.uhid != own.uhid)
    return next((other for other in others if other.name != own.name and other.birth_on != own.birth_on), own)


def _controls(
    shift: Numbers, tests: tuple[str, ...], control_out: str | None, rng: np.random.Generator
) -> Iterator[ControlValue]:
    off = analysers.shares() @ shift
    for target in controls.targets():
        if target.test_code not in tests:
            continue
        value = controls.measured_in_control(target, float(off[codes().index(target.test_code)]), rng)
        if target.test_code == control_out and target.level == controls.LEVELS[-1]:
            value = round(target.mean + FAR_OUT * target.sd, target.decimals)
        yield ControlValue(target=target, value=value)
