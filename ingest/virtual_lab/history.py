"""A laboratory's past as Parquet: what an application may read, and in `truth/` what only nature knows.

`lims history import` reads patients, results and controls; decisions, reagents and equipment_events are for those who
train on them, eqa and bills for those who count. Everything is a pure function of the origin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ingest.virtual_lab import (
    analysers,
    assessment,
    billing,
    controls,
    equipment,
    failures,
    reagents,
    release,
    truth,
)
from ingest.virtual_lab.cohort import Cohort, Origin, make
from ingest.virtual_lab.courses import diseases, names

TIMES = ("ordered_at", "collected_at", "received_at", "occurred_at", "available_at", "authorised_at")
RESULT_COLUMNS = (
    "uhid", "order_number", "accession_number", "test_code", "value", "value_text", "comparator", "unit",
    "reference_low", "reference_high", "critical_low", "critical_high", *TIMES, "analyser", "instrument_flags",
)  # fmt: skip
MORE_COLUMNS = (
    "specimen_type", "container", "site_code", "source", "priority", "panel", "is_fasting", "loaded_at", "rerun",
)  # fmt: skip
TRUTH_COLUMNS = (
    "accession_number", "test_code", "kind", "is_consequential", "is_wrong", "clean_value", "sent_value", "error_size",
    "has_history", "disease_shift", "analytic_shift", "analytic_sd",
)  # fmt: skip
TRUTH = "truth"
Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many rows were written."""

    patients: int
    results: int
    controls: int


def write_history(
    folder: Path, origin: Origin, *, control_days: int | None = None, progress: Progress = lambda _: None
) -> Counts:
    """Write every file of an origin's past into a folder; the same origin gives the same bytes.

    `origin.json` beside them lets `day.plan_day` bring the same persons back. `control_days`: controls of the last days
    only. The files of `truth/` are their owner's alone (mode 0600).
    """
    folder.mkdir(parents=True, exist_ok=True)
    progress("persons")
    cohort, wear = make(origin), failures.wear_out(origin)
    bench = analysers.bench(origin, wear)
    progress("visits and results")
    made = release.released(origin, cohort, wear, bench)
    progress("controls, reagents, equipment, bills")
    days = min(control_days or origin.days, origin.days)
    control_rows = controls.history(origin, bench, days=days)
    read = {
        "patients": cohort.persons,
        "results": made.results.select(*RESULT_COLUMNS, *MORE_COLUMNS),
        "controls": control_rows,
        "decisions": made.decisions,
        "equipment_events": equipment.history(origin, wear, bench),
        "reagents": reagents.history(origin, bench, measured=made.measured + controls.measured_a_day()),
        "eqa": assessment.history(origin, bench),
        "bills": billing.history(origin, made.results),
    }
    progress("writing")
    for name, frame in read.items():
        frame.write_parquet(folder / f"{name}.parquet")
    hidden = {
        "truth": made.results.select(TRUTH_COLUMNS),
        "patients": person_rows(cohort, made.first_days),
        "wear": failures.truth_rows(origin, wear),
        "drift": analysers.drift_rows(origin, bench),
        "control_events": analysers.control_event_rows(origin, bench),
        "queue": made.queue,
    }
    truth.save_frames(folder / TRUTH, hidden)
    origin.save(folder)
    return Counts(patients=origin.patients, results=made.results.height, controls=control_rows.height)


def person_rows(cohort: Cohort, first_days: pl.Series) -> pl.DataFrame:
    """What is true of each registration: `truth/patients.parquet`. `first_days`: of the first visit, or null."""
    uhid = cohort.persons["uhid"]
    which, sick = np.nonzero(cohort.sickness.severity.T > 0)
    has = pl.DataFrame({"place": sick, "disease": [names()[number] for number in which.tolist()]})
    every = has.sort("place", "disease").group_by("place", maintain_order=True).agg(diseases="disease")
    is_double = cohort.person != np.arange(len(cohort.person))
    acute = np.array([one.is_acute for one in diseases()])
    is_ill = pl.Series((cohort.sickness.severity[:, acute] > 0).any(axis=1))
    is_treated = pl.Series(cohort.sickness.under_treatment)
    return (
        pl.DataFrame({"uhid": uhid, "person": cohort.person, "place": np.arange(len(uhid))})
        .join(every, on="place", how="left", maintain_order="left")
        .with_columns(
            pl.col("diseases").fill_null(pl.lit([], dtype=pl.List(pl.String))),
            duplicate_of=pl.when(pl.Series(is_double)).then(uhid.gather(cohort.person)),
            treated_on=pl.when(is_treated).then(first_days),
            fell_ill_on=pl.when(is_ill).then(
                pl.Series(first_days.to_physical() - cohort.ill_before, dtype=pl.Int32).cast(pl.Date)
            ),
            settled_haemoglobin=pl.Series(cohort.settled_haemoglobin),
        )
        .drop("place")
    )
