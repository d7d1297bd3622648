"""Controls: recorded under a frozen target, judged by Westgard's rules, and asked before any release."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from lims_api.catalogue import service as catalogue
from lims_api.core.clock import business_day, utc_now
from lims_api.core.db import actor_of
from lims_api.core.ids import uuid7
from lims_api.core.ledger import publish
from lims_api.qc.errors import NoControlTarget
from lims_api.qc.events import RunRejected
from lims_api.qc.models import ControlLot, ControlMaterial, ControlResult, ControlStatus, ControlTarget
from lims_api.qc.westgard import Run, rejects, violations

RUN_SPAN = timedelta(minutes=45)
"""Levels measured within this span of each other are one run."""

VALID_FOR = timedelta(hours=24)
"""A control older than this no longer vouches for patient results (NABL 112: at least once a day; UNVERIFIED)."""

LOOK_BACK = 12


class ControlState(StrEnum):
    IN_CONTROL = "in_control"
    OUT_OF_CONTROL = "out_of_control"
    STALE = "stale"
    MISSING = "missing"


@dataclass(frozen=True)
class Measured:
    """One control value as decoded: in the test's unit."""

    test_code: str
    value: Decimal
    unit: str


def add_lot(
    session: Session, material: str, lot_number: str, *, expires_on: date, manufacturer: str | None = None
) -> ControlLot:
    """A lot of a control material; both are made when new."""
    organization_id = actor_of(session).organization_id
    owner = session.scalars(select(ControlMaterial).where(ControlMaterial.name == material)).one_or_none()
    if owner is None:
        owner = ControlMaterial(organization_id=organization_id, name=material, manufacturer=manufacturer)
        session.add(owner)
        session.flush()
    lot = ControlLot(
        organization_id=organization_id, material_id=owner.id, lot_number=lot_number, expires_on=expires_on
    )
    session.add(lot)
    session.flush()
    return lot


def set_target(
    session: Session,
    lot: ControlLot,
    level: int,
    test_code: str,
    *,
    analyser_id: UUID,
    mean: Decimal,
    sd: Decimal,
    source: str,
) -> ControlTarget:
    """The target of one test at one level of a lot, approved by the caller today."""
    target = ControlTarget(
        organization_id=lot.organization_id,
        lot_id=lot.id,
        level=level,
        test_code=test_code,
        analyser_id=analyser_id,
        mean=mean,
        sd=sd,
        source=source,
        approved_by_id=actor_of(session).actor_id,
        approved_on=business_day(utc_now()),
    )
    session.add(target)
    return target


def lots_named(session: Session, wanted: Collection[tuple[str, str]]) -> dict[tuple[str, str], ControlLot]:
    """Lots by (material, lot number)."""
    query = select(ControlMaterial.name, ControlLot).join(ControlMaterial, ControlMaterial.id == ControlLot.material_id)
    rows = session.execute(query.where(ControlLot.lot_number.in_({lot for _, lot in wanted})))
    return {(name, lot.lot_number): lot for name, lot in rows if (name, lot.lot_number) in wanted}


def record(
    session: Session,
    lot: ControlLot,
    level: int,
    measured: Iterable[Measured],
    *,
    analyser_id: UUID,
    occurred_at: datetime,
    message_id: UUID | None = None,
) -> tuple[list[ControlResult], list[Measured]]:
    """Judge and keep one level's values. Returns what is recorded, and what has no target (to be parked).

    A value that is recorded already, of the same level and moment, is the same measurement sent again.
    """
    measured = list(measured)
    codes = {value.test_code for value in measured}
    targets = _targets(session, lot, level, analyser_id, codes)
    history = _history(session, lot, analyser_id, codes, occurred_at)
    recorded, untargeted = [], []
    for value in measured:
        target = targets.get(value.test_code)
        if target is None or lot.expires_on < business_day(occurred_at):
            untargeted.append(value)
            continue
        earlier = history.get(value.test_code, [])
        same = (level, occurred_at, value.value)
        known = next((row for row in earlier if (row.level, row.occurred_at, row.value) == same), None)
        if known is not None:
            recorded.append(known)
            continue
        row = _judge(value, target, earlier, occurred_at, message_id)
        session.add(row)
        recorded.append(row)
        if row.status is ControlStatus.REJECTED:
            publish(session, RunRejected(subject_id=row.id, analyser_id=analyser_id, test_code=row.test_code))
    session.flush()
    return recorded, untargeted


def record_by_hand(
    session: Session,
    material: str,
    lot_number: str,
    level: int,
    value: Measured,
    *,
    analyser_id: UUID,
    occurred_at: datetime,
) -> ControlResult:
    """One control typed by a person; `NoControlTarget` when the lot is unknown, expired or without a target, or the
    unit is not the test's."""
    unit = catalogue.newest(session, value.test_code).unit
    if value.unit != unit:
        raise NoControlTarget(f"Targets of {value.test_code} are in {unit}. Give the value in that unit.")
    lot = lots_named(session, {(material, lot_number)}).get((material, lot_number))
    if lot is not None:
        recorded, _ = record(session, lot, level, [value], analyser_id=analyser_id, occurred_at=occurred_at)
        if recorded:
            return recorded[0]
    raise NoControlTarget(f"Set a target for {value.test_code} at level {level} of this lot first.")


def in_control(
    session: Session, analyser_id: UUID, test_codes: Collection[str], at: datetime
) -> dict[str, ControlState]:
    """Whether each test may be released from this analyser now: its newest run is accepted and not older than a day,
    and so is the newest control of every level. A level that was rejected stays so until it is measured again; another
    level does not speak for it. No control at all is not control."""
    columns = (ControlResult.test_code, ControlResult.run_id, ControlResult.level, ControlResult.status)
    query = (
        select(*columns, ControlResult.occurred_at)
        .where(ControlResult.analyser_id == analyser_id, ControlResult.test_code.in_(test_codes))
        .where(ControlResult.occurred_at > at - 30 * VALID_FOR, ControlResult.occurred_at <= at + timedelta(minutes=5))
        .order_by(ControlResult.test_code, ControlResult.occurred_at.desc(), ControlResult.id.desc())
    )
    states = dict.fromkeys(test_codes, ControlState.MISSING)
    newest: dict[str, UUID] = {}
    seen: set[tuple[str, int]] = set()
    for code, run_id, level, status, occurred_at in session.execute(query):
        is_newest_run, is_newest_of_level = newest.setdefault(code, run_id) == run_id, (code, level) not in seen
        seen.add((code, level))
        if not (is_newest_run or is_newest_of_level):
            continue
        if status is ControlStatus.REJECTED:
            states[code] = ControlState.OUT_OF_CONTROL
        elif states[code] is ControlState.MISSING:
            states[code] = ControlState.IN_CONTROL if occurred_at > at - VALID_FOR else ControlState.STALE
    return states


def _targets(
    session: Session, lot: ControlLot, level: int, analyser_id: UUID, codes: set[str]
) -> dict[str, ControlTarget]:
    query = (
        select(ControlTarget)
        .where(ControlTarget.lot_id == lot.id, ControlTarget.level == level, ControlTarget.analyser_id == analyser_id)
        .where(ControlTarget.test_code.in_(codes), ControlTarget.approved_by_id.is_not(None))
        .order_by(ControlTarget.version)
    )
    return {target.test_code: target for target in session.scalars(query)}


def _history(
    session: Session, lot: ControlLot, analyser_id: UUID, codes: set[str], before: datetime
) -> dict[str, list[ControlResult]]:
    """The last results of each test of this lot on this analyser, newest first."""
    query = (
        select(ControlResult)
        .where(ControlResult.analyser_id == analyser_id, ControlResult.lot_id == lot.id)
        .where(ControlResult.test_code.in_(codes), ControlResult.occurred_at <= before)
        .where(ControlResult.occurred_at > before - timedelta(days=10))
        .order_by(ControlResult.occurred_at.desc(), ControlResult.id.desc())
    )
    found: dict[str, list[ControlResult]] = {}
    for row in session.scalars(query):
        rows = found.setdefault(row.test_code, [])
        if len(rows) < LOOK_BACK:
            rows.append(row)
    return found


def _judge(
    value: Measured,
    target: ControlTarget,
    earlier: Sequence[ControlResult],
    occurred_at: datetime,
    message_id: UUID | None,
) -> ControlResult:
    z = float((value.value - target.mean) / target.sd)
    run_id, run, before = _runs(target.level, z, earlier, occurred_at)
    found = violations(run, before)
    status = ControlStatus.REJECTED if rejects(found) else ControlStatus.WARNING if found else ControlStatus.ACCEPTED
    return ControlResult(
        organization_id=target.organization_id,
        run_id=run_id,
        analyser_id=target.analyser_id,
        lot_id=target.lot_id,
        level=target.level,
        test_code=value.test_code,
        value=value.value,
        unit=value.unit,
        mean=target.mean,
        sd=target.sd,
        z=z,
        violated=[f"{item.rule} ({item.scope})" for item in found],
        status=status,
        occurred_at=occurred_at,
        message_id=message_id,
    )


def _runs(level: int, z: float, earlier: Sequence[ControlResult], occurred_at: datetime) -> tuple[UUID, Run, list[Run]]:
    """The run that this value belongs to, and the runs before it, newest first."""
    grouped: dict[UUID, dict[int, float]] = {}
    newest_at: dict[UUID, datetime] = {}
    for row in earlier:
        grouped.setdefault(row.run_id, {}).setdefault(row.level, row.z)
        newest_at.setdefault(row.run_id, row.occurred_at)
    run_ids = list(grouped)
    if run_ids and level not in grouped[run_ids[0]] and occurred_at - newest_at[run_ids[0]] <= RUN_SPAN:
        return run_ids[0], {**grouped[run_ids[0]], level: z}, [grouped[run_id] for run_id in run_ids[1:]]
    return uuid7(), {level: z}, [grouped[run_id] for run_id in run_ids]
