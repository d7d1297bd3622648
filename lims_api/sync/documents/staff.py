"""Who works where: the caller, the staff by name, sites and analysers."""

import json
from collections.abc import Collection
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from lims_api.core.db import keys_of
from lims_api.sync.documents.part import Part, seen_by
from lims_api.sync.scope import Scope

_CHOSEN = "(cast(:ids as uuid[]) is null or id = any (cast(:ids as uuid[])))"
_SITES = text(f"""
select json_build_object('id', id, 'code', code, 'name', name, 'kind', kind)::text
from lims.sites where organization_id = :organization_id and {_CHOSEN} order by id
""")  # noqa: S608  a constant
_ANALYSERS = text(f"""
select json_build_object('id', id, 'code', code, 'name', name, 'model', model, 'site_id', site_id)::text
from lims.analysers where organization_id = :organization_id and {_CHOSEN} order by id
""")  # noqa: S608  a constant
_USERS = text(f"""
select id, full_name_sealed from lims.users where organization_id = :organization_id and {_CHOSEN} order by id
""")  # noqa: S608  a constant


def me(scope: Scope, part: Part) -> None:
    """The caller, and what they may do."""
    document = {
        "id": "me", "user_id": str(scope.user_id), "username": scope.username, "full_name": scope.full_name,
        "roles": list(scope.roles), "permissions": sorted(scope.permissions),
        "site_id": str(scope.site_id) if scope.site_id else None, "organization": scope.organization,
    }  # fmt: skip
    part.add("me", [json.dumps(document)])


def sites(session: Session, scope: Scope, part: Part, ids: Collection[UUID] | None = None) -> None:
    """All sites, or some."""
    part.read("sites", session, _SITES, seen_by(scope, ids=None if ids is None else list(ids)))


def analysers(session: Session, scope: Scope, part: Part, ids: Collection[UUID] | None = None) -> None:
    """All analysers, or some."""
    part.read("analysers", session, _ANALYSERS, seen_by(scope, ids=None if ids is None else list(ids)))


def users(session: Session, scope: Scope, part: Part, ids: Collection[UUID] | None = None) -> None:
    """Everybody's name, or some; sealed under the organization's key, which is asked for once."""
    keys, tenant = keys_of(session), scope.organization_id
    rows = session.execute(_USERS, seen_by(scope, ids=None if ids is None else list(ids))).all()
    for row in rows:
        name = keys.unseal_for_organization(bytes(row.full_name_sealed), tenant, "users.full_name_sealed", row.id)
        part.add("users", [json.dumps({"id": str(row.id), "full_name": name})])
