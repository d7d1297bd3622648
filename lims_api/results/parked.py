"""What analysers sent that could not be recorded: a person decides that it is no result. It stays on record."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from lims_api.core.clock import utc_now
from lims_api.core.db import actor_of
from lims_api.core.ledger import publish
from lims_api.results.errors import AlreadySetAside, UnknownParked
from lims_api.results.events import ObservationSetAside
from lims_api.results.models import ParkedObservation, ParkedResolution


def set_aside(session: Session, parked_id: UUID, *, reason: ParkedResolution) -> ParkedObservation:
    """Take a parked observation off the list, for a reason. Twice is a conflict. Raises `UnknownParked`,
    `AlreadySetAside`."""
    query = select(ParkedObservation).where(ParkedObservation.id == parked_id)
    parked = session.scalars(query.with_for_update()).one_or_none()
    if parked is None:
        raise UnknownParked("There is no such parked observation in this organization.")
    if parked.resolved_at is not None:
        raise AlreadySetAside("Somebody has decided on it.", resolution=parked.resolution)
    parked.resolved_at, parked.resolution = utc_now(), reason
    parked.resolved_by_id = actor_of(session).actor_id
    publish(session, ObservationSetAside(subject_id=parked.id, resolution=reason))
    session.flush()
    return parked
