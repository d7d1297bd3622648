"""A report as a FHIR document: valid, whole, the same every time, and with the digits that are printed."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lims_api.fhir.bundle import document, encode
from lims_api.fhir.report import LaboratoryReport, Measurement

MakeReport = Callable[..., LaboratoryReport]
MakeMeasurement = Callable[..., Measurement]
Json = dict[str, Any]


def made(report: LaboratoryReport) -> Json:
    """The bundle as a reader gets it."""
    content: Json = json.loads(encode(document(report)))
    return content


def of_kind(bundle: Json, kind: str) -> list[Json]:
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind]


def everything(make_report: MakeReport, make_measurement: MakeMeasurement) -> LaboratoryReport:
    """An amended report with every kind of result."""
    return make_report(
        version=2, supersedes="26-0000123/1", number="26-0000123/2", is_example=True,
        measurements=(
            make_measurement(10, flag="HH", value=Decimal("7.20"), text="7.20", is_corrected=True),
            make_measurement(11, comparator="<", value=Decimal("0.15"), text="<0.15", flag="L", low=None),
            make_measurement(12, value=None, text="Non-reactive", unit="", low=None, high=None, flag=None),
        ),
    )  # fmt: skip


def values_at(node: Any, path: list[str]) -> Iterator[Any]:
    """Every value at a path, lists walked through; `collected[x]` is any of its types."""
    if isinstance(node, list):
        for one in node:
            yield from values_at(one, path)
    elif not path:
        yield node
    elif isinstance(node, dict):
        stem = path[0].removesuffix("[x]")
        for name, value in node.items():
            if name == path[0] or (stem != path[0] and name.startswith(stem)):
                yield from values_at(value, path[1:])


def faults(resource: Json, profile: Json) -> list[str]:
    """Required elements that are missing under a parent that is there, and fixed values that are others."""
    found = []
    for element in profile["differential"]["element"]:
        path = element["path"].split(".")[1:]
        if not path or ":" in element["id"]:
            continue
        parents = list(values_at(resource, path[:-1]))
        if any(len(list(values_at(parent, path[-1:]))) < element.get("min", 0) for parent in parents):
            found.append(f"{element['path']} is missing")
        fixed = element.get("fixedUri")
        found += [f"{element['path']} is {one}" for one in values_at(resource, path) if fixed and one != fixed]
    return found


@pytest.mark.req("1.5.3")
def test_every_resource_is_valid_fhir_r4(
    make_report: MakeReport, make_measurement: MakeMeasurement, schema: Json
) -> None:
    bundle = made(everything(make_report, make_measurement))
    entries = [entry["resource"] for entry in bundle["entry"]]
    frame = bundle | {"entry": [{"fullUrl": entry["fullUrl"]} for entry in bundle["entry"]]}

    for resource in [frame, *entries]:
        validator = jsonschema.Draft6Validator(schema | {"$ref": f"#/definitions/{resource['resourceType']}"})
        assert [error.message for error in validator.iter_errors(resource)] == []


@pytest.mark.req("1.5.3")
def test_every_resource_keeps_its_nrces_profile(
    make_report: MakeReport, make_measurement: MakeMeasurement, profile: Callable[[str], Json]
) -> None:
    bundle = made(everything(make_report, make_measurement))

    for resource in [bundle, *(entry["resource"] for entry in bundle["entry"])]:
        name = resource["meta"]["profile"][0].rpartition("/")[2]
        assert faults(resource, profile(name)) == [], name


@pytest.mark.req("1.5.3")
def test_what_is_not_known_is_left_out_and_the_profile_says_so(
    make_report: MakeReport, profile: Callable[[str], Json]
) -> None:
    usual = make_report()
    taken = replace(usual.specimens[0], received_at=None, collected_at=None)

    (specimen,) = of_kind(made(replace(usual, specimens=(taken,))), "Specimen")

    assert faults(specimen, profile("Specimen")) == ["Specimen.receivedTime is missing"]
    assert "collection" not in specimen


def test_the_document_starts_with_its_composition_of_one_section(make_report: MakeReport) -> None:
    bundle = made(make_report())

    first = bundle["entry"][0]["resource"]
    assert (bundle["type"], first["resourceType"], len(first["section"])) == ("document", "Composition", 1)
    (entry,) = first["section"][0]["entry"]
    assert entry == {"reference": "urn:uuid:019abc00-0000-7000-8000-000000000001", "type": "DiagnosticReport"}


def test_every_reference_leads_to_an_entry_and_every_entry_is_named_once(
    make_report: MakeReport, make_measurement: MakeMeasurement
) -> None:
    bundle = made(everything(make_report, make_measurement))
    names = [entry["fullUrl"] for entry in bundle["entry"]]

    said = [one["reference"] for one in _dicts(bundle) if "reference" in one]
    assert len(said) > 20
    assert set(said) <= set(names)
    assert len(names) == len(set(names))


def _dicts(node: Any) -> Iterator[Json]:
    if isinstance(node, dict):
        yield node
    for one in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _dicts(one)


def test_a_result_has_the_digits_the_interval_and_the_flag_of_the_page(make_report: MakeReport) -> None:
    text = encode(document(make_report()))

    assert '"valueQuantity":{"value":4.10,"unit":"mmol/L","system":"http://unitsofmeasure.org","code":"mmol/L"}' in text
    (found,) = of_kind(json.loads(text), "Observation")
    assert found["code"]["coding"][0]["code"] == "2823-3"
    assert found["interpretation"][0]["coding"][0]["code"] == "N"
    assert found["referenceRange"][0]["low"]["value"] == 3.5
    assert (found["status"], found["method"]) == ("final", {"text": "Indirect ISE"})


def test_comparators_words_and_corrections_are_told(make_report: MakeReport, make_measurement: MakeMeasurement) -> None:
    bundle = made(everything(make_report, make_measurement))

    corrected, censored, word = of_kind(bundle, "Observation")
    assert (corrected["status"], corrected["interpretation"][0]["coding"][0]["display"]) == (
        "corrected",
        "Critical high",
    )
    assert (censored["valueQuantity"]["comparator"], censored["valueQuantity"]["value"]) == ("<", 0.15)
    assert (word["valueString"], "valueQuantity" in word) == ("Non-reactive", False)
    (report,) = of_kind(bundle, "DiagnosticReport")
    assert report["status"] == "amended"
    assert report["conclusion"].startswith("Results: 3, outside the reference interval: 2, critical: 1.")
    (composition,) = of_kind(bundle, "Composition")
    assert composition["relatesTo"][0]["targetIdentifier"]["value"] == "26-0000123/1"


def test_an_example_is_tagged_as_test_data_and_a_restricted_test_closes_the_document(make_report: MakeReport) -> None:
    plain, marked = made(make_report())["meta"], made(make_report(is_example=True, is_restricted=True))["meta"]

    assert ("tag" in plain, plain["security"][0]["code"]) == (False, "N")
    assert (marked["tag"][0]["code"], marked["security"][0]["code"]) == ("HTEST", "R")


def test_a_signatory_without_registration_has_the_laboratorys_own_number(make_report: MakeReport) -> None:
    usual = make_report()
    person = replace(usual.interpreters[0], registration="")

    (practitioner,) = of_kind(made(replace(usual, interpreters=(person,))), "Practitioner")

    assert practitioner["identifier"][0]["type"]["coding"][0]["code"] == "EI"


def test_the_same_report_is_the_same_document(make_report: MakeReport) -> None:
    assert encode(document(make_report())) == encode(document(make_report()))
    assert document(make_report())["id"] != document(make_report(id=make_report().order_id))["id"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.decimals(allow_nan=False, allow_infinity=False, places=3),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_encoding_is_json_that_keeps_every_digit(value: Any) -> None:
    assert _read(encode(value)) == value


def _read(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)
