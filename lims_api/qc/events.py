"""What happens in quality control."""

from dataclasses import dataclass
from uuid import UUID

from lims_api.core.ledger import Event


@dataclass(frozen=True, kw_only=True)
class RunRejected(Event):
    """A control broke a rejecting rule: patient results of this analyser and test are held from now on."""

    name = "qc.out_of_control"

    analyser_id: UUID
    test_code: str
