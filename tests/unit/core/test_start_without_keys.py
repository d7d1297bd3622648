"""A program that lacks the master key says so in one line, before it opens a connection."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lims_api.cli.history import app as history
from lims_api.cli.serve import serve, work
from lims_api.core.settings import settings


@pytest.fixture(autouse=True)
def without_a_master_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings whose databases answer nobody and whose key file is not there."""
    nowhere = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    for name in ("DATABASE_URL", "SYSTEM_DATABASE_URL", "IMPORTER_DATABASE_URL", "KEYS_URL"):
        monkeypatch.setenv(f"LIMS_{name}", nowhere)
    monkeypatch.setenv("LIMS_MASTER_KEY_FILE", str(tmp_path / "master.key"))
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.parametrize(
    ("program", "arguments"),
    [(serve, []), (work, []), (history, ["import", "folder", "--organization", "demo"])],
    ids=["serve", "work", "history"],
)
def test_a_program_without_the_master_key_says_what_to_do(
    program: Callable[[list[str]], int], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        program(arguments)

    assert stopped.value.code == "lims: master.key does not exist; restore it from the recovery sheet"
