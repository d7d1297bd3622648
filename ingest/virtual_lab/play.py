"""Play a planned day: the front desk, the truth store, then the analysers; and say in numbers what was done."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ingest.clock import Clock, utc_now
from ingest.virtual_lab import truth
from ingest.virtual_lab.analyser import Numbered
from ingest.virtual_lab.analytes import DILUTED, Reported, analyte, reported
from ingest.virtual_lab.day import ControlValue, DayPlan, Defect, Visit
from ingest.virtual_lab.errors import AFTER_MEASURING, is_wrong
from ingest.virtual_lab.front_desk import Attended, CollectedSpecimen, FrontDesk, attend
from ingest.virtual_lab.lines import Line, Numbering, transmit_all
from ingest.virtual_lab.messages import MOST_RESULTS, ControlMessage, PatientMessage, Sendable, SentResult
from ingest.virtual_lab.truth import TruthRow

INSTRUMENT_FLAG = "LIN"
UNMAPPED = SentResult(code="UA", name="Uric acid", text="5.4", unit="mg/dL")
CHEMISTRY = "BS480-1"
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


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How a day's hours pass: `speed` 60 plays an hour in a minute, 0 as fast as everybody can."""

    speed: float = 0.0
    started: float = 0.0

    def wait(self, since_opening: float) -> None:
        """Return when so many seconds of the day are over."""
        if self.speed > 0:
            time.sleep(max(self.started + since_opening / self.speed - time.monotonic(), 0.0))


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What a day is played with: who takes the patients, the analysers' lines, and where the truth goes."""

    desk: FrontDesk
    lines: Mapping[str, Line]
    site_id: str
    store: TruthStore
    numbering: Mapping[str, Numbering]
    clock: Clock = utc_now


def receive(bench: Bench, visit: Visit) -> Arrived:
    """Bring one patient to the bench."""
    attended = attend(
        bench.desk,
        visit.person,
        site_id=bench.site_id,
        priority=visit.priority,
        tests=visit.tests,
        collected_at=bench.clock() - COLLECTED_BEFORE,
        received_at=bench.clock,
    )
    return Arrived(visit=visit, attended=attended)


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


def by_analyser(messages: Sequence[ControlMessage]) -> dict[str, list[Sendable]]:
    """Controls are measured where their test is."""
    found: dict[str, list[Sendable]] = {}
    for message in messages:
        found.setdefault(analyte(message.code).analyser, []).append(message)
    return found


def patient_messages(
    arrived: Sequence[Arrived], *, at: datetime, first: int = 1
) -> list[tuple[str, Arrived, CollectedSpecimen, PatientMessage]]:
    """The messages of all specimens with their analyser and what they are about.

    The analysers number the specimens themselves from `first`; a tube goes to every analyser that measures in it.
    """
    specimens = [(one, specimen) for one in arrived for specimen in one.attended.specimens]
    return [
        (analyser, one, specimen, message)
        for own_number, (one, specimen) in enumerate(specimens, start=first)
        for analyser, message in _of_specimen(one.visit, specimen, own_number, at)
    ]


def truth_rows(
    run: str, messages: Sequence[tuple[Arrived, CollectedSpecimen, PatientMessage]], control_ids: Sequence[int]
) -> list[TruthRow]:
    """What was true and what was sent, a row for each ordered test in a message, under the real accession number."""
    return [
        _truth_row(run, one.visit, specimen.accession_number, result.code, control_id)
        for (one, specimen, message), control_id in zip(messages, control_ids, strict=True)
        for result in message.results
        if result.code in specimen.tests
    ]


def play(
    plan: DayPlan,
    bench: Bench,
    *,
    speed: float = 0.0,
    desk_progress: Progress = lambda: None,
    line_progress: Progress = lambda: None,
) -> dict[str, Any]:
    """Play the day and return the report. The truth of a message is written before it leaves."""
    account = Account()
    controls = by_analyser(control_messages(plan.controls, at=bench.clock()))
    account.transmit(bench, {code: bench.numbering[code](own) for code, own in controls.items()}, line_progress)
    pace, opened = Pace(speed=speed, started=time.monotonic()), plan.visits[0].seconds
    if speed > 0:
        for visit in plan.visits:
            pace.wait(visit.seconds - opened)
            account.attend(bench, [visit], desk_progress)
            account.measure(plan, bench, account.arrived[-1:], line_progress)
    else:
        account.attend(bench, plan.visits, desk_progress)
        account.measure(plan, bench, account.arrived, line_progress)
    return account.report(plan, bench)


class Account:
    """What has been done so far of a day."""

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []
        self.sent: list[Numbered] = []
        self.truth: list[TruthRow] = []
        self.seconds = {"front_desk": 0.0, "analyser": 0.0}
        self._specimens = 0

    def attend(self, bench: Bench, visits: Sequence[Visit], progress: Progress) -> None:
        """Take these patients, four desks at a time; they arrive in the order given."""
        started = time.monotonic()

        def one(visit: Visit) -> Arrived:
            arrived = receive(bench, visit)
            progress()
            return arrived

        with ThreadPoolExecutor(DESKS) as desks:
            self.arrived += desks.map(one, visits)
        self.seconds["front_desk"] += time.monotonic() - started

    def measure(self, plan: DayPlan, bench: Bench, arrived: Sequence[Arrived], progress: Progress) -> None:
        """Measure and send what arrived; its truth is stored first."""
        found = patient_messages(arrived, at=bench.clock(), first=self._specimens + 1)
        self._specimens += sum(len(one.attended.specimens) for one in arrived)
        numbered: dict[str, list[Numbered]] = {}
        for code in dict.fromkeys(code for code, *_ in found):
            own = [(one, specimen, message) for analyser, one, specimen, message in found if analyser == code]
            numbered[code] = bench.numbering[code]([message for *_, message in own])
            self.truth += truth_rows(run_name(plan), own, [one.control_id for one in numbered[code]])
        bench.store.save(self.truth)
        self.transmit(bench, numbered, progress)

    def transmit(self, bench: Bench, messages: Mapping[str, list[Numbered]], progress: Progress) -> None:
        """Send, every analyser at once."""
        started = time.monotonic()
        transmit_all(bench.lines, messages, progress)
        self.seconds["analyser"] += time.monotonic() - started
        self.sent += [one for own in messages.values() for one in own]

    def report(self, plan: DayPlan, bench: Bench) -> dict[str, Any]:
        """The day in numbers; `line` is of all analysers together, `lines` of each."""
        lines = {code: asdict(line.tally) for code, line in bench.lines.items()}
        return {
            **_counts(plan, self.arrived, self.sent),
            "truth": dict(sorted(Counter(row.kind for row in self.truth).items())) | {"rows": len(self.truth)},
            "wrong_results": sum(row.is_wrong for row in self.truth),
            "line": _together(list(lines.values())),
            "lines": lines,
            "seconds": {name: round(spent, 2) for name, spent in self.seconds.items()},
        }


def _together(tallies: Sequence[dict[str, Any]]) -> dict[str, Any]:
    names = tallies[0] if tallies else {}
    return {name: sum((tally[name] for tally in tallies), start=type(names[name])()) for name in names}


def sent_as(visit: Visit, code: str) -> Reported:
    """What an analyser sends: diluted where it is too high, unless the number was only spoilt after it was measured."""
    return reported(code, visit.sent[code], dilutes=visit.error not in AFTER_MEASURING)


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


def _of_specimen(
    visit: Visit, specimen: CollectedSpecimen, own_number: int, at: datetime
) -> Iterator[tuple[str, PatientMessage]]:
    number = specimen.accession_number
    for analyser in dict.fromkeys(analyte(code).analyser for code in specimen.tests):
        results = list(
            _results(visit, analyser, [code for code in specimen.tests if analyte(code).analyser == analyser])
        )
        for start in range(0, len(results), MOST_RESULTS):
            message = PatientMessage(
                specimen=f"X{number}" if visit.defect is Defect.UNKNOWN_SPECIMEN else number,
                own_number=own_number,
                stated=visit.stated,
                results=tuple(results[start : start + MOST_RESULTS]),
                observed_at=at,
            )
            yield analyser, message


def _results(visit: Visit, analyser: str, tests: Sequence[str]) -> Iterator[SentResult]:
    """The first ordered test of a visit carries its flag; a code that nobody knows comes with the chemistry."""
    for code in tests:
        about = analyte(code)
        flagged = visit.defect is Defect.FLAGGED and code == visit.tests[0]
        printed = sent_as(visit, code)
        flags = (*((INSTRUMENT_FLAG,) if flagged else ()), *((DILUTED,) if printed.is_diluted else ()))
        yield SentResult(code=code, name=about.name, text=printed.text, unit=about.unit, flags=flags)
    if visit.defect is Defect.UNMAPPED_CODE and analyser == CHEMISTRY:
        yield UNMAPPED


def _truth_row(run: str, visit: Visit, accession_number: str, code: str, control_id: int) -> TruthRow:
    true, sent = reported(code, visit.full[code], dilutes=True).value, sent_as(visit, code).value
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
