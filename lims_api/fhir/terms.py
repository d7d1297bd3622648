"""Code systems, profiles and the few codes that a report needs. NRCES implementation guide 6.5.0, FHIR 4.0.1."""

from typing import Any

PROFILE = "https://nrces.in/ndhm/fhir/r4/StructureDefinition/"
LOINC = "http://loinc.org"
SNOMED_CT = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
COUNCIL = "https://doctor.ndhm.gov.in"

FLAGS = {"L": "Low", "H": "High", "LL": "Critical low", "HH": "Critical high", "N": "Normal", "A": "Abnormal"}
SPECIMENS = {
    "Serum": ("119364003", "Serum specimen"),
    "Plasma": ("119361006", "Plasma specimen"),
    "Whole blood": ("258580003", "Whole blood sample"),
    "Urine": ("122575003", "Urine specimen"),
}
"""SNOMED CT codes of our specimen types; another type is told by its name alone."""

Json = dict[str, Any]


def coding(system: str, code: str, display: str) -> Json:
    """One code of one system."""
    return {"system": system, "code": code, "display": display}


def concept(*codings: Json, text: str = "") -> Json:
    """A CodeableConcept: codes, words, or both."""
    return ({"coding": list(codings)} if codings else {}) | ({"text": text} if text else {})


NORMAL = coding(CONFIDENTIALITY, "N", "normal")
RESTRICTED = coding(CONFIDENTIALITY, "R", "restricted")
TEST_DATA = coding(ACT_REASON, "HTEST", "test health data")
LABORATORY_REPORT = coding(LOINC, "11502-2", "Laboratory report")
DIAGNOSTIC_STUDIES_REPORT = coding(SNOMED_CT, "721981007", "Diagnostic studies report")
LABORATORY_REPORT_RECORD = coding(SNOMED_CT, "4241000179101", "Laboratory report")
