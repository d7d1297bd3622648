"""What happens to results."""

from dataclasses import dataclass
from uuid import UUID

from lims_api.core.ledger import Event


@dataclass(frozen=True, kw_only=True)
class ResultsRecorded(Event):
    """A specimen's results came in; some were released, some are held."""

    name = "results.recorded"

    order_id: UUID
    recorded: int
    released: int


@dataclass(frozen=True, kw_only=True)
class ResultCritical(Event):
    name = "result.critical"

    order_id: UUID
    test_code: str


@dataclass(frozen=True, kw_only=True)
class ResultVerified(Event):
    """Validated technically, by another person than who entered it."""

    name = "result.verified"

    order_id: UUID
    test_code: str


@dataclass(frozen=True, kw_only=True)
class ResultAuthorised(Event):
    """By a person."""

    name = "result.authorised"

    order_id: UUID
    test_code: str


@dataclass(frozen=True, kw_only=True)
class ResultCorrected(Event):
    """A new version took the place of an authorised result."""

    name = "result.corrected"

    order_id: UUID
    replaces_id: UUID
    test_code: str


@dataclass(frozen=True, kw_only=True)
class ObservationsParked(Event):
    name = "observations.parked"

    parked: int


@dataclass(frozen=True, kw_only=True)
class ObservationSetAside(Event):
    """A person decided that a parked observation is no result; it stays on record."""

    name = "observation.set_aside"

    resolution: str


@dataclass(frozen=True, kw_only=True)
class CriticalCalled(Event):
    """Somebody tried to tell the clinician of a critical value."""

    name = "critical.called"

    result_id: UUID
    order_id: UUID
    outcome: str


@dataclass(frozen=True, kw_only=True)
class ReleaseSwitched(Event):
    name = "release.switched"

    scope: str
    target: str
    is_off: bool
