"""A report as a FHIR document: one bundle with everything that it refers to."""

import json
from decimal import Decimal
from typing import Any

from lims_api.core.ids import derived
from lims_api.fhir import resources, terms
from lims_api.fhir.report import LaboratoryReport
from lims_api.fhir.terms import Json


def document(report: LaboratoryReport) -> Json:
    """The bundle. The same report gives the same bundle: every identifier is a row's, or made from one."""
    laboratory = report.laboratory
    entries = [
        resources.composition(report, derived(report.id, "Composition")),
        resources.diagnostic_report(report),
        resources.patient(report.subject, laboratory),
        resources.organization(laboratory),
        *(resources.practitioner(person, laboratory) for person in report.interpreters),
        resources.service_request(report),
        *(resources.specimen(one, report.subject, laboratory) for one in report.specimens),
        *(resources.observation(one, report) for one in report.measurements),
    ]
    return {
        "resourceType": "Bundle",
        "id": str(derived(report.id, "Bundle")),
        "meta": _meta(report),
        "identifier": {"system": f"urn:uuid:{laboratory.organization_id}", "value": report.number},
        "type": "document",
        "timestamp": resources.instant(report.issued_at),
        "entry": [{"fullUrl": f"urn:uuid:{entry['id']}", "resource": entry} for entry in entries],
    }


def encode(value: Any) -> str:
    """JSON text in which a `Decimal` is a number with all its digits: in FHIR, 4.10 is not 4.1."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{encode(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(encode, value)) + "]"
    return f"{value:f}" if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def _meta(report: LaboratoryReport) -> Json:
    meta = {
        "versionId": str(report.version),
        "lastUpdated": resources.instant(report.issued_at),
        "profile": [terms.PROFILE + "DocumentBundle"],
        "security": [terms.RESTRICTED if report.is_restricted else terms.NORMAL],
    }
    return meta | ({"tag": [terms.TEST_DATA]} if report.is_example else {})
