"""When a publication agrees with its mart, and that both have the same columns."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.gold import MARTS, Mart, agree
from pipelines.settings import ROOT
from pipelines.transform import prepare_manifest

SQL_TYPE = {
    "string": "text",
    "double": "double precision",
    "int32": "integer",
    "bool": "boolean",
    "timestamp[us, tz=UTC]": "timestamptz",
}
totals = st.dictionaries(st.sampled_from("abc"), st.tuples(st.integers(1, 9), st.floats(1, 1e6)), min_size=1)


@given(totals)
def test_what_is_the_same_agrees(found: dict[str, tuple[int, float]]) -> None:
    assert agree(found, dict(found))
    assert agree({name: (count, total * (1 + 1e-12)) for name, (count, total) in found.items()}, found)


@given(totals, st.data())
def test_one_row_more_one_thousandth_more_or_one_organization_less_does_not(
    expected: dict[str, tuple[int, float]], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(expected)))
    count, total = expected[name]

    assert not agree({**expected, name: (count + 1, total)}, expected)
    assert not agree({**expected, name: (count, total * 1.001)}, expected)
    assert not agree({other: value for other, value in expected.items() if other != name}, expected)


@pytest.mark.parametrize("mart", MARTS.values(), ids=list(MARTS))
def test_the_gold_table_has_the_columns_of_the_marts_contract(mart: Mart) -> None:
    manifest = json.loads(prepare_manifest(ROOT / "dbt").read_bytes())
    model = manifest["nodes"][f"model.nidan.{mart.relation.split('.')[1]}"]

    assert model["config"]["contract"]["enforced"] is True
    assert f"{model['schema']}.{model['name']}" == mart.relation
    assert [(column["name"], column["data_type"]) for column in model["columns"].values()] == [
        (field.name, SQL_TYPE[str(field.type)]) for field in mart.schema
    ]
