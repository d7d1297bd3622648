"""A manager opens the dashboards in a real browser: figures with a token, nothing without, and no request leaves."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl
import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey
from playwright.sync_api import Browser, sync_playwright
from pyiceberg.catalog.sql import SqlCatalog

from dashboards.data import COLUMNS, CONTROLS, TURNAROUND
from tests.ports import ports

OURS, THEIRS = (f"01990000-0000-7000-8000-00000000000{n}" for n in (1, 2))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
    pytest.mark.xdist_group("dashboards"),  # one server for the file, not one a worker
]


def publish(url: str, folder: str) -> None:
    """Gold tables with ten released tests and six controls of ours, and some of another laboratory."""
    end = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    tests: list[dict[str, Any]] = [
        {"organization_id": owner, "test_code": code, "priority": "routine", "authorised_at": end - timedelta(days=n),
         "minutes_total": 10.0 * (n + 1), "is_late": n > 7, "is_automatic": n < 7}
        for owner, code in ((OURS, "GLU"), (THEIRS, "TSH")) for n in range(10)
    ]  # fmt: skip
    controls: list[dict[str, Any]] = [
        {"organization_id": owner, "analyser_code": "AU-1", "material": "Example Serum", "lot_number": "L1", "level": 1,
         "test_code": "GLU", "value": 100.0 + 2 * n, "mean": 100.0, "sd": 2.0, "z": float(n), "violated": "",
         "status": "rejected" if n > 3 else "accepted", "occurred_at": end - timedelta(days=n)}
        for owner in (OURS, THEIRS) for n in range(6)
    ]  # fmt: skip
    catalog = SqlCatalog("lake", uri=url, warehouse=folder)
    catalog.create_namespace("gold")
    for name, rows in ((TURNAROUND, tests), (CONTROLS, controls)):
        table = pl.DataFrame(rows, schema=COLUMNS[name]).to_arrow(compat_level=pl.CompatLevel.oldest())
        catalog.create_table(name, schema=table.schema).append(table)


def free_port() -> int:
    """A port of this worker's share that nobody listens on: another worker's server would refuse our tokens."""
    for port in ports(28_510, 28_900):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise RuntimeError("no free port")


@pytest.fixture(scope="module")
def signing_key() -> OKPKey:
    """The application's key."""
    return OKPKey.generate_key("Ed25519")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, signing_key: OKPKey) -> Iterator[str]:
    """The dashboards, served by their own command over a lake on disk."""
    folder, port = tmp_path_factory.mktemp("lake"), free_port()
    (folder / "public.pem").write_bytes(signing_key.as_pem(private=False))
    settings = {
        "LIMS_LAKE_CATALOG_URL": f"sqlite:///{folder}/catalog.db",
        "LIMS_LAKE_FOLDER": str(folder / "lake"),
        "LIMS_DASHBOARD_PUBLIC_KEY_FILE": str(folder / "public.pem"),
    }
    publish(settings["LIMS_LAKE_CATALOG_URL"], settings["LIMS_LAKE_FOLDER"])
    command = [sys.executable, "-m", "dashboards.cli", "--port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, env=os.environ | settings, stdout=subprocess.DEVNULL)
    try:
        wait_until_up(f"http://127.0.0.1:{port}/_stcore/health", server)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait(30)


def wait_until_up(url: str, server: subprocess.Popen[bytes]) -> None:
    """Return when the server answers; fail when it ended or a minute has passed."""
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2)  # noqa: S310
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"the dashboards did not start (exit code {server.poll()})")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The machine's chromium."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def token(key: OKPKey, organization: str, minutes: int = 10) -> str:
    """A token as the application signs it."""
    expires = int((datetime.now(UTC) + timedelta(minutes=minutes)).timestamp())
    claims = {"iss": "nidan", "aud": "dashboards", "sub": "x", "organization_id": organization, "exp": expires}
    return jwt.encode({"alg": "Ed25519"}, claims, key, algorithms=["Ed25519"])


@pytest.mark.req("3.10.1")
def test_a_manager_sees_turnaround_and_levey_jennings_and_nothing_is_asked_of_other_servers(
    address: str, chromium: Browser, signing_key: OKPKey
) -> None:
    page = chromium.new_page(timezone_id="America/New_York")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto(f"{address}?t={token(signing_key, OURS)}")
    page.get_by_text("Tests released").wait_for(timeout=60_000)
    page.get_by_test_id("stVegaLiteChart").first.wait_for()
    shown = [metric.inner_text().split("\n")[-1] for metric in page.get_by_test_id("stMetric").all()]
    page.get_by_role("tab", name="Levey").click()
    page.get_by_role("heading", name="Level 1").wait_for()

    assert shown[:5] == ["10", "55 min", "91 min", "20.0 %", "70.0 %"]
    assert page.url == address
    assert {urlsplit(url).hostname for url in asked if url.startswith("http")} == {"127.0.0.1"}
    page.close()


@pytest.mark.parametrize("query", ["", "?t=rubbish", "expired"])
def test_without_a_good_token_the_browser_gets_one_sentence(
    address: str, chromium: Browser, signing_key: OKPKey, query: str
) -> None:
    page = chromium.new_page()
    page.goto(address + (f"?t={token(signing_key, OURS, minutes=-1)}" if query == "expired" else query))
    page.get_by_text("Open the dashboard from the application").wait_for(timeout=60_000)

    assert page.get_by_test_id("stMain").inner_text().strip().count("\n") == 0
    assert page.get_by_test_id("stMetric").count() == 0
    page.close()


def test_a_reload_without_the_token_closes_the_page(address: str, chromium: Browser, signing_key: OKPKey) -> None:
    page = chromium.new_page()
    page.goto(f"{address}?t={token(signing_key, THEIRS)}")
    page.get_by_text("Tests released").wait_for(timeout=60_000)

    page.reload()

    page.get_by_text("Open the dashboard from the application").wait_for(timeout=60_000)
    assert page.get_by_text("Tests released").count() == 0
    page.close()
