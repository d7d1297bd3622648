"""The nightly tidying of the lake's tables."""

import dagster as dg

from pipelines.clock import utc_now
from pipelines.defs.resources import OWNERS, Stores
from pipelines.maintenance import tables, tidy


@dg.asset(key=["lake", "tidied"], group_name="maintenance", kinds={"iceberg"}, owners=OWNERS)
def lake_tidied(stores: Stores) -> dg.MaterializeResult[None]:
    """Small files merged, old snapshots forgotten, files that nothing names deleted; the content stays as it is."""
    lake = stores.lake()
    done = {name: tidy(lake, name, now=utc_now()) for name in tables(lake)}
    metadata = {
        name: f"{one.merged} merged, {one.forgotten} forgotten, {one.deleted} deleted" for name, one in done.items()
    }
    return dg.MaterializeResult(metadata=metadata)
