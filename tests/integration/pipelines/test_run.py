"""`lims pipelines run`, as an operator types it: two laboratories' ledgers become marts, gold tables and models."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import polars as pl
import psycopg
import pytest

from lims_api.core.db.embedded import Cluster
from pipelines.gold import MARTS
from pipelines.lake import open_lake
from pipelines.learning import FEATURES
from pipelines.settings import ROOT, Settings, libpq
from tests.integration.pipelines.laboratory import write_change, write_laboratory

pytestmark = pytest.mark.xdist_group("pipelines")
LARGE, SMALL = UUID(int=11), UUID(int=12)
ORDERS = {LARGE: 400, SMALL: 30}
URLS = ("ledger_url", "lake_catalog_url", "warehouse_url", "dagster_url", "mlflow_url")


@dataclass
class Outcome:
    """How a run ended, and what it reported."""

    code: int
    printed: str
    report: dict[str, Any]

    def step(self, name: str) -> dict[str, Any]:
        return next(step for step in self.report["steps"] if step["name"] == name)


def run(stores: Settings, folder: Path, *arguments: str) -> Outcome:
    report = folder / "report.json"
    addresses = {f"LIMS_{name.upper()}": getattr(stores, name).get_secret_value() for name in URLS}
    folders = {
        "LIMS_LAKE_FOLDER": stores.lake_folder,
        "LIMS_MODELS_FOLDER": str(stores.models_folder),
        "LIMS_DAGSTER_FOLDER": str(stores.dagster_folder),
        "LIMS_MLFLOW_FOLDER": str(stores.mlflow_folder),
    }
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "run", "--report", str(report), *arguments],
        env={**os.environ, **addresses, **folders},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(
        done.returncode, done.stdout + done.stderr, json.loads(report.read_text()) if report.exists() else {}
    )


def gold(stores: Settings, name: str) -> pl.DataFrame:
    return pl.DataFrame(open_lake(stores).load_table(f"gold.{name}").scan().to_arrow())


@pytest.fixture
def first(stores: Settings, ledger: psycopg.Connection[tuple[Any, ...]], tmp_path: Path) -> Outcome:
    for number, (organization, orders) in enumerate(ORDERS.items()):
        write_laboratory(ledger, organization, orders=orders, seed=0.1 + number / 10)
    return run(stores, tmp_path, "--approver", "Dr Example")


@pytest.mark.req("0.3")
@pytest.mark.req("1.6.4")
def test_a_ledger_becomes_marts_gold_and_models_and_a_bad_change_stops_before_gold(
    stores: Settings, ledger: psycopg.Connection[tuple[Any, ...]], first: Outcome, tmp_path: Path
) -> None:
    assert first.code == 0, first.printed
    the_marts_are_what_the_ledger_says(stores)
    gold_is_what_the_marts_say(stores)
    the_large_laboratory_has_a_model_and_the_small_one_not_yet(stores, first)

    published = gold(stores, "fct_results")
    write_change(
        ledger, "results", uuid4(), "I", organization=SMALL, patient_id=str(uuid4()), order_id=str(uuid4()),
        test_code="K", status="invented", is_automatic=False,
    )  # fmt: skip
    second = run(stores, tmp_path, "--select", "capture,warehouse,gold")

    assert second.code == 1
    assert "accepted_values_fct_results_status" in second.printed
    assert not second.step("dbt")["succeeded"]
    assert gold(stores, "fct_results").equals(published)


def the_marts_are_what_the_ledger_says(stores: Settings) -> None:
    results = gold(stores, "fct_results")
    authorised = results.filter(pl.col("status") == "authorised")
    corrected = results.filter(pl.col("corrects_id").is_not_null())

    assert results["organization_id"].unique().sort().to_list() == [str(LARGE), str(SMALL)]
    assert results["result_id"].n_unique() == len(results)
    assert "HIV" not in results["test_code"].to_list()
    assert len(results) == 10 * sum(ORDERS.values()) + len(corrected)
    assert len(corrected) > 50
    superseded = results.filter(pl.col("result_id").is_in(corrected["corrects_id"].implode()))
    assert superseded["is_current"].sum() == 0
    assert corrected["is_current"].all()
    assert set(results.filter("is_correction")["result_id"]) == set(corrected["result_id"])
    waited = (pl.col("authorised_at") - pl.col("available_at")).dt.total_seconds() / 60
    by_hand = results.filter(~pl.col("is_automatic") & pl.col("authorised_at").is_not_null())
    assert by_hand.select(((pl.col("minutes_held") - waited).abs() < 0.02).all()).item()
    assert results.filter("is_automatic")["minutes_held"].null_count() == results["is_automatic"].sum() > 0
    assert results.select("discipline", "priority", "site_name", "analyser_code").unique().rows() == [
        ("biochemistry", "routine", "Main", "CHEM-1")
    ]
    assert authorised["is_current"].all()
    assert results.filter(pl.col("status") == "held")["reasons"].unique().to_list() == ["delta_check"]

    turnaround = gold(stores, "fct_turnaround")
    late = (pl.col("authorised_at") > pl.col("due_at")).fill_null(False)
    assert len(turnaround) == 10 * sum(ORDERS.values())
    assert turnaround.filter(pl.col("authorised_at").is_not_null()).select((pl.col("is_late") == late).all()).item()
    minutes = (pl.col("first_result_at") - pl.col("received_at")).dt.total_seconds() / 60
    assert turnaround.select((pl.col("minutes_receipt_to_result") == minutes).all()).item()

    assert turnaround["minutes_target"].unique().to_list() == [240.0]
    assert turnaround["minutes_collection_to_receipt"].unique().to_list() == [30.0]
    assert turnaround["analyser_code"].unique().to_list() == ["CHEM-1"]

    controls = gold(stores, "fct_control_results")
    assert controls.select("site_name", "target_source", "is_example").unique().rows() == [("Main", "EXAMPLE", True)]
    assert controls["material"].unique().to_list() == ["Serum control"]
    assert set(controls["status"]) <= {"accepted", "warning", "rejected"}


def gold_is_what_the_marts_say(stores: Settings) -> None:
    with psycopg.connect(libpq(stores.warehouse_url)) as warehouse:
        for mart in MARTS.values():
            name = mart.target.removeprefix("gold.")
            columns = ", ".join(mart.schema.names)
            query = f"select {columns} from {mart.relation}"
            expected = warehouse.execute(query.encode()).fetchall()
            assert len(gold(stores, name)) == len(expected), name
            assert set(gold(stores, name).rows()) == set(expected), name
            assert gold(stores, name).columns == mart.schema.names


def the_large_laboratory_has_a_model_and_the_small_one_not_yet(stores: Settings, first: Outcome) -> None:
    features = open_lake(stores).load_table(FEATURES).scan().to_arrow()
    assert set(features["organization_id"].to_pylist()) == {str(LARGE)}
    deployed = sorted(path.parent.parent.name for path in stores.models_folder.glob("*/autoverification/manifest.json"))
    with psycopg.connect(libpq(stores.mlflow_url)) as mlflow:
        versions = mlflow.execute("select name, version from model_versions").fetchall()
        aliases = [alias for (alias,) in mlflow.execute("select alias from registered_model_aliases").fetchall()]
    assert versions == [(f"autoverification.{LARGE}", 1)]
    assert deployed == ([str(LARGE)] if aliases == ["champion"] else [])
    assert aliases in (["champion"], ["challenger"])
    assert first.step("autoverification")["succeeded"]


def test_dagsters_storage_keeps_no_password_in_a_file(
    stores: Settings, ledger: psycopg.Connection[tuple[Any, ...]], cluster: Cluster, tmp_path: Path
) -> None:
    done = run(stores, tmp_path, "--select", "capture")

    assert done.code == 0, done.printed
    assert [step["name"] for step in done.report["steps"]][:2] == ["bronze__ledger", "bronze__outbox"]
    written = "".join(path.read_text(errors="replace") for path in stores.dagster_folder.rglob("*") if path.is_file())
    assert "LIMS_DAGSTER_STORAGE_URL" in written
    assert stores.dagster_url.get_secret_value().split(":")[2].split("@")[0] not in written + done.printed
