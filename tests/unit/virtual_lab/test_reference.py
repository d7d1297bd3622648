import tomllib
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.virtual_lab import reference
from ingest.virtual_lab.analytes import codes


@pytest.mark.parametrize("code", codes())
@pytest.mark.parametrize("sex", ["male", "female"])
def test_exactly_one_row_fits_every_age_of_a_man_and_of_a_woman(code: str, sex: str) -> None:
    rows = [row for row in reference.intervals() if row.test_code == code and row.sex in {"any", sex}]
    edges = sorted({row.age_from_days for row in rows} | {row.age_to_days - 1 for row in rows})

    fitting = [sum(row.age_from_days <= age < row.age_to_days for row in rows) for age in edges]

    assert edges[0] == 0
    assert edges[-1] == reference.NO_END - 1
    assert set(fitting) == {1}


def test_limits_are_in_order_and_critical_limits_lie_outside() -> None:
    for row in reference.intervals():
        given_limits = [row.critical_low, row.low, row.high, row.critical_high]
        present = [limit for limit in given_limits if limit is not None]
        assert present == sorted(set(present))


def test_a_person_of_another_sex_has_no_interval_where_only_men_and_women_have() -> None:
    assert reference.interval("CREA", sex="other", age_days=15_000) is None
    assert reference.interval("GLU", sex="other", age_days=15_000) is not None


@given(
    code=st.sampled_from(codes()),
    sex=st.sampled_from(["male", "female", "other"]),
    age_days=st.integers(0, reference.NO_END - 1),
)
def test_limits_of_many_are_the_limits_of_each(code: str, sex: str, age_days: int) -> None:
    many = reference.limits(code, sex=np.array([sex]), age_days=np.array([age_days]))

    one = reference.interval(code, sex=sex, age_days=age_days)
    expected = {name: getattr(one, name, None) for name in reference.LIMITS}
    assert {name: None if np.isnan(values[0]) else values[0] for name, values in many.items()} == expected


def test_the_limits_are_those_of_the_example_catalogue() -> None:
    """A history is judged as the day that follows it. Compared by value; the programs share no code. A pregnancy is
    stated by nobody in the virtual laboratory."""
    played = {row.test_code for row in reference.intervals()}
    examples = files("lims_api.catalogue") / "examples"
    texts = [each.read_text("utf-8") for each in examples.iterdir()]

    shipped = {
        reference.Interval(
            test_code=test["code"],
            sex=row["sex"],
            age_from_days=row["age_from_days"],
            age_to_days=row["age_to_days"],
            **{name: float(row[name]) for name in reference.LIMITS if name in row},
        )
        for text in texts
        for test in tomllib.loads(text).get("test", [])
        for row in test["intervals"]
        if test["code"] in played and row.get("pregnancy", "any") in ("any", "not_pregnant")
    }
    assert len(played) >= 10
    assert set(reference.intervals()) == shipped
