import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.virtual_lab import errors
from ingest.virtual_lab.analytes import analyte, analytes, codes, reported
from ingest.virtual_lab.errors import INJECTORS, ErrorKind, Panel

RANGES = {"GLU": (50, 400), "CREA": (0.3, 12), "BUN": (4, 110), "NA": (115, 160), "K": (2.2, 7.5), "CL": (80, 120),
          "ALT": (6, 900), "AST": (8, 900), "ALP": (25, 700), "TBIL": (0.2, 20)}  # fmt: skip
RANGES |= {one.code: (one.control[0] / 2, one.control[1] * 2) for one in analytes() if one.code not in RANGES}
BOUND = {"K", "ALP", "CA", "MG"}
seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@st.composite
def panels(draw: st.DrawFn, *, least: int = 1) -> Panel:
    chosen = draw(st.lists(st.sampled_from(codes()), min_size=least, max_size=10, unique=True))
    return {code: draw(st.floats(*RANGES[code])) for code in chosen}


full_panels = st.fixed_dictionaries({code: st.floats(*limits) for code, limits in RANGES.items()})


@given(kind=st.sampled_from(list(INJECTORS)), panel=panels(), rng=seeds)
def test_an_injector_keeps_the_tests_and_positive_values_and_touches_no_input(
    kind: ErrorKind, panel: Panel, rng: np.random.Generator
) -> None:
    before = dict(panel)

    sent = INJECTORS[kind](panel, rng)

    assert panel == before
    if sent is not None:
        assert sent.keys() == panel.keys()
        assert all(value >= 0 and np.isfinite(value) for value in sent.values())


@given(kind=st.sampled_from(list(INJECTORS)), panel=panels(), seed=st.integers(0, 2**32 - 1))
def test_the_same_generator_state_gives_the_same_error(kind: ErrorKind, panel: Panel, seed: int) -> None:
    once, again = (INJECTORS[kind](panel, np.random.default_rng(seed)) for _ in range(2))

    assert once == again


@given(kind=st.sampled_from(list(INJECTORS)), panel=panels(), rng=seeds)
def test_what_is_injected_is_consequential(kind: ErrorKind, panel: Panel, rng: np.random.Generator) -> None:
    sent = errors.inject(kind, panel, rng)

    if sent is not None:
        moved = [abs(reported(code, sent[code]).value - reported(code, true).value) for code, true in panel.items()]
        allowed = [errors.allowable(code, reported(code, true).value) for code, true in panel.items()]
        assert any(by > limit for by, limit in zip(moved, allowed, strict=True))


@given(panel=panels())
def test_the_truth_itself_is_never_consequential(panel: Panel) -> None:
    assert not errors.is_consequential(panel, panel)


@given(panel=full_panels, rng=seeds)
def test_edta_raises_potassium_lowers_alp_and_leaves_the_rest(panel: Panel, rng: np.random.Generator) -> None:
    sent = errors.edta(panel, rng)

    assert 0.6 <= sent["K"] - panel["K"] <= 6.000001
    assert 0.39 <= sent["ALP"] / panel["ALP"] <= 0.95
    assert sent["CA"] < panel["CA"]
    assert {code: sent[code] for code in panel if code not in BOUND} == {
        code: panel[code] for code in panel if code not in BOUND
    }


@given(panel=full_panels, rng=seeds)
def test_edta_is_always_consequential_where_potassium_is_measured(panel: Panel, rng: np.random.Generator) -> None:
    assert errors.is_consequential({"K": panel["K"]}, errors.edta({"K": panel["K"]}, rng))


@given(panel=full_panels, rng=seeds)
def test_haemolysis_raises_potassium_and_ast_together(panel: Panel, rng: np.random.Generator) -> None:
    sent = errors.haemolysis(panel, rng)

    share = (sent["K"] - panel["K"]) / 2
    assert 0.2 <= share <= 1.000001
    assert sent["AST"] / panel["AST"] == pytest.approx(1 + 1.5 * share)
    assert sent["TBIL"] < panel["TBIL"]
    assert sent["NA"] == panel["NA"]


@given(rng=seeds, value=st.floats(0.5, 20))
def test_haemolysis_is_harmless_where_nothing_that_leaks_is_measured(rng: np.random.Generator, value: float) -> None:
    assert errors.inject(ErrorKind.HAEMOLYSIS, {"CREA": value}, rng) is None


@given(panel=full_panels, rng=seeds)
def test_delayed_separation_lowers_glucose_and_raises_potassium(panel: Panel, rng: np.random.Generator) -> None:
    sent = errors.delayed_separation(panel, rng)

    assert 0.599 <= sent["GLU"] / panel["GLU"] <= 0.92001
    assert 0.299 <= sent["K"] - panel["K"] <= 1.50001


@given(panel=full_panels, rng=seeds)
def test_infusion_fluid_dilutes_what_it_does_not_hold(panel: Panel, rng: np.random.Generator) -> None:
    sent = errors.iv_fluid(panel, rng)

    left = {code: sent[code] / panel[code] for code in ("CREA", "BUN", "ALT", "AST", "ALP", "TBIL")}
    assert max(left.values()) == pytest.approx(min(left.values()))
    assert 0.5999 <= left["ALT"] <= 0.9201
    kept = left["ALT"] * panel["NA"]
    assert any(sent["NA"] == pytest.approx(kept + (1 - left["ALT"]) * sodium) for sodium in (154, 130, 0))


@given(panel=panels(), rng=seeds)
def test_bias_unit_and_decimal_move_one_analyte(panel: Panel, rng: np.random.Generator) -> None:
    for injector in (errors.bias, errors.decimal, errors.unit):
        sent = injector(panel, rng)
        if sent is None:
            assert not panel.keys() & errors.WRONG_UNIT.keys()
        else:
            assert sum(sent[code] != panel[code] for code in panel) == 1


@given(panel=panels(), rng=seeds)
def test_a_bias_is_two_four_or_eight_allowable_errors(panel: Panel, rng: np.random.Generator) -> None:
    sent = errors.bias(panel, rng)

    code = next(code for code in panel if sent[code] != panel[code])
    size = abs(sent[code] - panel[code]) / errors.allowable(code, panel[code])
    cut = sent[code] == panel[code] / 20
    assert cut or any(size == pytest.approx(wanted) for wanted in errors.BIAS_SIZES)


@given(panel=panels(), rng=seeds)
def test_a_shifted_decimal_point_is_a_factor_of_ten(panel: Panel, rng: np.random.Generator) -> None:
    sent = errors.decimal(panel, rng)

    factors = {sent[code] / panel[code] for code in panel if sent[code] != panel[code]}
    assert len(factors) == 1
    assert abs(np.log10(factors.pop())) == pytest.approx(1)


@given(first=full_panels, second=full_panels, chosen=st.sets(st.sampled_from(codes()), min_size=1))
def test_a_swap_sends_the_other_persons_values_and_swapping_back_restores_them(
    first: Panel, second: Panel, chosen: set[str]
) -> None:
    own = {code: first[code] for code in chosen}

    sent = errors.swap(own, second)

    assert sent == {code: second[code] for code in chosen}
    assert sent is not None
    assert errors.swap(sent, first) == own


def test_a_swap_with_a_tube_whose_values_are_unknown_is_not_made() -> None:
    assert errors.swap({"K": 4.0, "NA": 140.0}, {"K": 5.0}) is None


@given(code=st.sampled_from(codes()), value=st.floats(0.01, 1000))
def test_the_allowable_error_is_never_zero(code: str, value: float) -> None:
    assert errors.allowable(code, value) > 0
    assert analyte(code).code == code


def test_the_limit_itself_is_still_allowed() -> None:
    assert not errors.is_wrong("NA", 140.0, 144.0)
    assert errors.is_wrong("NA", 140.0, 145.0)


@given(panel=full_panels, rng=seeds)
def test_a_clot_takes_platelets_most_and_spares_the_red_cells(panel: Panel, rng: np.random.Generator) -> None:
    sent = errors.clot(panel, rng)

    left = {code: sent[code] / panel[code] for code in ("PLT", "WBC", "HGB", "MCV")}
    assert 0.149 <= left["PLT"] <= 0.801
    assert left["PLT"] < left["WBC"] < 1
    assert left["HGB"] == left["MCV"] == 1


@given(panel=full_panels, rng=seeds)
def test_biotin_makes_a_thyroid_look_overactive(panel: Panel, rng: np.random.Generator) -> None:
    sent = errors.biotin(panel, rng)

    assert sent["TSH"] < panel["TSH"]
    assert sent["FT4"] > panel["FT4"]
    assert sent["GLU"] == panel["GLU"]


@given(panel=full_panels, rng=seeds)
def test_infusion_fluid_dilutes_blood_but_not_its_cells(panel: Panel, rng: np.random.Generator) -> None:
    sent = errors.iv_fluid(panel, rng)

    assert sent["HGB"] < panel["HGB"]
    assert {code: sent[code] for code in ("MCV", "MCH", "HBA1C")} == {
        code: panel[code] for code in ("MCV", "MCH", "HBA1C")
    }


@given(panel=panels(), rng=seeds)
def test_what_is_typed_by_hand_is_wrong_in_one_value(panel: Panel, rng: np.random.Generator) -> None:
    sent = errors.manual_entry(panel, rng)

    assert sum(sent[code] != panel[code] for code in panel) == 1
