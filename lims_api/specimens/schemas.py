"""Collecting, receiving, rejecting."""

from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from lims_api.specimens.models import RejectionReason, SpecimenStatus


class Collection(BaseModel):
    order_id: UUID
    collected_at: AwareDatetime


class Receipt(BaseModel):
    received_at: AwareDatetime


class Rejection(BaseModel):
    rejected_at: AwareDatetime
    reason: RejectionReason


class SpecimenOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    accession_number: str
    specimen_type: str
    container: str
    status: SpecimenStatus


class Container(SpecimenOut):
    """A container that was drawn, and which tests are measured in it."""

    tests: list[str]


class Collected(BaseModel):
    specimens: list[Container]
