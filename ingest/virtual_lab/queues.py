"""Each analyser serves one specimen after another, urgent ones first; while it stands still, they wait.

The speed of an analyser fits the laboratory: at the busiest hours of an ordinary day it is just short of too slow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from ingest.virtual_lab.analytes import Numbers
from ingest.virtual_lab.cohort import Indices, Origin
from ingest.virtual_lab.failures import EPOCH
from ingest.virtual_lab.transport import DAY, INDIA_AHEAD_SECONDS

PEAK_HOURS = (9, 11)
PEAK_UTILISATION = 0.92
FASTEST_SECONDS = 5.0
OPENS, CLOSES = 7 * 3600 + 1800, 23 * 3600
Window = tuple[int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Served:
    """When each specimen was taken, and when the analyser was free for the next, in seconds of the epoch."""

    loaded: Indices
    done: Indices


def serve(*, ready: Indices, work: Numbers, is_urgent: Indices, down: Sequence[Window]) -> Served:
    """First come, first served, the urgent before the others. `work` in seconds; `down`: windows without service."""
    order = np.lexsort((~is_urgent.astype(bool), ready))
    loaded, done = np.zeros(len(ready), dtype=np.int64), np.zeros(len(ready), dtype=np.int64)
    arrivals = deque(zip(order.tolist(), ready[order].tolist(), is_urgent[order].tolist(), strict=True))
    lasts, first, others = work.tolist(), deque[int](), deque[int]()
    free, windows = -(2**62), deque(sorted(down))
    while arrivals or first or others:
        if not (first or others):
            free = max(free, arrivals[0][1])
        while windows and windows[0][0] <= free:
            free = max(free, windows.popleft()[1])
        while arrivals and arrivals[0][1] <= free:
            specimen, _, urgent = arrivals.popleft()
            (first if urgent else others).append(specimen)
        specimen = (first or others).popleft()
        loaded[specimen] = free
        free = int(free + max(lasts[specimen], 1))
        done[specimen] = free
    return Served(loaded=loaded, done=done)


def closed(first_day: int, days: int) -> list[Window]:
    """Every night of so many days from a day (ordinal): from closing to opening, in seconds of the epoch."""
    midnights = [(first_day - EPOCH + day) * DAY - INDIA_AHEAD_SECONDS for day in range(-1, days + 3)]
    return [(midnight + CLOSES, midnight + DAY + OPENS) for midnight in midnights]


def seconds_a_test(ready: Indices, tests: Indices, *, ordinary: Indices) -> float:
    """The analyser's pace at which the peak hours of `ordinary` days (ordinals) are busy as they should be."""
    local = ready + INDIA_AHEAD_SECONDS
    day, hour = local // DAY + EPOCH, local % DAY / 3600
    early = (hour < PEAK_HOURS[1]) & np.isin(day, ordinary)
    by_day = np.bincount(np.searchsorted(ordinary, day[early]), weights=tests[early], minlength=len(ordinary))
    until_the_peak_ends = (PEAK_HOURS[1] * 3600 - OPENS) * PEAK_UTILISATION
    return max(float(until_the_peak_ends / max(by_day.mean(), 1.0)), FASTEST_SECONDS)


def busy_rows(origin: Origin, analyser: str, served: Served) -> pl.DataFrame:
    """The share of each opening hour in which an analyser was at work: `truth/queue.parquet`."""
    begin = (origin.first_day.toordinal() - EPOCH) * DAY - INDIA_AHEAD_SECONDS
    edges = begin + 3600 * np.arange(24 * origin.days + 1)
    order = np.argsort(served.loaded)
    loaded, done = served.loaded[order], served.done[order]
    worked = np.r_[0, np.cumsum(done - loaded)]
    before = np.searchsorted(loaded, edges, side="left")
    total = worked[before] - np.where(before > 0, np.maximum(done[before - 1] - edges, 0), 0)
    share = np.diff(total) / 3600
    hours = np.arange(24 * origin.days)
    return pl.DataFrame(
        {
            "analyser": [analyser] * len(hours),
            "on": pl.Series(origin.first_day.toordinal() - EPOCH + hours // 24, dtype=pl.Int32).cast(pl.Date),
            "hour": hours % 24,
            "busy": share.clip(0, 1),
        }
    ).filter(pl.col("hour").is_between(7, 22))
