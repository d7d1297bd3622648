"""The API as the demonstration's staff call it."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from lims_api.cli.demo.laboratories import Lab
from lims_api.cli.installation import secret_file
from lims_api.core.ids import uuid7


def call(api: str, lab: Lab, user: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """What the API at `api` answers to a user of the laboratory. Raises urllib's errors."""
    return json.loads(fetch(api, lab, user, method, path, body) or b"null")


def fetch(api: str, lab: Lab, user: str, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
    """The same as bytes, e.g. of a report's file."""
    password = secret_file(lab.seeded.secrets / f"{user}.password")
    who = {"organization": lab.code, "username": user, "password": password}
    session = json.loads(_request("POST", f"{api}/v1/sessions", who))
    return _request(method, f"{api}{path}", body, token=session["token"])


def _request(method: str, url: str, body: dict[str, Any] | None, *, token: str = "") -> bytes:
    headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid7())}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=30) as answer:  # noqa: S310  loopback
        content: bytes = answer.read()
        return content
