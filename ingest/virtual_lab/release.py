"""From persons to authorised results: what is found, what goes wrong, who sees it, and what stands at last."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ingest.virtual_lab import arrivals, decisions, laboratory, panels, reference, spoiling, transport
from ingest.virtual_lab.analysers import Bench
from ingest.virtual_lab.analytes import DILUTED, Numbers, analytes, composed, printed
from ingest.virtual_lab.arrivals import PRIORITIES, SOURCES, Visits
from ingest.virtual_lab.cohort import Cohort, Indices, Origin, analytic_noise, bodies
from ingest.virtual_lab.decisions import Decided, Seen, instants
from ingest.virtual_lab.errors import ErrorKind
from ingest.virtual_lab.failures import EPOCH, Wear
from ingest.virtual_lab.laboratory import Rows, Stages
from ingest.virtual_lab.spoiling import CLEAN, KINDS, Spoilt, Tubes
from ingest.virtual_lab.transport import DAY, INDIA_AHEAD_SECONDS, Journey

OUTCOMES = ("released", "rerun_confirmed", "rerun_changed", "recollected")
BY_ANOTHER_TUBE = (
    ErrorKind.SWAP, ErrorKind.HAEMOLYSIS, ErrorKind.IV_FLUID, ErrorKind.DELAYED_SEPARATION, ErrorKind.CLOT,
    ErrorKind.EDTA, ErrorKind.SHORT_SPECIMEN,
)  # fmt: skip
RERUN_SECONDS = 2400
RECOLLECTED_SECONDS = (2 * 3600, 26 * 3600)
# What an analyser itself says of a specimen, and how often. EXAMPLE.
FLAGS = {ErrorKind.HAEMOLYSIS: ("HEM", 0.7), ErrorKind.LIPAEMIA: ("LIP", 0.7), ErrorKind.CLOT: ("CLUMP", 0.5),
         ErrorKind.SHORT_SPECIMEN: ("SHORT", 0.6)}  # fmt: skip
LIMITS = {"low": "reference_low", "high": "reference_high"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Released:
    """A history's results with their truth beside them, the first looks, the queues, and what was measured each day.

    `measured`: days by analytes; `first_days`: each registration's first visit, null without one.
    """

    results: pl.DataFrame
    decisions: pl.DataFrame
    queue: pl.DataFrame
    measured: Indices
    first_days: pl.Series


@dataclass(frozen=True, kw_only=True, eq=False)
class _Past:
    """Everything about a cohort's visits, in the order of their coming; `every` (visits, analytes) are raw values."""

    origin: Origin
    cohort: Cohort
    visits: Visits
    journey: Journey
    rows: Rows
    tubes: Tubes
    every: Numbers
    disease_shift: Numbers

    @property
    def day(self) -> Indices:
        """The day number of each row's visit."""
        return self.visits.day[self.rows.visit] - self.origin.first_day.toordinal()


@dataclass(frozen=True, kw_only=True, eq=False)
class _Stands:
    """What became of each tube: its outcome (place in `OUTCOMES`), the first look, and when it was authorised."""

    outcome: Indices
    decided: Decided
    authorised: Indices

    @property
    def is_corrected(self) -> NDArray[np.bool_]:
        """Whether the right values took the place of the wrong ones."""
        return self.outcome >= OUTCOMES.index("rerun_changed")


def released(origin: Origin, cohort: Cohort, wear: Wear, bench: Bench) -> Released:
    """All results of a cohort that were authorised before the origin's end, the oldest order first."""
    rng = np.random.default_rng([origin.seed, 6])
    past = _past(rng, origin, cohort, bench)
    rows, tubes = past.rows, past.tubes
    stages, busy = laboratory.measure(rng, origin, past.visits, past.journey, rows, tubes, wear)
    raw = past.every[rows.visit, rows.test]
    follows = laboratory.neighbours(past.visits, tubes, past.journey.received)
    spoilt = spoiling.spoil(rng, tubes, test=rows.test, clean=raw, every=past.every, neighbour=follows)
    is_typed = spoilt.kind[rows.tube] == KINDS.index(ErrorKind.MANUAL_ENTRY)
    clean, sent = _printed(rows.test, raw), _printed(rows.test, spoilt.sent, ~is_typed)
    stages = laboratory.diluted(stages, sent["is_diluted"].to_numpy())
    size = spoiling.error_sizes(rows.test, clean["value"].to_numpy(), sent["value"].to_numpy())
    had = _has_history(past)
    stands = _stands(rng, past, stages, spoilt, size, had)
    corrected = pl.Series(stands.is_corrected[rows.tube])
    is_diluted = clean["is_diluted"].zip_with(corrected, sent["is_diluted"])
    frame = pl.DataFrame({
        **_names(past), **_standing(clean, sent, corrected), **_limits(past), **_times(past, stages, stands),
        "instrument_flags": _said(_flags(rng, spoilt, stands)[rows.tube], is_diluted), **_circumstances(past),
        "loaded_at": instants(stages.loaded), "rerun": np.maximum(stages.rerun, is_diluted.to_numpy()),
        **_truth(past, bench, spoilt, size, clean, sent, corrected), "has_history": had,
    })  # fmt: skip
    kept = frame.filter((pl.col("authorised_at").max() < _end(origin)).over("order_number"))
    numbers = frame["accession_number"].gather(tubes.first_row)
    looks = decisions.rows(numbers, stands.decided, [OUTCOMES[one] for one in stands.outcome.tolist()])
    return Released(
        results=kept,
        decisions=looks.filter(pl.col("accession_number").is_in(kept["accession_number"].unique().implode())),
        queue=pl.concat(busy), measured=_a_day(origin, kept), first_days=_first_days(past),
    )  # fmt: skip


def _past(rng: np.random.Generator, origin: Origin, cohort: Cohort, bench: Bench) -> _Past:
    """Bodies are drawn person by person, tubes numbered in the order of coming."""
    coming = arrivals.visits(origin, cohort)
    body = bodies(
        cohort, rng, who=coming.who, day=coming.day, first_day=coming.first_day, hour=coming.hour,
        is_fasting=coming.is_fasting,
    )  # fmt: skip
    day = coming.day - origin.first_day.toordinal()
    noise = analytic_noise(rng, len(day)) * bench.spread[day] + bench.shift[day]
    order = np.lexsort((coming.who, coming.seconds, coming.day))
    visits = coming.take(order)
    rows, tubes = laboratory.ordered(panels.mask(origin.measured)[visits.panel])
    return _Past(
        origin=origin, cohort=cohort, visits=visits, journey=transport.journeys(rng, visits), rows=rows, tubes=tubes,
        every=np.exp(composed(body.logs + noise))[order], disease_shift=body.disease_shift[order],
    )  # fmt: skip


def _printed(test: Indices, raw: Numbers, dilutes: NDArray[np.bool_] | None = None) -> pl.DataFrame:
    """As an analyser prints it, which dilutes what is too high; what a person typed is cut at the range."""
    can = np.ones(len(test), dtype=bool) if dilutes is None else dilutes
    return printed(pl.DataFrame({"test": pl.Series(test, dtype=pl.UInt8), "raw": raw}), dilutes=pl.Series(can))


def _has_history(past: _Past) -> NDArray[np.bool_]:
    """Whether a person registered under this number had this test before; the rows are in the order of coming."""
    key = past.visits.who[past.rows.visit] * len(analytes()) + past.rows.test
    _, first = np.unique(key, return_index=True)
    had = np.ones(len(key), dtype=bool)
    had[first] = False
    return had


def _stands(
    rng: np.random.Generator, past: _Past, stages: Stages, spoilt: Spoilt, size: Numbers, had: NDArray[np.bool_]
) -> _Stands:
    first = past.tubes.first_row
    largest = np.maximum.reduceat(size, first)
    at = decisions.looked_at(rng, laboratory.latest(stages.available, past.tubes))
    seen = Seen(kind=spoilt.kind, largest=largest, has_history=np.logical_or.reduceat(had, first))
    decided = decisions.decide(rng, seen, at)
    by_another = np.isin(spoilt.kind, [KINDS.index(kind) for kind in BY_ANOTHER_TUBE])
    found = np.where(largest > 1, np.where(by_another, 3, 2), 1)
    outcome = np.where(decided.is_held, found, 0)
    later = np.where(outcome == 3, rng.integers(*RECOLLECTED_SECONDS, len(at)), RERUN_SECONDS * (outcome > 0))
    return _Stands(
        outcome=outcome, decided=decided, authorised=at + later + transport.wait(rng, len(at), typical=150, longest=900)
    )


def _names(past: _Past) -> dict[str, pl.Series]:
    year = f"{past.origin.until.year % 100:02d}"

    def numbered(prefix: str, numbers: Indices) -> pl.Series:
        text = pl.Series(numbers + 1).cast(pl.String).str.zfill(8)
        return prefix + year + "-" + text

    return {
        "uhid": past.cohort.persons["uhid"].gather(past.visits.who[past.rows.visit]),
        "order_number": numbered("HO", past.rows.visit),
        "accession_number": numbered("H", past.rows.tube),
    }


def _standing(clean: pl.DataFrame, sent: pl.DataFrame, corrected: pl.Series) -> dict[str, pl.Series]:
    """What was authorised: as sent, or as found when it was done again."""
    columns = ("test_code", "value", "value_text", "comparator", "unit")
    return {name: clean[name].zip_with(corrected, sent[name]) for name in columns}


def _limits(past: _Past) -> dict[str, pl.Series]:
    who, test = past.visits.who[past.rows.visit], past.rows.test
    age_days = past.visits.day[past.rows.visit] - past.cohort.birth_day[who]
    found = {name: np.full(len(who), np.nan) for name in reference.LIMITS}
    for index, about in enumerate(analytes()):
        here = np.nonzero(test == index)[0]
        for name, values in reference.limits(
            about.code, sex=past.cohort.sex[who[here]], age_days=age_days[here]
        ).items():
            found[name][here] = values
    return {LIMITS.get(name, name): pl.Series(values).fill_nan(None) for name, values in found.items()}


def _times(past: _Past, stages: Stages, stands: _Stands) -> dict[str, pl.Series]:
    visit, tube = past.rows.visit, past.rows.tube
    authorised, corrected = stands.authorised[tube], stands.is_corrected[tube]
    moments = {
        "ordered_at": past.journey.ordered[visit],
        "collected_at": past.journey.collected[visit],
        "received_at": past.journey.received[visit],
        "occurred_at": np.where(corrected, authorised - 300, stages.occurred),
        "available_at": np.where(corrected, authorised - 240, stages.available),
        "authorised_at": authorised,
    }
    return {name: instants(moment) for name, moment in moments.items()}


def _flags(rng: np.random.Generator, spoilt: Spoilt, stands: _Stands) -> NDArray[np.str_]:
    """What the analyser says of each tube; a tube that was drawn or run again has nothing to say."""
    said = np.full(len(spoilt.kind), "", dtype="U8")
    for kind, (flag, share) in FLAGS.items():
        said[(spoilt.kind == KINDS.index(kind)) & (rng.random(len(said)) < share) & ~stands.is_corrected] = flag
    return said


def _said(of_tube: NDArray[np.str_], is_diluted: pl.Series) -> pl.Series:
    """The flags of every row: its tube's, and that it was diluted."""
    said = pl.Series(of_tube)
    both = pl.concat_str(pl.when(said != "").then(said), pl.lit(DILUTED), separator=",", ignore_nulls=True)
    return pl.select(pl.when(is_diluted).then(both).otherwise(said)).to_series()


def _circumstances(past: _Past) -> dict[str, pl.Series]:
    """Where and how a row came about, in words."""
    visit, visits = past.rows.visit, past.visits

    def words(names: list[str], numbers: Indices) -> pl.Series:
        return pl.Series(names, dtype=pl.String).gather(numbers)

    return {
        "analyser": words([one.analyser for one in analytes()], past.rows.test),
        "specimen_type": words([one.specimen[0] for one in analytes()], past.rows.test),
        "container": words([one.specimen[1] for one in analytes()], past.rows.test),
        "site_code": words([site.code for site in panels.sites()], visits.site[visit]),
        "source": words(list(SOURCES), visits.source[visit]),
        "priority": words(list(PRIORITIES), visits.priority[visit]),
        "panel": words([panel.code for panel in panels.panels()], visits.panel[visit]),
        "is_fasting": pl.Series(visits.is_fasting[visit]),
    }


def _truth(
    past: _Past, bench: Bench, spoilt: Spoilt, size: Numbers, clean: pl.DataFrame, sent: pl.DataFrame,
    corrected: pl.Series,
) -> dict[str, pl.Series]:  # fmt: skip
    kind, test = spoilt.kind[past.rows.tube], past.rows.test
    moved = np.maximum.reduceat(size, past.tubes.first_row)[past.rows.tube] > 1
    return {
        "kind": pl.Series([*KINDS, "clean"], dtype=pl.String).gather(np.where(kind == CLEAN, len(KINDS), kind)),
        "is_consequential": pl.Series(moved),
        "is_wrong": pl.Series(size > 1) & ~corrected,
        "clean_value": clean["value"],
        "sent_value": sent["value"],
        "error_size": pl.Series(size),
        "disease_shift": pl.Series(past.disease_shift[past.rows.visit, test]),
        "analytic_shift": pl.Series(bench.reported_shift[past.day, test]),
        "analytic_sd": pl.Series(bench.reported_sd[past.day, test]),
    }


def _end(origin: Origin) -> pl.Expr:
    midnight = (origin.until.toordinal() - EPOCH) * DAY - INDIA_AHEAD_SECONDS
    return pl.lit(midnight * 1_000_000).cast(pl.Datetime("us", "UTC"))


def _a_day(origin: Origin, results: pl.DataFrame) -> Indices:
    """How often each analyte was measured for patients on each day of the origin, days by analytes; a rerun counts."""
    codes = pl.DataFrame({"test_code": [one.code for one in analytes()], "place": range(len(analytes()))})
    local = (pl.col("occurred_at") + pl.duration(seconds=INDIA_AHEAD_SECONDS)).dt.date() - pl.lit(origin.first_day)
    counts = results.group_by(local.dt.total_days().alias("day"), "test_code").agg(
        (1 + pl.col("rerun")).sum().alias("n")
    )
    placed = counts.join(codes, on="test_code")
    found = np.zeros((origin.days, len(analytes())), dtype=np.int64)
    found[placed["day"].to_numpy(), placed["place"].to_numpy()] = placed["n"].to_numpy()
    return found


def _first_days(past: _Past) -> pl.Series:
    days = np.zeros(past.origin.patients, dtype=np.int64)
    days[past.visits.who[::-1]] = past.visits.first_day[::-1]
    dates = pl.Series(days - EPOCH, dtype=pl.Int32).cast(pl.Date)
    return dates.zip_with(pl.Series(days > 0), pl.Series([None], dtype=pl.Date))
