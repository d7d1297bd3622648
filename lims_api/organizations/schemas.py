"""Sites as the interface shows them."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict

from lims_api.organizations.models import SiteKind


class SiteOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    code: str
    name: str
    kind: SiteKind
    parent_id: UUID | None
