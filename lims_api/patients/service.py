"""Registering, opening and finding patients. Everything that identifies a person is sealed before it is stored."""

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from lims_api.core.access import saw_many
from lims_api.core.clock import business_day, utc_now
from lims_api.core.crypto import Key
from lims_api.core.db import Caller, actor_of, keys_of
from lims_api.core.db.numbers import next_number
from lims_api.core.errors import IdTaken, NotFound
from lims_api.core.http import read_row
from lims_api.core.ids import uuid7
from lims_api.core.ledger import publish
from lims_api.patients import queries
from lims_api.patients.age import is_plausible
from lims_api.patients.errors import (
    BirthDateImpossible,
    PatientIsErased,
    PatientNumberTaken,
    PatientUnknown,
    SearchTooShort,
)
from lims_api.patients.events import PatientRegistered
from lims_api.patients.models import Patient, PatientStatus, Sex
from lims_api.patients.names import Query, query_of, score
from lims_api.patients.schemas import Identity, PatientHit, PatientHits, PatientIn, PatientOut
from lims_api.patients.sealing import Sealer, blind_tokens, name_tokens, number_token, phone_token

SHOWN = 50
UHID_SERIES = "uhid"


def register(session: Session, person: PatientIn) -> Patient:
    """Register a person under their own UHID, or the next one of the year (P26-000123).

    The key is committed in the key store first: a patient never stands without one, and a key without a patient opens
    nothing. The number is taken last, so that registrations wait for each other as short as can be. Raises `IdTaken`
    when another patient has the id that the client made.
    """
    today = business_day(utc_now())
    _refuse_impossible_birth(person, today)
    organization_id, keys = actor_of(session).organization_id, keys_of(session)
    patient_id = _claimed(session, person.id) if person.id else uuid7()
    key = _key(session, patient_id, is_new=person.id is None)
    tokens = blind_tokens(keys, organization_id, person.name, person.phone)
    uhid = _take_number(session, patient_id, person.uhid) if person.uhid else _next_number(session, patient_id, today)
    identity = Identity(**{**person.model_dump(exclude={"id", "sex"}), "uhid": uhid})
    sealed = Sealer(keys, key, organization_id, patient_id).columns(identity)
    patient = Patient(
        organization_id=organization_id, id=patient_id, sex=person.sex, status=PatientStatus.ACTIVE, **sealed
    )
    session.add(patient)
    session.flush()
    queries.add_tokens(session, patient_id, tokens)
    publish(session, PatientRegistered(subject_id=patient_id))
    return patient


def _claimed(session: Session, patient_id: UUID) -> UUID:
    """An id that a client made, for this transaction alone: a second key for a patient who has one would close their
    row to everybody."""
    queries.lock_id(session, patient_id)
    known = select(Patient.id).where(
        Patient.organization_id == actor_of(session).organization_id, Patient.id == patient_id
    )
    if session.scalar(known) is not None:
        raise IdTaken("Another patient has this id. Make a new one.")
    return patient_id


def _key(session: Session, patient_id: UUID, *, is_new: bool) -> Key:
    """The key that a refused registration under the client's id has left, or a new one."""
    organization_id, keys = actor_of(session).organization_id, keys_of(session)
    left = None if is_new else keys.patient_keys(organization_id, [patient_id]).get(patient_id)
    return left or keys.make_patient_keys(organization_id, [patient_id])[0]


def _refuse_impossible_birth(person: PatientIn, today: date) -> None:
    if person.birth_on and person.birth_precision and not is_plausible(person.birth_on, person.birth_precision, today):
        raise BirthDateImpossible("Correct birth_on: it lies in the future or more than 130 years back.")


def _take_number(session: Session, patient_id: UUID, uhid: str) -> str:
    token = number_token(keys_of(session), actor_of(session).organization_id, uhid)
    if not queries.claim_number(session, token, patient_id):
        raise PatientNumberTaken("Search for this UHID: it is another patient's, or this one is registered already.")
    return uhid


def _next_number(session: Session, patient_id: UUID, today: date) -> str:
    """The next number that nobody brought from elsewhere."""
    keys, organization_id = keys_of(session), actor_of(session).organization_id
    while True:
        uhid = f"P{today.year % 100:02d}-{next_number(session, UHID_SERIES, today.year):06d}"
        if queries.claim_number(session, number_token(keys, organization_id, uhid), patient_id):
            return uhid


def get(session: Session, patient_id: UUID, *, lock: bool = False) -> Patient:
    """The patient's row, sealed. `PatientUnknown` also for another organization's.

    With `lock` the patient is active, or `PatientIsErased`, and cannot be erased until the transaction ends: what adds
    to a patient's records takes it.
    """
    wanted = select(Patient).where(
        Patient.organization_id == actor_of(session).organization_id, Patient.id == patient_id
    )
    if lock:
        wanted = wanted.with_for_update(read=True).execution_options(populate_existing=True)
    patient = session.scalars(wanted).one_or_none()
    if patient is None:
        raise PatientUnknown("There is no such patient in this organization.")
    if lock and patient.status is PatientStatus.ERASED:
        raise PatientIsErased("Register the person anew; nothing can be added to an erased patient.")
    return patient


def open_identity(session: Session, patients: Iterable[Patient]) -> dict[UUID, Identity]:
    """Who these patients are, by id, with one question to the key store; an erased patient is absent.

    Whoever shows it to a person records that (`core.access.saw`).
    """
    wanted = [patient for patient in patients if patient.status is PatientStatus.ACTIVE]
    organization_id, keys = actor_of(session).organization_id, keys_of(session)
    found = keys.patient_keys(organization_id, [patient.id for patient in wanted])
    return {
        patient.id: Sealer(keys, found[patient.id], organization_id, patient.id).identity(patient)
        for patient in wanted
        if patient.id in found
    }


_CARD = """
select uhid_sealed, name_sealed, phone_sealed, birth_sealed, sex, status from lims.patients where id = %(patient_id)s
"""


class _Card(NamedTuple):
    uhid_sealed: bytes
    name_sealed: bytes
    phone_sealed: bytes | None
    birth_sealed: bytes | None
    sex: str
    status: str
    organization_id: UUID


def card(caller: Caller, patient_id: UUID) -> PatientOut:
    """A patient's card, in one round trip; the reading is logged. An erased patient has a card without a person."""
    whose = "id, null from lims.patients where id = %(patient_id)s"
    try:
        row = _Card(*read_row(caller, _CARD, {"patient_id": patient_id}, action="patient.read", whose=whose))
    except NotFound:
        raise PatientUnknown("There is no such patient in this organization.") from None
    keys = caller.database.keys
    key = keys.patient_keys(row.organization_id, [patient_id]).get(patient_id)
    identity = None
    if key and row.status == PatientStatus.ACTIVE:
        identity = Sealer(keys, key, row.organization_id, patient_id).identity(row)
    return PatientOut(
        id=patient_id,
        sex=Sex(row.sex),
        status=PatientStatus(row.status) if identity else PatientStatus.ERASED,
        **(identity.model_dump() if identity else dict.fromkeys(Identity.model_fields)),
    )


# Finding


def find(
    session: Session,
    *,
    uhid: str | None = None,
    phone: str | None = None,
    name: str | None = None,
    cursor: UUID | None = None,
) -> PatientHits:
    """Patients by exactly one of UHID, phone (E.164) and any beginnings of a name's words, in either script.

    Looks at the newest 200 that fit (older ones behind `cursor`) and shows the best 50 of them; `refine` says that
    there may be others. Every patient shown is logged as read. `SearchTooShort` when no word has three letters.
    """
    query = query_of(name) if name is not None else None
    if query is not None and not query.of_words:
        raise SearchTooShort("Type at least three letters of one word of the name, or search by UHID or phone.")
    if query is not None:
        found, ids = _by_name(session, query, cursor)
    else:
        ids = _by_number(session, uhid, phone, cursor)
        found = _opened(session, ids)
    hits = [_hit(row) for row in found[:SHOWN]]
    saw_many(session, "patient.search", [hit.id for hit in hits])
    capped = len(ids) >= queries.NEWEST
    return PatientHits(hits=hits, refine=capped or len(found) > SHOWN, cursor=ids[-1] if capped else None)


class _Opened(NamedTuple):
    """A candidate whose name has been opened."""

    name: str
    row: queries.SealedRow
    sealer: Sealer


def _by_number(session: Session, uhid: str | None, phone: str | None, cursor: UUID | None) -> list[UUID]:
    organization_id, keys = actor_of(session).organization_id, keys_of(session)
    if uhid is not None:
        return queries.by_number(session, organization_id, number_token(keys, organization_id, uhid))
    token = phone_token(keys, organization_id, phone or "")
    return queries.by_any(session, organization_id, [token], cursor)


def _by_name(session: Session, query: Query, cursor: UUID | None) -> tuple[list[_Opened], list[UUID]]:
    """By pairs of words first, which are rare. What is typed can normalise otherwise than the whole word it begins, and
    misses then: so word by word."""
    organization_id, keys = actor_of(session).organization_id, keys_of(session)
    if query.pairs:
        pairs = [name_tokens(keys, organization_id, frozenset((pair,))) for pair in query.pairs]
        ids = queries.by_every(session, organization_id, pairs, cursor)
        found = _ranked(query, _opened(session, ids))
        if found:
            return found, ids
    words = [name_tokens(keys, organization_id, tokens) for tokens in query.of_words]
    if len(words) == 1:
        ids = queries.by_any(session, organization_id, words[0], cursor)
    else:
        ids = queries.by_every(session, organization_id, words, cursor)
    return _ranked(query, _opened(session, ids)), ids


def _opened(session: Session, ids: list[UUID]) -> list[_Opened]:
    """The active ones among the candidates, newest first, with their names open."""
    if not ids:
        return []
    organization_id, keys = actor_of(session).organization_id, keys_of(session)
    found = keys.patient_keys(organization_id, ids)
    opened = []
    for row in queries.active(session, organization_id, ids):
        if key := found.get(row.id):
            sealer = Sealer(keys, key, organization_id, row.id)
            opened.append(_Opened(sealer.open("name_sealed", row.name_sealed), row, sealer))
    return opened


def _ranked(query: Query, candidates: list[_Opened]) -> list[_Opened]:
    scored = [(score(query, candidate.name), candidate) for candidate in candidates]
    fitting = [(found, candidate) for found, candidate in scored if found is not None]
    return [candidate for _, candidate in sorted(fitting, key=lambda pair: -pair[0])]


def _hit(opened: _Opened) -> PatientHit:
    return PatientHit(id=opened.row.id, sex=Sex(opened.row.sex), **opened.sealer.identity(opened.row).model_dump())
