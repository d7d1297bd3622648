"""Controls that were measured, and the newest targets that they are judged by."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from lims_api.sync.documents.part import Part, seen_by
from lims_api.sync.scope import Scope

_CONTROLS = text("""
select json_build_object(
  'id', c.id, 'analyser_id', c.analyser_id, 'lot_id', c.lot_id, 'level', c.level, 'test_code', c.test_code,
  'value', c.value::text, 'unit', c.unit, 'mean', c.mean::text, 'sd', c.sd::text, 'z', c.z, 'violated', c.violated,
  'status', c.status, 'occurred_at', c.occurred_at)::text
from lims.control_results c
where c.organization_id = :organization_id and c.id = any (cast(:ids as uuid[])) order by c.id
""")

_TARGETS = text("""
select t.id, t.place = 1 as is_newest, json_build_object(
  'id', t.id, 'lot_id', t.lot_id, 'material', m.name, 'lot_number', l.lot_number, 'expires_on', l.expires_on,
  'level', t.level, 'test_code', t.test_code, 'analyser_id', t.analyser_id, 'mean', t.mean::text,
  'sd', t.sd::text)::text as document
from (select *, row_number() over (partition by lot_id, level, test_code, analyser_id order by version desc) as place
        from lims.control_targets where organization_id = :organization_id) t
join lims.control_lots l on l.organization_id = t.organization_id and l.id = t.lot_id
join lims.control_materials m on m.organization_id = l.organization_id and m.id = l.material_id
where cast(:ids as uuid[]) is null
   or l.id = any (cast(:ids as uuid[])) or m.id = any (cast(:ids as uuid[]))
   or (t.lot_id, t.level, t.test_code, t.analyser_id) in (
     select w.lot_id, w.level, w.test_code, w.analyser_id from lims.control_targets w
      where w.organization_id = :organization_id and w.id = any (cast(:ids as uuid[])))
order by t.id
""")


def controls(session: Session, scope: Scope, part: Part, ids: Collection[UUID]) -> None:
    """Controls by their ids."""
    part.read("controls", session, _CONTROLS, seen_by(scope, ids=list(ids)))


def control_targets(session: Session, scope: Scope, part: Part, ids: Collection[UUID] | None = None) -> None:
    """The newest targets: all, or those that changed or whose lot or material did; the ones they replace are gone."""
    rows = session.execute(_TARGETS, seen_by(scope, ids=None if ids is None else list(ids))).all()
    part.add("control_targets", (row.document for row in rows if row.is_newest))
    if ids is not None:
        part.lose("control_targets", (row.id for row in rows if not row.is_newest))
