"""Patients by their blind tokens, as b-tree look-ups that row-level security leaves index-only (core_spike.md §4).

Only operators that PostgreSQL knows to be leakproof stand in a condition (`=` and `<` of bigint and uuid): any other
would turn each of these into a scan of the whole table.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

NEWEST = 200
"""How many candidates a search opens at most; UUIDv7 puts the newest first."""

_CLAIM_NUMBER = text(
    "insert into lims.patient_numbers (organization_id, token, patient_id) values (lims.tenant(), :token, :patient_id)"
    " on conflict do nothing returning true"
)
_ADD_TOKENS = text(
    "insert into lims.patient_tokens (organization_id, token, patient_id)"
    " select lims.tenant(), token, :patient_id from unnest(cast(:tokens as bigint[])) as token"
)
_BY_NUMBER = text(
    "select patient_id from lims.patient_numbers where organization_id = :organization_id and token = :token"
)
_NEWEST_OF_ANY = f"""
select distinct newest.patient_id from unnest(cast(:tokens{{n}} as bigint[])) as wanted(token)
cross join lateral (
  select t.patient_id from lims.patient_tokens t
  where t.organization_id = :organization_id and t.token = wanted.token and t.patient_id < :before
  order by t.patient_id desc limit {NEWEST}
) newest
"""  # noqa: S608  a constant
_OF_ANY = """
select t.patient_id from lims.patient_tokens t
where t.organization_id = :organization_id and t.token = any (cast(:tokens{n} as bigint[])) and t.patient_id < :before
"""
_ACTIVE = text(
    "select id, uhid_sealed, name_sealed, phone_sealed, birth_sealed, sex from lims.patients"
    " where organization_id = :organization_id and id = any (cast(:ids as uuid[])) and status = 'active'"
    " order by id desc"
)
_LAST_ID = UUID(int=(1 << 128) - 1)

_LAST_RECORD = text("""
select greatest(
  (select max(available_at) from lims.orders where organization_id = :organization_id and patient_id = :patient_id),
  (select max(available_at) from lims.results where organization_id = :organization_id and patient_id = :patient_id),
  (select max(released_at) from lims.reports where organization_id = :organization_id and patient_id = :patient_id)
) as at, (select retention_days from lims.organizations where id = :organization_id) as retention_days
""")


_LOCK_ID = text("select pg_advisory_xact_lock(hashtextextended(lims.tenant()::text || cast(:id as text), 0))")


class SealedRow(NamedTuple):
    """A patient as a search reads it."""

    id: UUID
    uhid_sealed: bytes
    name_sealed: bytes
    phone_sealed: bytes | None
    birth_sealed: bytes | None
    sex: str


def claim_number(session: Session, token: int, patient_id: UUID) -> bool:
    """Give a UHID's token to a patient; False when another one has it. Waits for a registration under way."""
    return bool(session.execute(_CLAIM_NUMBER, {"token": token, "patient_id": patient_id}).scalar())


def lock_id(session: Session, patient_id: UUID) -> None:
    """Until the transaction ends, nobody else claims this id in the organization."""
    session.execute(_LOCK_ID, {"id": str(patient_id)})


def add_tokens(session: Session, patient_id: UUID, tokens: Collection[int]) -> None:
    """By what a patient is found, in one statement."""
    session.execute(_ADD_TOKENS, {"patient_id": patient_id, "tokens": sorted(tokens)})


def active(session: Session, organization_id: UUID, ids: Sequence[UUID]) -> list[SealedRow]:
    """Those of the patients that are not erased, newest first."""
    rows = session.execute(_ACTIVE, {"organization_id": organization_id, "ids": ids})
    return [SealedRow._make(row) for row in rows]


def by_number(session: Session, organization_id: UUID, token: int) -> list[UUID]:
    """The patient with this UHID's token, if there is one."""
    return list(session.execute(_BY_NUMBER, {"organization_id": organization_id, "token": token}).scalars())


def by_any(session: Session, organization_id: UUID, tokens: Collection[int], before: UUID | None) -> list[UUID]:
    """The newest 200 patients that have one of the tokens; the newest 200 of each token are looked at."""
    statement = f"{_NEWEST_OF_ANY.format(n=0)} order by 1 desc limit {NEWEST}"
    return _ids(session, statement, organization_id, [tokens], before)


def by_every(
    session: Session, organization_id: UUID, words: Sequence[Collection[int]], before: UUID | None
) -> list[UUID]:
    """The newest 200 patients that have, for every word, one of its tokens."""
    each = " intersect ".join(f"({_OF_ANY.format(n=n)})" for n in range(len(words)))
    statement = f"select patient_id from ({each}) as found order by patient_id desc limit {NEWEST}"  # noqa: S608
    return _ids(session, statement, organization_id, words, before)


def _ids(
    session: Session, statement: str, organization_id: UUID, words: Sequence[Collection[int]], before: UUID | None
) -> list[UUID]:
    tokens = {f"tokens{n}": sorted(word) for n, word in enumerate(words)}
    return list(
        session.execute(
            text(statement), {"organization_id": organization_id, "before": before or _LAST_ID, **tokens}
        ).scalars()
    )


def last_record(session: Session, organization_id: UUID, patient_id: UUID) -> tuple[datetime | None, int]:
    """When a patient's newest order, result or report became known, and the organization's retention in days.

    Read by name from tables of the domains above: asking them would turn the direction of calls round.
    """
    row = session.execute(_LAST_RECORD, {"organization_id": organization_id, "patient_id": patient_id}).one()
    return row.at, row.retention_days


def forget(session: Session, organization_id: UUID, patient_id: UUID) -> None:
    """Delete everything a patient is found by."""
    for table in ("patient_tokens", "patient_numbers"):
        session.execute(
            text(f"delete from lims.{table} where organization_id = :organization_id and patient_id = :patient_id"),  # noqa: S608
            {"organization_id": organization_id, "patient_id": patient_id},
        )
