"""Collecting, receiving, rejecting."""

from typing import Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from lims_api.specimens.models import RejectionReason, SpecimenStatus


class Label(BaseModel):
    """A barcode that was printed before: the container that it is on, as the catalogue calls it."""

    model_config = ConfigDict(extra="forbid")

    container: str
    accession_number: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")


class Collection(BaseModel):
    """What is drawn for an order, now. A container without a label gets the laboratory's next accession number."""

    order_id: UUID
    collected_at: AwareDatetime
    labels: list[Label] = []

    @model_validator(mode="after")
    def _one_label_each(self) -> Self:
        if len({label.container for label in self.labels}) != len(self.labels):
            raise PydanticCustomError("labels", "Give each container one label")
        return self


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
