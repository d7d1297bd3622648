"""Results, calls of critical values, what was parked, and the release switches."""

import json
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from lims_api.core.db import keys_of
from lims_api.sync.documents.part import Part, seen_by
from lims_api.sync.scope import Scope

_VISIBLE = """
(cast(:site_id as uuid) is null or r.site_id = cast(:site_id as uuid))
and (:sees_restricted or r.test_code not in (
  select d.code from lims.test_definitions d where d.organization_id = :organization_id and d.is_restricted))
"""

_RESULTS = f"""
select json_build_object(
  'id', r.id, 'order_id', r.order_id, 'order_test_id', r.order_test_id, 'patient_id', r.patient_id,
  'specimen_id', r.specimen_id, 'test_code', r.test_code, 'value', r.value::text, 'value_text', r.value_text,
  'comparator', r.comparator, 'unit', r.unit, 'flag', r.flag, 'reference_low', r.reference_low::text,
  'reference_high', r.reference_high::text, 'critical_low', r.critical_low::text,
  'critical_high', r.critical_high::text, 'status', r.status, 'version', r.version, 'corrects_id', r.corrects_id,
  'reasons', r.reasons, 'evidence', r.evidence::json, 'risk', r.risk, 'is_automatic', r.is_automatic,
  'entry', r.entry, 'analyser_id', r.analyser_id, 'entered_by_id', r.entered_by_id,
  'verified_by_id', r.verified_by_id, 'verified_at', r.verified_at, 'authorised_by_id', r.authorised_by_id,
  'authorised_at', r.authorised_at, 'occurred_at', r.occurred_at, 'available_at', r.available_at)::text, r.patient_id
from lims.results r
where r.organization_id = :organization_id and {_VISIBLE}
"""  # noqa: S608  constants
_RESULTS_BY_ID = text(
    f"{_RESULTS} and r.id = any (cast(:ids as uuid[])) and r.patient_id <> all (cast(:without as uuid[])) order by r.id"
)
_RESULTS_OF_PATIENTS = text(
    f"{_RESULTS} and r.patient_id = any (cast(:patient_ids as uuid[])) and r.available_at > :since order by r.id"
)

_CALLS = text(f"""
select c.id, c.result_id, c.order_id, c.patient_id, c.called_at, c.called_by_id, c.outcome, c.informed_sealed,
       c.read_back
from lims.critical_calls c join lims.results r on r.organization_id = c.organization_id and r.id = c.result_id
where c.organization_id = :organization_id and {_VISIBLE}
  and (c.id = any (cast(:ids as uuid[]))
       or (c.patient_id = any (cast(:patient_ids as uuid[])) and r.available_at > cast(:since as timestamptz)))
order by c.id
""")  # noqa: S608  constants

_PARKED = text("""
select json_build_object(
  'id', p.id, 'message_id', p.message_id, 'channel', m.channel, 'code', p.code, 'reason', p.reason,
  'recorded_at', p.recorded_at, 'resolved_at', p.resolved_at, 'resolution', p.resolution)::text
from lims.parked_observations p
join lims.instrument_messages m on m.organization_id = p.organization_id and m.id = p.message_id
where p.organization_id = :organization_id and p.id = any (cast(:ids as uuid[]))
order by p.id
""")

_SWITCHES = text("""
select json_build_object(
  'id', s.scope || ':' || s.target, 'scope', s.scope, 'target', s.target, 'is_off', s.is_off, 'reason', s.reason,
  'set_by_id', s.set_by_id, 'set_at', s.recorded_at)::text
from (select distinct on (scope, target) * from lims.release_switches
       where organization_id = :organization_id
         and (cast(:ids as uuid[]) is null or (scope, target) in (
           select w.scope, w.target from lims.release_switches w
            where w.organization_id = :organization_id and w.id = any (cast(:ids as uuid[]))))
       order by scope, target, id desc) s
""")


def results(
    session: Session, scope: Scope, part: Part, ids: Collection[UUID], *, without: Collection[UUID] = ()
) -> None:
    """Results by their ids, but those of some patients; those of restricted tests only for who may see them."""
    values = seen_by(scope, ids=list(ids), without=list(without), sees_restricted=scope.sees_restricted)
    part.read("results", session, _RESULTS_BY_ID, values)


def results_of_patients(
    session: Session, scope: Scope, part: Part, patient_ids: Collection[UUID], since: datetime
) -> None:
    """Everything these patients had measured since."""
    values = seen_by(scope, patient_ids=list(patient_ids), since=since, sees_restricted=scope.sees_restricted)
    part.read("results", session, _RESULTS_OF_PATIENTS, values)


def critical_calls(
    session: Session,
    scope: Scope,
    part: Part,
    ids: Collection[UUID] = (),
    *,
    patient_ids: Collection[UUID] = (),
    since: datetime | None = None,
) -> None:
    """Calls by their ids, or those about results of patients since; who was told is opened for all at once."""
    values = seen_by(
        scope, ids=list(ids), patient_ids=list(patient_ids), since=since, sees_restricted=scope.sees_restricted
    )
    rows = session.execute(_CALLS, values).all()
    keys = keys_of(session)
    found = keys.patient_keys(scope.organization_id, {row.patient_id for row in rows if row.informed_sealed})
    for row in rows:
        informed = None
        if row.informed_sealed and row.patient_id in found:
            informed = keys.unseal(
                bytes(row.informed_sealed), found[row.patient_id], scope.organization_id,
                "critical_calls.informed_sealed", row.id,
            )  # fmt: skip
        document = {
            "id": str(row.id), "result_id": str(row.result_id), "order_id": str(row.order_id),
            "patient_id": str(row.patient_id), "called_at": row.called_at.isoformat(),
            "called_by_id": str(row.called_by_id), "outcome": row.outcome, "informed": informed,
            "read_back": row.read_back,
        }  # fmt: skip
        part.add("critical_calls", [json.dumps(document)], [row.patient_id])


def parked(session: Session, scope: Scope, part: Part, ids: Collection[UUID]) -> None:
    """Parked observations by their ids."""
    part.read("parked", session, _PARKED, seen_by(scope, ids=list(ids)))


def switches(session: Session, scope: Scope, part: Part, ids: Collection[UUID] | None = None) -> None:
    """The newest switch of each target: all, or those of which a switch is among the ids."""
    part.read("switches", session, _SWITCHES, seen_by(scope, ids=None if ids is None else list(ids)))
