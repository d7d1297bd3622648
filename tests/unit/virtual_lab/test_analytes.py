import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.virtual_lab import analytes, set_points
from ingest.virtual_lab.analytes import Numbers, codes, composed, place, printed, reported


def _set_points(count: int, *, age: float = 45.0, male: bool = True) -> Numbers:
    rng = np.random.default_rng(5)
    return composed(set_points.set_points(rng, is_male=np.full(count, male), age_years=np.full(count, age)))


def test_the_forty_four_tests_are_modelled() -> None:
    assert len(codes()) == len(set(codes())) == 44
    assert {"GLU", "CREA", "BUN", "NA", "K", "CL", "ALT", "AST", "ALP", "TBIL"} < set(codes())
    assert {one.analyser for one in analytes.analytes()} == {"BS480-1", "XN1000-1", "IMM-1"}


@pytest.mark.parametrize("kind", ["between", "within", "analytic"])
def test_the_correlations_can_be_those_of_real_numbers(kind: str) -> None:
    matrix = analytes.correlation(kind)

    assert np.linalg.eigvalsh(matrix).min() > 0.05
    assert np.allclose(analytes.root(kind) @ analytes.root(kind).T, matrix)


def test_what_is_composed_varies_between_persons_as_the_table_says_of_it() -> None:
    """Haemoglobin, leucocytes and cholesterol are computed; their rows of the table are a promise about the rest."""
    spread = _set_points(20_000).std(axis=0)

    off = np.abs(spread / analytes.column("between") - 1)
    assert {code: by for code, by in zip(codes(), off.round(3), strict=True) if by > 0.06} == {}


@given(logs=st.lists(st.floats(-3, 6), min_size=44, max_size=44).map(np.array))
def test_sums_and_products_hold_for_any_values(logs: Numbers) -> None:
    found = np.exp(composed(logs))
    value = dict(zip(codes(), found.tolist(), strict=True))

    assert value["HGB"] == pytest.approx(value["RBC"] * value["MCH"] / 10)
    assert value["HCT"] == pytest.approx(value["RBC"] * value["MCV"] / 10)
    assert value["CHOL"] == pytest.approx(value["LDL"] + value["HDL"] + value["TG"] / 5)
    assert value["WBC"] > value["NEUT"] + value["LYMPH"]
    assert value["DBIL"] < value["TBIL"]
    assert value["ALB"] < value["TP"]


def test_men_have_more_creatinine_and_children_more_alkaline_phosphatase() -> None:
    men, women, children = _set_points(2000), _set_points(2000, male=False), _set_points(2000, age=8.0)

    assert np.median(men[:, place("CREA")]) > np.median(women[:, place("CREA")]) + 0.2
    assert np.median(children[:, place("ALP")]) > np.median(men[:, place("ALP")]) + 0.8
    assert np.median(children[:, place("CREA")]) < np.median(men[:, place("CREA")]) - 0.3


def test_near_days_of_a_person_are_alike_and_far_ones_are_not() -> None:
    rng, count = np.random.default_rng(2), 20_000
    who, day = np.repeat(np.arange(count), 3), np.tile([0, 5, 200], count)

    found = set_points.day_to_day(rng, who=who, day=day, unrest=np.ones((3 * count, 44)))[:, place("K")]

    near, far = (np.corrcoef(found[0::3], found[later::3])[0, 1] for later in (1, 2))
    assert near == pytest.approx(np.exp(-5 / 20), abs=0.03)
    assert far == pytest.approx(0, abs=0.03)
    assert found.std() == pytest.approx(analytes.analyte("K").within, rel=0.03)


@given(code=st.sampled_from(codes()), value=st.floats(1e-3, 1e5))
def test_a_reported_text_says_the_value_and_stays_in_the_reportable_range(code: str, value: float) -> None:
    found, about = reported(code, value), analytes.analyte(code)

    assert found.text == (found.comparator or "") + f"{found.value:.{about.decimals}f}"
    assert about.reportable_low <= found.value <= about.reportable_high
    assert found.comparator == ("<" if value < about.reportable_low else ">" if value > about.reportable_high else None)
    if found.comparator is None:
        assert abs(found.value - value) <= 0.5 / 10**about.decimals + 1e-9 * value


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, len(codes()) - 1), st.floats(1e-3, 1e5)), min_size=1, max_size=20),
    dilutes=st.booleans(),
)
def test_a_whole_frame_is_printed_as_each_value_alone(rows: list[tuple[int, float]], dilutes: bool) -> None:
    frame = pl.DataFrame(rows, schema={"test": pl.UInt8, "raw": pl.Float64}, orient="row")

    found = printed(frame, dilutes=pl.Series([dilutes] * len(rows)))

    alone = [(codes()[test], reported(codes()[test], value, dilutes=dilutes)) for test, value in rows]
    assert found.select("test_code", "value_text", "value", "comparator", "is_diluted").rows() == [
        (code, one.text, one.value, one.comparator, one.is_diluted) for code, one in alone
    ]
