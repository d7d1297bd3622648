"""Reagents: what is used each day by patients, controls and calibrations, what is left, and which lot is on board."""

from __future__ import annotations

import numpy as np
import polars as pl

from ingest.virtual_lab.analysers import Bench, dates
from ingest.virtual_lab.analytes import analytes
from ingest.virtual_lab.cohort import Indices, Origin

CALIBRATION_TESTS = 6
WASTED = 0.02
ORDER_BELOW_DAYS = 8
ORDER_FOR_DAYS = 25
DELIVERED_AFTER_DAYS = 3
SMALLEST_PACK = 50


def history(origin: Origin, bench: Bench, *, measured: Indices) -> pl.DataFrame:
    """One row a test and day: `reagents.parquet`. `measured`: measurements without calibrations, days by analytes."""
    rng = np.random.default_rng([origin.seed, 12])
    used = measured + CALIBRATION_TESTS * bench.calibrated[:, None]
    used = used + rng.poisson(WASTED * used)
    tests = [index for index, one in enumerate(analytes()) if one.code in origin.measured]
    return pl.concat([_of_test(origin, bench, test, used[:, test]) for test in tests])


def _of_test(origin: Origin, bench: Bench, test: int, used: Indices) -> pl.DataFrame:
    about = analytes()[test]
    delivered, left = _stock(used)
    lots = [f"{about.code}-{origin.until.year % 100:02d}{number:03d}" for number in bench.lot[:, test].tolist()]
    return pl.DataFrame(
        {
            "analyser": [about.analyser] * origin.days,
            "test_code": [about.code] * origin.days,
            "on": dates(origin, np.arange(origin.days)),
            "lot_number": lots,
            "used": used,
            "delivered": delivered,
            "left": left,
        }
    )


def _stock(used: Indices) -> tuple[Indices, Indices]:
    """What was delivered each day and left at its end: ordered by the mean use, delivered days later, never short."""
    mean = max(float(used.mean()), 1.0)
    pack = max(SMALLEST_PACK, int(ORDER_FOR_DAYS * mean))
    stock, due = pack + int(used.max(initial=0)), -1
    delivered, left = np.zeros_like(used), np.zeros_like(used)
    for day, today in enumerate(used.tolist()):
        while day == due or stock < today:
            delivered[day] += pack
            stock, due = stock + pack, -1
        stock -= today
        left[day] = stock
        if due < 0 and stock < ORDER_BELOW_DAYS * mean:
            due = day + DELIVERED_AFTER_DAYS
    return delivered, left
