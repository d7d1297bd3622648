"""Who pulls, from where, and what they may see: everything of which a change makes a cursor worthless."""

from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from lims_api.core.db import actor_of, keys_of
from lims_api.core.permissions import Permission

_SCOPE = text("""
select pg_current_snapshot()::text as snapshot, u.username, u.full_name_sealed, u.site_id,
       o.code, o.name, o.is_example,
       array(select r.code from lims.user_roles m
               join lims.roles r on r.organization_id = m.organization_id and r.id = m.role_id
              where m.organization_id = u.organization_id and m.user_id = u.id order by r.code) as roles,
       array(select distinct held.permission from lims.user_roles m
               join lims.roles r on r.organization_id = m.organization_id and r.id = m.role_id
              cross join unnest(r.permissions) as held(permission)
              where m.organization_id = u.organization_id and m.user_id = u.id order by 1) as permissions,
       array(select distinct d.code from lims.test_definitions d
              where d.organization_id = u.organization_id and d.is_restricted order by 1) as restricted,
       (select system_identifier from pg_control_system())::text as system,
       left(pg_walfile_name(pg_current_wal_lsn()), 8) as timeline,
       (select oid from pg_database where datname = current_database())::text as database
  from lims.users u join lims.organizations o on o.id = u.organization_id
 where u.organization_id = :organization_id and u.id = :user_id
""")


@dataclass(frozen=True)
class Scope:
    """What one user may see at one instant."""

    organization_id: UUID
    user_id: UUID
    username: str
    full_name: str
    site_id: UUID | None
    organization: dict[str, object]
    roles: tuple[str, ...]
    permissions: frozenset[str]
    snapshot: str
    seal: str

    def may(self, permission: Permission | None) -> bool:
        """Whether the user holds it; nothing asked is granted."""
        return permission is None or permission.value in self.permissions

    @property
    def sees_restricted(self) -> bool:
        """Whether results of restricted tests exist for the user."""
        return self.may(Permission.RESTRICTED_READ)


def scope_of(session: Session) -> Scope:
    """The caller's scope, in one statement, of the transaction's instant."""
    actor = actor_of(session)
    row = session.execute(_SCOPE, {"organization_id": actor.organization_id, "user_id": actor.actor_id}).one()
    full_name = keys_of(session).unseal_for_organization(
        bytes(row.full_name_sealed), actor.organization_id, "users.full_name_sealed", actor.actor_id
    )
    hidden = () if Permission.RESTRICTED_READ.value in row.permissions else row.restricted
    fits = (
        actor.organization_id, actor.actor_id, row.site_id, row.code, row.name, row.is_example, *row.permissions, "",
        *hidden, "", row.system, row.timeline, row.database,
    )  # fmt: skip
    return Scope(
        organization_id=actor.organization_id, user_id=actor.actor_id, username=row.username, full_name=full_name,
        site_id=row.site_id, roles=tuple(row.roles), permissions=frozenset(row.permissions), snapshot=row.snapshot,
        organization={
            "id": str(actor.organization_id), "code": row.code, "name": row.name, "is_example": row.is_example,
        },
        seal=sha256("\n".join(map(str, fits)).encode()).hexdigest()[:24],
    )  # fmt: skip
