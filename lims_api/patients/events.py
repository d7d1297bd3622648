"""What happens to patients."""

from dataclasses import dataclass

from lims_api.core.ledger import Event


@dataclass(frozen=True, kw_only=True)
class PatientRegistered(Event):
    name = "patient.registered"


@dataclass(frozen=True, kw_only=True)
class PatientErased(Event):
    """The row is marked, its tokens are gone; the keys follow at once."""

    name = "patient.erased"
