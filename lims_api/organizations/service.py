"""A new tenant, its sites, and what they are accredited for."""

from collections.abc import Collection
from datetime import date
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from lims_api.core.db import Database, actor_of
from lims_api.core.errors import NotFound
from lims_api.core.i18n import Language
from lims_api.organizations.errors import AccreditationEndsFirst, AlreadyAccredited
from lims_api.organizations.models import Accreditation, Organization, Site, SiteKind


def create(database: Database, organization_id: UUID, *, code: str, name: str, is_example: bool = False) -> None:
    """A new tenant: its keys first, then its row. Needs the system's role; no organization can make another."""
    database.keys.make_organization_keys(organization_id)
    row = {"id": organization_id, "code": code, "name": name, "is_example": is_example}
    with database.engine.begin() as connection:
        connection.execute(insert(Organization), row)


def add_site(
    session: Session,
    *,
    code: str,
    name: str,
    kind: SiteKind,
    parent: Site | None = None,
    address: str | None = None,
    contact: str | None = None,
) -> Site:
    """A laboratory, or a collection centre under one."""
    site = Site(
        organization_id=actor_of(session).organization_id,
        code=code,
        name=name,
        kind=kind,
        parent_id=parent.id if parent else None,
        address=address,
        contact=contact,
    )
    session.add(site)
    session.flush()
    return site


def speak(database: Database, organization_id: UUID, language: Language) -> None:
    """The language of reports whose order names none. Needs the system's role."""
    with database.engine.begin() as connection:
        connection.execute(
            update(Organization).where(Organization.id == organization_id).values(report_language=language)
        )


def by_code(database: Database, code: str) -> Organization:
    """The organization of a code, or `NotFound`. Organizations are nobody's rows: any role may read them."""
    with database.sessions() as session:
        found = session.scalars(select(Organization).where(Organization.code == code)).one_or_none()
    if found is None:
        raise NotFound(f"There is no organization {code}.")
    return found


def own(session: Session) -> Organization:
    """The caller's organization."""
    return session.scalars(select(Organization).where(Organization.id == actor_of(session).organization_id)).one()


def site(session: Session, site_id: UUID) -> Site:
    """One site, or `NotFound`."""
    found = session.scalars(select(Site).where(Site.id == site_id)).one_or_none()
    if found is None:
        raise NotFound("There is no such site in this organization.")
    return found


def describe(session: Session, site: Site, *, address: str, contact: str) -> None:
    """What a site's reports bear from now on; those that were released keep theirs."""
    site.address, site.contact = address, contact
    session.flush()


def laboratory_of(session: Session, site_id: UUID) -> Site:
    """The laboratory that examines for a site: itself, or the one its collection centre sends to."""
    found = site(session, site_id)
    return site(session, found.parent_id) if found.kind is SiteKind.COLLECTION_CENTRE and found.parent_id else found


def accredit(
    session: Session, site: Site, *, certificate: str, test_codes: Collection[str], valid_from: date, valid_to: date
) -> Accreditation:
    """Enter a laboratory's certificate with its scope: the tests that it names, from one day to another."""
    if valid_to < valid_from:
        raise AccreditationEndsFirst(f"{certificate} ends before it begins. Enter the two days that it states.")
    if any((one.certificate, one.valid_from) == (certificate, valid_from) for one in accreditations(session, site.id)):
        raise AlreadyAccredited(f"{certificate} from {valid_from} is entered. A renewal begins on another day.")
    accreditation = Accreditation(
        organization_id=actor_of(session).organization_id, site_id=site.id, certificate=certificate,
        test_codes=sorted(set(test_codes)), valid_from=valid_from, valid_to=valid_to,
    )  # fmt: skip
    session.add(accreditation)
    session.flush()
    return accreditation


def accreditations(session: Session, site_id: UUID) -> list[Accreditation]:
    """A laboratory's certificates, past ones too, oldest first."""
    query = select(Accreditation).where(Accreditation.site_id == site_id)
    return list(session.scalars(query.order_by(Accreditation.valid_from, Accreditation.certificate)))


def site_of_code(session: Session, code: str) -> Site:
    """One site by its code, or `NotFound`."""
    found = session.scalars(select(Site).where(Site.code == code)).one_or_none()
    if found is None:
        raise NotFound(f"There is no site {code} in this organization.")
    return found


def sites(session: Session) -> list[Site]:
    """Every site, by code."""
    return list(session.scalars(select(Site).order_by(Site.code)))
