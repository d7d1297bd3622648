"""Instrument messages, results, and what governs their automatic release."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Double, ForeignKeyConstraint, Index, Numeric, UniqueConstraint, func
from sqlalchemy.orm import Mapped

from lims_api.core.db import Clinical, Record, belongs_to, free_text_column, open_column, sealed_column, status_column
from lims_api.core.ids import uuid7


class MessageOutcome(StrEnum):
    RECORDED = "recorded"
    PARKED = "parked"


class InstrumentMessage(Record):
    """One transmission of an analyser. The same control id with another body is another message."""

    __tablename__ = "instrument_messages"
    __table_args__ = (
        UniqueConstraint("organization_id", "channel", "control_id", "body_sha256"),
        belongs_to("analysers", "analyser_id"),
    )

    analyser_id: Mapped[UUID | None] = open_column()
    channel: Mapped[str] = open_column()
    control_id: Mapped[str] = open_column()
    body_sha256: Mapped[str] = open_column()
    kind: Mapped[str] = open_column()
    format: Mapped[str] = open_column()
    type: Mapped[str] = open_column()
    received_at: Mapped[datetime] = open_column()
    outcome: Mapped[MessageOutcome] = status_column(MessageOutcome, check="outcome")
    recorded: Mapped[int] = open_column()
    parked: Mapped[int] = open_column()
    error_sealed: Mapped[bytes | None] = free_text_column()
    envelope_sealed: Mapped[bytes] = sealed_column()


class RecordGroup(Record):
    """One specimen's part of a message, sealed under its patient's key (or the organization's, unmatched)."""

    __tablename__ = "record_groups"
    __table_args__ = (belongs_to("instrument_messages", "message_id"), Index(None, "organization_id", "message_id"))

    message_id: Mapped[UUID] = open_column()
    position: Mapped[int] = open_column()
    patient_id: Mapped[UUID | None] = open_column()
    specimen_id: Mapped[UUID | None] = open_column()
    raw_sealed: Mapped[bytes] = sealed_column()
    identity_sealed: Mapped[bytes | None] = sealed_column()


class ParkedReason(StrEnum):
    UNKNOWN_CHANNEL = "unknown_channel"
    UNREADABLE = "unreadable"
    UNKNOWN_SPECIMEN = "unknown_specimen"
    SPECIMEN_NOT_RECEIVED = "specimen_not_received"
    UNKNOWN_CODE = "unknown_code"
    NOT_ORDERED = "not_ordered"
    NO_CONTROL_TARGET = "no_control_target"
    NOT_NUMERIC = "not_numeric"
    CALIBRATION = "calibration"


class ParkedResolution(StrEnum):
    """Why a person set a parked observation aside."""

    NOT_OURS = "not_ours"
    DUPLICATE = "duplicate"
    WRONG_BARCODE = "wrong_barcode"
    CALIBRATION_RUN = "calibration_run"
    RECORDED_OTHERWISE = "recorded_otherwise"


class ParkedObservation(Record):
    """What could not be recorded; kept, visible, never dropped."""

    __tablename__ = "parked_observations"
    __table_args__ = (
        belongs_to("instrument_messages", "message_id"),
        Index(None, "organization_id", "resolved_at", "id"),
    )

    message_id: Mapped[UUID] = open_column()
    group_position: Mapped[int] = open_column()
    sequence: Mapped[int] = open_column()
    code: Mapped[str | None] = open_column()
    reason: Mapped[ParkedReason] = status_column(ParkedReason, check="reason")
    observation_sealed: Mapped[bytes] = sealed_column()
    patient_id: Mapped[UUID | None] = open_column()
    resolved_at: Mapped[datetime | None] = open_column()
    resolution: Mapped[ParkedResolution | None] = status_column(ParkedResolution, check="resolution")
    resolved_by_id: Mapped[UUID | None] = open_column()


class ResultStatus(StrEnum):
    HELD = "held"
    AUTHORISED = "authorised"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"


class Entry(StrEnum):
    INSTRUMENT = "instrument"
    MANUAL = "manual"
    IMPORT = "import"


class Result(Record, Clinical):
    """One value of one test of one specimen, in one version, with everything it was judged by frozen on it.

    A correction is a new row with the next `version` that points to the one it replaces.
    """

    __tablename__ = "results"
    __mapper_args__ = {"primary_key": ["organization_id", "id"]}
    __table_args__ = (
        Index(None, "organization_id", "specimen_id"),
        Index(None, "organization_id", "order_id"),
        Index("ix_results_history", "organization_id", "patient_id", "test_code", "available_at"),
        Index("ix_results_held", "organization_id", "id", postgresql_where="status = 'held'"),
        Index("ix_results_critical", "organization_id", "id", postgresql_where="flag in ('LL', 'HH')"),
        ForeignKeyConstraint(  # one key proves that specimen, order and patient belong together
            ["organization_id", "specimen_id", "order_id", "patient_id"],
            ["specimens.organization_id", "specimens.id", "specimens.order_id", "specimens.patient_id"],
        ),
        belongs_to("test_definitions", "definition_id"),
        {"postgresql_partition_by": "RANGE (recorded_at)"},
    )

    organization_id: Mapped[UUID] = open_column(primary_key=True)
    id: Mapped[UUID] = open_column(primary_key=True, default=uuid7)
    recorded_at: Mapped[datetime] = open_column(primary_key=True, server_default=func.now())
    patient_id: Mapped[UUID] = open_column()
    order_id: Mapped[UUID] = open_column()
    order_test_id: Mapped[UUID] = open_column()
    specimen_id: Mapped[UUID] = open_column()
    site_id: Mapped[UUID] = open_column()
    test_code: Mapped[str] = open_column()
    loinc: Mapped[str] = open_column()
    definition_id: Mapped[UUID] = open_column()
    analyser_id: Mapped[UUID | None] = open_column()
    message_id: Mapped[UUID | None] = open_column()
    observation_sequence: Mapped[int | None] = open_column()
    run: Mapped[str] = open_column(server_default="")
    entry: Mapped[Entry] = status_column(Entry, check="entry")
    entered_by_id: Mapped[UUID] = open_column()
    value_text: Mapped[str] = open_column()
    value: Mapped[Decimal | None] = open_column(Numeric())
    comparator: Mapped[str | None] = open_column()
    unit: Mapped[str] = open_column()
    reference_low: Mapped[Decimal | None] = open_column(Numeric())
    reference_high: Mapped[Decimal | None] = open_column(Numeric())
    critical_low: Mapped[Decimal | None] = open_column(Numeric())
    critical_high: Mapped[Decimal | None] = open_column(Numeric())
    age_days: Mapped[int | None] = open_column()
    sex: Mapped[str | None] = open_column()
    flag: Mapped[str | None] = open_column()
    instrument_flags: Mapped[list[str]] = open_column(server_default="{}")
    status: Mapped[ResultStatus] = status_column(ResultStatus, check="status")
    version: Mapped[int] = open_column(server_default="1")
    corrects_id: Mapped[UUID | None] = open_column()
    correction_reason: Mapped[str | None] = open_column()
    comment_sealed: Mapped[bytes | None] = free_text_column()
    reasons: Mapped[list[str]] = open_column(server_default="{}")
    evidence: Mapped[str] = open_column(server_default="{}")
    risk: Mapped[float | None] = open_column(Double())
    model_version: Mapped[str | None] = open_column()
    model_sha256: Mapped[str | None] = open_column()
    rules_version: Mapped[str | None] = open_column()
    authorisation_id: Mapped[UUID | None] = open_column()
    signatory_id: Mapped[UUID | None] = open_column()
    verified_by_id: Mapped[UUID | None] = open_column()
    verified_at: Mapped[datetime | None] = open_column()
    authorised_by_id: Mapped[UUID | None] = open_column()
    authorised_at: Mapped[datetime | None] = open_column()
    is_automatic: Mapped[bool] = open_column(server_default="false")


class CallOutcome(StrEnum):
    INFORMED = "informed"
    NOT_REACHED = "not_reached"


class CriticalCall(Record):
    """One attempt to tell the clinician of a critical value; never changed. Who was told is sealed for the patient."""

    __tablename__ = "critical_calls"
    __table_args__ = (
        belongs_to("orders", "order_id"),
        belongs_to("patients", "patient_id"),
        Index(None, "organization_id", "result_id"),
    )

    result_id: Mapped[UUID] = open_column()  # results are partitioned: no foreign key can point there by id
    order_id: Mapped[UUID] = open_column()
    patient_id: Mapped[UUID] = open_column()
    called_at: Mapped[datetime] = open_column()
    called_by_id: Mapped[UUID] = open_column()
    outcome: Mapped[CallOutcome] = status_column(CallOutcome, check="outcome")
    informed_sealed: Mapped[bytes | None] = free_text_column()
    read_back: Mapped[bool] = open_column()


class StandingAuthorisation(Record):
    """A named signatory's dated consent to automatic release under one rule set and model version (NABL 112B)."""

    __tablename__ = "standing_authorisations"
    __table_args__ = (belongs_to("users", "signatory_id"),)

    signatory_id: Mapped[UUID] = open_column()
    rules_version: Mapped[str] = open_column()
    model_version: Mapped[str] = open_column()
    test_codes: Mapped[list[str]] = open_column()
    signed_at: Mapped[datetime] = open_column()
    valid_from: Mapped[datetime] = open_column()
    valid_to: Mapped[datetime] = open_column()
    revoked_at: Mapped[datetime | None] = open_column()


class SwitchScope(StrEnum):
    TEST = "test"
    ANALYSER = "analyser"
    LAB = "lab"


class ReleaseSwitch(Record):
    """Automatic release switched off, or on again, for a test, an analyser or a laboratory; the newest row counts."""

    __tablename__ = "release_switches"
    __table_args__ = (Index(None, "organization_id", "scope", "target", "id"),)

    scope: Mapped[SwitchScope] = status_column(SwitchScope, check="scope")
    target: Mapped[str] = open_column()
    is_off: Mapped[bool] = open_column()
    reason: Mapped[str] = open_column()
    set_by_id: Mapped[UUID] = open_column()


class ModelDeployment(Record):
    """Which champion scored from when; the file's hash is the model's identity."""

    __tablename__ = "model_deployments"
    __table_args__ = (UniqueConstraint("organization_id", "name", "version", "sha256"),)

    name: Mapped[str] = open_column()
    version: Mapped[str] = open_column()
    sha256: Mapped[str] = open_column()
    deployed_at: Mapped[datetime] = open_column()
