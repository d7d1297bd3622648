"""The API as the demonstration's staff call it."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from lims_api.cli.demo.laboratories import Lab
from lims_api.cli.installation import secret_file
from lims_api.core.ids import uuid7

TIMEOUT_SECONDS = 60


class Staff:
    """One user of a laboratory, signed in. Every call raises urllib's errors."""

    def __init__(self, api: str, lab: Lab, user: str) -> None:
        self._api, self._token = api, ""
        password = secret_file(lab.seeded.secrets / f"{user}.password")
        who = {"organization": lab.code, "username": user, "password": password}
        self._token = self.post("/v1/sessions", who)["token"]

    def get(self, path: str) -> Any:
        """What the API answers."""
        return json.loads(self.fetch(path))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """One command, under a key of its own."""
        return json.loads(self._request("POST", path, json.dumps(body).encode()) or b"null")

    def fetch(self, path: str) -> bytes:
        """The answer's bytes, e.g. a report's file."""
        return self._request("GET", path, None)

    def _request(self, method: str, path: str, data: bytes | None) -> bytes:
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid7())}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(f"{self._api}{path}", data, headers, method=method)  # noqa: S310  loopback
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310  loopback
            content: bytes = answer.read()
            return content
