"""What changed since a cursor, as whole current documents: rows of the ledger, mapped to kinds and read in bulk."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.orm import Session

from lims_api.core.ledger import Change, changes
from lims_api.core.permissions import Permission
from lims_api.sync import working_set
from lims_api.sync.documents import catalogue, orders, patients, qc, results, staff
from lims_api.sync.documents.part import Part
from lims_api.sync.scope import Scope

TOO_MANY = 20_000
"""Behind so many entries the working set is loaded anew, which is less."""

KINDS = {
    "analysers": "analysers",
    "control_lots": "control_targets",
    "control_materials": "control_targets",
    "control_results": "controls",
    "control_targets": "control_targets",
    "critical_calls": "critical_calls",
    "order_tests": "orders",
    "orders": "orders",
    "panel_tests": "panels",
    "panels": "panels",
    "parked_observations": "parked",
    "patients": "patients",
    "release_switches": "switches",
    "reports": "reports",
    "results": "results",
    "roles": "me",
    "sites": "sites",
    "specimens": "specimens",
    "test_definitions": "tests",
    "user_roles": "me",
    "users": "users",
}
"""Table → the kind whose documents change with its rows."""


def delta(session: Session, scope: Scope, since: str) -> Part | None:
    """Everything that changed since the snapshot and concerns the caller; None when there is too much of it."""
    found = changes(session, since, limit=TOO_MANY)
    if found is None:
        return None
    part = Part()
    if not found:
        return part
    changed: dict[str, set[UUID]] = {}
    for change in found:
        if change.table in KINDS:
            changed.setdefault(KINDS[change.table], set()).add(change.row_id)
    if "me" in changed or scope.user_id in changed.get("users", ()):
        staff.me(scope, part)
    _plain(session, scope, part, changed)
    _clinical(session, scope, part, changed, found)
    return part


def _plain(session: Session, scope: Scope, part: Part, changed: dict[str, set[UUID]]) -> None:
    """Kinds whose documents stand for themselves."""
    for kind, permission, documents in (
        ("sites", Permission.SITE_READ, staff.sites),
        ("users", Permission.SITE_READ, staff.users),
        ("switches", Permission.SITE_READ, results.switches),
        ("analysers", Permission.ANALYSER_READ, staff.analysers),
        ("tests", Permission.CATALOGUE_READ, catalogue.tests),
        ("panels", Permission.CATALOGUE_READ, catalogue.panels),
        ("parked", Permission.MESSAGE_READ, results.parked),
        ("controls", Permission.CONTROL_READ, qc.controls),
        ("control_targets", Permission.CONTROL_READ, qc.control_targets),
    ):
        if kind in changed and scope.may(permission):
            documents(session, scope, part, changed[kind])


def _clinical(
    session: Session, scope: Scope, part: Part, changed: dict[str, set[UUID]], found: Iterable[Change]
) -> None:
    """Orders, patients and what belongs to them; with whoever comes in, everything that the app lacks of them."""
    changed_orders, changed_results, changed_patients = (
        changed.get(kind, set()) for kind in ("orders", "results", "patients")
    )
    more_orders: set[UUID] = set()
    more_patients: set[UUID] = set()
    if changed_orders or changed_results:
        more_orders, more_patients = working_set.entering(
            session, scope, new_orders=_new(found, "orders"), changed_results=changed_results,
            new_patients=_new(found, "patients"),
        )  # fmt: skip
    own = [change.row_id for change in found if change.table == "patients" and change.is_new and change.is_own]
    if (wanted := changed_orders | more_orders) and scope.may(Permission.ORDER_READ):
        orders.orders(session, scope, part, wanted)
    if (changed.get("specimens") or more_orders) and scope.may(Permission.SPECIMEN_READ):
        orders.specimens(session, scope, part, changed.get("specimens", ()), order_ids=more_orders)
    if (changed.get("reports") or more_orders) and scope.may(Permission.REPORT_READ):
        orders.reports(session, scope, part, changed.get("reports", ()), order_ids=more_orders)
    if (wanted := changed_patients | more_patients) and scope.may(Permission.PATIENT_READ):
        patients.patients(session, scope, part, wanted, own=own)
    if scope.may(Permission.RESULT_READ):
        _results(session, scope, part, changed, more_patients)


def _results(
    session: Session, scope: Scope, part: Part, changed: dict[str, set[UUID]], more_patients: set[UUID]
) -> None:
    since = working_set.since()
    if more_patients:
        results.results_of_patients(session, scope, part, more_patients, since)
    if changed.get("results"):
        results.results(session, scope, part, changed["results"], without=more_patients)
    if changed.get("critical_calls") or more_patients:
        calls = changed.get("critical_calls", ())
        results.critical_calls(session, scope, part, calls, patient_ids=more_patients, since=since)


def _new(found: Iterable[Change], table: str) -> list[UUID]:
    return [change.row_id for change in found if change.table == table and change.is_new]
