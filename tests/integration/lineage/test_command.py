"""`lims trace` as an operator types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lims_api.core.ids import uuid7
from tests.factories import organization
from tests.integration.lineage.conftest import Bench

pytestmark = [pytest.mark.xdist_group("lineage"), pytest.mark.req("11.1")]
STEPS = 16


def trace(bench: Bench, *words: str, **changed: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lims_api.cli", "trace", *words]
    environment = {**bench.surroundings, **changed}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)


def chains(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_one_result_for_a_person(bench: Bench) -> None:
    measured = bench.measure("GLU", "K")

    done = trace(bench, measured.line("K")["id"])

    assert done.returncode == 0, done.stderr
    heading, *links = done.stdout.splitlines()
    assert heading.endswith("K version 1, authorised, instrument")
    assert len(links) == STEPS
    assert "OBX|2|NM|K||4.2|mmol/L" in done.stdout
    assert measured.drawn.person.uhid not in done.stdout + done.stderr


def test_one_that_differs_ends_with_one_and_shows_both_sides(bench: Bench) -> None:
    result_id = bench.measure().line()["id"]
    with bench.behind_the_ledger() as connection:
        connection.execute("update lims.results set value = 58 where id = %s", (result_id,))

    done = trace(bench, result_id, "--organization", bench.lab.code)

    assert done.returncode == 1
    assert "value: derived 85; stored 58" in done.stdout


@pytest.mark.parametrize("of", ["nobody", "another laboratory"])
def test_what_is_not_there_ends_with_two_and_says_what_to_do(bench: Bench, of: str) -> None:
    stranger = organization(bench.lab.environment)
    code = bench.lab.rows("select code from lims.organizations where id = %s", stranger)[0][0]
    words = [str(uuid7())] if of == "nobody" else [bench.measure().line()["id"], "--organization", code]

    done = trace(bench, *words)

    assert (done.returncode, done.stdout) == (2, "")
    assert "look" in done.stderr


def test_the_results_behind_a_report_file_a_code_a_transmission_and_a_specimen(bench: Bench, tmp_path: Path) -> None:
    measured = bench.measure("GLU", "K")
    bench.lab.settle()
    ((report_id, code),) = bench.lab.rows(
        "select id, verification_code from lims.reports where order_id = %s", measured.drawn.order_id
    )
    file = tmp_path / "report.pdf"
    file.write_bytes(bench.lab.call("GET", f"/v1/reports/{report_id}/pdf").content)
    ((message,),) = bench.lab.rows(
        "select body_sha256 from lims.instrument_messages where id in"
        " (select message_id from lims.results where id = %s)", measured.line()["id"],
    )  # fmt: skip
    ways = (("--report", str(file)), ("--report", code), ("--message", message),
            ("--specimen", measured.drawn.accession, "--organization", bench.lab.code))  # fmt: skip

    found = [chains(trace(bench, *way, "--json")) for way in ways]

    ids = {measured.line(test)["id"] for test in ("GLU", "K")}
    assert [{chain["result_id"] for chain in way} for way in found] == [ids] * 4
    assert not any(chain["differs"] for way in found for chain in way)


def test_all_results_are_counted_by_link(bench: Bench) -> None:
    since = bench.lab.rows("select now()")[0][0].isoformat()
    bench.measure("GLU", "K")
    bench.measure(values={"GLU": "130"})

    done = trace(bench, "--all", "--organization", bench.lab.code, "--since", since, "--json")

    (counts,) = chains(done)
    assert (done.returncode, counts["results"], counts["differing"]) == (0, 3, 0)
    assert counts["links"]["value"] == {"ok": 3, "differs": 0, "absent": 0}
    assert counts["links"]["release"] == {"ok": 2, "differs": 0, "absent": 1}


def test_all_of_several_organizations_are_not_mixed(bench: Bench) -> None:
    organization(bench.lab.environment)

    done = trace(bench, "--all")

    assert done.returncode == 2
    assert "--organization" in done.stderr


def test_a_profile_of_another_day_reads_what_it_read_then(bench: Bench, tmp_path: Path) -> None:
    shipped = Path("ingest/instruments/mindray_bs.toml").read_text()
    (tmp_path / "mindray_bs.toml").write_text(shipped.replace('value = "OBX-5"', 'value = "OBX-13"'))
    result_id = bench.measure().line()["id"]

    now, other = trace(bench, result_id, "--json"), trace(bench, result_id, "--profiles", str(tmp_path), "--json")

    assert (now.returncode, other.returncode) == (0, 1)
    hashes = {chains(each)[0]["links"][1]["facts"]["profile_sha256"] for each in (now, other)}
    assert len(hashes) == 2


@pytest.mark.parametrize("away", ["LIMS_WAREHOUSE_URL", "LIMS_LAKE_CATALOG_URL"])
def test_without_lake_and_warehouse_the_rest_is_traced_and_it_is_said(bench: Bench, away: str) -> None:
    result_id = bench.measure().line()["id"]

    done = trace(bench, result_id, "--json", **{away: "postgresql+psycopg://nobody@127.0.0.1:9/none"})

    (chain,) = chains(done)
    assert done.returncode == 0
    assert "lake and warehouse" in done.stderr
    assert {link["step"] for link in chain["links"] if "no lake" in link.get("why", "")} == {"bronze", "mart"}
    assert "Traceback" not in done.stderr


def test_a_program_that_ends_midway_ends_the_trace(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "mindray_bs.toml").write_text("not = a profile")

    done = trace(bench, bench.measure().line()["id"], "--profiles", str(tmp_path))

    assert (done.returncode, done.stdout) == (2, "")
    assert "has ended" in done.stderr
