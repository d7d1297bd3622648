"""The same report for computers: a FHIR document with the digits that are printed, in English."""

from decimal import Decimal
from uuid import UUID

from lims_api.core.i18n import Language, words
from lims_api.fhir.bundle import document, encode
from lims_api.fhir.report import (
    Interpreter,
    Laboratory,
    LaboratoryReport,
    Measurement,
    SpecimenTaken,
    Subject,
)
from lims_api.patients.age import BirthPrecision
from lims_api.reports.content import earlier_value, printed_value
from lims_api.reports.gathering import Gathered
from lims_api.reports.layout import ReportContent
from lims_api.reports.wording import interval_text, number_text, release_statement
from lims_api.results.models import Result

ENGLISH = words(Language.ENGLISH)
DIGITS = {BirthPrecision.DAY: 10, BirthPrecision.MONTH: 7, BirthPrecision.YEAR: 4}


def fhir_document(content: ReportContent, found: Gathered, report_id: UUID) -> bytes:
    """The FHIR bundle of one version of a report, as JSON."""
    order, lab = found.order, found.laboratory
    report = LaboratoryReport(
        id=report_id, number=content.report_number, version=content.version, supersedes=content.supersedes,
        order_id=order.id, order_number=order.order_number, ordered_at=order.placed_at, issued_at=content.issued_at,
        language=content.language, is_example=content.is_example,
        is_restricted=any(definition.is_restricted for definition in found.definitions.values()),
        disciplines=tuple(sorted({definition.discipline for definition in found.definitions.values()})),
        subject=_subject(found),
        laboratory=Laboratory(
            id=lab.id, organization_id=found.organization.id, code=lab.code, name=content.laboratory.name,
            address=content.laboratory.address, contact=content.laboratory.contact,
        ),
        interpreters=tuple(
            Interpreter(id=key, name=person.name, registration=person.registration)
            for key, person in sorted(found.people.items())
        ),
        specimens=tuple(_specimens(found)),
        measurements=tuple(_measurement(result, found) for result in found.results),
    )  # fmt: skip
    return encode(document(report)).encode()


def _subject(found: Gathered) -> Subject:
    who = found.who
    birth = str(who.birth_on)[: DIGITS[who.birth_precision]] if who.birth_on and who.birth_precision else ""
    return Subject(id=found.patient.id, uhid=who.uhid, name=who.name, sex=found.patient.sex, birth=birth)


def _specimens(found: Gathered) -> list[SpecimenTaken]:
    return [
        SpecimenTaken(
            id=one.id, accession_number=one.accession_number, specimen_type=one.specimen_type,
            collected_at=one.collected_at, received_at=one.received_at,
        )
        for one in sorted(found.specimens.values(), key=lambda one: one.accession_number)
    ]  # fmt: skip


def _measurement(result: Result, found: Gathered) -> Measurement:
    definition = found.definitions[result.definition_id]
    low, high = result.reference_low, result.reference_high
    return Measurement(
        id=result.id, specimen_id=result.specimen_id, loinc=result.loinc, name=definition.name,
        value=_rounded(result.value, definition.decimals), text=printed_value(result, found),
        comparator=result.comparator, unit=result.unit, low=_rounded(low, definition.decimals),
        high=_rounded(high, definition.decimals), interval=interval_text(low, high, definition.decimals, ENGLISH),
        flag=result.flag, method=definition.method, is_corrected=result.corrects_id is not None,
        authorised_at=result.authorised_at, notes=tuple(_notes(result, found)),
    )  # fmt: skip


def _rounded(value: Decimal | None, decimals: int) -> Decimal | None:
    return None if value is None else Decimal(number_text(value, decimals))


def _notes(result: Result, found: Gathered) -> list[str]:
    notes = []
    if earlier := earlier_value(result, found):
        notes.append(ENGLISH("Corrected. The earlier report said: {value}", value=earlier))
    if result.signatory_id:
        signed_at = found.signed_at.get(result.authorisation_id) if result.authorisation_id else None
        notes.append(release_statement(found.people[result.signatory_id].name, ENGLISH, signed_at=signed_at))
    return notes
