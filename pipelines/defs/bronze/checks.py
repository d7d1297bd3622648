"""That a ledger row is in the lake once."""

import dagster as dg
import polars as pl

from pipelines.capture import LEDGER, bronze_table
from pipelines.defs.resources import Stores


@dg.asset_check(asset=["bronze", "ledger"], blocking=True)
def each_change_is_there_once(stores: Stores) -> dg.AssetCheckResult:
    """A row captured twice would count twice in every mart: the ledger's numbers must be unique in bronze."""
    numbers = pl.DataFrame(bronze_table(stores.lake(), LEDGER).scan(selected_fields=("seq",)).to_arrow())["seq"]
    repeated = len(numbers) - numbers.n_unique()
    return dg.AssetCheckResult(passed=repeated == 0, metadata={"rows": len(numbers), "repeated": repeated})
