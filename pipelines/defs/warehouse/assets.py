"""Bronze into `raw`, and dbt over it. Asset keys are table names, so dbt's sources find their assets by name."""

import json
from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, dbt_assets
from dagster_dbt.asset_utils import get_asset_check_key_for_test

from pipelines.capture import LEDGER, bronze_table
from pipelines.defs.resources import OWNERS, Stores
from pipelines.raw_schema import RAW
from pipelines.settings import ROOT, libpq
from pipelines.side import do
from pipelines.transform import Node, build, prepare_manifest
from pipelines.warehouse import load

MANIFEST = do("dbt", prepare_manifest, ROOT / "dbt")
_PROJECT: dict[str, Any] = json.loads(MANIFEST.read_bytes())


@dg.multi_asset(
    name="raw",
    specs=[
        dg.AssetSpec(
            ["raw", name], deps=[["bronze", "ledger"]], group_name="warehouse", kinds={"postgres"}, owners=OWNERS
        )
        for name in RAW
    ],
)
def raw(stores: Stores) -> Iterator[dg.MaterializeResult[None]]:
    """What bronze has and the warehouse has not, typed, each change once."""
    loaded = load(libpq(stores.settings().warehouse_url), bronze_table(stores.lake(), LEDGER))
    for name in RAW:
        metadata = {"dagster/row_count": loaded.rows.get(name, 0), "capture": loaded.capture, "rebuilt": loaded.rebuilt}
        yield dg.MaterializeResult(asset_key=["raw", name], metadata=metadata)


TRANSLATOR = DagsterDbtTranslator()


@dbt_assets(manifest=MANIFEST, dagster_dbt_translator=TRANSLATOR, name="dbt")  # type: ignore[untyped-decorator]
def dbt(
    context: dg.AssetExecutionContext, stores: Stores
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Staging, intermediate and marts, built and tested as a whole. A failed test stops everything downstream."""
    nodes = do("dbt", build, stores.settings())
    for node in nodes:
        yield from _event(context, node)
    if failed := [node.unique_id for node in nodes if not node.good]:
        raise dg.Failure(f"dbt: {len(failed)} of {len(nodes)} failed", metadata={"failed": failed}, allow_retries=False)


def _event(context: dg.AssetExecutionContext, node: Node) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """What Dagster should know of one dbt node; nothing of a node that was not asked for."""
    if node.unique_id.startswith("model.") and node.good:
        key = TRANSLATOR.get_asset_key(_PROJECT["nodes"][node.unique_id])
        if key in context.selected_asset_keys:
            yield dg.MaterializeResult(asset_key=key, metadata={"seconds": round(node.seconds, 3)})
    elif node.unique_id.startswith("test.") and node.status != "skipped":
        check = get_asset_check_key_for_test(_PROJECT, TRANSLATOR, node.unique_id, project=None)
        if check in context.selected_asset_check_keys:
            metadata = {"seconds": round(node.seconds, 3), "failures": node.failures}
            yield dg.AssetCheckResult(
                passed=node.good, asset_key=check.asset_key, check_name=check.name, metadata=metadata
            )
