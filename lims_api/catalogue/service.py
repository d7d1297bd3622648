"""Definitions in versions: imported from reviewed files, approved by a person, frozen on every result."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from lims_api.catalogue.errors import AlreadyApproved, IntervalsOverlap, UnknownTest
from lims_api.catalogue.models import ReferenceInterval, TestDefinition
from lims_api.catalogue.reference_intervals import overlapping
from lims_api.catalogue.schemas import Definition, DefinitionIn
from lims_api.core.clock import business_day, utc_now
from lims_api.core.db import actor_of


def add_version(session: Session, wanted: DefinitionIn) -> TestDefinition:
    """The next version of a test; unapproved, so that it can neither authorise nor be verified automatically."""
    organization_id = actor_of(session).organization_id
    latest = session.scalars(
        select(TestDefinition.version)
        .where(TestDefinition.code == wanted.code)
        .order_by(TestDefinition.version.desc())
        .limit(1)
    ).first()
    definition = TestDefinition(
        organization_id=organization_id,
        version=(latest or 0) + 1,
        valid_from=utc_now(),
        **wanted.model_dump(exclude={"intervals"}),
    )
    bands = [
        ReferenceInterval(organization_id=organization_id, definition_id=definition.id, **interval.model_dump())
        for interval in wanted.intervals
    ]
    if overlapping(bands):
        raise IntervalsOverlap(f"Two intervals of {wanted.code} claim one age. Correct the file and import it again.")
    session.add(definition)
    session.flush()
    session.add_all(bands)
    session.flush()
    return definition


def approve(session: Session, code: str) -> TestDefinition:
    """The caller approves the newest version of a test and its intervals, dated today."""
    definition = newest(session, code)
    if definition.approved_by_id is not None:
        raise AlreadyApproved(f"{code} version {definition.version} was approved on {definition.approved_on}.")
    approver, day = actor_of(session).actor_id, business_day(utc_now())
    definition.approved_by_id, definition.approved_on = approver, day
    bands = session.scalars(select(ReferenceInterval).where(ReferenceInterval.definition_id == definition.id))
    for band in bands:
        band.approved_by_id, band.approved_on = approver, day
    session.flush()
    return definition


def newest(session: Session, code: str) -> TestDefinition:
    """The newest version of a test, or `UnknownTest`."""
    query = select(TestDefinition).where(TestDefinition.code == code).order_by(TestDefinition.version.desc()).limit(1)
    found = session.scalars(query).first()
    if found is None:
        raise UnknownTest(f"{code} is not in the catalogue.", test=code)
    return found


def all_newest(session: Session) -> list[TestDefinition]:
    """The newest version of every test, by code."""
    query = select(TestDefinition).distinct(TestDefinition.code)
    return list(session.scalars(query.order_by(TestDefinition.code, TestDefinition.version.desc())))


def definitions(session: Session, ids: Collection[UUID]) -> dict[UUID, Definition]:
    """Definitions with their bands, by id, in two statements."""
    if not ids:
        return {}
    bands: dict[UUID, list[ReferenceInterval]] = {}
    for band in session.scalars(select(ReferenceInterval).where(ReferenceInterval.definition_id.in_(ids))):
        bands.setdefault(band.definition_id, []).append(band)
    rows = session.scalars(select(TestDefinition).where(TestDefinition.id.in_(ids)))
    restricted = set(restricted_codes(session))
    return {row.id: Definition.of(row, bands.get(row.id, []), is_restricted=row.code in restricted) for row in rows}


def restricted_codes(session: Session) -> list[str]:
    """Tests of which any version is restricted; once restricted, its results stay so."""
    return list(session.scalars(select(TestDefinition.code).where(TestDefinition.is_restricted).distinct()))


def may_see_restricted(session: Session) -> bool:
    """Whether the caller holds the permission of restricted tests."""
    return bool(session.execute(text("select lims.holds('restricted:read')")).scalar())


def hidden_codes(session: Session) -> list[str]:
    """Tests whose results do not exist for this caller."""
    return [] if may_see_restricted(session) else restricted_codes(session)
