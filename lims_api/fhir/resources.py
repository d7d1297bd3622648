"""Each part of a report as one FHIR R4 resource. Pure: plain values in, JSON values out (numbers as `Decimal`).

What is not known is left out, never made up: a profile that insists on it is then not met, and says so.
"""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from lims_api.fhir import terms
from lims_api.fhir.report import Interpreter, Laboratory, LaboratoryReport, Measurement, SpecimenTaken, Subject
from lims_api.fhir.terms import Json, coding, concept


def reference(resource_id: UUID, **more: str) -> Json:
    """A reference to another entry of the same bundle."""
    return {"reference": f"urn:uuid:{resource_id}"} | more


def instant(moment: datetime) -> str:
    """A time to the millisecond with its offset."""
    return moment.isoformat(timespec="milliseconds")


def patient(subject: Subject, laboratory: Laboratory) -> Json:
    """The patient under the laboratory's own number."""
    return _resource("Patient", subject.id, "Patient") | _known(
        identifier=[_identifier("MR", "Medical record number", _numbers_of(laboratory), subject.uhid)],
        name=[{"text": subject.name}],
        gender=subject.sex,
        birthDate=subject.birth,
    )


def practitioner(person: Interpreter, laboratory: Laboratory) -> Json:
    """A signatory: by the medical council's number, or else by the laboratory's own."""
    identifier = (
        _identifier("MD", "Medical License number", terms.COUNCIL, person.registration)
        if person.registration
        else _identifier("EI", "Employee number", _numbers_of(laboratory), str(person.id))
    )
    return _resource("Practitioner", person.id, "Practitioner") | {
        "identifier": [identifier],
        "name": [{"text": person.name}],
    }


def organization(laboratory: Laboratory) -> Json:
    """The laboratory that examined."""
    return _resource("Organization", laboratory.id, "Organization") | _known(
        identifier=[_identifier("PRN", "Provider number", _numbers_of(laboratory), laboratory.code)],
        name=laboratory.name,
        address=[{"text": laboratory.address}] if laboratory.address else None,
    )


def specimen(taken: SpecimenTaken, subject: Subject, laboratory: Laboratory) -> Json:
    """A specimen with when it was taken and when it came."""
    code = terms.SPECIMENS.get(taken.specimen_type)
    codes = [coding(terms.SNOMED_CT, *code)] if code else []
    return _resource("Specimen", taken.id, "Specimen") | _known(
        accessionIdentifier={"system": _numbers_of(laboratory), "value": taken.accession_number},
        type=concept(*codes, text=taken.specimen_type),
        subject=reference(subject.id),
        receivedTime=instant(taken.received_at) if taken.received_at else None,
        collection={"collectedDateTime": instant(taken.collected_at)} if taken.collected_at else None,
    )


def observation(found: Measurement, report: LaboratoryReport) -> Json:
    """A result as printed: the same digits, interval, flag, method and remarks."""
    taken = next(one for one in report.specimens if one.id == found.specimen_id)
    return _resource("Observation", found.id, "Observation") | _known(
        status="corrected" if found.is_corrected else "final",
        code=concept(coding(terms.LOINC, found.loinc, found.name), text=found.name),
        subject=reference(report.subject.id),
        effectiveDateTime=instant(taken.collected_at) if taken.collected_at else None,
        issued=instant(found.authorised_at) if found.authorised_at else None,
        performer=[reference(report.laboratory.id)],
        valueQuantity=_quantity(found.value, found.unit, found.comparator),
        valueString=found.text if found.value is None else None,
        interpretation=_interpretation(found.flag),
        note=[{"text": note} for note in found.notes],
        method=concept(text=found.method),
        specimen=reference(found.specimen_id),
        referenceRange=[
            _known(low=_quantity(found.low, found.unit), high=_quantity(found.high, found.unit), text=found.interval)
        ],
    )


def service_request(report: LaboratoryReport) -> Json:
    """The order that was reported: the patient's own wish, for no referring doctor is recorded."""
    return _resource("ServiceRequest", report.order_id, "ServiceRequest") | {
        "identifier": [{"system": _numbers_of(report.laboratory), "value": report.order_number}],
        "status": "completed",
        "intent": "order",
        "code": concept(text="Laboratory tests"),
        "subject": reference(report.subject.id),
        "authoredOn": instant(report.ordered_at),
        "requester": reference(report.subject.id),
    }


def diagnostic_report(report: LaboratoryReport) -> Json:
    """The report itself. The conclusion counts; it interprets nothing."""
    return _resource("DiagnosticReport", report.id, "DiagnosticReportLab") | _known(
        identifier=[{"system": _numbers_of(report.laboratory), "value": report.number}],
        basedOn=[reference(report.order_id)],
        status="amended" if report.supersedes else "final",
        category=[concept(text=discipline) for discipline in report.disciplines],
        code=concept(terms.LABORATORY_REPORT, text="Laboratory report"),
        subject=reference(report.subject.id),
        issued=instant(report.issued_at),
        performer=[reference(report.laboratory.id)],
        resultsInterpreter=[reference(person.id) for person in report.interpreters],
        specimen=[reference(one.id) for one in report.specimens],
        result=[reference(one.id) for one in report.measurements],
        conclusion=_conclusion(report),
    )


def composition(report: LaboratoryReport, composition_id: UUID) -> Json:
    """The document's first entry. Exactly one section with one report, as the profile wants."""
    authors = [*(person.id for person in report.interpreters), report.laboratory.id]
    return _resource("Composition", composition_id, "DiagnosticReportRecord") | _known(
        language=f"{report.language}-IN",
        identifier={"system": _numbers_of(report.laboratory), "value": report.number},
        status="amended" if report.supersedes else "final",
        type=concept(terms.DIAGNOSTIC_STUDIES_REPORT, text="Laboratory report"),
        subject=reference(report.subject.id),
        date=instant(report.issued_at),
        author=[reference(author) for author in authors],
        title=f"Laboratory report {report.number}",
        custodian=reference(report.laboratory.id),
        relatesTo=_replaces(report),
        section=[
            {
                "title": "Laboratory report",
                "code": concept(terms.LABORATORY_REPORT_RECORD),
                "entry": [reference(report.id, type="DiagnosticReport")],
            }
        ],
    )


def _resource(kind: str, resource_id: UUID, profile: str) -> Json:
    return {"resourceType": kind, "id": str(resource_id), "meta": {"profile": [terms.PROFILE + profile]}}


def _known(**fields: object) -> Json:
    """The fields that hold something."""
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


def _numbers_of(laboratory: Laboratory) -> str:
    return f"urn:uuid:{laboratory.organization_id}"


def _identifier(code: str, display: str, system: str, value: str) -> Json:
    return {"type": concept(coding(terms.IDENTIFIER_TYPE, code, display)), "system": system, "value": value}


def _quantity(value: Decimal | None, unit: str, comparator: str | None = None) -> Json | None:
    if value is None:
        return None
    measured = _known(comparator=comparator, unit=unit)
    return {"value": value} | measured | ({"system": terms.UCUM, "code": unit} if unit else {})


def _interpretation(flag: str | None) -> list[Json]:
    return [concept(coding(terms.INTERPRETATION, flag, terms.FLAGS[flag]))] if flag in terms.FLAGS else []


def _replaces(report: LaboratoryReport) -> list[Json]:
    earlier = {"system": _numbers_of(report.laboratory), "value": report.supersedes}
    return [{"code": "replaces", "targetIdentifier": earlier}] if report.supersedes else []


def _conclusion(report: LaboratoryReport) -> str:
    outside = sum(one.flag in ("L", "H", "LL", "HH", "A") for one in report.measurements)
    critical = sum(one.flag in ("LL", "HH") for one in report.measurements)
    counted = f"Results: {len(report.measurements)}, outside the reference interval: {outside}, critical: {critical}."
    return f"{counted} No interpretation is given here."
