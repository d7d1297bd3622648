"""From an order's authorised results to what its report says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import select
from sqlalchemy.orm import Session

from lims_api.catalogue import service as catalogue
from lims_api.catalogue.schemas import Definition
from lims_api.core.clock import business_day
from lims_api.identity import service as identity
from lims_api.identity.models import User
from lims_api.orders.models import Order
from lims_api.organizations import service as organizations
from lims_api.patients import service as patients
from lims_api.patients.age import age_days
from lims_api.reports.layout import (
    Group,
    Laboratory,
    Line,
    Patient,
    ReportContent,
    ReportStatus,
    Signatory,
    age_text,
    interval_text,
    moment_text,
    previous_text,
    release_statement,
    sex_text,
    value_text,
)
from lims_api.reports.layout import Specimen as SpecimenLines
from lims_api.results.models import Result, ResultStatus
from lims_api.results.queries import HISTORY
from lims_api.specimens.models import Specimen

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EXAMPLE = "Reference interval and limits are EXAMPLE values: not approved for clinical use"


@dataclass(frozen=True)
class Gathered:
    """An order with all that its report prints."""

    order: Order
    results: list[Result]
    specimens: dict[UUID, Specimen]
    definitions: dict[UUID, Definition]
    previous: dict[str, tuple[str, datetime]]
    replaced: dict[UUID, Result]


def gather(session: Session, order: Order) -> Gathered:
    """The order's current authorised results and what stands beside them."""
    current = select(Result).where(Result.order_id == order.id, Result.status == ResultStatus.AUTHORISED)
    results = list(session.scalars(current.order_by(Result.test_code)))
    replaced_ids = {result.corrects_id for result in results if result.corrects_id}
    replaced = session.scalars(select(Result).where(Result.id.in_(replaced_ids), Result.authorised_at.is_not(None)))
    specimens = session.scalars(select(Specimen).where(Specimen.id.in_({result.specimen_id for result in results})))
    definitions = catalogue.definitions(session, {result.definition_id for result in results})
    return Gathered(
        order, results, {specimen.id: specimen for specimen in specimens}, definitions,
        _previous(session, order, definitions.values()), {result.id: result for result in replaced},
    )  # fmt: skip


def content_of(session: Session, found: Gathered, *, version: int, issued_at: datetime) -> ReportContent:
    """What the report says in this version."""
    organization = organizations.own(session)
    site = organizations.site(session, found.order.site_id)
    patient = patients.get(session, found.order.patient_id)
    who = patients.open_identity(session, [patient])[patient.id]
    on = business_day(found.order.placed_at)
    age = age_days(who.birth_on, who.birth_precision, on) if who.birth_on and who.birth_precision else None
    examples = any(definition.is_example for definition in found.definitions.values())
    return ReportContent(
        laboratory=Laboratory(name=organization.name, address=site.address or site.name),
        report_number=f"{found.order.order_number}/{version}", version=version,
        status=ReportStatus.AMENDED if version > 1 else ReportStatus.FINAL,
        patient=Patient(name=who.name, uhid=who.uhid, age=age_text(age), sex=sex_text(patient.sex)),
        referring_doctor="Self", order_number=found.order.order_number, reported=moment_text(issued_at),
        issued_at=issued_at,
        groups=tuple(_groups(found)), signatories=tuple(_signatories(session, found.results)),
        is_example=organization.is_example or examples,
        amendment_reason=_amendment(found) if version > 1 else "",
        supersedes=f"{found.order.order_number}/{version - 1}" if version > 1 else "",
    )  # fmt: skip


def fingerprint(content: ReportContent) -> bytes:
    """The content without what differs at every rendering: two equal ones are one report."""
    still = replace(content, version=0, issued_at=EPOCH, reported="", report_number="", supersedes="", verification="")
    return to_json(replace(still, status=ReportStatus.FINAL, amendment_reason=""))


def machine_readable(content: ReportContent, found: Gathered) -> bytes:
    """The same report for computers: codes and plain numbers."""
    return to_json(
        {
            "report": content.report_number, "status": content.status, "order": found.order.order_number,
            "issued_at": content.issued_at, "is_example": content.is_example,
            "results": [_coded(result) for result in found.results],
        }
    )  # fmt: skip


def _coded(result: Result) -> dict[str, Any]:
    return {
        "id": result.id, "test": result.test_code, "loinc": result.loinc, "value": result.value,
        "comparator": result.comparator, "unit": result.unit, "flag": result.flag, "low": result.reference_low,
        "high": result.reference_high, "observed_at": result.occurred_at, "version": result.version,
        "is_automatic": result.is_automatic, "rules": result.rules_version, "model": result.model_version,
    }  # fmt: skip


def _groups(found: Gathered) -> Iterable[Group]:
    by_group: dict[tuple[str, UUID], list[Result]] = {}
    for result in found.results:
        by_group.setdefault((found.definitions[result.definition_id].discipline, result.specimen_id), []).append(result)
    for (discipline, specimen_id), results in by_group.items():
        specimen = found.specimens[specimen_id]
        yield Group(
            title=discipline,
            specimen=SpecimenLines(
                accession_number=specimen.accession_number, specimen_type=specimen.specimen_type,
                collected=moment_text(specimen.collected_at), received=moment_text(specimen.received_at),
            ),
            lines=tuple(_line(result, found) for result in results),
        )  # fmt: skip


def _line(result: Result, found: Gathered) -> Line:
    definition = found.definitions[result.definition_id]
    decimals = definition.decimals
    before = found.previous.get(result.test_code)
    old = found.replaced.get(result.corrects_id) if result.corrects_id else None
    return Line(
        test=definition.name, method=definition.method, unit=result.unit,
        value=value_text(result.value, comparator=result.comparator, decimals=decimals, received=result.value_text),
        interval=interval_text(result.reference_low, result.reference_high, decimals), flag=result.flag,
        is_critical=result.flag in ("LL", "HH"),
        corrected_from=value_text(old.value, comparator=old.comparator, decimals=decimals, received=old.value_text)
        if old else "",
        marks=(EXAMPLE,) if definition.is_example else (),
        **(previous_text(*before) if before else {}),
    )  # fmt: skip


def _previous(session: Session, order: Order, definitions: Iterable[Definition]) -> dict[str, tuple[str, datetime]]:
    """The patient's newest authorised value of each test before this order."""
    rows = session.execute(
        HISTORY,
        {"organization_id": order.organization_id, "patient_ids": [order.patient_id], "before": order.placed_at},
    )
    decimals = {item.code: item.decimals for item in definitions if not item.is_restricted}
    found: dict[str, tuple[str, datetime]] = {}
    for row in sorted(rows, key=lambda row: row.available_at):
        if row.status == ResultStatus.AUTHORISED and row.test_code in decimals:
            text = value_text(row.value, comparator=None, decimals=decimals[row.test_code], received="")
            found[row.test_code] = (text, row.available_at)
    return found


def _signatories(session: Session, results: Sequence[Result]) -> Iterable[Signatory]:
    """Each person once for what they examined, once for what was released in their name."""
    for signatory_id, automatic in sorted(
        {(result.signatory_id, result.is_automatic) for result in results if result.signatory_id}
    ):
        name = identity.full_name(session, signatory_id)
        registration = session.scalars(select(User.registration_number).where(User.id == signatory_id)).one()
        statement = release_statement(name, is_automatic=automatic)
        yield Signatory(name=name, registration=registration or "", statement=statement)


def _amendment(found: Gathered) -> str:
    reasons = sorted({result.correction_reason for result in found.results if result.correction_reason})
    return ", ".join(reasons).replace("_", " ") or "result corrected"
