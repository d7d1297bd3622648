"""That gold.fct_results is fit to compute with."""

import dagster as dg
import polars as pl

from pipelines.defs.resources import Stores
from pipelines.expectations import violated
from pipelines.gold import FCT_RESULTS
from pipelines.side import do

_COLUMNS = (
    "organization_id", "result_id", "patient_key", "test_code", "is_current", "available_at", "recorded_at", "status",
    "entry", "flag", "sex", "comparator", "value", "age_days", "risk",
)  # fmt: skip


@dg.asset_check(asset=["gold", "fct_results"])
def results_meet_expectations(stores: Stores) -> dg.AssetCheckResult:
    """Keys, codes and ranges, checked by Great Expectations; only names of what failed are reported."""
    table = stores.lake().load_table(FCT_RESULTS.target)
    results = pl.DataFrame(table.scan(selected_fields=_COLUMNS).to_arrow())
    failed = do("expectations", violated, results)
    return dg.AssetCheckResult(passed=not failed, metadata={"rows": len(results), "violated": failed})
