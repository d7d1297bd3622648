"""Play a planned day: the front desk, the truth store, then the analyser; and say in numbers what was done."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ingest.clock import Clock, utc_now
from ingest.virtual_lab import truth
from ingest.virtual_lab.analyser import Analyser, Numbered, numbered
from ingest.virtual_lab.analytes import analyte, reported
from ingest.virtual_lab.day import ControlValue, DayPlan, Defect, Visit
from ingest.virtual_lab.errors import is_wrong
from ingest.virtual_lab.front_desk import Attended, CollectedSpecimen, FrontDesk, attend
from ingest.virtual_lab.messages import MOST_RESULTS, ControlMessage, PatientMessage, Sendable, SentResult
from ingest.virtual_lab.truth import TruthRow

INSTRUMENT_FLAG = "LIN"
UNMAPPED = SentResult(code="UA", name="Uric acid", text="5.4", unit="mg/dL")
COLLECTED_BEFORE = timedelta(minutes=35)
DESKS = 4
Progress = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """A visit whose specimens stand at the bench."""

    visit: Visit
    attended: Attended


@dataclass(frozen=True, kw_only=True)
class TruthStore:
    """Where the truth goes: exactly one of the two."""

    url: str | None = None
    file: Path | None = None

    def save(self, rows: Sequence[TruthRow]) -> None:
        """Write the rows. Raises `TruthExposed`, or psycopg's and the file system's own errors."""
        if self.url is not None:
            truth.save_to_database(self.url, rows)
        elif self.file is not None:
            truth.save_to_file(self.file, rows)


def receive_all(
    desk: FrontDesk, plan: DayPlan, *, site_id: str, clock: Clock = utc_now, progress: Progress = lambda: None
) -> list[Arrived]:
    """Bring every patient of the plan to the bench, four desks at a time; in the plan's order."""

    def one(visit: Visit) -> Arrived:
        attended = attend(
            desk,
            visit.person,
            site_id=site_id,
            priority=visit.priority,
            tests=visit.tests,
            collected_at=clock() - COLLECTED_BEFORE,
            received_at=clock,
        )
        progress()
        return Arrived(visit=visit, attended=attended)

    with ThreadPoolExecutor(DESKS) as desks:
        return list(desks.map(one, plan.visits))


def control_messages(values: Sequence[ControlValue], *, at: datetime) -> list[ControlMessage]:
    """One message a level and test, as measured at `at`."""
    return [
        ControlMessage(
            material=one.target.material,
            lot_number=one.target.lot_number,
            level=one.target.level,
            code=one.target.test_code,
            name=analyte(one.target.test_code).name,
            text=f"{one.value:.{one.target.decimals}f}",
            unit=one.target.unit,
            mean=one.target.mean,
            sd=one.target.sd,
            observed_at=at,
        )
        for one in values
    ]


def patient_messages(arrived: Sequence[Arrived], *, at: datetime) -> list[tuple[Arrived, CollectedSpecimen, Sendable]]:
    """The messages of all specimens with what they are about; the analyser numbers the specimens itself from 1."""
    specimens = [(one, specimen) for one in arrived for specimen in one.attended.specimens]
    return [
        (one, specimen, message)
        for own_number, (one, specimen) in enumerate(specimens, start=1)
        for message in _of_specimen(one.visit, specimen, own_number, at)
    ]


def truth_rows(
    run: str, messages: Sequence[tuple[Arrived, CollectedSpecimen, Sendable]], control_ids: Sequence[int]
) -> list[TruthRow]:
    """What was true and what was sent, a row for each ordered test in a message, under the real accession number."""
    return [
        _truth_row(run, one.visit, specimen.accession_number, result.code, control_id)
        for (one, specimen, message), control_id in zip(messages, control_ids, strict=True)
        if isinstance(message, PatientMessage)
        for result in message.results
        if result.code in specimen.tests
    ]


def play(
    plan: DayPlan,
    *,
    desk: FrontDesk,
    analyser: Analyser,
    site_id: str,
    store: TruthStore,
    first_control_id: int = 1,
    reboot_after: int | None = None,
    clock: Clock = utc_now,
    desk_progress: Progress = lambda: None,
    line_progress: Progress = lambda: None,
) -> dict[str, Any]:
    """Play the day and return the report. The truth is written before the first message leaves."""
    started = time.monotonic()
    arrived = receive_all(desk, plan, site_id=site_id, clock=clock, progress=desk_progress)
    desk_seconds = time.monotonic() - started
    controls = control_messages(plan.controls, at=clock())
    patients = patient_messages(arrived, at=clock())
    sendable: list[Sendable] = [*controls, *(message for _, _, message in patients)]
    all_numbered = numbered(sendable, first=first_control_id, reboot_after=reboot_after)
    rows = truth_rows(run_name(plan), patients, [one.control_id for one in all_numbered[len(controls) :]])
    store.save(rows)
    started = time.monotonic()
    analyser.transmit(all_numbered, line_progress)
    return {
        **_counts(plan, arrived, all_numbered),
        "truth": dict(sorted(Counter(row.kind for row in rows).items())) | {"rows": len(rows)},
        "wrong_results": sum(row.is_wrong for row in rows),
        "line": asdict(analyser.tally),
        "seconds": {"front_desk": round(desk_seconds, 2), "analyser": round(time.monotonic() - started, 2)},
    }


def run_name(plan: DayPlan) -> str:
    """The name of a run in the truth store."""
    return f"{plan.on.isoformat()}-{plan.seed}"


def _counts(plan: DayPlan, arrived: Sequence[Arrived], sent: Sequence[Numbered]) -> dict[str, Any]:
    results = [one.message.results for one in sent if isinstance(one.message, PatientMessage)]
    return {
        "run": run_name(plan),
        "patients": len(arrived),
        "patients_registered": sum(one.attended.registered_now for one in arrived),
        "orders": len({one.attended.order.id for one in arrived}),
        "tests_ordered": sum(len(one.visit.tests) for one in arrived),
        "specimens": sum(len(one.attended.specimens) for one in arrived),
        "specimens_by_kind": dict(sorted(Counter(str(one.visit.kind) for one in arrived).items())),
        "messages": len(sent),
        "controls_sent": len(sent) - len(results),
        "results_sent": sum(len(batch) for batch in results),
    }


def _of_specimen(visit: Visit, specimen: CollectedSpecimen, own_number: int, at: datetime) -> Iterator[PatientMessage]:
    results = list(_results(visit, specimen.tests))
    number = specimen.accession_number
    for start in range(0, len(results), MOST_RESULTS):
        yield PatientMessage(
            specimen=f"X{number}" if visit.defect is Defect.UNKNOWN_SPECIMEN else number,
            own_number=own_number,
            stated=visit.stated,
            results=tuple(results[start : start + MOST_RESULTS]),
            observed_at=at,
        )


def _results(visit: Visit, tests: Sequence[str]) -> Iterator[SentResult]:
    for place, code in enumerate(tests):
        about = analyte(code)
        flagged = visit.defect is Defect.FLAGGED and place == 0
        text = reported(code, visit.sent[code]).text
        flags = (INSTRUMENT_FLAG,) if flagged else ()
        yield SentResult(code=code, name=about.name, text=text, unit=about.unit, flags=flags)
    if visit.defect is Defect.UNMAPPED_CODE:
        yield UNMAPPED


def _truth_row(run: str, visit: Visit, accession_number: str, code: str, control_id: int) -> TruthRow:
    true, sent = reported(code, visit.full[code]).value, reported(code, visit.sent[code]).value
    return TruthRow(
        run=run,
        accession_number=accession_number,
        test_code=code,
        kind=str(visit.kind),
        true_value=true,
        sent_value=sent,
        is_wrong=is_wrong(code, true, sent),
        control_id=control_id,
    )
