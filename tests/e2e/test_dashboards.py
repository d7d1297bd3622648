"""A manager opens the dashboards in a real browser: figures with a token, nothing without, and no request leaves."""

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.ports import free_port
from tests.unit.dashboards.laboratories import OURS, THEIR_NAMES, THEIRS, LakeOnDisk, control, ordered_test, result

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
    pytest.mark.xdist_group("dashboards"),  # one server for the file, not one a worker
]


def publish(lake: LakeOnDisk) -> None:
    """Gold tables with ten released tests, ten results and six controls of ours, and some of another laboratory."""
    theirs = {"organization_id": THEIRS} | THEIR_NAMES
    controls = [
        control(n, value=100.0 + 2 * n, status="rejected" if n > 3 else "accepted", violated="1-3s (run)" * (n > 3))
        for n in range(6)
    ]
    lake.publish("fct_turnaround", [ordered_test(n, **who) for who in ({}, theirs) for n in range(10)])
    lake.publish("fct_results", [result(n, **who) for who in ({}, theirs) for n in range(10)])
    lake.publish("fct_control_results", [*controls, *(control(n, lot_number="X9", **theirs) for n in range(6))])


@pytest.fixture(scope="module")
def signing_key() -> OKPKey:
    """The application's key."""
    return OKPKey.generate_key("Ed25519")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, signing_key: OKPKey) -> Iterator[str]:
    """The dashboards, served by their own command over a lake on disk."""
    folder, port = tmp_path_factory.mktemp("lake"), free_port(28_510, 28_900)
    (folder / "public.pem").write_bytes(signing_key.as_pem(private=False))
    settings = {
        "LIMS_LAKE_CATALOG_URL": f"sqlite:///{folder}/catalog.db",
        "LIMS_LAKE_FOLDER": str(folder / "lake"),
        "LIMS_DASHBOARD_PUBLIC_KEY_FILE": str(folder / "public.pem"),
    }
    publish(LakeOnDisk(settings["LIMS_LAKE_CATALOG_URL"], settings["LIMS_LAKE_FOLDER"]))
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


def shown(page: Page) -> dict[str, str]:
    """The figures on the page by their names."""
    pairs = [metric.inner_text().split("\n") for metric in page.get_by_test_id("stMetric").all()]
    return {parts[0]: parts[-1] for parts in pairs}


def turn_to(page: Page, name: str, figure: str) -> None:
    """Go to another page by the navigation and wait for its figures and chart."""
    page.get_by_role("link", name=name).first.click()
    page.get_by_text(figure, exact=True).first.wait_for(timeout=60_000)
    page.get_by_test_id("stVegaLiteChart").first.wait_for()


def downloaded(page: Page, label: str) -> Path:
    """The file that a button hands out."""
    with page.expect_download(timeout=60_000) as coming:
        page.get_by_role("button", name=label).click()
    return Path(coming.value.path())


@pytest.mark.req("0.5")
@pytest.mark.req("3.10.1")
@pytest.mark.req("3.6.3")
def test_a_manager_sees_every_page_and_nothing_is_asked_of_other_servers(
    address: str, chromium: Browser, signing_key: OKPKey
) -> None:
    page = chromium.new_page(timezone_id="America/New_York")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto(f"{address}?t={token(signing_key, OURS)}")
    page.get_by_text("Tests released").wait_for(timeout=60_000)
    page.get_by_test_id("stVegaLiteChart").first.wait_for()
    turnaround, there = shown(page), page.url
    turn_to(page, "Verification", "Corrections")
    verification = shown(page)
    turn_to(page, "Levey", "Control results")
    page.get_by_role("heading", name="Level 1").wait_for()
    controls, points = shown(page), downloaded(page, "Points (CSV)").read_text("utf-8-sig")
    chart = Image.open(downloaded(page, "Chart to print"))

    assert there == address
    assert (turnaround["Tests released"], turnaround["Median"], turnaround["90th percentile"]) == (
        "7", "40 min", "64 min"
    )  # fmt: skip
    assert (verification["Results"], verification["Automatic"]) == ("7", "100.0 %")
    assert (controls["Control results"], controls["Rejected"]) == ("6", "2")
    assert len(points.splitlines()) == 7
    assert [word for word in ("X9", "TSH", "Their laboratory") if word in points] == []
    assert (chart.format, chart.size) == ("PNG", (1753, 1240))
    assert {urlsplit(url).hostname for url in asked if url.startswith("http")} == {"127.0.0.1"}
    page.close()


@pytest.mark.parametrize("query", ["", "?t=rubbish", "verification", "levey_jennings?t=rubbish", "expired"])
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
