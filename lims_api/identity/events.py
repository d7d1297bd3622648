"""What happens to users and sessions."""

from dataclasses import dataclass
from uuid import UUID

from lims_api.core.ledger import Event


@dataclass(frozen=True, kw_only=True)
class SessionBegan(Event):
    name = "session.began"

    user_id: UUID
