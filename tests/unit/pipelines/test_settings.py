"""Addresses, the drivers they name, and that no password gets out."""

import os

import pytest
from pydantic import SecretStr, ValidationError

import pipelines
from pipelines.settings import Settings, libpq, with_driver

URL = "postgresql+psycopg://lims_lake:p%40ss%2Fword@127.0.0.1:21432/lake"


@pytest.mark.parametrize("driver", ["", "+psycopg", "+psycopg2"])
def test_a_url_of_any_driver_becomes_one_that_libpq_reads(driver: str) -> None:
    url = SecretStr(f"postgresql{driver}://lims_lake:p%40ss%2Fword@127.0.0.1:21432/lake")
    assert libpq(url) == "postgresql://lims_lake:p%40ss%2Fword@127.0.0.1:21432/lake"


def test_a_driver_can_be_chosen() -> None:
    assert with_driver(SecretStr(URL), "psycopg2").startswith("postgresql+psycopg2://lims_lake:p%40ss%2Fword@")


def test_a_missing_setting_is_named_and_the_others_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"LIMS_{name.upper()}", raising=False)
    monkeypatch.setenv("LIMS_LEDGER_URL", URL)

    with pytest.raises(ValidationError) as refused:
        Settings()

    assert "lake_catalog_url" in str(refused.value)
    assert "p%40ss" not in str(refused.value)


def test_no_tool_calls_home() -> None:
    assert pipelines.__doc__
    switches = {
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "GX_ANALYTICS_ENABLED": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    assert {name: os.environ.get(name) for name in switches} == switches
