"""The marts, published to the lake: what dashboards, statistics and models read."""

import dagster as dg

from pipelines.defs.resources import OWNERS, Stores
from pipelines.gold import MARTS, Mart, publish
from pipelines.settings import libpq


def _published(mart: Mart) -> dg.AssetsDefinition:
    @dg.asset(
        key=mart.target.split("."),
        deps=[mart.relation.split(".")],
        group_name="gold",
        kinds={"iceberg"},
        owners=OWNERS,
        description=f"{mart.relation}, each organization's partition replaced in one commit, checked by count and sum.",
    )
    def published(stores: Stores) -> dg.MaterializeResult[None]:
        found = publish(libpq(stores.settings().warehouse_url), stores.lake(), mart)
        return dg.MaterializeResult(metadata={"dagster/row_count": found.rows, "organizations": found.organizations})

    return published


gold_assets = [_published(mart) for mart in MARTS.values()]
