"""LOINC's check digit and the units of UCUM."""

from __future__ import annotations

import contextlib
import csv
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lims_api.catalogue.loinc import check_digit, is_loinc
from lims_api.catalogue.ucum import NotUcum, Unit, factor, parse

UCUM = Path(__file__).parents[4] / "shared" / "data" / "ucum" / "ucum_examples.tsv"
KNOWN = ["2345-7", "2160-0", "718-7", "4548-4", "98979-8", "1-8"]
UNITS = [
    "mg/dL", "mmol/L", "10*3/uL", "m[IU]/L", "%", "mg/(24.h)", "fL", "meq/L", "mL/min/{1.73_m2}", "ng/mL{FEU}",
    "{INR}", "/[HPF]", "mm[Hg]", "U/(10.g){feces}", "1",
]  # fmt: skip


@pytest.mark.parametrize("code", KNOWN)
@pytest.mark.req("3.3.1")
def test_known_codes_are_right_and_wrong_with_any_other_digit(code: str) -> None:
    number, digit = code.split("-")

    assert is_loinc(code)
    assert not any(is_loinc(f"{number}-{other}") for other in range(10) if other != int(digit))


@given(st.integers(1, 9_999_999))
def test_two_neighbours_that_changed_places_are_noticed(number: int) -> None:
    """But for 0 and 9, as with every code of this kind."""
    text = str(number)
    for place in range(len(text) - 1):
        first, second = text[place], text[place + 1]
        swapped = text[:place] + second + first + text[place + 2 :]
        if first != second and {first, second} != {"0", "9"}:
            assert check_digit(swapped) != check_digit(text)


@pytest.mark.parametrize("code", ["", "2345", "2345-", "-7", "2345-77", "GLU-1", "12345678-9", "2345-7 "])
def test_what_has_not_the_form_is_no_code(code: str) -> None:
    assert not is_loinc(code)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.req("3.3.1")
def test_units_of_laboratories_are_read(unit: str) -> None:
    assert factor(unit, unit) == 1


@pytest.mark.req("3.3.1")
@pytest.mark.parametrize(
    "unit",
    [
        "IU/L", "EU/ml", "gm%", "cell/cumm", "Fl", "sec", "mcg/dl", "IU dl 1", "mEq/L", "G/L", "10^3/\N{MICRO SIGN}l",
        "Deg. C", "mm/hr", "mg//dL", "(mg", "mg)", "/", "2mg", "0", "{open", "mg/", "mmmol/L", "k%",
    ],
)  # fmt: skip
def test_what_is_no_unit_is_refused_and_the_part_named(unit: str) -> None:
    with pytest.raises(NotUcum, match=r"in '|ends where|not closed"):
        parse(unit)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("mg/dL", "g/L", "0.01"), ("g/dL", "g/L", "10"), ("U/mL", "U/L", "1000"), ("ng/mL", "ug/L", "1"),
        ("10*3/uL", "10*9/L", "1"), ("/uL", "10*3/uL", "0.001"), ("kat/L", "U/L", "60000000"),
        ("mg/d", "mg/(24.h)", "1"), ("m[IU]/mL", "[iU]/L", "1"), ("%", "1", "0.01"),
    ],
)  # fmt: skip
def test_known_factors(source: str, target: str, expected: str) -> None:
    found = factor(source, target)

    assert found is not None
    assert float(found) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("pair", [("mg/dL", "mmol/L"), ("s", "{INR}"), ("mm3", "/mm3"), ("meq/L", "mmol/L")])
def test_what_measures_another_thing_has_no_factor(pair: tuple[str, str]) -> None:
    assert factor(*pair) is None


def test_mass_and_substance_are_alike_and_a_time_and_a_ratio_are_not() -> None:
    assert parse("mg/dL").is_like(parse("mmol/L"))
    assert parse("U/L").is_like(parse("[iU]/L"))
    assert not parse("s").is_like(parse("{INR}"))
    assert not parse("mm3").is_like(parse("/mm3"))


plain = st.sampled_from(["g", "mol", "L", "s", "m", "U"])
prefixes = st.sampled_from(["", "k", "d", "c", "m", "u", "n", "p", "f"])


@given(st.lists(st.tuples(prefixes, plain, st.integers(1, 3)), min_size=1, max_size=4))
def test_a_product_is_the_product_of_its_parts_and_its_inverse_undoes_it(parts: list[tuple[str, str, int]]) -> None:
    words = [f"{prefix}{name}{power if power > 1 else ''}" for prefix, name, power in parts]
    whole = parse(".".join(words))

    single = Unit()
    for word in words:
        single = single.times(parse(word), 1)
    assert whole == single
    assert whole.times(parse("/" + "/".join(words)), 1).kinds == {}
    assert float(whole.factor * parse("/" + "/".join(words)).factor) == pytest.approx(1)


@given(st.text(max_size=12) | st.text("mgkuLlU10*^[]iU{}()./%-+3", max_size=12))
def test_any_text_is_a_unit_or_refused(text: str) -> None:
    with contextlib.suppress(NotUcum):
        assert parse(text).factor > Decimal(0)


@pytest.mark.skipif(not UCUM.exists(), reason="the shared material is not here")
def test_of_the_published_examples_all_that_a_laboratory_reports_are_read() -> None:
    with UCUM.open(encoding="utf-8") as lines:
        codes = [row[1] for row in csv.reader(lines, delimiter="\t") if len(row) > 1][1:]

    refused = []
    for code in codes:
        try:
            parse(code)
        except NotUcum:
            refused.append(code)
    assert len(codes) > 800
    assert len(refused) < len(codes) / 7
    assert not [code for code in refused if code.endswith(("/L", "/mL", "/dL", "/uL")) and code[0] in "mnupg1%"
                and "bar" not in code]  # fmt: skip
