"""A laboratory is lost and comes back, by the commands of `docs/how-to/back-up-and-restore.md` and nothing else.

After the day it is backed up. Then a patient is erased, so that the back-ups of the data and of the keys are both older
than the erasure. Then everything is restored onto an empty folder, at first with a mistyped recovery key.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pypdf
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import And, EqualTo

from lims_api.cli import keys as key_commands
from lims_api.cli.installation import free_port
from lims_api.cli.processes import Processes
from lims_api.core.crypto import Key, associated_data, key_id_of
from lims_api.core.db.embedded import destroy
from lims_api.core.keys import KeyStore, read_master_key
from lims_api.core.settings import settings
from lims_api.files.service import COLUMN, path_of
from pipelines.loop import capture_once
from pipelines.settings import Settings
from tests.e2e.conftest import Day

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.timeout(900)]
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "back-up-and-restore.md"
LEDGER = "select count(*), sum(hashtextextended(seq || ' ' || xid || ' ' || body, 0)) from lims.ledger"
NAME = "patients.name_sealed"


# the page's commands


def commands(heading: str, *, starting: str = "") -> str:
    """The shell commands below a heading of the page, in order; from the line that starts so."""
    text = PAGE.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    joined = "".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))
    return joined[joined.index(starting) :]


def shell(
    script: str, folder: Path, environment: dict[str, str], *, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """Commands typed in a folder. There is no terminal: what is asked for is read from what was typed before."""
    return subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment, input=typed, capture_output=True,
        text=True, start_new_session=True, check=False, timeout=300,
    )  # fmt: skip


def operators(day: Day) -> dict[str, str]:
    """The environment of an operator whose virtual environment is active."""
    return os.environ | day.bytecode | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


# the API


@dataclass(frozen=True)
class Api:
    """A served API, and the tokens of who is signed in."""

    url: str
    tokens: dict[str, str] = field(default_factory=dict)

    def sign_in(self, day: Day, username: str) -> None:
        """With the password that the day's laboratory gave them."""
        password = (day.folder / "keys" / "demo" / f"{username}.password").read_text()
        body = {"organization": "demo", "username": username, "password": password}
        self.tokens[username] = self.call("POST", "/v1/sessions", body, by="").raise_for_status().json()["token"]

    def call(self, method: str, path: str, body: Any = None, *, by: str = "pathologist") -> httpx.Response:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        if by:
            headers["Authorization"] = f"Bearer {self.tokens[by]}"
        return httpx.request(method, f"{self.url}{path}", json=body, headers=headers, timeout=30)

    def get(self, path: str) -> Any:
        return self.call("GET", path).raise_for_status().json()

    def post(self, path: str, body: Any, *, by: str = "pathologist") -> Any:
        return self.call("POST", path, body, by=by).raise_for_status().json()

    def shown(self, order_id: UUID, patient_id: UUID) -> dict[str, Any]:
        """All that a pathologist sees of an order: its results, its reports, the person."""
        return {
            "order": self.get(f"/v1/orders/{order_id}"),
            "reports": self.get(f"/v1/orders/{order_id}/reports"),
            "patient": self.get(f"/v1/patients/{patient_id}"),
        }


def serve(processes: Processes, environment: dict[str, str]) -> Api:
    port = free_port(28_910)
    processes.start("api", ["lims_api.cli", "serve", "--port", str(port)], environment)
    return Api(f"http://127.0.0.1:{port}")


# before


@dataclass(frozen=True)
class Copy:
    """One ciphertext of the patient who is erased, and what it is bound to."""

    where: str
    sealed: bytes
    bound_to: bytes


@dataclass(frozen=True)
class Lost:
    """The laboratory as it was backed up, and whom it erased after."""

    folder: Path
    sheet: list[str]
    ledger: tuple[Any, ...]
    order_id: UUID
    patient_id: UUID
    shown: dict[str, Any]
    pdf: bytes
    organization_id: UUID
    erased: UUID
    erased_key: Key
    copies: list[Copy]


@pytest.fixture(scope="module")
def lost(day: Day, tmp_path_factory: pytest.TempPathFactory) -> Lost:
    folder, organization = tmp_path_factory.mktemp("before"), day.organization("demo")
    (folder / "var").symlink_to(day.folder)
    with psycopg.connect(day.installation.cluster.superuser_dsn("lims")) as connection:  # so that anybody may be erased
        connection.execute("update lims.organizations set retention_days = 0 where id = %s", (organization,))
    (order_id, patient_id), (_, erased) = day.rows(
        "select distinct on (p.id) r.order_id, p.id from lims.reports r join lims.patients p"
        " on p.organization_id = r.organization_id and p.id = r.patient_id"
        " where r.organization_id = %s and p.status = 'active' order by p.id limit 2",
        organization,
    )
    ledger = day.rows(LEDGER)[0]
    with Processes(folder) as processes:
        api = serve(processes, day.installation.environment(**day.bytecode))
        backed_up = shell(commands("Settings") + commands("Back up"), folder, operators(day))
        assert backed_up.returncode == 0, backed_up.stderr
        processes.wait_for(f"{api.url}/healthz")
        api.sign_in(day, "pathologist")
        shown = api.shown(order_id, patient_id)
        pdf = api.call("GET", f"/v1/reports/{shown['reports'][0]['id']}/pdf").content
    key, copies = _copies(day, organization, erased)
    after = f"lims erase --organization demo --patient {erased} --yes\n" + commands(
        "Back up", starting="lims keys tomb"
    )
    erased_then = shell(after, folder, day.installation.environment() | operators(day))
    assert erased_then.returncode == 0, erased_then.stderr
    sheet = re.findall(r"^  \d   ([0-9a-f ]+)$", backed_up.stdout, re.MULTILINE)
    return Lost(folder, sheet, ledger, order_id, patient_id, shown, pdf, organization, erased, key, copies)


def _copies(day: Day, organization: UUID, patient: UUID) -> tuple[Key, list[Copy]]:
    """A patient's key while there is one, and what it opens: in table, ledger, lake and file store."""
    store = KeyStore(day.installation.url("lims_keys", "keys"), read_master_key(day.folder / "keys" / "master.key"))
    key = store.patient_key(organization, patient)
    store.close()
    name = associated_data(organization, NAME, patient)
    ((sealed,),) = day.rows("select name_sealed from lims.patients where id = %s", patient)
    copies = [Copy("patients", bytes(sealed), name)]
    bodies = [body for (body,) in day.rows("select body from lims.ledger where row_id = %s", patient)]
    lake = SqlCatalog("lake", uri=day.installation.url("lims_lake", "lake"), warehouse=(day.folder / "lake").as_uri())
    scan = lake.load_table("bronze.ledger").scan(
        And(EqualTo("row_id", str(patient)), EqualTo("table_name", "patients")), selected_fields=("body",)
    )
    bronze = scan.to_arrow()["body"].to_pylist()
    for where, found in (("ledger", bodies), ("bronze", bronze)):
        told = [json.loads(body)["after"]["name_sealed"].removeprefix("\\x") for body in found]
        copies += [Copy(where, bytes.fromhex(one), name) for one in told]
    for (file_id,) in day.rows("select file_id from lims.reports where patient_id = %s", patient):
        content = path_of(day.folder / "files", organization, file_id).read_bytes()
        copies.append(Copy("files", content, associated_data(organization, COLUMN, file_id)))
    return key, copies


def opened(key: Key, copy: Copy) -> bytes | None:
    """What a key makes of a ciphertext, whatever key the ciphertext names."""
    try:
        return AESGCM(key.secret).decrypt(copy.sealed[17:29], copy.sealed[29:], copy.bound_to)
    except InvalidTag:
        return None


# after


@dataclass
class Restored:
    """The empty folder after each step of the page, and the programs that run on it in the end."""

    folder: Path
    environment: dict[str, str]
    mistyped: subprocess.CompletedProcess[str]
    without_keys: dict[str, Any]
    refused_start: subprocess.CompletedProcess[str]
    keys_restored: subprocess.CompletedProcess[str]
    ledger: tuple[Any, ...]
    captured: int
    api: Api

    def rows(self, statement: str, *values: object, database: str = "lims") -> list[tuple[Any, ...]]:
        return rows(self.environment, statement, *values, database=database)

    def capture(self) -> int:
        """`lims capture --once`: how many rows of the ledger it brought into the lake."""
        given: dict[str, Any] = {name.removeprefix("LIMS_").lower(): told for name, told in self.environment.items()}
        return capture_once(Settings(**given))["bronze.ledger"].rows

    def keys(self) -> list[Key]:
        """Every key of the store, opened."""
        store = KeyStore(self.environment["LIMS_KEYS_URL"], read_master_key(self.master_key))
        everybody = self.rows("select distinct organization_id, patient_id from patient_keys", database="keys")
        found = [store.organization_key(organization) for organization in {row[0] for row in everybody}]
        for organization in {row[0] for row in everybody}:
            found += store.patient_keys(organization, [row[1] for row in everybody if row[0] == organization]).values()
        store.close()
        return found

    @property
    def master_key(self) -> Path:
        return Path(self.environment["LIMS_MASTER_KEY_FILE"])


def rows(environment: dict[str, str], statement: str, *values: object, database: str) -> list[tuple[Any, ...]]:
    """As the superuser of the page's settings."""
    server = {
        name.removeprefix("PG").lower(): environment[name] for name in ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD")
    }
    with psycopg.connect(dbname=database, **server) as connection:  # type: ignore[arg-type]
        found = connection.execute(statement.encode(), values)
        return found.fetchall() if found.description else []


@pytest.fixture(scope="module")
def restored(day: Day, lost: Lost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restored]:
    folder = tmp_path_factory.mktemp("after")
    for name in ("backup", "keys.nidan", "erased.txt"):
        (folder / name).symlink_to(lost.folder / name)
    try:
        yield from _restore(day, lost, folder)
    finally:
        destroy(folder / "var" / "postgresql")


def _restore(day: Day, lost: Lost, folder: Path) -> Iterator[Restored]:
    wrong = [*lost.sheet[:2], _mistyped(lost.sheet[2]), lost.sheet[3]]
    script = commands("Settings") + "env -0 > environment\n" + commands("Restore")
    mistyped = shell(script, folder, operators(day), typed="\n".join(wrong) + "\n")
    told = (folder / "environment").read_text().split("\0")
    environment = dict(line.split("=", 1) for line in told if line)
    without_keys = {
        "store": rows(environment, "select to_regclass('patient_keys')", database="keys"),
        "master key": Path(environment["LIMS_MASTER_KEY_FILE"]).exists(),
        "ledger": rows(environment, LEDGER, database="lims")[0],
    }
    refused = shell("lims serve --port 28990", folder, environment)
    rest = commands("Restore", starting="lims keys restore")
    keys_restored = shell(rest, folder, environment, typed="\n".join(lost.sheet) + "\n")
    assert keys_restored.returncode == 0, keys_restored.stderr
    ledger = rows(environment, LEDGER, database="lims")[0]
    with Processes(folder) as processes:
        api = serve(processes, environment)
        processes.start("worker", ["lims_api.cli", "work"], environment)
        made = Restored(
            folder, environment, mistyped, without_keys, refused, keys_restored, ledger, captured=0, api=api
        )  # fmt: skip
        made.captured = made.capture()
        processes.wait_for(f"{api.url}/healthz")
        api.sign_in(day, "pathologist")
        api.sign_in(day, "reception")
        yield made


def _mistyped(line: str) -> str:
    return ("1" if line[0] == "0" else "0") + line[1:]


@pytest.mark.req("12.11")
def test_a_mistyped_line_of_the_sheet_is_named_and_no_key_comes_back(lost: Lost, restored: Restored) -> None:
    assert restored.mistyped.returncode == 2
    assert "lims keys: Line 3 of the recovery key is mistyped." in restored.mistyped.stderr
    assert restored.without_keys == {"store": [(None,)], "master key": False, "ledger": lost.ledger}


@pytest.mark.req("12.11")
def test_a_server_without_its_keys_says_so_and_does_not_start(restored: Restored) -> None:
    said = restored.refused_start

    assert said.returncode == 1
    assert said.stderr.splitlines()[-1].startswith("lims: ")
    assert "lims keys restore" in said.stderr or "recovery sheet" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.req("12.11")
def test_a_restored_laboratory_shows_what_it_showed(lost: Lost, restored: Restored) -> None:
    shown = restored.api.shown(lost.order_id, lost.patient_id)
    pdf = restored.api.call("GET", f"/v1/reports/{shown['reports'][0]['id']}/pdf").content

    assert shown == lost.shown
    assert shown["order"]["results"]
    name = shown["patient"]["name"]
    assert len(name) > 3
    assert pdf == lost.pdf
    assert name in " ".join(pypdf.PdfReader(io.BytesIO(pdf)).pages[0].extract_text().split())
    found = restored.api.post("/v1/patients/search", {"uhid": shown["patient"]["uhid"]})["hits"]
    assert [hit["id"] for hit in found] == [str(lost.patient_id)]


@pytest.mark.req("12.11")
def test_work_goes_on_after_a_restore_and_the_lake_gets_each_change_once(lost: Lost, restored: Restored) -> None:
    assert restored.captured == restored.ledger[0] == lost.ledger[0] + 1, "the one: the erasure that was done again"
    reports = restored.rows("select count(*) from lims.reports")[0][0]
    order_id, held = _order_that_waits(restored)

    body = {"name": "Wilhelmina Restored", "sex": "female", "birth_on": "1980-01-01", "birth_precision": "day"}
    registered = restored.api.post("/v1/patients", body, by="reception")["id"]
    restored.api.post("/v1/results/authorise", {"result_ids": [str(result) for result in held]})
    _wait_for_report(restored, order_id)

    assert restored.api.get(f"/v1/patients/{registered}")["name"] == "Wilhelmina Restored"
    assert restored.rows("select count(*) from lims.reports")[0][0] == reports + 1
    written = restored.rows("select count(*) from lims.ledger")[0][0] - restored.captured
    assert written > len(held)
    assert restored.capture() == written
    assert restored.capture() == 0
    lake = SqlCatalog(
        "lake", uri=restored.environment["LIMS_LAKE_CATALOG_URL"], warehouse=(restored.folder / "var/lake").as_uri()
    )
    bronze = lake.load_table("bronze.ledger").scan(selected_fields=("seq",)).to_arrow()["seq"].to_pylist()
    assert sorted(bronze) == [row[0] for row in restored.rows("select seq from lims.ledger order by 1")]


def _order_that_waits(restored: Restored) -> tuple[UUID, list[UUID]]:
    """An order that is complete as soon as its held results are authorised, and these."""
    ((order_id, held),) = restored.rows(
        "select r.order_id, array_agg(r.id) from lims.results r join lims.organizations o on o.id = r.organization_id"
        " where o.code = 'demo' and r.status = 'held' group by r.order_id"
        " having count(*) = (select count(*) from lims.order_tests t where t.order_id = r.order_id"
        " and t.status not in ('authorised', 'cancelled')) order by 1 limit 1"
    )
    return order_id, held


def _wait_for_report(restored: Restored, order_id: UUID) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until:
        if restored.api.get(f"/v1/orders/{order_id}/reports"):
            return
        time.sleep(0.2)
    raise AssertionError("the worker made no report of the order")


@pytest.mark.req("4.1.3", "11.8", "12.11")
def test_who_was_erased_after_both_back_ups_is_opened_by_no_key_and_found_by_nothing(
    lost: Lost, restored: Restored
) -> None:
    assert {copy.where for copy in lost.copies} == {"patients", "ledger", "bronze", "files"}
    told = [opened(lost.erased_key, copy) for copy in lost.copies]
    assert all(told), "the key that was destroyed opened each"
    uhid_and_name = (told[0] or b"").decode()

    every = restored.keys()

    assert len(every) > 1000
    assert [copy.where for copy in lost.copies for key in every if opened(key, copy)] == []
    assert {key_id_of(copy.sealed) for copy in lost.copies} == {lost.erased_key.id}
    assert restored.rows("select count(*) from patient_keys where id = %s", lost.erased_key.id, database="keys") == [
        (0,)
    ]
    assert " 1 of them were dropped again" in restored.keys_restored.stdout
    assert f"Erased again: {lost.erased}" in restored.keys_restored.stdout
    _is_shown_nowhere(lost, restored, uhid_and_name)


def _is_shown_nowhere(lost: Lost, restored: Restored, name: str) -> None:
    card = restored.api.get(f"/v1/patients/{lost.erased}")
    assert (card["status"], card["name"], card["uhid"], card["phone"]) == ("erased", None, None, None)
    hits = restored.api.post("/v1/patients/search", {"name": name})["hits"]
    assert str(lost.erased) not in [hit["id"] for hit in hits]
    ((report_id,),) = restored.rows("select id from lims.reports where patient_id = %s limit 1", lost.erased)
    refused = restored.api.call("GET", f"/v1/reports/{report_id}/pdf")
    assert refused.status_code in (404, 410)
    for table in ("patient_tokens", "patient_numbers"):
        assert restored.rows(f"select count(*) from lims.{table} where patient_id = %s", lost.erased) == [(0,)]


@pytest.mark.req("4.1.3", "12.11")
def test_the_old_key_backup_restored_once_more_without_the_list_brings_back_nobody_who_was_erased(
    day: Day,
    lost: Lost,
    restored: Restored,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    for name, value in restored.environment.items():
        monkeypatch.setenv(name, value)
    sheet, broken = tmp_path / "sheet", tmp_path / "list"
    sheet.write_text("\n".join(lost.sheet))
    broken.write_text(f"{lost.organization_id} {lost.erased}\nsomebody\n")
    command = ["restore", str(lost.folder / "keys.nidan"), "--recovery-key-file", str(sheet)]
    restored.rows("truncate organization_keys, patient_keys, erased_patients", database="keys")
    settings.cache_clear()
    try:
        refused = key_commands.keys([*command, "--tombstones", str(broken)])
        nothing = restored.rows("select count(*) from patient_keys", database="keys")
        done = key_commands.keys(command)
    finally:
        settings.cache_clear()

    assert (refused, nothing, done) == (2, [(0,)], 0)
    assert "Line 2 of list is not two ids. Nothing was restored." in capsys.readouterr().err
    for known in ("select id from patient_keys order by 1", "select patient_id from erased_patients order by 1"):
        assert restored.rows(known, database="keys") == day.rows(known, database="keys")
    assert day.rows("select count(*) from erased_patients where patient_id = %s", lost.erased, database="keys") == [
        (1,)
    ]
