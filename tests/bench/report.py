"""How long one report takes on a warm compiler: ten tests, one page, a JSON attachment and a QR code."""

import json
import statistics
import time
from datetime import UTC, datetime

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
from lims_api.reports.render import render
from lims_api.reports.wording import date_text, moment_text, release_statement

REPORTED_AT = datetime(2026, 11, 24, 8, 35, tzinfo=UTC)
SIGNED_AT = datetime(2026, 10, 1, 5, 0, tzinfo=UTC)
PREVIOUSLY_AT = datetime(2026, 8, 3, 5, 0, tzinfo=UTC)
TESTS = (
    ("Glucose, fasting", "112", "mg/dL", "70 \u2013 99", "Hexokinase", "H"),
    ("Creatinine", "0.92", "mg/dL", "0.70 \u2013 1.20", "Enzymatic", None),
    ("Urea nitrogen", "14.1", "mg/dL", "7.0 \u2013 20.0", "Urease UV", None),
    ("Sodium", "139", "mmol/L", "136 \u2013 145", "Indirect ISE", None),
    ("Potassium", "6.4", "mmol/L", "3.5 \u2013 5.1", "Indirect ISE", "HH"),
    ("Chloride", "97", "mmol/L", "98 \u2013 107", "Indirect ISE", "L"),
    ("Alanine aminotransferase", "31", "U/L", "up to 41", "IFCC without P5P", None),
    ("Aspartate aminotransferase", "27", "U/L", "up to 40", "IFCC without P5P", None),
    ("Alkaline phosphatase", "88", "U/L", "40 \u2013 129", "IFCC, AMP buffer", None),
    ("Bilirubin, total", "<0.15", "mg/dL", "0.20 \u2013 1.20", "Diazo", "L"),
)


def content(number: int) -> ReportContent:
    """A report like any other of the day; its number makes each one different, so that no cache answers for it."""
    lines = tuple(
        Line(
            test=name, value=value, unit=unit, interval=interval, method=method, flag=flag, is_critical=flag == "HH",
            previous=value, previous_on=date_text(PREVIOUSLY_AT),
        )
        for name, value, unit, interval, method, flag in TESTS
    )  # fmt: skip
    times = {"collected": moment_text(PREVIOUSLY_AT), "received": moment_text(REPORTED_AT)}
    specimen = Specimen(accession_number=f"26-{number:06d}", specimen_type="Serum", **times)
    return ReportContent(
        laboratory=Laboratory(name="Example Diagnostics", address="1 Example Road, Pune 411001"),
        report_number=f"R-26-{number:06d}",
        version=1,
        status=ReportStatus.FINAL,
        patient=Patient(name=f"Example Patient {number}", uhid=f"EX-{number:08d}", age="41 y", sex="Female"),
        referring_doctor="Dr Example Referrer",
        order_number=f"O-26-{number:06d}",
        reported=moment_text(REPORTED_AT),
        issued_at=REPORTED_AT,
        groups=(Group(title="Clinical biochemistry", specimen=specimen, lines=lines),),
        signatories=(
            Signatory(
                name="Dr Example Signatory",
                registration="MMC 0000/00/0000",
                statement=release_statement("Dr Example Signatory", words(Language.ENGLISH), signed_at=SIGNED_AT),
            ),
        ),
        is_example=True,
        verification=f"https://lab.example/v/{number:022d}",
    )


def measure(reports: int = 60) -> dict[str, float]:
    """Milliseconds of one report: first (cold), median and 95th percentile of the warm ones; and its size in bytes."""
    times, size = [], 0
    for number in range(reports + 1):
        report = content(number)
        attachment = json.dumps({"report": report.report_number, "tests": TESTS}).encode()
        started = time.perf_counter()
        size = len(render(report, attachment))
        times.append((time.perf_counter() - started) * 1000)
    warm = sorted(times[1:])
    return {
        "report_cold_ms": round(times[0], 1),
        "report_median_ms": round(statistics.median(warm), 1),
        "report_p95_ms": round(warm[int(len(warm) * 0.95) - 1], 1),
        "report_bytes": float(size),
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
