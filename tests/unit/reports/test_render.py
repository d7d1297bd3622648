"""The report as a file: what a reader, a machine and an archive find in it."""

import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pikepdf
import pypdf
import pytest

from lims_api.core.i18n import Language
from lims_api.reports.layout import Group, Laboratory, Line, Patient, ReportContent, ReportStatus
from lims_api.reports.render import UnprintableReport, render

MakeReport = Callable[..., ReportContent]
MakeLine = Callable[..., Line]


def pages(pdf: bytes) -> list[str]:
    """The text of each page, with blanks and line breaks as single blanks."""
    return [" ".join(page.extract_text().split()) for page in pypdf.PdfReader(io.BytesIO(pdf)).pages]


def with_lines(report: ReportContent, lines: tuple[Line, ...]) -> ReportContent:
    """The same report with other results."""
    return replace(report, groups=(replace(report.groups[0], lines=lines),))


@pytest.mark.req("3.5.7")
def test_the_file_declares_pdf_a_3b_and_embeds_every_font(everything: ReportContent) -> None:
    with pikepdf.open(io.BytesIO(render(everything, b"{}"))) as pdf:
        with pdf.open_metadata() as metadata:
            assert (metadata["pdfaid:part"], metadata["pdfaid:conformance"]) == ("3", "B")
        assert pdf.check_pdf_syntax() == []
        assert pdf.Root.OutputIntents[0].S == "/GTS_PDFA1"
        descriptors = [
            descendant.FontDescriptor
            for page in pdf.pages
            for font in page.Resources.Font.as_dict().values()
            for descendant in font.DescendantFonts
        ]
    assert len(descriptors) >= 2
    assert all("/FontFile2" in d or "/FontFile3" in d for d in descriptors)


def test_the_machine_readable_content_is_attached_as_it_was_given(make_report: MakeReport) -> None:
    attachment = json.dumps({"resourceType": "Bundle", "name": "\u0936\u094d\u0930\u0940"}, ensure_ascii=False).encode()

    with pikepdf.open(io.BytesIO(render(make_report(), attachment))) as pdf:
        file = pdf.attachments["report.fhir.json"]
        assert file.get_file().read_bytes() == attachment
        assert file.get_file().mime_type == "application/fhir+json"
        assert file.relationship == pikepdf.Name.Data
        assert len(pdf.Root.AF) == 1


def test_without_an_attachment_nothing_is_attached(make_report: MakeReport) -> None:
    with pikepdf.open(io.BytesIO(render(make_report(), None))) as pdf:
        assert len(pdf.attachments) == 0


@pytest.mark.parametrize("attachment", [b"not json", b"\xff\xfe"])
def test_an_attachment_that_is_not_json_is_refused(make_report: MakeReport, attachment: bytes) -> None:
    with pytest.raises(ValueError):
        render(make_report(), attachment)


@pytest.mark.req("3.5.8")
def test_the_content_that_iso_15189_asks_for_is_on_the_page(make_report: MakeReport) -> None:
    (text,) = pages(render(make_report(), None))

    for wanted in ("Example Diagnostics", "12 Example Road", "MC-0000", "R-26-000123", "Asha Example", "EX-00000042",
                   "41 y / Female", "Dr Example Referrer, Example Clinic, Pune", "O-26-000777", "26-000123", "Serum",
                   "24-Nov-2026 08:40 IST", "24-Nov-2026 09:32 IST", "24-Nov-2026 14:05 IST", "Potassium",
                   "Indirect ISE", "4.1", "mmol/L", "3.5 \u2013 5.1", "Dr Example Signatory",
                   "Maharashtra Medical Council 0000/00/0000",
                   "Released automatically under the standing authorisation of Dr Example Signatory", "Page 1 of 1",
                   "End of report R-26-000123", "FINAL"):  # fmt: skip
        assert wanted in text


@pytest.mark.req("3.5.3")
def test_example_and_amended_are_said_when_they_are_so_and_not_otherwise(
    make_report: MakeReport, everything: ReportContent
) -> None:
    (ordinary,) = pages(render(make_report(), None))
    (marked,) = pages(render(everything, None))

    assert "EXAMPLE" not in ordinary
    assert "AMENDED" not in ordinary
    assert "EXAMPLE \u2013 not for clinical use" in marked
    assert "AMENDED REPORT, VERSION 2" in marked
    assert "This report replaces R-26-000123 version 1 of 24-Nov-2026 13:20 IST of the same patient" in marked
    assert "Reason for the amendment: Decimal point wrong at manual entry" in marked
    assert "Corrected. The earlier report said: 48 mg/dL" in marked


def test_criticals_marks_comments_notes_and_both_specimens_are_printed(everything: ReportContent) -> None:
    (text,) = pages(render(everything, None))

    for wanted in ("CRITICAL", "HH", "131 03-Aug-2026", "Specimen slightly haemolysed.", "<0.15", "Fluoride plasma",
                   "accession 26-000124", "accession 26-000123", "scope of accreditation",
                   "Example Reference Laboratory", "read back", "Dr Second Signatory",
                   "Examined and authorised by"):  # fmt: skip
        assert wanted in text


def test_a_long_report_flows_on_and_names_the_patient_on_every_page(
    make_report: MakeReport, make_line: MakeLine
) -> None:
    lines = tuple(make_line(test=f"Analyte {number:03d}", comment="Looked at again.") for number in range(90))

    texts = pages(render(with_lines(make_report(is_example=True), lines), None))

    assert len(texts) >= 3
    for number, text in enumerate(texts, start=1):
        assert "Asha Example" in text
        assert "EX-00000042" in text
        assert f"Page {number} of {len(texts)}" in text
        assert "EXAMPLE \u2013 not for clinical use" in text
    assert all(f"Analyte {number:03d}" in " ".join(texts) for number in range(90))
    assert ["End of report" in text for text in texts] == [False] * (len(texts) - 1) + [True]


def test_a_remark_is_never_parted_from_its_result(make_report: MakeReport, make_line: MakeLine) -> None:
    remark = "Told by telephone and read back. "
    lines = tuple(make_line(test=f"Analyte {n:03d}", comment=remark * (1 + n % 9)) for n in range(60))

    texts = pages(render(with_lines(make_report(), lines), None))

    starts = [text.partition("Previous ")[2][:12] for text in texts if "Analyte" in text]
    assert len(starts) >= 3
    assert all(start.startswith(("Analyte", "CLINICAL")) for start in starts)


def test_a_tall_head_pushes_the_results_down_instead_of_covering_them(make_report: MakeReport) -> None:
    tall = make_report(laboratory=Laboratory(name="Example Diagnostics " * 12, address="12 Example Road, Pune. " * 40))

    def first_result(content: ReportContent) -> float:
        """Points from the page's foot to the first result."""
        found: list[float] = []

        def visit(text: str, placed: list[float], *_: object) -> None:
            if "Potassium" in text:
                found.append(placed[5])

        pypdf.PdfReader(io.BytesIO(render(content, None))).pages[0].extract_text(visitor_text=visit)
        return found[0]

    assert 0 < first_result(tall) < first_result(make_report()) - 100


@pytest.mark.parametrize(
    "text",
    ['#import "/etc/passwd": x', "#panic()", "$ sum_(i=0)^n $", "back\\slash \\u{41} \\", "*b* _it_ `raw` <label> @ref",
     "// gone /* gone */", '"quoted" #{ 1 + 1 }', "= heading", "https://x.example~y--z"],
)  # fmt: skip
def test_what_people_type_is_printed_as_text_and_never_run(
    make_report: MakeReport, make_line: MakeLine, text: str
) -> None:
    report = with_lines(make_report(), (make_line(test=text, value=text, unit=text, comment=text, marks=(text,)),))
    hostile = replace(report, patient=replace(report.patient, name=text), referring_doctor=text, notes=(text,))

    (page,) = pages(render(hostile, None))

    squeezed = "".join(page.replace("\u200b", "").split())
    assert squeezed.count("".join(text.split())) >= 5


def test_hostile_words_without_a_blank_stay_in_their_column(make_report: MakeReport, make_line: MakeLine) -> None:
    line = make_line(test="T" * 90, value="9" * 60, unit="u" * 60, interval="i" * 60, previous="p" * 60)

    with pikepdf.open(io.BytesIO(render(with_lines(make_report(), (line,)), None))) as pdf:
        assert len(pdf.pages) == 1
    (page,) = pages(render(with_lines(make_report(), (line,)), None))

    assert "9" * 12 in page
    assert "9" * 13 not in page


@pytest.mark.req("5.1.1")
@pytest.mark.parametrize(
    ("name", "font"),
    [
        ("\u0936\u094d\u0930\u0940 \u0930\u093e\u092e", "NotoSans-Bold"),
        ("\u0ba4\u0bae\u0bbf\u0bb4\u0bcd \u0b95\u0bbf\u0bb0\u0bc1\u0bb7\u0bcd\u0ba3\u0ba9\u0bcd", "NotoSansTamil-Bold"),
        ("\u0c38\u0c41\u0c2c\u0c4d\u0c30\u0c39\u0c4d\u0c2e\u0c23\u0c4d\u0c2f\u0c02", "NotoSansTelugu-Bold"),
        ("\u0995\u09c3\u09b7\u09cd\u09a3\u09be \u09b6\u09cd\u09b0\u09c0", "NotoSansBengali-Bold"),
        ("\u0cb2\u0c95\u0ccd\u0cb7\u0ccd\u0cae\u0cbf", "NotoSansKannada-Bold"),
        ("\u0d05\u0d28\u0d3f\u0d7d", "NotoSansMalayalam-Bold"),
        ("\u0a97\u0ac0\u0aa4\u0abe", "NotoSansGujarati-Bold"),
        ("\u0a38\u0a3f\u0a70\u0a18", "NotoSansGurmukhi-Bold"),
        ("\u0b17\u0b40\u0b24\u0b3e", "NotoSansOriya-Bold"),
    ],
    ids=["Devanagari", "Tamil", "Telugu", "Bengali", "Kannada", "Malayalam", "Gujarati", "Gurmukhi", "Odia"],
)
def test_a_name_is_printed_in_its_own_script_and_font(make_report: MakeReport, name: str, font: str) -> None:
    pdf = render(make_report(patient=Patient(name=name, uhid="EX-1", age="3 y", sex="Male")), None)

    # Readers disagree about blanks inside shaped words, so every letter of the name is looked for by itself.
    assert set(name) <= set(pages(pdf)[0])
    assert font in {used.rpartition("+")[2] for used in fonts(pdf)}


def fonts(pdf: bytes) -> set[str]:
    """The names of the fonts of the first page."""
    with pikepdf.open(io.BytesIO(pdf)) as file:
        return {
            str(font.BaseFont).removesuffix("-Identity-H") for font in file.pages[0].Resources.Font.as_dict().values()
        }


@pytest.mark.parametrize(
    "name",
    ["\u1c65\u1c5f\u1c71", "\uabc3\uabe4\uabc7", "\u0e2a\u0e21"],
    ids=["Ol Chiki", "Meetei Mayek", "Thai"],
)
def test_a_script_that_no_font_of_ours_has_is_refused(make_report: MakeReport, name: str) -> None:
    with pytest.raises(UnprintableReport):
        render(make_report(patient=Patient(name=name, uhid="EX-1", age="", sex="Female")), None)


@pytest.mark.req("5.1.1")
def test_a_long_report_tells_its_groups_again_on_every_page(
    make_report: MakeReport, everything: ReportContent, make_line: MakeLine
) -> None:
    first, second = everything.groups
    lines = tuple(make_line(test=f"Analyte {number:03d}") for number in range(50))
    report = replace(everything, groups=(replace(first, lines=lines), replace(second, title="SECOND", lines=lines)))

    texts = pages(render(report, None))

    titles = [(first.title.upper() in text, "SECOND" in text) for text in texts if "Analyte" in text]
    assert titles == [(True, False), (True, False), (True, True), (False, True), (False, True)]
    assert all("accession 26-0001" in text for text in texts if "Analyte" in text)


@pytest.mark.req("5.1.1")
def test_the_frame_is_in_the_reports_language(everything: ReportContent) -> None:
    (english,), (hindi,) = (
        pages(render(replace(everything, language=language), None)) for language in (Language.ENGLISH, Language.HINDI)
    )

    frame = ("LABORATORY REPORT", "Reference interval", "Examined by", "Page 1 of 1", "End of report", "Reason for")
    assert [words in english for words in frame] == [True, True, True, True, True, True]
    assert [words in hindi for words in frame] == [False, False, True, False, False, False], (
        "notes are as they were given"
    )
    assert "482" in hindi
    assert "mg/dL" in hindi


def test_a_character_without_a_glyph_is_an_error_that_does_not_repeat_the_name(make_report: MakeReport) -> None:
    with pytest.raises(UnprintableReport) as refused:
        render(make_report(patient=Patient(name="Asha \U0001f600", uhid="EX-1", age="", sex="Female")), None)

    assert "Asha" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_the_compiler_is_unharmed_by_a_refused_report(make_report: MakeReport) -> None:
    good = render(make_report(), None)
    with pytest.raises(UnprintableReport):
        render(make_report(order_number="\U0001f600"), None)

    assert render(make_report(), None) == good


def test_the_same_content_gives_the_same_bytes_in_every_thread(make_report: MakeReport) -> None:
    contents = [make_report(report_number=f"R-26-{number:06d}") for number in range(12)]
    alone = [render(content, b"{}") for content in contents]

    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(lambda content: render(content, b"{}"), contents))

    assert together == alone
    assert [f"R-26-{number:06d}" in pages(pdf)[0] for number, pdf in enumerate(together)] == [True] * 12


def test_a_report_without_results_or_verification_still_ends_clearly(make_report: MakeReport) -> None:
    group: Group = replace(make_report().groups[0], lines=())

    (text,) = pages(render(make_report(groups=(group,), signatories=(), verification="", referring_doctor=""), None))

    assert "Scan to verify" not in text
    assert "End of report" in text


def test_the_verification_code_is_a_drawing_that_differs_with_its_token(make_report: MakeReport) -> None:
    first, second = (render(make_report(verification=f"https://lab.example/v/{n:022d}"), None) for n in (1, 2))

    assert first != second
    assert "Scan to verify" in pages(first)[0]


def test_status_is_a_word_of_the_laboratory() -> None:
    assert [str(status) for status in ReportStatus] == ["final", "amended"]
