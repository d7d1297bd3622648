"""An analyser's messages become results: once, in one transaction, with what cannot be recorded parked.

A batch is read, judged and written as a whole: a fixed number of statements however many messages it holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from ingest.contract import Batch, Message, MessageKind, Observation, Outcome, Receipt, RecordGroup
from lims_api.core.clock import utc_now
from lims_api.core.db import actor_of, keys_of
from lims_api.core.ids import uuid7
from lims_api.core.ledger import Event, publish
from lims_api.orders import service as orders
from lims_api.orders.models import OrderTestStatus
from lims_api.qc import service as qc
from lims_api.qc.models import ControlLot
from lims_api.results.errors import ConcurrentDelivery
from lims_api.results.events import ObservationsParked, ResultCritical, ResultsRecorded
from lims_api.results.judging import Candidate, Judge, Value, Verdict
from lims_api.results.knowledge import Knowledge, KnownSpecimen, Source, gather
from lims_api.results.models import Entry, InstrumentMessage, MessageOutcome, ParkedReason, ResultStatus
from lims_api.results.storable import storable

MessageKey = tuple[str, str, str]


@dataclass
class Written:
    """What a batch will write, gathered in memory and sent table by table."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    groups: list[dict[str, Any]] = field(default_factory=list)
    parked: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)


def record_batch(session: Session, batch: Batch) -> list[Receipt]:
    """Record every message of the batch that is new; a repeat changes nothing. One receipt a message, in order."""
    messages = [storable(message) for message in batch.messages]
    seen = _recorded_before(session, messages)
    fresh: dict[MessageKey, Message] = {}
    for message in messages:
        if _key(message) not in seen:
            fresh.setdefault(_key(message), message)
    knowledge = gather(session, list(fresh.values()), offset_ms=_offset_ms(batch))
    written = Written()
    counts: dict[MessageKey, tuple[int, int]] = {}
    for key, message in fresh.items():
        counts[key] = _Recorder(session, knowledge, written).record(message)
    verdicts = Judge(session, knowledge).judge(written.candidates)
    written.results = [
        result_row(candidate, verdict, knowledge.now, **_origin(candidate, knowledge))
        for candidate, verdict in verdicts
    ]
    _write(session, written)
    follow_up(session, verdicts, knowledge.now)
    receipts = [_receipt(message, seen, fresh, counts) for message in messages]
    return [_in_its_words(receipt, sent) for receipt, sent in zip(receipts, batch.messages, strict=True)]


def _key(message: Message) -> MessageKey:
    return message.channel, message.control_id, message.body_sha256


def _offset_ms(batch: Batch) -> int:
    """How far the gateway's clock is from ours, as far as can be told.

    A batch sent again after an outage keeps its old `sent_at`, so that a measured offset goes before it; a time from
    the future always counts, and without any measurement the difference itself does.
    """
    ahead = round((batch.sent_at - utc_now()).total_seconds() * 1000)
    if batch.clock_offset_ms is None:
        return abs(ahead)
    return max(abs(batch.clock_offset_ms), ahead)


def _recorded_before(session: Session, messages: Sequence[Message]) -> set[MessageKey]:
    rows = session.execute(
        select(InstrumentMessage.channel, InstrumentMessage.control_id, InstrumentMessage.body_sha256).where(
            InstrumentMessage.channel.in_({message.channel for message in messages}),
            InstrumentMessage.body_sha256.in_({message.body_sha256 for message in messages}),
        )
    )
    return {(row.channel, row.control_id, row.body_sha256) for row in rows}


def _receipt(
    message: Message, seen: set[MessageKey], fresh: dict[MessageKey, Message], counts: dict[MessageKey, tuple[int, int]]
) -> Receipt:
    key = _key(message)
    channel, control_id, body = key
    if key in seen or fresh[key] is not message:
        return Receipt(channel=channel, control_id=control_id, body_sha256=body, outcome=Outcome.REPEAT)
    recorded, parked = counts[key]
    outcome = Outcome.RECORDED if recorded or not parked else Outcome.PARKED
    return Receipt(
        channel=channel, control_id=control_id, body_sha256=body, outcome=outcome, recorded=recorded, parked=parked
    )


def _in_its_words(receipt: Receipt, sent: Message) -> Receipt:
    """The gateway knows a message by what it sent, also where that could not be stored."""
    if receipt.control_id == sent.control_id and receipt.channel == sent.channel:
        return receipt
    return receipt.model_copy(update={"control_id": sent.control_id, "channel": sent.channel})


class _Recorder:
    """One message: its own row, its groups' sealed bytes, and each observation recorded or parked."""

    def __init__(self, session: Session, knowledge: Knowledge, written: Written) -> None:
        self.session, self.knowledge, self.written = session, knowledge, written
        self.id = uuid7()
        self.recorded = self.parked = 0

    def record(self, message: Message) -> tuple[int, int]:
        """How many observations were recorded and parked."""
        source = self.knowledge.sources.get(message.channel)
        for position, group in enumerate(message.groups):
            self._group(message, source, position, group)
        if message.error is not None or not (self.recorded or self.parked):
            self._park(0, None, None, ParkedReason.UNREADABLE, None)
        self.written.messages.append(self._row(message, source))
        return self.recorded, self.parked

    def _row(self, message: Message, source: Source | None) -> dict[str, Any]:
        outcome = MessageOutcome.RECORDED if self.recorded or not self.parked else MessageOutcome.PARKED
        return {
            "organization_id": self.knowledge.organization_id,
            "id": self.id,
            "analyser_id": source and source.id,
            "channel": message.channel,
            "control_id": message.control_id,
            "body_sha256": message.body_sha256,
            "kind": message.kind,
            "format": message.format,
            "type": message.type,
            "received_at": message.received_at,
            "outcome": outcome,
            "recorded": self.recorded,
            "parked": self.parked,
            "envelope_sealed": self._seal_bytes(
                bytes(message.envelope), "instrument_messages.envelope_sealed", self.id, None
            ),
            "error_sealed": message.error
            and self._seal_bytes(message.error.encode(), "instrument_messages.error_sealed", self.id, None),
        }

    def _group(self, message: Message, source: Source | None, position: int, group: RecordGroup) -> None:
        identity, kind = group.identity, group.kind or message.kind
        specimen = self.knowledge.specimens.get(group.specimen or "") if kind is MessageKind.PATIENT else None
        patient_id = specimen.patient_id if specimen else None
        group_id = uuid7()
        self.written.groups.append(
            {
                "organization_id": self.knowledge.organization_id,
                "id": group_id,
                "message_id": self.id,
                "position": position,
                "patient_id": patient_id,
                "specimen_id": specimen and specimen.id,
                "raw_sealed": self._seal_bytes(bytes(group.raw), "record_groups.raw_sealed", group_id, patient_id),
                "identity_sealed": identity
                and self._seal_bytes(
                    identity.model_dump_json().encode(), "record_groups.identity_sealed", group_id, patient_id
                ),
            }
        )
        if source is None:
            self._park_all(position, group, ParkedReason.UNKNOWN_CHANNEL, patient_id)
        elif kind is MessageKind.CALIBRATION:
            self._park_all(position, group, ParkedReason.CALIBRATION, patient_id)
        elif kind is MessageKind.CONTROL:
            self._controls(source, position, group, message.received_at)
        elif specimen is None:
            self._park_all(position, group, ParkedReason.UNKNOWN_SPECIMEN, None)
        elif not specimen.is_received:
            self._park_all(position, group, ParkedReason.SPECIMEN_NOT_RECEIVED, patient_id)
        else:
            self._observations(source, specimen, position, group, message.received_at)

    def _observations(
        self, source: Source, specimen: KnownSpecimen, position: int, group: RecordGroup, received: datetime
    ) -> None:
        age, agrees = specimen.age_days(received), specimen.is_of(group.identity)
        for observation in group.observations:
            mapping = source.codes.get(observation.code)
            ordered = specimen.ordered.get(mapping.test_code) if mapping else None
            if mapping is None or ordered is None:
                reason = ParkedReason.UNKNOWN_CODE if mapping is None else ParkedReason.NOT_ORDERED
                self._park(position, observation, specimen.patient_id, reason, None)
                continue
            self.recorded += 1
            observed_at = observation.observed_at or received
            if not specimen.has(mapping.test_code, source.id, observed_at, observation):
                self.written.candidates.append(
                    Candidate(
                        id=uuid7(), message_id=self.id, source=source, specimen=specimen, ordered=ordered,
                        mapping=mapping, observation=observation, observed_at=observed_at, age_days=age,
                        identity_agrees=agrees,
                    )
                )  # fmt: skip

    def _controls(self, source: Source, position: int, group: RecordGroup, received: datetime) -> None:
        control = group.control
        lot = self.knowledge.lots.get((control.material, control.lot)) if control else None
        if control is None or lot is None:
            self._park_all(position, group, ParkedReason.NO_CONTROL_TARGET, None)
            return
        rounds: list[dict[str, tuple[qc.Measured, Observation]]] = []
        for observation in group.observations:
            mapping = source.codes.get(observation.code)
            if mapping is None:
                self._park(position, observation, None, ParkedReason.UNKNOWN_CODE, None)
            elif observation.value is None or observation.comparator or observation.unit != mapping.unit_sent:
                self._park(position, observation, None, ParkedReason.NOT_NUMERIC, None)
            else:
                unit = self.knowledge.units.get(mapping.test_code, observation.unit)
                value = qc.Measured(mapping.test_code, observation.value * mapping.factor, unit)
                measured = next((each for each in rounds if mapping.test_code not in each), None)
                if measured is None:
                    rounds.append(measured := {})
                measured[mapping.test_code] = (value, observation)
        for measured in rounds:
            self._control_values(source, position, lot, control.level, measured, received)

    def _control_values(
        self,
        source: Source,
        position: int,
        lot: ControlLot,
        level: int,
        measured: dict[str, tuple[qc.Measured, Observation]],
        received: datetime,
    ) -> None:
        """One value of each test; a test measured again in the same group follows in a round of its own."""
        at = min((item.observed_at for _, item in measured.values() if item.observed_at), default=received)
        recorded, untargeted = qc.record(
            self.session,
            lot,
            level,
            [value for value, _ in measured.values()],
            analyser_id=source.id,
            occurred_at=at,
            message_id=self.id,
        )
        self.recorded += len(recorded)
        for value in untargeted:
            self._park(position, measured[value.test_code][1], None, ParkedReason.NO_CONTROL_TARGET, None)

    def _park_all(self, position: int, group: RecordGroup, reason: ParkedReason, patient_id: UUID | None) -> None:
        for observation in group.observations:
            self._park(position, observation, patient_id, reason, group.specimen)

    def _park(
        self,
        position: int,
        observation: Observation | None,
        patient_id: UUID | None,
        reason: ParkedReason,
        specimen: str | None,
    ) -> None:
        self.parked += 1
        row_id = uuid7()
        content = {"observation": observation and observation.model_dump(mode="json"), "specimen": specimen}
        self.written.parked.append(
            {
                "organization_id": self.knowledge.organization_id,
                "id": row_id,
                "message_id": self.id,
                "group_position": position,
                "sequence": observation.sequence if observation else 0,
                "code": observation and observation.code,
                "reason": reason,
                "patient_id": patient_id,
                "observation_sealed": self._seal_bytes(
                    to_json(content), "parked_observations.observation_sealed", row_id, patient_id
                ),
            }
        )

    def _seal_bytes(self, content: bytes, column: str, row_id: UUID, patient_id: UUID | None) -> str:
        """As PostgreSQL reads bytea in JSON: `\\x` and hex."""
        keys, organization_id = keys_of(self.session), self.knowledge.organization_id
        key = self.knowledge.patient_keys.get(patient_id) if patient_id else None
        key = key or keys.organization_key(organization_id)
        return "\\x" + keys.seal(content.decode("latin-1"), key, organization_id, column, row_id).hex()


def result_row(value: Value, verdict: Verdict, now: datetime, **origin: Any) -> dict[str, Any]:
    """A result as it is stored: everything it was judged by frozen on it. `origin`: who or what brought the value."""
    observation, specimen, definition = value.observation, value.specimen, verdict.definition
    released = not verdict.reasons
    return {
        "id": value.id, "occurred_at": value.observed_at,
        "patient_id": specimen.patient_id, "order_id": specimen.order_id, "order_test_id": value.ordered.id,
        "specimen_id": specimen.id, "site_id": specimen.site_id, "test_code": definition.code,
        "loinc": definition.loinc, "definition_id": definition.id, "run": observation.run,
        "value_text": observation.value_text, "value": verdict.value,
        "comparator": observation.comparator, "unit": verdict.unit, "reference_low": verdict.reference_low,
        "reference_high": verdict.reference_high, "critical_low": verdict.critical_low,
        "critical_high": verdict.critical_high, "age_days": value.age_days, "sex": specimen.sex,
        "flag": verdict.flag, "instrument_flags": list(observation.flags),
        "status": ResultStatus.AUTHORISED if released else ResultStatus.HELD,
        "version": verdict.version, "corrects_id": verdict.corrects_id,
        "reasons": [str(reason) for reason in verdict.reasons],
        "evidence": to_json(verdict.evidence).decode(), "risk": verdict.risk, "model_version": verdict.model_version,
        "model_sha256": verdict.model_sha256, "rules_version": verdict.rules_version,
        "authorisation_id": verdict.authorisation_id if released else None,
        "signatory_id": verdict.signatory_id if released else None,
        "authorised_by_id": verdict.signatory_id if released else None,
        "authorised_at": now if released else None, "is_automatic": released,
        **origin,
    }  # fmt: skip


def _origin(candidate: Candidate, knowledge: Knowledge) -> dict[str, Any]:
    return {
        "organization_id": knowledge.organization_id, "entered_by_id": knowledge.actor_id,
        "analyser_id": candidate.source.id, "message_id": candidate.message_id,
        "observation_sequence": candidate.observation.sequence, "entry": Entry.INSTRUMENT,
    }  # fmt: skip


_INSERT = """
insert into lims.{table} ({columns})
select {columns} from json_populate_recordset(null::lims.{table}, cast(:rows as json)){end}
"""


def insert_rows(session: Session, table: str, rows: Sequence[dict[str, Any]], *, end: str = "") -> int:
    """Many rows in one statement, so that the ledger's trigger fires once; returns how many went in."""
    if not rows:
        return 0
    columns = ", ".join(rows[0])
    statement = text(_INSERT.format(table=table, columns=columns, end=end))
    return session.connection().execute(statement, {"rows": to_json(list(rows)).decode()}).rowcount


def _write(session: Session, written: Written) -> None:
    inserted = insert_rows(session, "instrument_messages", written.messages, end=" on conflict do nothing")
    if inserted != len(written.messages):
        raise ConcurrentDelivery("Send the batch again: another delivery of one of its messages has just finished.")
    insert_rows(session, "record_groups", written.groups)
    insert_rows(session, "parked_observations", written.parked)
    insert_rows(session, "results", written.results)
    publish(
        session,
        *(ObservationsParked(subject_id=row["id"], parked=row["parked"]) for row in written.messages if row["parked"]),
    )


_SET_STATUS = text(
    "update lims.order_tests t set status = v.status"
    " from unnest(cast(:ids as uuid[]), cast(:statuses as text[])) as v(id, status)"
    " where t.organization_id = :organization_id and t.id = v.id and t.status <> v.status and t.status <> 'cancelled'"
)


def follow_up(session: Session, verdicts: Iterable[tuple[Value, Verdict]], now: datetime) -> None:
    """Order tests move on, complete orders are completed, and events tell of it."""
    status: dict[UUID, OrderTestStatus] = {}
    recorded: Counter[tuple[UUID, UUID]] = Counter()
    released: Counter[tuple[UUID, UUID]] = Counter()
    events: list[Event] = []
    for value, verdict in verdicts:
        specimen = value.specimen
        status[value.ordered.id] = OrderTestStatus.RESULTED if verdict.reasons else OrderTestStatus.AUTHORISED
        recorded[specimen.id, specimen.order_id] += 1
        released[specimen.id, specimen.order_id] += not verdict.reasons
        if verdict.is_critical:
            code = verdict.definition.code
            events.append(ResultCritical(subject_id=value.id, order_id=specimen.order_id, test_code=code))
    if not recorded:
        return
    values = {"ids": list(status), "statuses": [str(state) for state in status.values()]}
    session.execute(_SET_STATUS, {**values, "organization_id": actor_of(session).organization_id})
    events += [
        ResultsRecorded(
            subject_id=specimen_id, order_id=order_id, recorded=count, released=released[specimen_id, order_id]
        )
        for (specimen_id, order_id), count in recorded.items()
    ]
    publish(session, *events)
    orders.complete_where_all_authorised(session, {order_id for _, order_id in recorded}, now)
