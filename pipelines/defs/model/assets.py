"""The autoverification model of each organization: features, training, judgement, registration, deployment."""

from collections.abc import Iterator

import dagster as dg

from pipelines.defs.resources import OWNERS, Stores
from pipelines.learning import FEATURES, Learned, learn

MODEL_KEY = ["model", "autoverification"]


@dg.multi_asset(
    name="autoverification",
    specs=[
        dg.AssetSpec(
            FEATURES.split("."),
            deps=[["gold", "fct_results"]],
            description="What the model sees of each result, as it could be known then.",
            group_name="model",
            kinds={"iceberg"},
            owners=OWNERS,
        ),
        dg.AssetSpec(
            MODEL_KEY,
            deps=[["gold", "fct_results"], FEATURES.split(".")],
            description="A registered model for each organization; the champion is deployed for the API.",
            group_name="model",
            kinds={"lightgbm", "mlflow"},
            owners=OWNERS,
        ),
    ],
)
def autoverification(stores: Stores) -> Iterator[dg.MaterializeResult[None]]:
    """Learn anew from the results of each organization whose results changed."""
    learned = learn(stores.settings())
    rows = sum(one.results for one in learned if one.version)
    yield dg.MaterializeResult(asset_key=FEATURES.split("."), metadata={"dagster/row_count": rows})
    yield dg.MaterializeResult(asset_key=MODEL_KEY, metadata={one.organization: _told(one) for one in learned})


def _told(learned: Learned) -> dg.JsonMetadataValue:
    metrics = {name: round(value, 4) for name, value in learned.metrics.items() if "_test_" not in name}
    return dg.MetadataValue.json(
        {
            "outcome": learned.outcome,
            "results": learned.results,
            "version": learned.version,
            "gates that did not hold": list(learned.failures),
            "metrics": metrics,
        }
    )
