"""A report made up for these tests, and what the published profiles ask of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from lims_api.fhir.report import Interpreter, Laboratory, LaboratoryReport, Measurement, SpecimenTaken, Subject

SHARED = Path(__file__).parents[4] / "shared" / "data" / "fhir"
COLLECTED_AT = datetime(2026, 11, 24, 3, 10, tzinfo=UTC)
RECEIVED_AT = datetime(2026, 11, 24, 4, 2, tzinfo=UTC)
ISSUED_AT = datetime(2026, 11, 24, 8, 35, tzinfo=UTC)


def key(number: int) -> UUID:
    return UUID(f"019abc00-0000-7000-8000-{number:012x}")


def measurement(number: int = 10, **changes: Any) -> Measurement:
    """A potassium of 4.10 mmol/L within its interval, with what the test changes."""
    usual: dict[str, Any] = {
        "id": key(number), "specimen_id": key(5), "loinc": "2823-3", "name": "Potassium", "value": Decimal("4.10"),
        "text": "4.10", "comparator": None, "unit": "mmol/L", "low": Decimal("3.50"), "high": Decimal("5.10"),
        "interval": "3.50 \u2013 5.10", "flag": "N", "method": "Indirect ISE", "is_corrected": False,
        "authorised_at": ISSUED_AT, "notes": ("Examined and authorised by Dr Example Signatory",),
    }  # fmt: skip
    return Measurement(**usual | changes)


def report(**changes: Any) -> LaboratoryReport:
    """A final report of one serum with one result, with what the test changes."""
    usual: dict[str, Any] = {
        "id": key(1), "number": "26-0000123/1", "version": 1, "supersedes": "", "order_id": key(2),
        "order_number": "26-0000123", "ordered_at": COLLECTED_AT, "issued_at": ISSUED_AT, "language": "en",
        "is_example": False, "is_restricted": False, "disciplines": ("Clinical Chemistry",),
        "subject": Subject(id=key(3), uhid="P26-000042", name="Asha Example", sex="female", birth="1984-03"),
        "laboratory": Laboratory(
            id=key(4), organization_id=key(9), code="MAIN", name="Example Diagnostics",
            address="12 Example Road, Pune", contact="020 0000 0000",
        ),
        "interpreters": (Interpreter(id=key(6), name="Dr Example Signatory", registration="EXAMPLE-0001"),),
        "specimens": (
            SpecimenTaken(
                id=key(5), accession_number="26-000123", specimen_type="Serum", collected_at=COLLECTED_AT,
                received_at=RECEIVED_AT,
            ),
        ),
        "measurements": (measurement(),),
    }  # fmt: skip
    return LaboratoryReport(**usual | changes)


@pytest.fixture
def make_report() -> Callable[..., LaboratoryReport]:
    """`report` for the tests of this folder."""
    return report


@pytest.fixture
def make_measurement() -> Callable[..., Measurement]:
    """`measurement` for the tests of this folder."""
    return measurement


@pytest.fixture(scope="session")
def schema() -> dict[str, Any]:
    """The JSON schema of FHIR R4."""
    return _shared("fhir.schema.R4.json")


@pytest.fixture(scope="session")
def profile() -> Callable[[str], dict[str, Any]]:
    """One profile of NRCES by name."""
    return lambda name: _shared(f"nrces-ndhm/profiles/StructureDefinition-{name}.json")


def _shared(name: str) -> dict[str, Any]:
    path = SHARED / name
    if not path.exists():
        pytest.skip("the shared FHIR schema and profiles are not beside this checkout")
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content
