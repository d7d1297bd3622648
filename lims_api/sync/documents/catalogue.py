"""Tests and panels in their newest versions."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from lims_api.sync.documents.part import Part, seen_by
from lims_api.sync.scope import Scope

_TESTS = text("""
select json_build_object(
  'id', d.code, 'code', d.code, 'name', d.name, 'translations', d.translations, 'kind', d.kind,
  'allowed_values', d.allowed_values, 'loinc', d.loinc, 'unit', d.unit, 'decimals', d.decimals,
  'specimen_type', d.specimen_type, 'container', d.container, 'discipline', d.discipline, 'method', d.method,
  'turnaround_minutes', d.turnaround_minutes, 'list_price', d.list_price::text,
  'reportable_low', d.reportable_low::text, 'reportable_high', d.reportable_high::text,
  'delta_limit_percent', d.delta_limit_percent::text, 'delta_window_days', d.delta_window_days,
  'is_restricted', d.is_restricted, 'is_example', d.is_example)::text
from (select distinct on (code) * from lims.test_definitions
       where organization_id = :organization_id
         and (cast(:ids as uuid[]) is null or code in (
           select w.code from lims.test_definitions w
            where w.organization_id = :organization_id and w.id = any (cast(:ids as uuid[]))))
       order by code, version desc) d
""")

_PANELS = text("""
select json_build_object(
  'id', p.code, 'code', p.code, 'name', p.name, 'translations', p.translations,
  'tests', coalesce((select json_agg(t.test_code order by t.position) from lims.panel_tests t
                      where t.organization_id = p.organization_id and t.panel_id = p.id), '[]'::json),
  'list_price', p.list_price::text, 'is_example', p.is_example)::text
from (select distinct on (code) * from lims.panels
       where organization_id = :organization_id
         and (cast(:ids as uuid[]) is null or code in (
           select w.code from lims.panels w
            where w.organization_id = :organization_id and (w.id = any (cast(:ids as uuid[])) or w.id in (
              select t.panel_id from lims.panel_tests t
               where t.organization_id = :organization_id and t.id = any (cast(:ids as uuid[]))))))
       order by code, version desc) p
""")


def tests(session: Session, scope: Scope, part: Part, ids: Collection[UUID] | None) -> None:
    """All tests, or those of which a version is among the ids."""
    part.read("tests", session, _TESTS, seen_by(scope, ids=None if ids is None else list(ids)))


def panels(session: Session, scope: Scope, part: Part, ids: Collection[UUID] | None) -> None:
    """All panels, or those of which a version, or one of its tests, is among the ids."""
    part.read("panels", session, _PANELS, seen_by(scope, ids=None if ids is None else list(ids)))
