"""What an app keeps of what it pulled, as a test plays it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.integration.laboratory import Answer, Laboratory

Document = dict[str, Any]


@dataclass
class Store:
    """One app's documents by kind and id, and its cursor."""

    lab: Laboratory
    token: str
    cursor: str | None = None
    kinds: dict[str, dict[str, Document]] = field(default_factory=dict)
    resets: int = 0
    received: int = 0

    def ask(self, cursor: str | None = None) -> Answer:
        """One request."""
        headers = {"Authorization": f"Bearer {self.token}"}
        params = {"cursor": cursor} if cursor else None
        answer: Answer = self.lab.client.get("/v1/sync/pull", params=params, headers=headers)
        return answer

    def once(self) -> dict[str, Any]:
        """One page, taken in as the app does it."""
        answer = self.ask(self.cursor)
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        self.received = int(answer.headers["content-length"])
        if page["reset"]:
            self.kinds, self.resets = {}, self.resets + 1
        for kind, documents in page["documents"].items():
            assert len({one["id"] for one in documents}) == len(documents), f"{kind} repeats a document"
            self.kinds.setdefault(kind, {}).update({one["id"]: one for one in documents})
        for kind, ids in page["gone"].items():
            for each in ids:
                self.kinds.get(kind, {}).pop(each, None)
        self.cursor = page["cursor"]
        return page

    def pull(self) -> Counter[str]:
        """Everything there is; how many documents of each kind came."""
        came: Counter[str] = Counter()
        while True:
            page = self.once()
            came.update({kind: len(documents) for kind, documents in page["documents"].items()})
            if not page["more"]:
                return came

    def of(self, kind: str) -> dict[str, Document]:
        """The documents of a kind, by id."""
        return {each: one for each, one in self.kinds.get(kind, {}).items() if one}


def filled(lab: Laboratory, token: str) -> Store:
    """A store that has just loaded."""
    store = Store(lab, token)
    store.pull()
    return store
