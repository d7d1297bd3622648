"""What a results table must look like before anybody computes with it, said in Great Expectations.

Only whether each expectation holds is reported, never a value: the column holds patients' results.
"""

from typing import Any

import polars as pl

OLDEST_AGE_DAYS = 130 * 366
_NEVER_NULL = ("organization_id", "result_id", "patient_key", "test_code", "is_current", "available_at", "recorded_at")
_ONE_OF = {
    "status": ["held", "authorised", "superseded", "rejected"],
    "entry": ["instrument", "manual", "import"],
    "flag": ["L", "H", "LL", "HH", "N"],
    "sex": ["male", "female", "other", "unknown"],
    "comparator": ["<", "<=", ">", ">="],
}


def expectations(gx: Any) -> list[Any]:
    """The suite, built from the imported `great_expectations`."""
    expect = gx.expectations
    return [
        expect.ExpectColumnValuesToBeUnique(column="result_id"),
        *(expect.ExpectColumnValuesToNotBeNull(column=name) for name in _NEVER_NULL),
        *(expect.ExpectColumnValuesToBeInSet(column=name, value_set=values) for name, values in _ONE_OF.items()),
        expect.ExpectColumnValuesToBeBetween(column="value", min_value=0),
        expect.ExpectColumnValuesToBeBetween(column="age_days", min_value=0, max_value=OLDEST_AGE_DAYS),
        expect.ExpectColumnValuesToBeBetween(column="risk", min_value=0, max_value=1),
    ]


def violated(results: pl.DataFrame) -> list[str]:
    """The expectations that do not hold of these rows of gold.fct_results, as `column: expectation`; none is good."""
    import great_expectations as gx  # takes ten seconds to import: only who checks pays

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("lake").add_dataframe_asset("results")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch(
        batch_parameters={"dataframe": results.to_pandas()}
    )
    suite = gx.ExpectationSuite(name="fct_results", expectations=expectations(gx))
    outcome = batch.validate(suite, result_format="BOOLEAN_ONLY")
    return [
        f"{found.expectation_config.kwargs['column']}: {found.expectation_config.type}"
        for found in outcome.results
        if not found.success
    ]
