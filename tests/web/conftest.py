"""The staff's app as people meet it: the real server over a seeded laboratory, in a real browser."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from tests.conftest import Environment
from tests.integration.laboratory import Laboratory, open_laboratory
from tests.ports import free_port
from tests.web.app import ROOT, App

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser they cannot run, and say so; with one they share a server, so one worker runs them all."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("web"))
            if "app" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"))


@pytest.fixture(scope="session")
def lab(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """The laboratory behind the app: what a test prepares there, the app shows."""
    yield from open_laboratory(environment, tmp_path_factory.mktemp("web"), code="web")


@pytest.fixture(scope="session")
def address(environment: Environment, lab: Laboratory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server, as `lims serve` runs it."""
    assert (ROOT / "web" / "dist" / "index.html").is_file(), "the staff's app is not built: make setup"
    folder, port = tmp_path_factory.mktemp("server"), free_port(29_200, 29_600)
    master = folder / "master.key"
    master.touch(0o600)
    master.write_text(environment.master.hex())
    settings = {
        "LIMS_DATABASE_URL": environment.url("lims_app"),
        "LIMS_KEYS_URL": environment.url("lims_keys", driver="postgresql"),
        "LIMS_MASTER_KEY_FILE": str(master),
        "LIMS_FILES_FOLDER": str(lab.services.files_folder),
        "LIMS_MODELS_FOLDER": str(lab.services.files_folder.parent / "models"),
        "LIMS_MODEL_REQUIRED": "false",
    }
    with (folder / "server.log").open("w") as log:
        command = [sys.executable, "-m", "lims_api.cli", "serve", "--port", str(port)]
        server = subprocess.Popen(command, cwd=ROOT, env=os.environ | settings, stdout=log, stderr=log)
        try:
            _wait(f"http://127.0.0.1:{port}/healthz", server, folder / "server.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(30)


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2)  # noqa: S310
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"the server did not start: {log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def browser_process() -> Iterator[Playwright]:
    """Ends with the module: while it is there, nothing else in the process can run an event loop of its own."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def chromium(browser_process: Playwright) -> Iterator[Browser]:
    """The machine's browser; it asks nobody outside."""
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    started = browser_process.chromium.launch(executable_path=CHROMIUM, args=quiet)
    yield started
    started.close()


@pytest.fixture
def app(chromium: Browser, address: str, lab: Laboratory) -> Iterator[App]:
    """A fresh browser without anybody signed in. It fails the test that leaves an error in the console."""
    opened = App(chromium, address, lab)
    yield opened
    opened.close()
    assert opened.errors == []
