"""The shipped catalogue: whole, in the standards' codes, an EXAMPLE in every row, and written as export writes it."""

from __future__ import annotations

import unicodedata
from importlib.resources import files

import pytest
from pydantic import ValidationError

from lims_api.catalogue.files import example_catalogue, texts_of
from lims_api.catalogue.loinc import is_loinc
from lims_api.catalogue.models import ResultKind
from lims_api.catalogue.reference_intervals import Pregnancy, overlapping
from lims_api.catalogue.schemas import DefinitionIn, IntervalIn
from lims_api.catalogue.ucum import parse
from lims_api.cli.seeding import TEN, example_tests

CATALOGUE = example_catalogue()
TESTS = {test.code: test for test in CATALOGUE.test}
UNITS = {
    "NA K CL HCO3": "mmol/L", "CA MG PHOS BUN CREA URIC TBIL DBIL CHOL TG HDL LDL GLU": "mg/dL", "TP ALB HGB": "g/dL",
    "ALT AST ALP GGT LDH CK": "U/L", "HBA1C HCT RDW": "%", "TSH": "m[IU]/L", "FT4": "ng/dL", "FT3 B12": "pg/mL",
    "VITD FERR": "ng/mL", "IRON": "ug/dL", "CRP": "mg/L", "RBC": "10*6/uL", "MCV": "fL", "MCH": "pg",
    "WBC NEUT LYMPH PLT": "10*3/uL",
}  # fmt: skip
"""What the analysers of the virtual laboratory send."""
BLOOD = {"HGB", "HCT", "RBC", "MCV", "MCH", "RDW", "WBC", "NEUT", "LYMPH", "PLT", "HBA1C"}


@pytest.mark.req("3.3.1")
def test_it_is_what_a_laboratory_sells() -> None:
    assert len(CATALOGUE.test) >= 120
    assert len(CATALOGUE.panel) >= 30
    assert len(TESTS) == len(CATALOGUE.test)
    assert len({panel.code for panel in CATALOGUE.panel} | set(TESTS)) == len(TESTS) + len(CATALOGUE.panel)
    assert {test.kind for test in CATALOGUE.test} == set(ResultKind)
    assert len({test.discipline for test in CATALOGUE.test}) >= 6


@pytest.mark.req("3.3.1")
@pytest.mark.parametrize("test", CATALOGUE.test, ids=lambda test: test.code)
def test_every_test_has_the_standards_codes_and_is_an_unapproved_example(test: object) -> None:
    assert is_loinc(test.loinc)  # type: ignore[attr-defined]
    parse(test.unit)  # type: ignore[attr-defined]
    assert test.translations["hi"]  # type: ignore[attr-defined]
    assert test.is_example  # type: ignore[attr-defined]
    assert "EXAMPLE" in test.source  # type: ignore[attr-defined]
    assert (test.approved_by, test.approved_on) == ("", None)  # type: ignore[attr-defined]
    assert overlapping(test.intervals) is False  # type: ignore[attr-defined]


def test_what_the_analysers_send_is_in_it_in_their_units_and_containers() -> None:
    expected = {code: unit for codes, unit in UNITS.items() for code in codes.split()}

    assert len(expected) == 44
    assert {code: TESTS[code].unit for code in expected} == expected
    for code in expected:
        where = ("Whole blood", "EDTA 3 mL") if code in BLOOD else ("Serum", "SST 5 mL")
        assert (TESTS[code].specimen_type, TESTS[code].container) == where


def test_every_row_has_a_price_and_a_panel_costs_less_than_its_tests() -> None:
    for panel in CATALOGUE.panel:
        assert panel.list_price is not None, panel.code
        assert 0 < panel.list_price < sum(TESTS[code].list_price or 0 for code in panel.tests), panel.code
    assert [test.code for test in CATALOGUE.test if not test.list_price or not 20 <= test.list_price <= 5000] == []


@pytest.mark.parametrize("price", ["-1", "0.001", "NaN", "Infinity", "free", "9" * 13])
def test_a_price_is_rupees_and_not_below_zero(price: str) -> None:
    row = TESTS["GLU"].model_dump() | {"list_price": price}

    with pytest.raises(ValidationError, match="list_price"):
        DefinitionIn.model_validate(row)


@pytest.mark.req("5.1.1")
@pytest.mark.parametrize("row", [*CATALOGUE.test, *CATALOGUE.panel], ids=lambda row: row.code)
def test_every_row_has_a_name_in_hindi(row: object) -> None:
    """In Devanagari but for abbreviations; an EXAMPLE translation like the rest of the row."""
    name = row.translations["hi"]  # type: ignore[attr-defined]

    letters = [each for each in name if each.isalpha()]
    assert all("DEVANAGARI" in unicodedata.name(each) for each in letters), name


@pytest.mark.req("5.1.1")
@pytest.mark.parametrize("names", [{"hindi": "ग्लूकोज"}, {"HI": "ग्लूकोज"}, {"hi": ""}])
def test_a_name_without_a_language_or_without_letters_is_refused(names: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        DefinitionIn.model_validate(TESTS["GLU"].model_dump() | {"translations": names})


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "coded"},
        {"kind": "coded", "allowed_values": ["A", "A"], "unit": "", "intervals": []},
        {"allowed_values": ["High", "Low"]},
        {"kind": "text", "intervals": []},
        {"kind": "text", "unit": "", "intervals": [], "reportable_low": None, "reportable_high": None},
    ],
)
def test_a_row_that_is_not_of_its_kind_is_refused(wrong: dict[str, object]) -> None:
    """The last one has a delta limit still."""
    with pytest.raises(ValidationError):
        DefinitionIn.model_validate(TESTS["GLU"].model_dump() | wrong)


def test_an_interval_of_a_trimester_is_a_womans() -> None:
    with pytest.raises(ValidationError, match="female"):
        IntervalIn(sex="any", pregnancy=Pregnancy.TRIMESTER_1, source="EXAMPLE")


@pytest.mark.req("12.4")
def test_hiv_is_restricted() -> None:
    assert TESTS["HIV"].is_restricted


def test_some_intervals_hold_in_a_trimester_alone() -> None:
    states = {interval.pregnancy for test in CATALOGUE.test for interval in test.intervals}

    assert states == set(Pregnancy)


def test_the_smallest_laboratory_has_its_ten() -> None:
    assert {test.code for test in example_tests()} == set(TEN)


def test_the_shipped_files_are_as_export_writes_them() -> None:
    folder = files("lims_api.catalogue") / "examples"

    assert texts_of(CATALOGUE) == {each.name: each.read_text("utf-8") for each in folder.iterdir()}
