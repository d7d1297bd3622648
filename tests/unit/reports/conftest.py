"""Reports made up for these tests: an ordinary one, and one with everything in it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from lims_api.core.i18n import Language, words
from lims_api.reports.layout import (
    Group,
    Laboratory,
    Line,
    Patient,
    ReportContent,
    ReportStatus,
    Signatory,
    Specimen,
)
from lims_api.reports.wording import moment_text, release_statement

COLLECTED_AT = datetime(2026, 11, 24, 3, 10, tzinfo=UTC)
REPORTED_AT = datetime(2026, 11, 24, 8, 35, tzinfo=UTC)
SIGNED_AT = datetime(2026, 10, 1, 5, 0, tzinfo=UTC)
SERUM = Specimen(
    accession_number="26-000123",
    specimen_type="Serum",
    collected=moment_text(COLLECTED_AT),
    received=moment_text(datetime(2026, 11, 24, 4, 2, tzinfo=UTC)),
)
PLASMA = Specimen(
    accession_number="26-000124",
    specimen_type="Fluoride plasma",
    collected=SERUM.collected,
    received=SERUM.received,
)
OUT_OF_SCOPE = "Not in the laboratory's scope of accreditation."
REFERRED = "Examined by Example Reference Laboratory, Mumbai."


def line(**changes: Any) -> Line:
    """An ordinary potassium result, with what the test changes."""
    return Line(
        **{
            "test": "Potassium",
            "value": "4.1",
            "unit": "mmol/L",
            "interval": "3.5 \u2013 5.1",
            "method": "Indirect ISE",
        }
        | changes
    )


def report(**changes: Any) -> ReportContent:
    """A final report of one serum with one result, with what the test changes."""
    usual: dict[str, Any] = {
        "laboratory": Laboratory(
            name="Example Diagnostics",
            address="12 Example Road, Shivajinagar, Pune 411005, Maharashtra",
            contact="Telephone 020 0000 0000  \u00b7  lab@diagnostics.example",
            accreditation="ISO 15189:2022, certificate MC-0000 (example)",
        ),
        "report_number": "R-26-000123",
        "version": 1,
        "status": ReportStatus.FINAL,
        "patient": Patient(name="Asha Example", uhid="EX-00000042", age="41 y", sex="Female"),
        "referring_doctor": "Dr Example Referrer, Example Clinic, Pune",
        "order_number": "O-26-000777",
        "reported": moment_text(REPORTED_AT),
        "issued_at": REPORTED_AT,
        "groups": (Group(title="Clinical biochemistry", specimen=SERUM, lines=(line(),)),),
        "signatories": (
            Signatory(
                name="Dr Example Signatory",
                registration="Maharashtra Medical Council 0000/00/0000",
                statement=release_statement("Dr Example Signatory", words(Language.ENGLISH), signed_at=SIGNED_AT),
            ),
        ),
        "is_example": False,
        "verification": "https://lab.example/v/0123456789abcdefghijkl",
    }
    return ReportContent(**usual | changes)


def full_report() -> ReportContent:
    """Everything a report can carry: amended, two specimens, critical, marks, comments, correction, two signatories."""
    glucose = line(
        test="Glucose, fasting", value="482", unit="mg/dL", interval="70 \u2013 99", method="Hexokinase", flag="HH",
        is_critical=True, previous="131", previous_on="03-Aug-2026", corrected_from="48 mg/dL",
    )  # fmt: skip
    serum = (
        line(flag="L", value="3.1", previous="4.4", previous_on="03-Aug-2026", comment="Specimen slightly haemolysed."),
        line(test="Sodium", value="139", interval="136 \u2013 145", previous="140", previous_on="03-Aug-2026"),
        line(test="Bilirubin, total", value="<0.15", unit="mg/dL", interval="up to 1.20", method="Diazo"),
        line(
            test="Lipoprotein (a)",
            value="62",
            unit="mg/dL",
            interval="up to 30",
            flag="H",
            marks=(OUT_OF_SCOPE, REFERRED),
        ),
        line(test="Alkaline phosphatase", value="88", unit="U/L", interval="40 \u2013 129", marks=(OUT_OF_SCOPE,)),
    )
    second = Signatory(
        name="Dr Second Signatory",
        registration="Maharashtra Medical Council 0000/00/0001",
        statement=release_statement("Dr Second Signatory", words(Language.ENGLISH)),
    )
    return report(
        version=2,
        status=ReportStatus.AMENDED,
        amendment_reason="Decimal point wrong at manual entry; the specimen was examined again.",
        supersedes="R-26-000123 version 1 of 24-Nov-2026 13:20 IST",
        groups=(
            Group(title="Glucose metabolism", specimen=PLASMA, lines=(glucose,)),
            Group(title="Clinical biochemistry", specimen=SERUM, lines=serum),
        ),
        signatories=(*report().signatories, second),
        notes=("Told by telephone to Dr Example Referrer at 24-Nov-2026 13:58 IST, read back.",),
        is_example=True,
    )


@pytest.fixture
def make_line() -> Callable[..., Line]:
    """`line` for the tests of this folder."""
    return line


@pytest.fixture
def make_report() -> Callable[..., ReportContent]:
    """`report` for the tests of this folder."""
    return report


@pytest.fixture
def everything() -> ReportContent:
    """`full_report` for the tests of this folder."""
    return full_report()
