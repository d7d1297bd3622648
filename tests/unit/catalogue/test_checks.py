"""Every mistake that a catalogue file is known to make is found where it is, and nowhere else."""

from __future__ import annotations

import re
import tomllib
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lims_api.catalogue import checks
from lims_api.catalogue.checks import WARNINGS, check
from lims_api.catalogue.files import example_catalogue
from lims_api.catalogue.listing import Entry, Limits, Listing, Severity, listing_of
from lims_api.catalogue.reading import read

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests" / "data" / "catalogue"
SHARED = Path(__file__).parents[4] / "shared" / "data" / "catalogue"
EXPECTED = tomllib.loads((DATA / "wrong_in_shared_lists.toml").read_text("utf-8"))
MISTAKES = re.findall(
    r"^\[\[(?:test|panel)\]\] # ([a-z0-9-]+).*\ncode = \"(\w+)\"", (DATA / "every_mistake.toml").read_text(), re.M
)


def found(*files: Path) -> set[tuple[str, str]]:
    return {(each.row, each.rule) for each in check([read(file) for file in files])}


@pytest.mark.req("12.3")
def test_each_mistake_is_found_at_its_row_and_no_other() -> None:
    expected = {(code, rule) for rule, code in MISTAKES if rule != "nothing"}

    assert len(expected) > 25
    assert found(DATA / "every_mistake.toml") == expected


def test_a_table_by_sex_and_age_and_its_words() -> None:
    assert found(DATA / "mistakes.csv") == {
        ("Haemoglobin", "ages-gap"), ("Ferritin", "not-a-number"), ("Uric acid", "groups-merged"),
        ("Prolactin", "limits-missing"), ("Cortisol", "unit-differs-from-text"), ("Something", "result-undefined"),
        ("Potassium", "not-a-number"), ("Creatinine", "sexes-swapped"), ("Platelets", "not-a-number"),
        ("", "loinc-missing"),
    }  # fmt: skip


def test_factors_between_units() -> None:
    assert found(DATA / "mistakes.json") == {
        ("Cholinesterase", "conversion-wrong"),
        ("Norepinephrine", "conversion-wrong"),
    }


@pytest.mark.req("12.3")
def test_nothing_is_wrong_with_the_shipped_catalogue() -> None:
    assert check([listing_of("examples", example_catalogue())]) == []


def test_every_rule_stands_on_the_reference_page_as_what_it_is() -> None:
    folder = Path(checks.__file__).parent
    sources = "".join((folder / f"{name}.py").read_text() for name in ("checks", "entry_rules", "reading"))
    page = (ROOT / "docs" / "reference" / "catalogue-files.md").read_text("utf-8")
    errors, warnings = page.split("Warnings, for a person to look at:")

    rules = set(re.findall(r'"([a-z]+(?:-[a-z0-9]+)+)"', sources)) - {"utf-8", "utf-8-sig"} | {"placeholder"}
    assert len(rules) > 25
    assert rules >= WARNINGS
    assert {rule for rule in rules if f"`{rule}`" not in (warnings if rule in WARNINGS else errors)} == set()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared material is not here")
@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.req("12.3")
def test_what_is_wrong_in_a_real_list_is_found(name: str) -> None:
    """As it was read by eye before the checks were written."""
    findings = found(SHARED / EXPECTED[name]["file"])

    assert {(each["row"], each["rule"]) for each in EXPECTED[name]["findings"]} - findings == set()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared material is not here")
def test_what_is_right_in_the_real_lists_is_not_complained_of() -> None:
    units = found(SHARED / "labunits_analytes.json")
    india = found(SHARED / "care_india_investigations.tsv")

    assert {rule for _, rule in units} == {"unit-not-ucum", "conversion-wrong"}  # its LOINC codes are right
    for fine in ("LDL", "FBS", "Serum Potassium (K+)", "Albumin", "GGT", "PSA", "Lipase"):
        assert {rule for row, rule in india if row == fine} <= {"duplicate-name"}


def test_a_finding_says_where_how_bad_what_and_what_to_do() -> None:
    findings = check([read(DATA / "every_mistake.toml")])

    assert all(each.file == "every_mistake.toml" and each.wrong and each.remedy for each in findings)
    assert {each.rule for each in findings if each.severity is Severity.WARNING} <= WARNINGS
    (unit,) = [each for each in findings if each.row == "UNIT"]
    assert (unit.severity, unit.wrong, unit.remedy) == (
        Severity.ERROR, "'gm%' is no UCUM unit: 'gm%' in 'gm%'", "Write g/dL.",
    )  # fmt: skip


def test_a_code_in_two_files_is_found_and_a_panel_may_name_a_test_of_another_file(tmp_path: Path) -> None:
    row = (DATA / "every_mistake.toml").read_text().split("\n\n")[1]
    panel = '[[panel]]\ncode = "P"\nname = "P"\ntests = ["FINE"]\nsource = "EXAMPLE"\n'
    for name, text in (("a", row), ("b", row), ("p", panel)):
        (tmp_path / f"{name}.toml").write_text(text)

    assert found(tmp_path / "a.toml", tmp_path / "p.toml") == set()
    assert found(tmp_path / "a.toml", tmp_path / "b.toml") == {("FINE", "duplicate-code")}
    assert found(tmp_path / "p.toml") == {("P", "unknown-test")}
    assert check([read(tmp_path / "p.toml")], known_codes={"FINE"}) == []


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.toml", b"[[test]\n", "unreadable"),
        ("x.toml", b'[[test]]\ncode = "lower"\n', "malformed-row"),
        ("x.toml", b'[[test]]\ncode = "A"\nsurprise = 1\n', "malformed-row"),
        ("x.toml", b"test = 3\n", "malformed-row"),
        ("x.toml", b"\xff\xfe", "unreadable"),
        ("x.csv", b"Id,Name\n1,Haematology\n", "unreadable"),
        ("x.csv", b"", "unreadable"),
        ("x.json", b"{", "unreadable"),
        ("x.json", b"[1]", "unreadable"),
        ("x.xlsx", b"not a workbook", "unreadable"),
        ("x.ods", b"", "unreadable"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_finding(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)

    findings = check([read(tmp_path / name)])

    assert {each.rule for each in findings} == {says}
    assert all(each.severity is Severity.ERROR and each.remedy for each in findings)


def test_a_file_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    (finding,) = check([read(tmp_path / "none.toml")])

    assert (finding.rule, finding.wrong) == ("unreadable", "No such file or directory")


def test_a_workbook_without_the_tests_sheet_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.xlsx", "w") as parts:
        parts.writestr(
            "xl/workbook.xml", '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"/>'
        )
        parts.writestr("xl/_rels/workbook.xml.rels", "<Relationships/>")

    (finding,) = check([read(tmp_path / "x.xlsx")])

    assert finding.wrong == "it has no sheet 'Analysis Services'"


MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def workbook(file: Path, **sheets: list[list[str]]) -> Path:
    """A workbook of these sheets (`_` in a name is a space); text inline in odd columns and shared in even ones."""
    shared = sorted({text for rows in sheets.values() for row in rows for text in row})
    with zipfile.ZipFile(file, "w") as parts:
        names = "".join(
            f'<sheet name="{name.replace("_", " ")}" r:id="r{number}"/>' for number, name in enumerate(sheets)
        )
        links = "".join(f'<R Id="r{number}" Target="worksheets/s{number}.xml"/>' for number in range(len(sheets)))
        parts.writestr("xl/workbook.xml", f'<w xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{names}</sheets></w>')
        parts.writestr("xl/_rels/workbook.xml.rels", f"<Relationships>{links}</Relationships>")
        strings = "".join(f"<si><t>{text}</t></si>" for text in shared)
        parts.writestr("xl/sharedStrings.xml", f'<sst xmlns="{MAIN}">{strings}</sst>')
        for number, rows in enumerate(sheets.values()):
            lines = "".join(f"<row>{''.join(_cells(row, shared))}</row>" for row in rows)
            parts.writestr(f"xl/worksheets/s{number}.xml", f'<ws xmlns="{MAIN}">{lines}</ws>')
    return file


def _cells(row: list[str], shared: list[str]) -> list[str]:
    inline = '<c r="{}1" t="inlineStr"><is><t>{}</t></is></c>'
    by_index = '<c r="{}1" t="s"><v>{}</v></c>'
    return [
        by_index.format("ABCDEF"[place], shared.index(text)) if place % 2 else inline.format("ABCDEF"[place], text)
        for place, text in enumerate(row) if text
    ]  # fmt: skip


HEAD = [["About"], ["For people"]]


def test_a_workbook_of_services_is_read_and_checked(tmp_path: Path) -> None:
    file = workbook(
        tmp_path / "x.xlsx",
        Analysis_Services=[
            ["title", "Unit", "LowerDetectionLimit", "UpperDetectionLimit"], *HEAD,
            ["Zinc", "mg/l", "0", "100"], ["Warmth", "Deg. C", "0", "1000000000"], ["Colony", ""],
        ],
        Analysis_Specifications=[
            ["Title", "Client_title", "service", "min", "max"], *HEAD,
            ["Hay", "", "Zinc", "9", "0.11"], ["Hay", "", "Warmth", "`", "3"],
        ],
        AnalysisService_ResultOptions=[
            ["Service_title", "ResultText"], *HEAD, ["Colony", "Seen"], ["Colony", "Not seen"],
        ],
        Analysis_Profiles=[["title"], *HEAD, ["Metals"], ["Nothing"]],
        Analysis_Profile_Services=[["Profile", "Service"], *HEAD, ["Metals", "Zinc"], ["Metals", "Gold"]],
    )  # fmt: skip

    assert found(file) == {
        ("Zinc", "limits-swapped"), ("Zinc", "far-from-known"), ("Warmth", "unit-not-ucum"), ("Warmth", "placeholder"),
        ("Warmth", "not-a-number"), ("Metals", "unknown-test"), ("Nothing", "empty-panel"), ("", "loinc-missing"),
    }  # fmt: skip


numbers = st.decimals(1, 1000, places=1)


@given(numbers, numbers, st.none() | numbers, st.none() | numbers)
def test_an_interval_is_accepted_exactly_when_it_is_in_order(
    low: object, high: object, below: object, above: object
) -> None:
    """low < high, and no normal value is critical."""
    limits = Limits(
        low=str(low), high=str(high), critical_low="" if below is None else str(below),
        critical_high="" if above is None else str(above),
    )  # fmt: skip
    entry = Entry(name="Any", loinc="1-8", unit="mg/dL", limits=(limits,))

    in_order = low < high and (below is None or below <= low) and (above is None or above >= high)  # type: ignore[operator]
    distinct = below is None or above is None or below != above
    rules = {each.rule for each in check([Listing(file="f", entries=[entry])])}
    if in_order:
        assert rules <= {"critical-not-reportable"}
    elif distinct:
        assert rules & {"limits-swapped", "limits-equal", "critical-inside-reference"}
