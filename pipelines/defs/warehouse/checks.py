"""That the warehouse has what bronze has."""

import dagster as dg

from pipelines.capture import LEDGER, NUMBER, bronze_table
from pipelines.defs.resources import Stores
from pipelines.settings import libpq
from pipelines.warehouse import loaded_capture


@dg.asset_check(asset=["raw", "results"])
def bronze_is_loaded(stores: Stores) -> dg.AssetCheckResult:
    """Up to the newest capture, or the marts are older than they look."""
    newest = int(bronze_table(stores.lake(), LEDGER).properties.get(NUMBER, "0"))
    loaded = loaded_capture(libpq(stores.settings().warehouse_url))
    return dg.AssetCheckResult(
        passed=loaded == newest,
        severity=dg.AssetCheckSeverity.WARN,  # a capture may have come in since the load
        metadata={"loaded": loaded, "newest": newest},
    )
