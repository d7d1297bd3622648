"""Teach each organization's autoverification model from gold, publish its features, register it, deploy the champion.

Everything that is learned is `ml`'s; this page only fetches the rows, keeps organizations apart and remembers what was
learned from, so that unchanged results are not learned from twice.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import EqualTo
from pyiceberg.table import Table

from pipelines.gold import FCT_RESULTS, PATIENCE, gold_table, organizations, replace_one
from pipelines.lake import only_writer, open_lake
from pipelines.settings import Settings, with_driver
from pipelines.side import do

if TYPE_CHECKING:
    from ml.autoverification.train import Candidate

FEATURES = "gold.features_autoverification"
MODEL = "autoverification"
ENOUGH_RESULTS = 1_000
"""Fewer results than this teach nothing worth judging; the rules work alone until then."""


@dataclass(frozen=True)
class Learned:
    """What came of one organization: `outcome` is `champion`, `challenger`, `unchanged` or `too few results`.

    `failures` are the gates that did not hold, in words; `deployed` is the folder the champion's files were put into.
    """

    organization: str
    outcome: str
    results: int
    version: str | None = None
    failures: tuple[str, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    deployed: Path | None = None


def learn(settings: Settings) -> list[Learned]:
    """Go through the organizations of gold.fct_results, one after the other; see `learn_one`."""
    lake = open_lake(settings)
    return [
        learn_one(settings, lake, organization)
        for organization in sorted(organizations(lake.load_table(FCT_RESULTS.target)))
    ]


def learn_one(settings: Settings, lake: SqlCatalog, organization: str) -> Learned:
    """Have the organization's model taught, unless its results (and the approver) are those of the last time."""
    results = _results(lake.load_table(FCT_RESULTS.target), organization)
    if len(results) < ENOUGH_RESULTS:
        return Learned(organization, "too few results", len(results))
    if _last_stamp(lake, organization) == _stamp(results, settings.model_approver):
        return Learned(organization, "unchanged", len(results))
    return do("learning", teach, settings, organization)


def teach(settings: Settings, organization: str) -> Learned:
    """Train on the organization's results, publish their features, register the model, deploy it if it is champion.

    Raises ml's ContractBroken when gold is not what `ml` was promised, and MLflow's errors.
    """
    from ml.autoverification.train import develop  # LightGBM takes seconds to import: only who learns pays

    lake = open_lake(settings)
    gold = lake.load_table(FCT_RESULTS.target)
    results = _results(gold, organization)
    candidate = develop(results)
    learned = _register(settings, candidate, len(results), f"{FCT_RESULTS.target}@{gold.metadata.current_snapshot_id}")
    _publish_features(lake, results, candidate, _stamp(results, settings.model_approver))
    return learned


def _results(gold: Table, organization: str) -> pl.DataFrame:
    return pl.DataFrame(gold.scan(row_filter=EqualTo("organization_id", organization)).to_arrow())


def _register(settings: Settings, candidate: "Candidate", results: int, data_version: str) -> Learned:
    from ml.autoverification.evaluate import evaluate
    from ml.autoverification.register import CHAMPION, deploy, register

    metrics = evaluate(candidate.booster, candidate.features, candidate.decision)
    name = f"{MODEL}.{candidate.organization_id}"
    registry = with_driver(settings.mlflow_url, "psycopg2")
    registered = register(
        candidate,
        metrics,
        tracking_uri=registry,
        name=name,
        data_version=data_version,
        approver=settings.model_approver,
        artifact_location=(settings.mlflow_folder.resolve() / name).as_uri(),
    )
    folder = settings.models_folder / candidate.organization_id / MODEL
    if registered.alias == CHAMPION:
        deploy(registry, name, folder)
    return Learned(
        organization=candidate.organization_id,
        outcome=registered.alias,
        results=results,
        version=registered.version,
        failures=registered.failures,
        metrics=dict(metrics),
        deployed=folder if registered.alias == CHAMPION else None,
    )


def _publish_features(lake: SqlCatalog, results: pl.DataFrame, candidate: "Candidate", stamp: str) -> None:
    from ml.frames import feature_frame

    rows = _plain(feature_frame(results, candidate.spec).to_arrow())
    with only_writer(lake, FEATURES, patience=PATIENCE):
        table = gold_table(lake, FEATURES, rows.schema).refresh()
        replace_one(table, candidate.organization_id, rows, {_stamp_name(candidate.organization_id): stamp})


def _plain(rows: pa.Table) -> pa.Table:
    """The same rows with `string` for polars' string views, so that the lake's schema does not depend on the writer."""
    fields = [
        pa.field(
            column.name,
            pa.string()
            if pa.types.is_string_view(column.type) or pa.types.is_large_string(column.type)
            else column.type,
        )
        for column in rows.schema
    ]
    return rows.cast(pa.schema(fields))


def _stamp_name(organization: str) -> str:
    return f"lims.learned.{organization}"


def _last_stamp(lake: SqlCatalog, organization: str) -> str | None:
    if not lake.table_exists(FEATURES):
        return None
    stamp: str | None = lake.load_table(FEATURES).properties.get(_stamp_name(organization))
    return stamp


def _stamp(results: pl.DataFrame, approver: str | None) -> str:
    """Tells one set of results (and one approver) from another; the order of rows does not matter."""
    rows = results.hash_rows(seed=0)
    parts = (len(results), rows.sum(), rows.min(), rows.max(), approver or "")
    return sha256(repr(parts).encode()).hexdigest()
