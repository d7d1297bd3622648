"""Analysers, and what their codes mean."""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from lims_api.core.db import actor_of
from lims_api.equipment.errors import UnknownAnalyser
from lims_api.equipment.models import Analyser, CodeMap


@dataclass(frozen=True)
class Mapping:
    """One code of one analyser: its test, the unit it is sent in, and the factor to the test's unit."""

    test_code: str
    unit_sent: str
    factor: Decimal


def add_analyser(session: Session, *, code: str, name: str, model: str, channel: str, site_id: UUID) -> Analyser:
    """A new analyser, known to the gateway by `channel`."""
    analyser = Analyser(
        organization_id=actor_of(session).organization_id,
        code=code,
        name=name,
        model=model,
        channel=channel,
        site_id=site_id,
    )
    session.add(analyser)
    session.flush()
    return analyser


def map_code(
    session: Session, analyser: Analyser, code: str, *, test_code: str, unit_sent: str, factor: Decimal = Decimal(1)
) -> CodeMap:
    """What a code of an analyser means."""
    row = CodeMap(
        organization_id=analyser.organization_id,
        analyser_id=analyser.id,
        code=code,
        test_code=test_code,
        unit_sent=unit_sent,
        factor=factor,
    )
    session.add(row)
    return row


def by_channel(session: Session, channels: Collection[str]) -> dict[str, Analyser]:
    """Active analysers by their gateway channel."""
    query = select(Analyser).where(Analyser.channel.in_(channels), Analyser.is_active)
    return {analyser.channel: analyser for analyser in session.scalars(query)}


def code_maps(session: Session, analyser_ids: Collection[UUID]) -> dict[UUID, dict[str, Mapping]]:
    """Every analyser's codes."""
    maps: dict[UUID, dict[str, Mapping]] = {analyser_id: {} for analyser_id in analyser_ids}
    for row in session.scalars(select(CodeMap).where(CodeMap.analyser_id.in_(analyser_ids))):
        maps[row.analyser_id][row.code] = Mapping(row.test_code, row.unit_sent, row.factor)
    return maps


def get(session: Session, analyser_id: UUID) -> Analyser:
    """One analyser, or `UnknownAnalyser`."""
    found = session.scalars(select(Analyser).where(Analyser.id == analyser_id)).one_or_none()
    if found is None:
        raise UnknownAnalyser("There is no such analyser in this organization.")
    return found


def all_analysers(session: Session) -> list[Analyser]:
    """Every analyser, by code."""
    return list(session.scalars(select(Analyser).order_by(Analyser.code)))
