"""From the vein to the bench: collection, the courier's runs in rain and sunshine, receipt, the centrifuge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from ingest.virtual_lab import panels
from ingest.virtual_lab.analytes import Numbers
from ingest.virtual_lab.arrivals import SOURCES, Visits
from ingest.virtual_lab.cohort import Indices
from ingest.virtual_lab.failures import EPOCH

INDIA_AHEAD_SECONDS = 19_800
DAY = 86_400
RUN_EVERY = 90 * 60  # facts, 7 layer 7, as the centrifuge below; the others are EXAMPLE
RUNS_FROM, RUNS_UNTIL = 7 * 3600, 22 * 3600
CENTRIFUGE = 18 * 60
MONSOON = (6, 7, 8, 9)
RAINY, SLOWED = 0.35, 1.4
HOME_MINUTES, B2B_MINUTES = 50.0, 40.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Journey:
    """Instants of each visit in seconds of the epoch: UTC, as the ready times of serum and of whole blood are."""

    ordered: Indices
    collected: Indices
    received: Indices

    def ready(self, is_serum: NDArray[np.bool_], visit: Indices) -> Indices:
        """When specimens (of these visits) can be put on an analyser; serum must clot and spin first."""
        return np.asarray(self.received[visit] + np.where(is_serum, CENTRIFUGE, 120))


def journeys(rng: np.random.Generator, visits: Visits) -> Journey:
    """The way of every visit's specimens."""
    ordered = (visits.day - EPOCH) * DAY + visits.seconds - INDIA_AHEAD_SECONDS
    collected = ordered + wait(rng, len(ordered), typical=540, longest=1800)
    arrived = collected + _way(rng, visits, collected)
    return Journey(
        ordered=ordered, collected=collected, received=arrived + wait(rng, len(ordered), typical=420, longest=1800)
    )


def wait(rng: np.random.Generator, rows: int, *, typical: float, longest: float) -> Indices:
    """Seconds of a small wait: log-normal around `typical`, at least one minute."""
    return np.asarray(np.clip(rng.lognormal(np.log(typical), 0.5, rows), 60, longest), dtype=np.int64)


def _way(rng: np.random.Generator, visits: Visits, collected: Indices) -> Indices:
    """Nothing at the laboratory itself; else the wait for the next run and the ride, longer on a rainy day."""
    minutes = np.array([site.minutes for site in panels.sites()])[visits.site]
    minutes = np.where(visits.source == SOURCES.index("home"), minutes + HOME_MINUTES, minutes)
    minutes = np.where(visits.source == SOURCES.index("b2b"), minutes + B2B_MINUTES, minutes)
    ride = rng.gamma(4.0, np.maximum(minutes, 1e-9) / 4.0) * 60 * np.where(_is_rainy(rng, visits), SLOWED, 1.0)
    by_courier = visits.site > 0
    return np.where(minutes > 0, np.where(by_courier, _until_the_next_run(collected), 0) + ride, 0).astype(np.int64)


def _until_the_next_run(collected: Indices) -> Numbers:
    """Runs leave every 90 minutes from 7 to 22 h; who is too late for the last waits for the morning."""
    clock = (collected + INDIA_AHEAD_SECONDS) % DAY
    number = np.ceil(np.maximum(clock - RUNS_FROM, 0) / RUN_EVERY)
    leaves = RUNS_FROM + number * RUN_EVERY
    return np.where(leaves <= RUNS_UNTIL, leaves, RUNS_FROM + DAY) - clock


def _is_rainy(rng: np.random.Generator, visits: Visits) -> Indices:
    """Whether it rained that day: the same for all who came on it."""
    days, which = np.unique(visits.day, return_inverse=True)
    month = np.array([date.fromordinal(day).month for day in days.tolist()])
    return np.asarray((np.isin(month, MONSOON) & (rng.random(len(days)) < RAINY))[which])
