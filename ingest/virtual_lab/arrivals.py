"""Who comes on which day, at what hour, from where and for what: weekdays, festivals, camps, illness and follow-up."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from ingest.virtual_lab import courses, panels
from ingest.virtual_lab.analytes import Numbers
from ingest.virtual_lab.cohort import Cohort, Indices, Origin
from ingest.virtual_lab.festivals import day_load, festivals

SOURCES = ("walk_in", "home", "b2b", "camp")
SOURCE_SHARES = (0.45, 0.30, 0.25, 0.0)
PRIORITIES = ("routine", "urgent", "stat")
PRIORITY_SHARES = (0.90, 0.07, 0.03)
COME_AGAIN = 0.355
ONE_MORE = 0.38
UNDER_TREATMENT = 1.7
RETURNS_IN_FEVER = (0, 2, 4, 7, 10)
FASTING_BEFORE_HOUR = 11.0
FASTING_SHARE = 0.85
CAMP_EVERY_DAYS = 60
NO_CAMP_ON_LAST_DAYS = 3  # its results would not be authorised in time
CAMP_SIZES = (150, 400)
CAMP_MOST_SHARE = 0.1
CAMP_HOURS = (8.5, 11.4)
ADULT_DAYS = 18 * 366
# Mean and spread of the morning and of the evening hours, and the share of the morning.
HOURS = {
    "walk_in": ((8.6, 0.9), (17.8, 0.9), 0.72),
    "home": ((7.9, 0.8), (17.6, 0.8), 0.9),
    "b2b": ((9.2, 1.1), (18.0, 0.9), 0.65),
}
OPEN_HOURS = (6.0, 20.5)


@dataclass(frozen=True, kw_only=True, eq=False)
class Visits:
    """Visits by person and day: person, day and first day (ordinals), site, source, seconds of the day, and so on.

    All are arrays of one length; `panel`, `site`, `source` and `priority` are numbers.
    """

    who: Indices
    day: Indices
    first_day: Indices
    site: Indices
    source: Indices
    seconds: Indices
    panel: Indices
    priority: Indices
    is_fasting: NDArray[np.bool_]

    @property
    def hour(self) -> Numbers:
        """The hour of the day, with its fraction."""
        return np.asarray(self.seconds / 3600)

    def take(self, rows: Indices) -> Visits:
        """The same arrays for some visits, in that order."""
        return Visits(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def visits(origin: Origin, cohort: Cohort) -> Visits:
    """All visits of a cohort in its time; everybody comes at least once, about a third again."""
    rng = np.random.default_rng([origin.seed, 5])
    who = np.repeat(np.arange(origin.patients, dtype=np.int64), _how_often(rng, cohort))
    day = _days(rng, origin, cohort, who)
    possible = _once_a_day(who, day, born=cohort.birth_day[who], until=origin.until.toordinal())
    who, day = who[possible], day[possible]
    first_day = day[np.searchsorted(who, who, side="left")]
    source = rng.choice(len(SOURCES), len(who), p=SOURCE_SHARES)
    hour = hours(rng, source)
    made = Visits(
        who=who, day=day, first_day=first_day, site=cohort.site[who], source=source,
        seconds=np.asarray(hour * 3600, dtype=np.int64), panel=_panels(rng, origin, cohort, who),
        priority=rng.choice(len(PRIORITIES), len(who), p=PRIORITY_SHARES),
        is_fasting=(hour < FASTING_BEFORE_HOUR) & (rng.random(len(who)) < FASTING_SHARE),
    )  # fmt: skip
    adults = cohort.birth_day[who] < origin.first_day.toordinal() - ADULT_DAYS
    return _with_camps(rng, origin, made, adults)


def hours(rng: np.random.Generator, source: Indices) -> Numbers:
    """When they come, in hours of the Indian day: most before breakfast, some in the evening."""
    hour = np.empty(len(source))
    for number, name in enumerate(SOURCES):
        here = np.nonzero(source == number)[0]
        morning, evening, share = HOURS.get(name, HOURS["walk_in"])
        early = rng.random(len(here)) < share
        hour[here] = np.where(early, rng.normal(*morning, len(here)), rng.normal(*evening, len(here)))
    return np.clip(hour, *OPEN_HOURS)


def _how_often(rng: np.random.Generator, cohort: Cohort) -> Indices:
    """One visit for most; the sick come again more often, and those with a fever nearly always."""
    inclined = 0.75 + np.minimum(cohort.sickness.burden, 1.0)
    inclined = inclined + UNDER_TREATMENT * cohort.sickness.under_treatment
    chance = np.minimum(COME_AGAIN * inclined / inclined.mean(), 0.95)
    chance = np.where(cohort.sickness.has("dengue"), 0.8, chance)
    again = rng.random(len(chance)) < chance
    return np.where(again, 1 + rng.geometric(ONE_MORE, len(chance)), 1)


def _days(rng: np.random.Generator, origin: Origin, cohort: Cohort, who: Indices) -> Indices:
    days = origin.open_days
    day = np.empty(len(who), dtype=np.int64)
    for number, site in enumerate(panels.sites()):
        here, load = np.nonzero(cohort.site[who] == number)[0], day_load(days, site.state)
        day[here] = rng.choice(days, len(here), p=load / load.sum())
    fever = courses.diseases()[courses.names().index("dengue")]
    feverish = np.nonzero(cohort.sickness.has("dengue")[who])[0]
    load = day_load(days, panels.sites()[0].state) * courses.season(fever, days)
    starts = dict(
        zip(
            np.unique(who[feverish]).tolist(),
            rng.choice(days, len(np.unique(who[feverish])), p=load / load.sum()).tolist(),
            strict=True,
        )
    )
    nth = feverish - np.searchsorted(who, who[feverish], side="left")
    returns = np.array([*RETURNS_IN_FEVER, *range(14, 200, 7)])
    day[feverish] = np.array([starts[one] for one in who[feverish].tolist()], dtype=np.int64) + returns[nth]
    return _not_on_festivals(day, cohort.site[who], feverish)


def _not_on_festivals(day: Indices, site: Indices, feverish: Indices) -> Indices:
    """Who should come again on a festival comes the day after."""
    for number, one in enumerate(panels.sites()):
        own = feverish[site[feverish] == number]
        day[own] += np.isin(day[own], list(festivals(one.state)))
    return day


def _once_a_day(who: Indices, day: Indices, *, born: Indices, until: int) -> Indices:
    """The places of the visits that can be, by person and day: one a person and day, none before birth or too late."""
    _, first = np.unique(who * (day.max() + 1) + day, return_index=True)
    return np.asarray(first[(day[first] > born[first]) & (day[first] < until)])


def _panels(rng: np.random.Generator, origin: Origin, cohort: Cohort, who: Indices) -> Indices:
    """By what the person has; a follow-up often asks for the same again."""
    panel = panels.chosen(rng, cohort.sickness.take(who), origin.measured)
    first = panel[np.searchsorted(who, who, side="left")]
    treated = cohort.sickness.under_treatment[who]
    again = np.where(treated, panels.CONTROLLED, panels.SAME_AGAIN)
    return np.where(rng.random(len(who)) < again, first, panel)


def _with_camps(rng: np.random.Generator, origin: Origin, made: Visits, adults: NDArray[np.bool_]) -> Visits:
    """Some adults who come only once come to a camp instead: many people in three hours."""
    largest = min(int(CAMP_MOST_SHARE * origin.patients), CAMP_SIZES[1])
    if not panels.mask(origin.measured)[panels.camp()].any() or largest < CAMP_SIZES[0]:
        return made
    once = np.nonzero((np.bincount(made.who, minlength=origin.patients)[made.who] == 1) & adults)[0]
    changed = {
        name: getattr(made, name).copy() for name in ("day", "first_day", "source", "seconds", "panel", "is_fasting")
    }
    open_days = origin.open_days[:-NO_CAMP_ON_LAST_DAYS]
    days = rng.choice(open_days, min(max(1, origin.days // CAMP_EVERY_DAYS), len(open_days)), replace=False)
    for day in days.tolist():
        guests = rng.choice(once, int(rng.integers(CAMP_SIZES[0], largest + 1)), replace=False)
        once = np.setdiff1d(once, guests)
        changed["day"][guests] = changed["first_day"][guests] = day
        changed["source"][guests], changed["panel"][guests] = SOURCES.index("camp"), panels.camp()
        changed["seconds"][guests] = rng.uniform(*CAMP_HOURS, len(guests)) * 3600
        changed["is_fasting"][guests] = True
    return replace(made, **changed)
