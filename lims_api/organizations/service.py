"""A new tenant, and its sites."""

from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from lims_api.core.db import Database, actor_of
from lims_api.core.errors import NotFound
from lims_api.organizations.models import Organization, Site, SiteKind


def create(database: Database, organization_id: UUID, *, code: str, name: str, is_example: bool = False) -> None:
    """A new tenant: its keys first, then its row. Needs the system's role; no organization can make another."""
    database.keys.make_organization_keys(organization_id)
    row = {"id": organization_id, "code": code, "name": name, "is_example": is_example}
    with database.engine.begin() as connection:
        connection.execute(insert(Organization), row)


def add_site(
    session: Session, *, code: str, name: str, kind: SiteKind, parent: Site | None = None, address: str | None = None
) -> Site:
    """A laboratory, or a collection centre under one."""
    site = Site(
        organization_id=actor_of(session).organization_id,
        code=code,
        name=name,
        kind=kind,
        parent_id=parent.id if parent else None,
        address=address,
    )
    session.add(site)
    session.flush()
    return site


def own(session: Session) -> Organization:
    """The caller's organization."""
    return session.scalars(select(Organization).where(Organization.id == actor_of(session).organization_id)).one()


def site(session: Session, site_id: UUID) -> Site:
    """One site, or `NotFound`."""
    found = session.scalars(select(Site).where(Site.id == site_id)).one_or_none()
    if found is None:
        raise NotFound("There is no such site in this organization.")
    return found


def sites(session: Session) -> list[Site]:
    """Every site, by code."""
    return list(session.scalars(select(Site).order_by(Site.code)))
