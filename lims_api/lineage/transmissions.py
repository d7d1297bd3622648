"""A stored message's bytes: unsealed, put together, and read again by the analyser's profile."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from ingest.contract import Message
from lims_api.core.crypto import CannotUnseal, Key, key_id_of
from lims_api.core.db import actor_of, keys_of
from lims_api.core.keys import NoKey
from lims_api.equipment.models import Analyser
from lims_api.lineage.known import Kept, Measured, Reading
from lims_api.lineage.ports import Programs
from lims_api.results.models import InstrumentMessage, RecordGroup, Result
from lims_api.results.storable import storable

ERASED = "a patient of this transmission was erased: nothing opens its bytes"


def kept_messages(
    session: Session, message_ids: Iterable[UUID], analysers: Mapping[UUID, Analyser], programs: Programs
) -> dict[UUID, Kept]:
    """The messages of these ids, each opened and read again as far as it goes; whoever is in them was read of."""
    ids = set(message_ids)
    rows = session.scalars(select(InstrumentMessage).where(InstrumentMessage.id.in_(ids)))
    groups: dict[UUID, list[RecordGroup]] = {}
    of_messages = select(RecordGroup).where(RecordGroup.message_id.in_(ids)).order_by(RecordGroup.position)
    for group in session.scalars(of_messages):
        groups.setdefault(group.message_id, []).append(group)
    patients = {group.patient_id for several in groups.values() for group in several if group.patient_id}
    opener = _Opener(session, patients)
    return {row.id: _read(opener.kept(row, groups.get(row.id, [])), analysers, programs) for row in rows}


def patients_in(kept: Iterable[Kept]) -> set[UUID]:
    """Everybody whose records stand in the messages."""
    return {group.patient_id for one in kept for group in one.groups if group.patient_id}


class _Opener:
    """Opens what was sealed under a patient's key, or under the organization's."""

    def __init__(self, session: Session, patient_ids: set[UUID]) -> None:
        self._keys, self._organization_id = keys_of(session), actor_of(session).organization_id
        self._of_patient = self._keys.patient_keys(self._organization_id, patient_ids)

    def kept(self, row: InstrumentMessage, groups: list[RecordGroup]) -> Kept:
        """The message with its bytes, or with why there are none."""
        try:
            envelope = self._open(row.envelope_sealed, "instrument_messages.envelope_sealed", row.id, None)
            raws = [self._open(one.raw_sealed, "record_groups.raw_sealed", one.id, one.patient_id) for one in groups]
        except CannotUnseal as reason:
            erased = any(one.patient_id and one.patient_id not in self._of_patient for one in groups)
            if erased and isinstance(reason, NoKey):
                return Kept(row, groups, closed=ERASED)
            return Kept(row, groups, closed=str(reason), is_altered=True)
        return Kept(row, groups, raws, envelope + b"".join(raws))

    def _open(self, sealed: bytes, column: str, row_id: UUID, patient_id: UUID | None) -> bytes:
        key: Key | None = self._of_patient.get(patient_id) if patient_id else None
        if key is not None and key.id == key_id_of(sealed):
            text = self._keys.unseal(sealed, key, self._organization_id, column, row_id)
        else:
            text = self._keys.unseal_for_organization(sealed, self._organization_id, column, row_id)
        return text.encode("latin-1")


def _read(kept: Kept, analysers: Mapping[UUID, Analyser], programs: Programs) -> Kept:
    row = kept.row
    analyser = analysers.get(row.analyser_id) if row.analyser_id else None
    if kept.body is None or analyser is None:
        return kept if kept.body is None else _unread(kept, "no analyser of ours sent it")
    question = {
        "model": analyser.model, "timezone": programs.timezone, "channel": row.channel, "control_id": row.control_id,
        "body_sha256": row.body_sha256, "received_at": row.received_at.isoformat(),
        "body": b64encode(kept.body).decode(),
    }  # fmt: skip
    answer = programs.reparse.ask(question)
    if "problem" in answer:
        return _unread(kept, f"{answer['problem']}; give its profile with --profiles")
    message = storable(Message.model_validate(answer["message"]))
    reading = Reading(answer["profile"], answer["profile_sha256"], message, answer["places"])
    return Kept(row, kept.groups, kept.raws, kept.body, reading=reading)


def _unread(kept: Kept, why: str) -> Kept:
    return Kept(kept.row, kept.groups, kept.raws, kept.body, unread=why)


def measured(kept: Kept, result: Result, test_of_code: Mapping[str, str]) -> Measured | None:
    """The observation of the result's number in its specimen's part; of several the one that is like the result."""
    if kept.reading is None:
        return None
    reading = kept.reading
    own = [group.position for group in kept.groups if group.specimen_id == result.specimen_id]
    found = [
        Measured(observation, position, _place(reading, position, index))
        for position in own if position < len(reading.message.groups)
        for index, observation in enumerate(reading.message.groups[position].observations)
        if observation.sequence == result.observation_sequence
    ]  # fmt: skip

    def likeness(one: Measured) -> tuple[bool, bool, bool]:
        said = one.observation
        return (
            test_of_code.get(said.code) == result.test_code,
            said.value_text == result.value_text,
            said.run == result.run,
        )

    return max(found, key=likeness, default=None)


def _place(reading: Reading, group: int, index: int) -> tuple[int, int] | None:
    places = reading.places[group]
    return (places[index][0], places[index][1]) if index < len(places) else None
