import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.virtual_lab import analytes
from ingest.virtual_lab.analytes import codes, reported
from ingest.virtual_lab.history import printed

PLACE = {code: index for index, code in enumerate(codes())}


def _baselines(count: int, *, age: float = 45.0, male: bool = True) -> analytes.Numbers:
    rng = np.random.default_rng(5)
    return analytes.baselines(rng, is_male=np.full(count, male), age_years=np.full(count, age))


def test_the_ten_tests_are_modelled() -> None:
    assert set(codes()) == {"GLU", "CREA", "BUN", "NA", "K", "CL", "ALT", "AST", "ALP", "TBIL"}


@pytest.mark.parametrize("kind", ["between", "within"])
def test_the_correlations_can_be_those_of_real_numbers(kind: str) -> None:
    matrix = analytes.correlation(kind)

    assert np.linalg.eigvalsh(matrix).min() > 0.05
    assert np.allclose(analytes.root(kind) @ analytes.root(kind).T, matrix)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        ("NA", "CL", 0.5, 0.6),
        ("ALT", "AST", 0.67, 0.77),
        ("CREA", "BUN", 0.4, 0.5),
        ("GLU", "TBIL", -0.05, 0.05),
    ],
)
def test_healthy_persons_values_are_correlated_as_the_table_says(
    first: str, second: str, low: float, high: float
) -> None:
    found = np.atleast_2d(np.corrcoef(_baselines(20_000).T))

    assert low < found[PLACE[first], PLACE[second]] < high


def test_the_spread_between_persons_is_that_of_the_table() -> None:
    spread = _baselines(20_000).std(axis=0)

    assert np.allclose(spread, analytes.column("between"), rtol=0.05)


def test_men_have_more_creatinine_and_children_more_alkaline_phosphatase() -> None:
    men, women, children = _baselines(2000), _baselines(2000, male=False), _baselines(2000, age=8.0)

    assert np.median(men[:, PLACE["CREA"]]) > np.median(women[:, PLACE["CREA"]]) + 0.2
    assert np.median(children[:, PLACE["ALP"]]) > np.median(men[:, PLACE["ALP"]]) + 0.8
    assert np.median(children[:, PLACE["CREA"]]) < np.median(men[:, PLACE["CREA"]]) - 0.3


def test_diseases_are_of_a_minority_and_of_the_old() -> None:
    rng = np.random.default_rng(1)

    young = (analytes.severities(rng, np.full(5000, 25.0)) > 0).mean(axis=0)
    old = (analytes.severities(rng, np.full(5000, 70.0)) > 0).mean(axis=0)

    assert (young < 0.2).all()
    assert (old <= 0.5).all()
    assert (old >= young - 0.01).all()


def test_an_acute_disease_begins_at_its_onset_and_fades() -> None:
    which = [disease.name for disease in analytes.diseases()].index("acute hepatitis")
    severity = np.zeros((4, len(analytes.diseases())))
    severity[:, which] = 0.5

    shift, unrest = analytes.disease_effects(severity, np.array([-1.0, 0.0, 14.0, 28.0]))

    alt = shift[:, PLACE["ALT"]]
    assert alt[0] == 0
    assert alt[1] > 2
    assert alt[2] == pytest.approx(alt[1] / 2)
    assert alt[3] == pytest.approx(alt[1] / 4)
    assert (unrest >= 1).all()


def test_without_disease_nothing_is_shifted() -> None:
    shift, unrest = analytes.disease_effects(np.zeros((3, len(analytes.diseases()))), np.zeros(3))

    assert not shift.any()
    assert (unrest == 1).all()


@given(code=st.sampled_from(codes()), value=st.floats(1e-3, 1e5))
def test_a_reported_text_says_the_value_and_stays_in_the_reportable_range(code: str, value: float) -> None:
    found, about = reported(code, value), analytes.analyte(code)

    assert found.text == (found.comparator or "") + f"{found.value:.{about.decimals}f}"
    assert about.reportable_low <= found.value <= about.reportable_high
    assert found.comparator == ("<" if value < about.reportable_low else ">" if value > about.reportable_high else None)
    if found.comparator is None:
        assert abs(found.value - value) <= 0.5 / 10**about.decimals + 1e-9 * value


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, len(codes()) - 1), st.floats(1e-3, 1e5)), min_size=1, max_size=20))
def test_a_whole_frame_is_printed_as_each_value_alone(rows: list[tuple[int, float]]) -> None:
    frame = pl.DataFrame(rows, schema={"test": pl.UInt8, "raw": pl.Float64}, orient="row")

    found = printed(frame).select("test_code", "value_text", "value", "comparator").rows()

    alone = [(codes()[test], reported(codes()[test], value)) for test, value in rows]
    assert found == [(code, one.text, one.value, one.comparator) for code, one in alone]
