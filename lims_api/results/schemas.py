"""Results as they are shown, authorised and corrected."""

from datetime import datetime
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from lims_api.results.models import MessageOutcome, ParkedReason, ResultStatus, SwitchScope


class ResultLine(BaseModel):
    """One current result of an order; numbers as text, so that their decimals survive."""

    id: UUID
    test_code: str
    loinc: str
    value: str | None
    value_text: str
    comparator: str | None
    unit: str
    flag: str | None
    reference_low: str | None
    reference_high: str | None
    status: ResultStatus
    version: int
    reasons: list[str]
    is_automatic: bool
    available_at: datetime


class OrderView(BaseModel):
    """An order, its patient and its results."""

    id: UUID
    order_number: str
    status: str
    priority: str
    placed_at: datetime
    due_at: datetime
    completed_at: datetime | None
    patient_id: UUID
    patient_name: str | None = None
    sex: str
    results: list[ResultLine]


class HeldResult(BaseModel):
    """A line of the worklist of held results."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    order_id: UUID
    specimen_id: UUID
    test_code: str
    value_text: str
    unit: str
    flag: str | None
    reasons: list[str]
    risk: float | None
    evidence: str
    available_at: datetime


class HeldPage(BaseModel):
    items: list[HeldResult]
    next: UUID | None = None


class ParkedItem(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    message_id: UUID
    code: str | None
    reason: ParkedReason
    recorded_at: datetime


class ParkedPage(BaseModel):
    items: list[ParkedItem]
    next: UUID | None = None


class HeardMessage(BaseModel):
    """One transmission and what became of it; of its content nothing."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    channel: str
    control_id: str
    body_sha256: str
    type: str
    received_at: datetime
    outcome: MessageOutcome
    recorded: int
    parked: int


class HeardPage(BaseModel):
    items: list[HeardMessage]
    next: UUID | None = None


class Mismatch(BaseModel):
    """What the analyser stated beside what is registered; shown to who may read both."""

    field: str
    stated: str | None
    registered: str | None


class HeldDetail(BaseModel):
    """A result with what a person needs to decide on it."""

    result: HeldResult
    identity: list[Mismatch]


class Authorisation(BaseModel):
    result_ids: list[UUID] = Field(min_length=1, max_length=500)


class ResultRef(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    status: ResultStatus
    version: int


class ResultRefs(BaseModel):
    results: list[ResultRef]


class Correction(BaseModel):
    value_text: str = Field(min_length=1, max_length=40)
    reason: str = Field(pattern="^[a-z_]{3,40}$", description="a code, e.g. dilution_error")
    comment: str | None = Field(default=None, max_length=1000)


class SwitchIn(BaseModel):
    scope: SwitchScope
    target: str = Field(min_length=1, max_length=60, description="test code, analyser id or site id; '*' for every lab")
    off: bool
    reason: str = Field(pattern="^[a-z_]{3,40}$")


class SwitchOut(BaseModel):
    id: UUID
    off: bool


class StandingIn(BaseModel):
    rules_version: str
    model_version: str
    test_codes: list[str] = Field(min_length=1)
    valid_to: AwareDatetime


class StandingOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    signatory_id: UUID
    valid_from: datetime
    valid_to: datetime
