"""A new organization that can work at once: sites, roles, staff, catalogue, analysers, controls. EXAMPLE content."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from lims_api.catalogue import service as catalogue
from lims_api.catalogue.files import example_catalogue
from lims_api.catalogue.schemas import CatalogueIn, DefinitionIn, PanelIn
from lims_api.cli.installation import secret_file
from lims_api.core.clock import business_day, utc_now
from lims_api.core.db import Database, SystemCaller, transaction
from lims_api.core.ids import uuid7
from lims_api.core.permissions import Permission
from lims_api.equipment import service as equipment
from lims_api.identity import service as identity
from lims_api.identity.models import UserKind
from lims_api.organizations import service as organizations
from lims_api.organizations.models import Organization, SiteKind
from lims_api.qc import service as qc

P = Permission
ROLES: dict[str, tuple[str, set[Permission]]] = {
    "front_desk": (
        "Front desk",
        {
            P.PATIENT_READ, P.PATIENT_REGISTER, P.ORDER_PLACE, P.ORDER_READ, P.SPECIMEN_COLLECT, P.SPECIMEN_READ,
            P.SPECIMEN_RECEIVE, P.CATALOGUE_READ, P.SITE_READ, P.REPORT_READ, P.SYNC_USE, P.SESSION_END,
        },
    ),
    "phlebotomist": (
        "Phlebotomist",
        {
            P.PATIENT_READ, P.PATIENT_REGISTER, P.ORDER_READ, P.SPECIMEN_COLLECT, P.SPECIMEN_READ, P.CATALOGUE_READ,
            P.SITE_READ, P.SYNC_USE, P.SESSION_END,
        },
    ),
    "technician": (
        "Technician",
        {
            P.PATIENT_READ, P.ORDER_READ, P.SPECIMEN_READ, P.SPECIMEN_RECEIVE, P.SPECIMEN_REJECT, P.RESULT_READ,
            P.RESULT_ENTER, P.RESULT_VERIFY, P.RESULT_CORRECT, P.CRITICAL_CALL, P.MESSAGE_READ, P.PARKED_RESOLVE,
            P.CONTROL_READ, P.CONTROL_RECORD, P.CATALOGUE_READ, P.ANALYSER_READ, P.SITE_READ, P.RELEASE_SWITCH,
            P.SYNC_USE, P.SESSION_END,
        },
    ),
    "pathologist": (
        "Pathologist",
        {
            P.PATIENT_READ, P.ORDER_READ, P.SPECIMEN_READ, P.RESULT_READ, P.RESULT_VERIFY, P.RESULT_AUTHORISE,
            P.RESULT_CORRECT, P.CRITICAL_CALL, P.REPORT_READ, P.CATALOGUE_READ, P.CATALOGUE_APPROVE,
            P.AUTHORISATION_SIGN, P.RELEASE_SWITCH, P.RESTRICTED_READ, P.CONTROL_READ, P.ANALYSER_READ,
            P.MESSAGE_READ, P.SITE_READ, P.DASHBOARD_VIEW, P.SYNC_USE, P.SESSION_END,
        },
    ),
    "qc_officer": (
        "Quality control officer",
        {
            P.CONTROL_READ, P.CONTROL_RECORD, P.CONTROL_MANAGE, P.ANALYSER_READ, P.CATALOGUE_READ, P.SITE_READ,
            P.RELEASE_SWITCH, P.DASHBOARD_VIEW, P.SYNC_USE, P.SESSION_END,
        },
    ),
    "manager": (
        "Manager",
        {P.DASHBOARD_VIEW, P.CATALOGUE_READ, P.SITE_READ, P.ANALYSER_READ, P.CONTROL_READ, P.CONTROL_MANAGE,
        P.SYNC_USE, P.SESSION_END},
    ),
    "gateway": ("Analyser gateway", {P.MESSAGE_DELIVER}),
}  # fmt: skip
"""What a new laboratory starts with; it edits them as its own data."""

TEN = ("GLU", "CREA", "BUN", "NA", "K", "CL", "ALT", "AST", "ALP", "TBIL")
"""What the smallest laboratory measures."""

STAFF = (
    ("reception", "Example Receptionist", "front_desk", None, None),
    ("phlebotomist", "Example Phlebotomist", "phlebotomist", None, "CC1"),
    ("technician", "Example Technician", "technician", None, None),
    ("pathologist", "Dr Example Pathologist", "pathologist", "EXAMPLE-0001", None),
    ("qc_officer", "Example Quality Officer", "qc_officer", None, None),
    ("manager", "Example Manager", "manager", None, None),
)
"""User name, full name, role, registration number, and the one site where they work (else at all of them)."""


@dataclass(frozen=True)
class NewAnalyser:
    """An instrument, its gateway channel, and the unit it sends each test in (by the test's code, which it sends)."""

    code: str
    name: str
    model: str
    channel: str
    units_sent: dict[str, str]


@dataclass(frozen=True)
class Control:
    """The target of one test at one level of a control lot on one analyser."""

    analyser_code: str
    material: str
    lot_number: str
    level: int
    test_code: str
    mean: Decimal
    sd: Decimal


@dataclass(frozen=True, kw_only=True)
class NewOrganization:
    """What the new organization starts with."""

    code: str
    name: str
    tests: Sequence[DefinitionIn]
    analysers: Sequence[NewAnalyser]
    controls: Sequence[Control]
    panels: Sequence[PanelIn] = ()


@dataclass(frozen=True)
class Seeded:
    """Where things are after seeding; passwords lie in `keys/<organization>/`, 0600."""

    organization_id: UUID
    site_id: UUID
    secrets: Path


def example_tests() -> list[DefinitionIn]:
    """The ten chemistry tests of the shipped examples that a small laboratory begins with."""
    return [test for test in _examples().test if test.code in TEN]


@cache
def _examples() -> CatalogueIn:
    return example_catalogue()


def definitions(tables: Iterable[dict[str, Any]]) -> list[DefinitionIn]:
    """Validated definitions from a reviewed file's tables."""
    return [DefinitionIn.model_validate(table) for table in tables]


def seed(database: Database, keys_folder: Path, wanted: NewOrganization) -> Seeded:
    """Make the organization, or find it: a second call changes nothing."""
    secrets = keys_folder / wanted.code
    with database.sessions() as session:
        known = session.scalars(select(Organization).where(Organization.code == wanted.code)).one_or_none()
    if known is None:
        _make(database, secrets, wanted)
        with database.sessions() as session:
            known = session.scalars(select(Organization).where(Organization.code == wanted.code)).one()
    with transaction(SystemCaller(database=database, organization_id=known.id)) as session:
        lab = next(site for site in organizations.sites(session) if site.kind is SiteKind.LAB)
    return Seeded(known.id, lab.id, secrets)


def _make(database: Database, secrets: Path, wanted: NewOrganization) -> None:
    organization_id = uuid7()
    organizations.create(database, organization_id, code=wanted.code, name=wanted.name, is_example=True)
    with transaction(SystemCaller(database=database, organization_id=organization_id, reason="seed")) as session:
        lab = organizations.add_site(
            session,
            code="MAIN",
            name=wanted.name,
            kind=SiteKind.LAB,
            address="EXAMPLE address, Pune 411001",
            contact="EXAMPLE telephone 020 0000 0000",
        )
        for number in (1, 2):
            organizations.add_site(
                session, code=f"CC{number}", name=f"Collection centre {number}", kind=SiteKind.COLLECTION_CENTRE,
                parent=lab,
            )  # fmt: skip
        _staff(session, secrets)
        catalogue.import_rows(session, CatalogueIn(test=list(wanted.tests), panel=list(wanted.panels)))
        for analyser in wanted.analysers:
            _analyser(session, analyser, lab.id)
    _approve(database, organization_id, wanted)


def _analyser(session: Session, wanted: NewAnalyser, site_id: UUID) -> None:
    analyser = equipment.add_analyser(
        session, code=wanted.code, name=wanted.name, model=wanted.model, channel=wanted.channel, site_id=site_id
    )
    for code, unit in wanted.units_sent.items():
        equipment.map_code(session, analyser, code, test_code=code, unit_sent=unit)


def _staff(session: Session, secrets: Path) -> None:
    for code, (name, permissions) in ROLES.items():
        identity.add_role(session, code, name=name, permissions=permissions)
    session.flush()
    for username, full_name, role, registration, site in STAFF:
        identity.add_user(
            session, username, full_name=full_name, roles=[role], registration_number=registration,
            password=secret_file(secrets / f"{username}.password"),
            site_id=organizations.site_of_code(session, site).id if site else None,
        )  # fmt: skip
    gateway = identity.add_user(
        session, "gateway", full_name="Analyser gateway", roles=["gateway"], kind=UserKind.MACHINE
    )
    session.flush()
    secret_file(secrets / "gateway.key", identity.make_api_key(session, gateway))


def _approve(database: Database, organization_id: UUID, wanted: NewOrganization) -> None:
    """The example pathologist approves the example catalogue and control targets: an act of theirs in the ledger."""
    with transaction(SystemCaller(database=database, organization_id=organization_id)) as session:
        pathologist = identity.user_named(session, "pathologist").id
    caller = SystemCaller(database=database, organization_id=organization_id, actor_id=pathologist, reason="seed")
    with transaction(caller) as session:
        catalogue.approve_all(session, catalogue.all_newest(session), [row for row, _ in catalogue.all_panels(session)])
        expires_on: date = business_day(utc_now() + timedelta(days=365))
        lots: dict[tuple[str, str], Any] = {}
        analysers = {analyser.code: analyser.id for analyser in equipment.all_analysers(session)}
        for control in wanted.controls:
            key = (control.material, control.lot_number)
            if key not in lots:
                lots[key] = qc.add_lot(session, *key, expires_on=expires_on)
            qc.set_target(
                session, lots[key], control.level, control.test_code, analyser_id=analysers[control.analyser_code],
                mean=control.mean, sd=control.sd, source="EXAMPLE of the virtual laboratory",
            )  # fmt: skip
