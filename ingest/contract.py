"""What a gateway hands to the core: decoded messages in batches, and the core's receipt for each.

The only module that both programs import. A field is only ever added; a change of meaning is a new `CONTRACT_VERSION`.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime, Base64Bytes, BaseModel, ConfigDict, Field

CONTRACT_VERSION = 1
MAX_MESSAGES = 50


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MessageKind(StrEnum):
    """What the analyser measured: a patient's specimen, a control, or a calibrator."""

    PATIENT = "patient"
    CONTROL = "control"
    CALIBRATION = "calibration"


class Observation(Part):
    """One measured value as the analyser sent it; nothing is mapped or rounded here."""

    sequence: int = Field(ge=0, description="position within the message, from 1")
    code: str = Field(description="the analyser's own code, e.g. 'GLU' or '2345-7'")
    text: str | None = None
    value_text: str = Field(description="exactly as received")
    value: Decimal | None = None
    comparator: str | None = Field(default=None, pattern="^(<|<=|>|>=)$")
    unit: str | None = Field(default=None, description="as sent by the analyser")
    flags: tuple[str, ...] = ()
    status: str = Field(
        default="F", description="HL7 table 0085: F final, P preliminary, C correction, X cannot be obtained"
    )
    observed_at: AwareDatetime | None = None
    run: str = Field(default="", description="the analyser's own repeat number, if it has one")


class StatedIdentity(Part):
    """Who the analyser says the specimen is from; compared with the registration, never trusted."""

    patient_number: str | None = None
    name: str | None = None
    sex: str | None = Field(default=None, description="male | female | other")
    birth_on: date | None = None


class Control(Part):
    """Which control material was measured."""

    material: str
    lot: str
    level: int = Field(ge=1, le=3)


class RecordGroup(Part):
    """One specimen's part of a transmission: the unit that is sealed under one patient's key."""

    kind: MessageKind | None = Field(default=None, description="of this group; the message's where it is not given")
    specimen: str | None = Field(default=None, description="accession number as read by the analyser")
    identity: StatedIdentity | None = None
    control: Control | None = None
    observations: tuple[Observation, ...] = ()
    raw: Base64Bytes = Field(description="the group's bytes as received, base64")


class Message(Part):
    """One transmission, durable at the gateway and acknowledged to the analyser."""

    channel: str
    control_id: str
    body_sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of the whole transmission as received")
    received_at: AwareDatetime
    kind: MessageKind = MessageKind.PATIENT
    format: str = Field(description="hl7 | astm")
    type: str = Field(description="e.g. ORU^R01")
    envelope: Base64Bytes = Field(description="the bytes outside all groups (MSH …), base64")
    groups: tuple[RecordGroup, ...] = ()
    error: str | None = Field(default=None, description="why nothing could be decoded; the message is parked")


class Batch(Part):
    """Up to 50 messages delivered in one transaction."""

    id: UUID
    version: int = CONTRACT_VERSION
    sent_at: AwareDatetime = Field(description="the gateway's clock, for the offset check")
    clock_offset_ms: int | None = Field(default=None, description="gateway clock minus core clock as last measured")
    messages: tuple[Message, ...] = Field(min_length=1, max_length=MAX_MESSAGES)


class Outcome(StrEnum):
    RECORDED = "recorded"
    REPEAT = "repeat"
    PARKED = "parked"


class Receipt(Part):
    """The core's word that a message is durable there; the gateway may then forget it after its retention."""

    channel: str
    control_id: str
    body_sha256: str
    outcome: Outcome
    recorded: int = 0
    parked: int = 0


class BatchReceipt(Part):
    batch_id: UUID
    receipts: tuple[Receipt, ...]
    core_clock: datetime
