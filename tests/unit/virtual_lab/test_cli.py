import gzip
import json
import os
import stat
from pathlib import Path

import polars as pl
import pytest

from ingest.virtual_lab.cli import app
from tests.unit.virtual_lab.servers import Core, Gateway
from tests.unit.virtual_lab.test_cdisc import DM, LB


def _live(core: Core, gateway: Gateway, folder: Path) -> list[str]:
    password = folder / "password"
    password.write_text("secret\n")
    where = ["--api", core.url, "--organization", "lab", "--username", "desk", "--password-file", str(password)]
    return [*where, "--site", "s", "--to", f"127.0.0.1:{gateway.port}", "--report", str(folder / "report.json")]


@pytest.mark.req("7.2.1")
def test_a_past_is_simulated_and_a_day_played_for_its_patients(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history, truth = tmp_path / "history", tmp_path / "truth.parquet"
    made = app(["simulate", "--out", str(history), "--seed", "7", "--patients", "80", "--days", "60"])
    with Core().running() as core, Gateway().running() as gateway:
        day = ["--patients", "12", "--seed", "4", "--history", str(history), "--truth-file", str(truth)]
        played = app(["day", *_live(core, gateway, tmp_path), *day, "--duplicates", "0.3", "--reboot-after", "25"])

    report = json.loads((tmp_path / "report.json").read_text())
    assert (made, played) == (0, 0)
    assert report["patients"] == 12
    assert report["line"]["accepted"] == report["messages"] >= 54 + 12
    assert report["line"]["duplicates"] > 0
    assert stat.S_IMODE(truth.stat().st_mode) == 0o600
    assert pl.read_parquet(truth).height == report["tests_ordered"]
    known = set(pl.read_parquet(history / "patients.parquet")["uhid"])
    assert len(known & core.patients.keys()) == 7
    assert json.loads(capsys.readouterr().out.split("}\n", 1)[1]) == report


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["simulate", "--out", "x", "--tests", "GLU,XYZ"], "not measured here: XYZ"),
        (["day", "--to", "ABC-1=127.0.0.1:1"], "no analyser ABC-1"),
        (["day", "--to", "127.0.0.1"], "HOST:PORT"),
    ],
)
def test_a_test_or_an_analyser_that_is_not_there_is_refused(
    arguments: list[str],
    reason: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)

    assert app(arguments) == 2
    assert reason in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_import_that_the_application_refuses_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("LIMS_")]:
        monkeypatch.delenv(name)

    assert app(["import-history", str(tmp_path), "--organization", "demo"]) == 1
    assert "nothing was imported" in " ".join(capsys.readouterr().err.split())


def test_a_study_is_written_and_its_last_draws_played(tmp_path: Path) -> None:
    for name, text in (("lb", LB), ("dm", DM)):
        with gzip.open(tmp_path / f"{name}.csv.gz", "wt") as file:
            file.write(text)
    expected = tmp_path / "expected.json"

    made = app(["cdisc", str(tmp_path), str(tmp_path / "out")])
    whole = app(["cdisc", str(tmp_path), str(tmp_path / "whole"), "--whole"])
    with Core().running() as core, Gateway().running() as gateway:
        played = app(["cdisc-live", str(tmp_path), *_live(core, gateway, tmp_path), "--expected", str(expected)])

    assert (made, whole, played) == (0, 0, 0)
    defined = [test["code"] for test in json.loads((tmp_path / "out" / "catalogue.json").read_text())]
    assert pl.read_parquet(tmp_path / "whole" / "results.parquet").height == 7
    assert defined == ["ALB", "TBIL", "NA", "U_COLOR"]
    assert {specimen["collected_at"][:10] for specimen in core.specimens.values()} == {"2013-02-02", "2013-04-04"}
    rows = json.loads(expected.read_text())
    assert [(row["uhid"], row["test_code"], row["flag"]) for row in rows] == [
        ("S-1", "NA", "H"), ("S-1", "TBIL", None), ("S-2", "NA", "N"),
    ]  # fmt: skip
    assert {row["accession_number"] for row in rows} == core.specimens.keys()
    kinds = [body.split(b"\r")[0].split(b"|")[15] for body in gateway.bodies]
    assert kinds == [b"2"] * 4 + [b"0"] * 2
    sodium = [body for body in gateway.bodies if b"|NA|" in body]
    assert all(b"|meq/L" in body for body in sodium)


def test_a_day_without_a_place_for_the_truth_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Core().running() as core, Gateway().running() as gateway:
        code = app(["day", *_live(core, gateway, tmp_path)])

    assert code == 2
    assert "--truth-url" in capsys.readouterr().err
    assert not gateway.bodies


def test_a_refusal_of_the_core_ends_the_command_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Core().running() as core, Gateway().running() as gateway:
        arguments = _live(core, gateway, tmp_path)
        (tmp_path / "password").write_text("wrong\n")
        code = app(["day", *arguments, "--truth-file", str(tmp_path / "t")])

    assert code == 1
    assert "wrong-password" in capsys.readouterr().err
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize("command", ["simulate", "import-history", "day", "cdisc", "cdisc-live"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app([command, "--help"]) == 0
    assert f"lims lab {command}" in capsys.readouterr().out
