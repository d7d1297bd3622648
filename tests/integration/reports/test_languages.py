"""A report is in the language that was chosen with its order, and says that nobody has approved the translation."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lims_api.catalogue import service as catalogue
from lims_api.core.clock import utc_now
from lims_api.core.db import transaction
from lims_api.core.i18n import Language
from lims_api.orders import service as orders
from lims_api.reports import service
from lims_api.reports.content import content_of
from lims_api.reports.gathering import gather
from lims_api.reports.layout import ReportContent
from lims_api.reports.render import UnprintableReport
from tests.integration.laboratory import Laboratory, Measured
from tests.integration.reports.test_reports import correct, pdf, reports, system, text_of

GLUCOSE = "\u0917\u094d\u0932\u0942\u0915\u094b\u091c\u093c"
REPORT = "\u092a\u094d\u0930\u092f\u094b\u0917\u0936\u093e\u0932\u093e \u0930\u093f\u092a\u094b\u0930\u094d\u091f"
MALE, SERUM = "\u092a\u0941\u0930\u0941\u0937", "\u0938\u0940\u0930\u092e"
ERROR = "\u0924\u094d\u0930\u0941\u091f\u093f"
AMENDED, UNAPPROVED = "\u0938\u0902\u0936\u094b\u0927\u093f\u0924", "\u0905\u0928\u0941\u0935\u093e\u0926"


@pytest.fixture(scope="module", autouse=True)
def _glucose_has_a_hindi_name(lab: Laboratory) -> None:
    with lab.session("pathologist") as session:
        catalogue.newest(session, "GLU").translations = {"hi": GLUCOSE}


def measured_in(lab: Laboratory, language: Language | None, **person: str) -> Measured:
    """A glucose of 85 mg/dL, ordered in this language and released."""
    return lab.measure(language=language, person=lab.person(**person))


def content(lab: Laboratory, measured: Measured) -> ReportContent:
    """What the order's report says."""
    with transaction(system(lab)) as session:
        found = gather(session, orders.get(session, measured.drawn.order_id))
        return content_of(found, version=1, issued_at=utc_now())


def printed(lab: Laboratory, measured: Measured) -> str:
    """The words of the newest version of an order's report, read by a program that knows shaped scripts."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed, and pypdf cannot read shaped words: apt install poppler-utils")
    document = pdf(lab, reports(lab, measured.drawn.order_id)[-1]["id"])
    read = subprocess.run(["pdftotext", "-", "-"], input=document, capture_output=True, check=True)
    return " ".join(read.stdout.decode().split())


@pytest.mark.req("5.1.1")
def test_an_order_in_hindi_has_both_names_of_a_test_and_its_words_in_hindi(lab: Laboratory) -> None:
    report = content(lab, measured_in(lab, Language.HINDI))

    (group,) = report.groups
    (line,) = group.lines
    assert (line.test, line.in_english, line.value, line.unit) == (GLUCOSE, "Glucose", "85", "mg/dL")
    assert (report.language, report.patient.sex, group.specimen.specimen_type) == (Language.HINDI, MALE, SERUM)


@pytest.mark.req("5.1.1")
def test_a_report_in_hindi_is_printed_with_latin_digits(lab: Laboratory) -> None:
    measured = measured_in(lab, Language.HINDI)
    lab.settle()

    words = printed(lab, measured)

    for wanted in (REPORT, GLUCOSE, "Glucose", "85", "mg/dL", "70 \u2013 100", " IST", "EXAMPLE"):
        assert wanted in words
    assert not set("\u0966\u0967\u0968\u0969\u096a\u096b\u096c\u096d\u096e\u096f") & set(words), "Devanagari digits"
    assert "LABORATORY REPORT" not in words


@pytest.mark.req("12.3")
def test_a_report_in_an_unapproved_translation_says_so(lab: Laboratory) -> None:
    english, hindi = (content(lab, measured_in(lab, language)) for language in Language)

    assert UNAPPROVED in hindi.notes[0]
    assert hindi.is_example
    assert english.notes == ()


@pytest.mark.req("5.1.1")
def test_an_order_that_names_no_language_has_the_organizations(lab: Laboratory) -> None:
    usual = measured_in(lab, None)
    with _speaking(lab, Language.HINDI):
        other = measured_in(lab, None)

    assert [content(lab, each).language for each in (usual, other)] == [Language.ENGLISH, Language.HINDI]


@contextmanager
def _speaking(lab: Laboratory, language: Language) -> Iterator[None]:
    """The organization's default language, for a while."""
    change = "update lims.organizations set report_language = %s where id = %s returning 1"
    lab.rows(change, language, lab.organization_id)
    yield
    lab.rows(change, Language.ENGLISH, lab.organization_id)


@pytest.mark.req("5.1.1")
@pytest.mark.parametrize("language", ["ta", "english", ""])
def test_a_language_without_a_catalogue_is_refused_and_nothing_is_ordered(lab: Laboratory, language: str) -> None:
    person = lab.person()
    body = {"patient_id": str(person.id), "site_id": str(lab.site_id), "tests": ["GLU"], "language": language}

    refused = lab.call("POST", "/v1/orders", body, by="reception")

    assert (refused.status_code, refused.json()["type"].rsplit("/", 1)[-1]) == (422, "invalid-request")
    assert lab.rows("select count(*) from lims.orders where patient_id = %s", person.id) == [(0,)]


@pytest.mark.req("3.5.3", "5.1.1")
def test_a_correction_amends_a_hindi_report_in_hindi(lab: Laboratory) -> None:
    measured = measured_in(lab, Language.HINDI)
    lab.settle()

    correct(lab, measured, "92")
    lab.settle()

    words = printed(lab, measured)
    assert len(reports(lab, measured.drawn.order_id)) == 2
    for wanted in (AMENDED, "92", "85", ERROR):
        assert wanted in words


@pytest.mark.req("5.1.1")
@pytest.mark.parametrize(
    "name",
    [
        "\u0ba4\u0bae\u0bbf\u0bb4\u0bcd\u0b9a\u0bcd\u0b9a\u0bc6\u0bb2\u0bcd\u0bb5\u0bbf",
        "\u0c32\u0c15\u0c4d\u0c37\u0c4d\u0c2e\u0c3f",
        "\u09b6\u09cd\u09b0\u09c0\u09ae\u09a4\u09c0",
        "\u0cb2\u0c95\u0ccd\u0cb7\u0ccd\u0cae\u0cbf",
    ],
    ids=["Tamil", "Telugu", "Bengali", "Kannada"],
)
def test_a_name_in_another_script_is_printed(lab: Laboratory, name: str) -> None:
    measured = measured_in(lab, Language.ENGLISH, name=name)
    lab.settle()

    assert set(name) <= set(text_of(pdf(lab, reports(lab, measured.drawn.order_id)[0]["id"])))


@pytest.mark.req("5.1.1")
def test_a_name_that_no_font_has_makes_no_report_and_is_not_repeated(lab: Laboratory) -> None:
    name = "\u1c65\u1c5f\u1c71"
    measured = measured_in(lab, Language.ENGLISH, name=name)

    with pytest.raises(UnprintableReport) as refused, transaction(system(lab)) as session:
        service.release(session, measured.drawn.order_id)

    assert name not in str(refused.value)
    assert reports(lab, measured.drawn.order_id) == []
