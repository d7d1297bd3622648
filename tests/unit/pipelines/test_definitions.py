"""What Dagster knows: which assets there are, what each stands on, who answers for it, and when it is made."""

from pathlib import Path

import dagster as dg
import pytest

from pipelines.definitions import defs
from pipelines.raw_schema import RAW

DBT = Path(__file__).parents[3] / "dbt"
FACTS = ("clinical/fct_results", "operations/fct_turnaround", "quality/fct_control_results")


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    found = defs()
    dg.Definitions.validate_loadable(found)
    return found


def parents(definitions: dg.Definitions, key: str) -> set[str]:
    graph = definitions.resolve_asset_graph()
    return {parent.to_user_string() for parent in graph.get(dg.AssetKey(key.split("/"))).parent_keys}


def test_the_assets_are_the_tables(definitions: dg.Definitions) -> None:
    models = {f"{path.parts[-3]}/{path.stem}" for path in DBT.glob("models/staging/lims/*.sql")}
    models |= {f"intermediate/{path.stem}" for path in DBT.glob("models/intermediate/*.sql")}
    gold = {f"gold/{fact.split('/')[1]}" for fact in FACTS}

    assert {key.to_user_string() for key in definitions.resolve_all_asset_keys()} == {
        "bronze/ledger", "bronze/outbox", "lake/tidied", "model/autoverification", "gold/features_autoverification",
        *(f"raw/{name}" for name in RAW), *models, *FACTS, *gold,
    }  # fmt: skip


def test_each_stands_on_the_one_before(definitions: dg.Definitions) -> None:
    assert parents(definitions, "raw/results") == {"bronze/ledger"}
    assert parents(definitions, "staging/stg_lims__results") == {"raw/results"}
    assert parents(definitions, "clinical/fct_results") == {
        "intermediate/int_results__with_standing", "staging/stg_lims__analysers", "staging/stg_lims__orders",
        "staging/stg_lims__sites", "staging/stg_lims__test_definitions",
    }  # fmt: skip
    assert parents(definitions, "gold/fct_results") == {"clinical/fct_results"}
    assert parents(definitions, "model/autoverification") == {"gold/fct_results", "gold/features_autoverification"}


def test_each_asset_has_an_owner_and_a_group(definitions: dg.Definitions) -> None:
    groups = {"bronze", "warehouse", "gold", "model", "maintenance"}
    for spec in definitions.resolve_all_asset_specs():
        assert spec.owners == ["team:data"], spec.key
        assert spec.group_name in groups, spec.key


def test_what_matters_is_checked(definitions: dg.Definitions) -> None:
    checks = {
        f"{key.asset_key.to_user_string()}: {key.name}" for key in definitions.resolve_asset_graph().asset_check_keys
    }
    assert checks >= {
        "bronze/ledger: each_change_is_there_once",
        "raw/results: bronze_is_loaded",
        "gold/fct_results: results_meet_expectations",
        "clinical/fct_results: unique_fct_results_result_id",
        "clinical/fct_results: no_restricted_test_reaches_a_mart",
        "operations/fct_turnaround: turnaround_is_the_sum_of_its_parts",
        "quality/fct_control_results: z_is_the_distance_from_the_mean_in_sd",
        "intermediate/int_results__with_standing: one_current_authorised_result_for_each_ordered_test",
    }


def test_everything_runs_by_the_laboratorys_clock(definitions: dg.Definitions) -> None:
    schedules = definitions.get_repository_def().schedule_defs

    assert {(one.name, one.cron_schedule, one.execution_timezone) for one in schedules} == {
        ("marts_hourly", "10 * * * *", "Asia/Kolkata"),
        ("models_weekly", "30 2 * * 0", "Asia/Kolkata"),
        ("tidying_nightly", "45 3 * * *", "Asia/Kolkata"),
    }
