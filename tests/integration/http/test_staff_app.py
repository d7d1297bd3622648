"""The staff's app as the server gives it: the page at every address of the app, its files for ever, nothing else."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lims_api.app import Services, build

PAGE, CODE = "<!doctype html><title>the page</title>", "export const answer = 42"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A build: a page, a file named by its content, and that file packed."""
    built = tmp_path / "dist"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text(PAGE)
    (built / "assets" / "index-abc123.js").write_text(CODE)
    (built / "assets" / "index-abc123.js.gz").write_bytes(gzip.compress(CODE.encode()))
    (built / ".ready").touch()
    (tmp_path / "secret.json").write_text("{}")
    return built


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    with TestClient(application(folder)) as client:
        yield client


def application(folder: Path) -> FastAPI:
    return build(None, Services(models=None, files_folder=Path()), web_folder=folder)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/", "/app", "/app/", "/app/receive", "/app/patients/0193a1b2"])
def test_every_address_of_the_app_is_the_page_and_is_asked_for_anew(client: TestClient, path: str) -> None:
    answer = client.get(path)

    assert (answer.status_code, answer.text) == (200, PAGE)
    assert answer.headers["cache-control"] == "no-cache"


def test_a_file_named_by_its_content_is_kept_for_ever(client: TestClient) -> None:
    answer = client.get("/app/assets/index-abc123.js", headers={"Accept-Encoding": "identity"})

    assert answer.text == CODE
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in answer.headers["cache-control"]
    assert "content-encoding" not in answer.headers


def test_a_browser_that_takes_gzip_gets_what_was_packed_at_build(client: TestClient, folder: Path) -> None:
    answer = client.get("/app/assets/index-abc123.js", headers={"Accept-Encoding": "gzip, deflate"})

    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) == (folder / "assets" / "index-abc123.js.gz").stat().st_size
    assert answer.text == CODE


@pytest.mark.parametrize("path", ["/app/", "/app/assets/index-abc123.js", "/app/assets/gone.js"])
def test_the_browser_runs_and_fetches_nothing_of_anybody_elses(client: TestClient, path: str) -> None:
    headers = client.get(path).headers

    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")


@pytest.mark.parametrize("path", ["assets/index-old.js", "assets/", "%2e%2e/secret.json", "..%2fsecret.json"])
def test_a_file_that_is_not_of_the_build_is_not_given(client: TestClient, path: str) -> None:
    assert client.get(f"/app/{path}").status_code == 404


def test_what_is_no_part_of_the_app_is_not_given_as_a_file(client: TestClient) -> None:
    assert client.get("/app/.ready").text == PAGE


def test_without_a_build_the_page_says_what_to_do(tmp_path: Path) -> None:
    with TestClient(application(tmp_path)) as client:
        answer = client.get("/app/")

    assert answer.status_code == 503
    assert "make setup" in answer.text


def test_the_api_is_not_hidden_by_the_app(client: TestClient) -> None:
    assert client.get("/v1/nothing").headers["content-type"] == "application/problem+json"
