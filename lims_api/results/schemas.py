"""Results as they are shown, authorised and corrected."""

import unicodedata
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import (
    UUID7,
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lims_api.results.models import (
    CallOutcome,
    MessageOutcome,
    ParkedReason,
    ParkedResolution,
    ResultStatus,
    SwitchScope,
)


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
    verified_by_id: UUID | None
    verified_at: datetime | None
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
    verified_by_id: UUID | None
    verified_at: datetime | None
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


class ValueIn(BaseModel):
    """A value that a person read off, in the test's unit; a number may bear `<`, `<=`, `>` or `>=`."""

    model_config = ConfigDict(extra="forbid")

    order_test_id: UUID
    value_text: str = Field(min_length=1, max_length=40)


class ResultsIn(BaseModel):
    """Values of one moment, of one order or several."""

    values: list[ValueIn] = Field(min_length=1, max_length=500)
    measured_at: AwareDatetime

    @field_validator("values")
    @classmethod
    def _each_once(cls, values: list[ValueIn]) -> list[ValueIn]:
        if len({value.order_test_id for value in values}) != len(values):
            raise PydanticCustomError("values", "Give each ordered test one value")
        return values


class Verification(BaseModel):
    result_ids: list[UUID] = Field(min_length=1, max_length=500)


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


def _one_line(typed: str) -> str:
    told = " ".join(unicodedata.normalize("NFC", typed).split())
    if not told or not told.isprintable():
        raise PydanticCustomError("informed", "Say in one line who was told")
    return told


class CallIn(BaseModel):
    """One call of a critical value. Who was told is personal data: sealed, and shown nowhere but to who may read it."""

    model_config = ConfigDict(hide_input_in_errors=True)

    id: UUID7 | None = Field(default=None, description="made by the client, or by the laboratory if absent")
    result_id: UUID
    called_at: AwareDatetime
    outcome: CallOutcome
    informed: Annotated[str, StringConstraints(max_length=200), AfterValidator(_one_line)] | None = Field(
        default=None, repr=False
    )
    read_back: bool = False

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.outcome is CallOutcome.INFORMED and not (self.informed and self.read_back):
            raise PydanticCustomError("call", "Say who was told, and have the value read back")
        if self.outcome is CallOutcome.NOT_REACHED and (self.informed or self.read_back):
            raise PydanticCustomError("call", "Nobody was reached: nobody was told or read back")
        return self


class CallRef(BaseModel):
    """The reply to a call: it is stored in clear, so it names nobody."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID


class WaitingCall(BaseModel):
    """A current critical result of which nobody has been told."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    order_id: UUID
    patient_id: UUID
    test_code: str
    value_text: str
    unit: str
    flag: str
    status: ResultStatus
    available_at: datetime


class WaitingPage(BaseModel):
    items: list[WaitingCall]
    next: UUID | None = None


class SettingAside(BaseModel):
    reason: ParkedResolution


class ParkedRef(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    resolution: ParkedResolution
    resolved_at: datetime


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
