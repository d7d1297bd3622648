"""A visit's way through the laboratory: tubes, jobs on the analysers, and the instants of every stage."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ingest.virtual_lab import queues
from ingest.virtual_lab.analysers import ANALYSERS
from ingest.virtual_lab.analytes import SERUM, analytes
from ingest.virtual_lab.arrivals import PRIORITIES, SOURCES, Visits
from ingest.virtual_lab.cohort import Indices, Origin
from ingest.virtual_lab.failures import EPOCH, Wear
from ingest.virtual_lab.spoiling import Tubes
from ingest.virtual_lab.transport import DAY, INDIA_AHEAD_SECONDS, Journey

# Analyser → seconds from taking a specimen to its first value, and between its values. EXAMPLE.
REACTION = {"BS480-1": 600, "XN1000-1": 55, "IMM-1": 1080}
BETWEEN_VALUES = 18
RERUN = 0.05  # facts, 7 layer 7
RERUN_SECONDS = 720


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """One ordered test a row, the rows of a tube side by side: visit, tube, analyte, and the analyser's number."""

    visit: Indices
    tube: Indices
    test: Indices
    analyser: Indices


@dataclass(frozen=True, kw_only=True, eq=False)
class Stages:
    """Instants of every row in seconds of the epoch (UTC), and how often it was run again."""

    loaded: Indices
    occurred: Indices
    available: Indices
    rerun: Indices


def ordered(wanted: NDArray[np.bool_]) -> tuple[Rows, Tubes]:
    """The rows and tubes of visits that want these tests (visits by analytes)."""
    in_serum = np.array([one.specimen == SERUM for one in analytes()])
    analyser = np.array([ANALYSERS.index(one.analyser) for one in analytes()])
    visit, test = (axis.astype(np.int64) for axis in np.nonzero(wanted))
    key = visit * 2 + ~in_serum[test]
    order = np.argsort(key, kind="stable")
    visit, test, key = visit[order], test[order], key[order]
    keys, first, tube, count = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    tubes = Tubes(visit=keys // 2, is_serum=keys % 2 == 0, first_row=first, rows=count)
    return Rows(visit=visit, tube=tube, test=test, analyser=analyser[test]), tubes


def neighbours(visits: Visits, tubes: Tubes, received: Indices) -> Indices:
    """For each tube the one of the same kind and site that is booked in next, or itself."""
    at, site = received[tubes.visit], visits.site[tubes.visit]
    order = np.lexsort((at, tubes.is_serum, site))
    follows = np.arange(len(order))
    group = site * 2 + tubes.is_serum
    same = group[order[1:]] == group[order[:-1]]
    follows[order[:-1][same]] = order[1:][same]
    return follows


def measure(
    rng: np.random.Generator, origin: Origin, visits: Visits, journey: Journey, rows: Rows, tubes: Tubes, wear: Wear
) -> tuple[Stages, list[pl.DataFrame]]:
    """When each row is loaded, measured and known; and how busy the analysers were (`queues.busy_rows`)."""
    ready = journey.ready(tubes.is_serum, tubes.visit)
    urgent = (visits.priority == PRIORITIES.index("stat"))[tubes.visit]
    loaded = np.zeros(len(rows.test), dtype=np.int64)
    place_in_job = np.zeros(len(rows.test), dtype=np.int64)
    busy = []
    for number, analyser in enumerate(ANALYSERS):
        own = np.nonzero(rows.analyser == number)[0]
        if not len(own):
            continue
        tube, first, job, count = np.unique(rows.tube[own], return_index=True, return_inverse=True, return_counts=True)
        pace = queues.seconds_a_test(ready[tube], count, ordinary=_ordinary(origin, visits))
        served = queues.serve(
            ready=ready[tube],
            work=np.asarray(count * pace, dtype=np.float64),
            is_urgent=urgent[tube],
            down=_down(origin, wear, analyser),
        )
        loaded[own] = served.loaded[job]
        place_in_job[own] = np.arange(len(own)) - first[job]
        busy.append(queues.busy_rows(origin, analyser, served))
    reaction = np.array([REACTION[analyser] for analyser in ANALYSERS])[rows.analyser]
    rerun = (rng.random(len(loaded)) < RERUN).astype(np.int64)
    occurred = (
        loaded + reaction + BETWEEN_VALUES * place_in_job + rng.integers(0, 9, len(loaded)) + RERUN_SECONDS * rerun
    )
    available = occurred + rng.integers(8, 90, len(loaded))
    return Stages(loaded=loaded, occurred=occurred, available=available, rerun=rerun), busy


def diluted(stages: Stages, rows: NDArray[np.bool_]) -> Stages:
    """These rows were too high to be read and run once more, diluted."""
    later = RERUN_SECONDS * rows
    return replace(
        stages, occurred=stages.occurred + later, available=stages.available + later, rerun=stages.rerun + rows
    )


def latest(of_rows: Indices, tubes: Tubes) -> Indices:
    """The largest of each tube's rows."""
    return np.asarray(np.maximum.reduceat(of_rows, tubes.first_row)) if len(of_rows) else np.zeros(0, dtype=np.int64)


def _ordinary(origin: Origin, visits: Visits) -> Indices:
    """Mondays to Saturdays without a camp."""
    camps = np.unique(visits.day[visits.source == SOURCES.index("camp")])
    days = origin.open_days
    return np.asarray(days[((days - 1) % 7 != 6) & ~np.isin(days, camps)])


def _down(origin: Origin, wear: Wear, analyser: str) -> list[queues.Window]:
    """Nights and repairs."""
    first = (origin.first_day.toordinal() - EPOCH) * DAY - INDIA_AHEAD_SECONDS
    repairs = [
        (first + day * DAY + second, first + day * DAY + second + lasts)
        for day, second, lasts in wear.downtimes(analyser)
    ]
    return queues.closed(origin.first_day.toordinal(), origin.days) + repairs
