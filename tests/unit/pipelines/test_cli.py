"""What an operator may type, and what he is told when it cannot be done."""

import pytest

from pipelines.cli import app, capture_app
from pipelines.settings import Settings

SECRET = "postgresql+psycopg://lims_capture:hush@127.0.0.1:1/lims"


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"LIMS_{name.upper()}", raising=False)


@pytest.mark.parametrize("arguments", [["run"], ["serve"]])
def test_missing_settings_are_named(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert app(arguments) == 2
    assert "LIMS_LEDGER_URL, LIMS_LAKE_CATALOG_URL" in capsys.readouterr().err


def test_capture_names_missing_settings_and_shows_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIMS_LEDGER_URL", SECRET)

    assert capture_app(["--once"]) == 2

    told = capsys.readouterr().err
    assert "LIMS_LAKE_CATALOG_URL" in told
    assert "LIMS_LEDGER_URL" not in told
    assert "hush" not in told


@pytest.mark.parametrize("arguments", [["run", "--select", "capture,silver"], ["walk"], []])
def test_an_unknown_word_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        app(arguments)

    assert refused.value.code == 2
    assert "usage: lims pipelines" in capsys.readouterr().err
