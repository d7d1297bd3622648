"""Analysers as the interface shows them."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict


class AnalyserOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    code: str
    name: str
    model: str
    channel: str
    site_id: UUID
    is_active: bool
