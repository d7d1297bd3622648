"""Play the last draws of the CDISC pilot study: ordered over the API, sent by the virtual analyser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from ingest.clock import Clock, utc_now
from ingest.virtual_lab.analyser import Analyser, numbered
from ingest.virtual_lab.cdisc import TO_BENCH, TO_RESULT, LiveDraw
from ingest.virtual_lab.controls import measured_in_control, targets
from ingest.virtual_lab.day import ControlValue
from ingest.virtual_lab.front_desk import Attended, CollectedSpecimen, FrontDesk, attend
from ingest.virtual_lab.messages import PatientMessage
from ingest.virtual_lab.play import control_messages

CONTROL_SEED = 31
Progress = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the application should make of one sent value: the file's flag under the file's limits."""

    uhid: str
    accession_number: str
    test_code: str
    value_text: str
    low: float | None
    high: float | None
    flag: str | None


def play(
    draws: Sequence[LiveDraw],
    *,
    desk: FrontDesk,
    analyser: Analyser,
    site_id: str,
    first_control_id: int = 1,
    in_the_past: bool = True,
    clock: Clock = utc_now,
    desk_progress: Progress = lambda: None,
    line_progress: Progress = lambda: None,
) -> tuple[dict[str, Any], list[Expected]]:
    """Send every draw; returns the report and what is expected of each value.

    Controls, measured now, go before them. `in_the_past` keeps the file's collection times, so that ages, and with them
    the reference intervals, are its own.
    """
    messages: list[PatientMessage] = []
    expected: list[Expected] = []
    attended: list[Attended] = []
    for draw in draws:
        attended.append(_attend(desk, draw, site_id=site_id, clock=None if in_the_past else clock))
        desk_progress()
    for draw, one in zip(draws, attended, strict=True):
        for specimen in one.specimens:
            observed_at = draw.collected_at + TO_RESULT if in_the_past else clock()
            messages.append(_message(draw, specimen, len(messages) + 1, observed_at))
            expected.extend(_expected(draw, specimen))
    measured = control_messages(_controls(draws), at=clock())
    analyser.transmit(numbered([*measured, *messages], first=first_control_id), line_progress)
    report = {
        "patients": len(draws),
        "orders": len(attended),
        "specimens": len(messages),
        "messages": len(measured) + len(messages),
        "controls_sent": len(measured),
        "results_sent": len(expected),
        "line": asdict(analyser.tally),
    }
    return report, expected


def _controls(draws: Sequence[LiveDraw]) -> list[ControlValue]:
    """In control, for the tests and in the units of the draws."""
    units = {result.test_code: result.sent.unit for draw in draws for result in draw.results}
    rng = np.random.default_rng(CONTROL_SEED)
    return [
        ControlValue(target=replace(target, unit=units[target.test_code]), value=measured_in_control(target, 0.0, rng))
        for target in targets()
        if target.test_code in units
    ]


def _attend(desk: FrontDesk, draw: LiveDraw, *, site_id: str, clock: Clock | None) -> Attended:
    """Without a clock: at the file's own times."""
    received_at = draw.collected_at + TO_BENCH
    return attend(
        desk,
        draw.person,
        site_id=site_id,
        priority="routine",
        tests=tuple(result.test_code for result in draw.results),
        collected_at=clock() if clock else draw.collected_at,
        received_at=clock or (lambda: received_at),
    )


def _message(draw: LiveDraw, specimen: CollectedSpecimen, own_number: int, observed_at: datetime) -> PatientMessage:
    return PatientMessage(
        specimen=specimen.accession_number,
        own_number=own_number,
        stated=draw.person,
        results=tuple(result.sent for result in draw.results if result.test_code in specimen.tests),
        observed_at=observed_at,
    )


def _expected(draw: LiveDraw, specimen: CollectedSpecimen) -> list[Expected]:
    return [
        Expected(
            uhid=draw.person.uhid,
            accession_number=specimen.accession_number,
            test_code=result.test_code,
            value_text=result.sent.text,
            low=result.low,
            high=result.high,
            flag=result.flag,
        )
        for result in draw.results
        if result.test_code in specimen.tests
    ]
