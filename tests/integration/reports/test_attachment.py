"""The FHIR document in a report's file, taken out by other programs, says what its pages say."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pikepdf
import pytest

from lims_api.core.clock import utc_now
from lims_api.core.db import transaction
from lims_api.core.ids import uuid7
from lims_api.orders import service as orders
from lims_api.reports.attachment import fhir_document
from lims_api.reports.content import content_of
from lims_api.reports.gathering import gather
from tests.integration.laboratory import RESTRICTED, Laboratory, Measured
from tests.integration.reports.test_reports import correct, pdf, reports, system, text_of

NAME = "report.fhir.json"


def released(lab: Laboratory, measured: Measured) -> bytes:
    """The file of the newest version."""
    lab.settle()
    return pdf(lab, reports(lab, measured.drawn.order_id)[-1]["id"])


def attached(document: bytes) -> dict[str, Any]:
    """The bundle, with every number as it is written."""
    with pikepdf.open(io.BytesIO(document)) as file:
        content = file.attachments[NAME].get_file().read_bytes()
    bundle: dict[str, Any] = json.loads(content, parse_float=Decimal, parse_int=Decimal)
    return bundle


def of_kind(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind]


@pytest.mark.req("3.5.7", "1.5.3")
def test_the_attached_values_are_those_on_the_page(lab: Laboratory) -> None:
    measured = lab.measure("GLU", "CREA", "K", values={"K": "6.6", "CREA": "0.951"})
    held = [line["id"] for (line,) in lab.lines(measured.drawn.order_id).values() if line["status"] == "held"]
    lab.post("/v1/results/authorise", {"result_ids": held})
    document = released(lab, measured)

    words, bundle = text_of(document), attached(document)

    found = {one["code"]["text"]: one for one in of_kind(bundle, "Observation")}
    assert {test: str(one["valueQuantity"]["value"]) for test, one in found.items()} == {
        "Creatinine": "0.95", "Glucose": "85", "Potassium": "6.6",
    }  # fmt: skip
    for test, one in found.items():
        quantity, interval = one["valueQuantity"], one["referenceRange"][0]["text"]
        method = one["method"]["text"]
        assert f"{quantity['value']} " in words, test
        assert f"{quantity['unit']} {interval}" in words, test
        assert method in words
    assert found["Potassium"]["interpretation"][0]["coding"][0]["code"] == "HH"
    (patient,) = of_kind(bundle, "Patient")
    assert patient["name"][0]["text"] in words
    assert patient["identifier"][0]["value"] in words
    (report,) = of_kind(bundle, "DiagnosticReport")
    assert report["identifier"][0]["value"] in words
    assert bundle["meta"]["tag"][0]["code"] == "HTEST", "an example's"


@pytest.mark.req("3.5.7")
def test_another_program_takes_the_same_document_out(lab: Laboratory, tmp_path: Path) -> None:
    if shutil.which("pdfdetach") is None:
        pytest.skip("pdfdetach is not installed: apt install poppler-utils")
    document = released(lab, lab.measure())
    (tmp_path / "report.pdf").write_bytes(document)

    subprocess.run(["pdfdetach", "-saveall", "-o", str(tmp_path), str(tmp_path / "report.pdf")], check=True)

    with pikepdf.open(io.BytesIO(document)) as file:
        assert (tmp_path / NAME).read_bytes() == file.attachments[NAME].get_file().read_bytes()
        assert file.attachments[NAME].relationship == pikepdf.Name.Data


@pytest.mark.req("3.5.7")
def test_an_amended_report_carries_the_corrected_value_and_names_the_version_it_replaces(lab: Laboratory) -> None:
    measured = lab.measure()
    lab.settle()
    correct(lab, measured, "92")

    bundle = attached(released(lab, measured))

    (found,) = of_kind(bundle, "Observation")
    assert (found["status"], found["valueQuantity"]["value"]) == ("corrected", 92)
    assert found["note"][0]["text"] == "Corrected. The earlier report said: 85"
    (composition,) = of_kind(bundle, "Composition")
    first = composition["relatesTo"][0]["targetIdentifier"]["value"]
    assert (composition["status"], first.rpartition("/")[2]) == ("amended", "1")


def test_the_same_order_gives_the_same_document(lab: Laboratory) -> None:
    measured, report_id, now = lab.measure(), uuid7(), utc_now()

    made = []
    for _ in range(2):
        with transaction(system(lab)) as session:
            found = gather(session, orders.get(session, measured.drawn.order_id))
            made.append(fhir_document(content_of(found, version=1, issued_at=now), found, report_id))

    assert made[0] == made[1]


@pytest.mark.req("12.4")
def test_a_document_with_a_restricted_test_says_that_it_is_restricted(lab: Laboratory) -> None:
    open_one, closed = lab.measure(), lab.measure(RESTRICTED, flags=("A",))
    lab.post("/v1/results/authorise", {"result_ids": [closed.line(RESTRICTED)["id"]]})

    codes = [attached(released(lab, each))["meta"]["security"][0]["code"] for each in (open_one, closed)]

    assert codes == ["N", "R"]
