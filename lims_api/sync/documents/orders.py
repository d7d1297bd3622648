"""Orders with their tests, specimens, and the reports that were released."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from lims_api.sync.documents.part import Part, seen_by
from lims_api.sync.scope import Scope

_AT_SITE = "(cast(:site_id as uuid) is null or o.site_id = cast(:site_id as uuid))"

_ORDERS = text(f"""
select json_build_object(
  'id', o.id, 'order_number', o.order_number, 'patient_id', o.patient_id, 'site_id', o.site_id,
  'priority', o.priority, 'status', o.status, 'placed_at', o.placed_at, 'due_at', o.due_at,
  'completed_at', o.completed_at, 'report_language', o.report_language,
  'tests', coalesce((
    select json_agg(json_build_object('id', t.id, 'test_code', t.test_code, 'status', t.status,
                                      'specimen_id', t.specimen_id, 'due_at', t.due_at) order by t.test_code)
      from lims.order_tests t where t.organization_id = o.organization_id and t.order_id = o.id), '[]'::json))::text,
  o.patient_id
from lims.orders o
where o.organization_id = :organization_id and {_AT_SITE}
  and o.id in (select unnest(cast(:ids as uuid[])) union
               select t.order_id from lims.order_tests t
                where t.organization_id = :organization_id and t.id = any (cast(:ids as uuid[])))
order by o.id
""")  # noqa: S608  constants

_SPECIMENS = text("""
select json_build_object(
  'id', o.id, 'accession_number', o.accession_number, 'order_id', o.order_id, 'patient_id', o.patient_id,
  'site_id', o.site_id, 'specimen_type', o.specimen_type, 'container', o.container, 'status', o.status,
  'collected_at', o.collected_at, 'received_at', o.received_at, 'rejected_at', o.rejected_at,
  'rejection_reason', o.rejection_reason)::text, o.patient_id
from lims.specimens o
where o.organization_id = :organization_id and (cast(:site_id as uuid) is null or o.site_id = cast(:site_id as uuid))
  and (o.id = any (cast(:ids as uuid[])) or o.order_id = any (cast(:order_ids as uuid[])))
order by o.id
""")

_REPORTS = text(f"""
select json_build_object(
  'id', r.id, 'order_id', r.order_id, 'patient_id', r.patient_id, 'version', r.version, 'status', r.status,
  'released_at', r.released_at, 'sha256', r.sha256, 'supersedes_id', r.supersedes_id,
  'is_example', r.is_example)::text, r.patient_id
from lims.reports r join lims.orders o on o.organization_id = r.organization_id and o.id = r.order_id
where r.organization_id = :organization_id and {_AT_SITE}
  and (r.id = any (cast(:ids as uuid[])) or r.order_id = any (cast(:order_ids as uuid[])))
order by r.id
""")  # noqa: S608  constants


def orders(session: Session, scope: Scope, part: Part, ids: Collection[UUID]) -> None:
    """Orders by their ids or by ids of their tests."""
    part.read("orders", session, _ORDERS, seen_by(scope, ids=list(ids)))


def specimens(
    session: Session, scope: Scope, part: Part, ids: Collection[UUID] = (), *, order_ids: Collection[UUID] = ()
) -> None:
    """Specimens by their ids, or all of some orders."""
    part.read("specimens", session, _SPECIMENS, seen_by(scope, ids=list(ids), order_ids=list(order_ids)))


def reports(
    session: Session, scope: Scope, part: Part, ids: Collection[UUID] = (), *, order_ids: Collection[UUID] = ()
) -> None:
    """Reports by their ids, or all of some orders."""
    part.read("reports", session, _REPORTS, seen_by(scope, ids=list(ids), order_ids=list(order_ids)))
