"""An app as a test plays it: it makes commands, pushes them, and keeps what it was answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from lims_api.core.clock import utc_now
from lims_api.core.ids import uuid7
from tests.integration.laboratory import Answer, Laboratory

Command = dict[str, Any]
DEVICE = UUID("0191d2a0-0000-4000-8000-00000000d0d0")


def command(name: str, body: Mapping[str, Any], *, id: UUID | None = None, device: UUID = DEVICE) -> Command:
    """One command as it lies in the outbox."""
    return {
        "id": str(id or uuid7()), "name": name, "body": dict(body), "made_at": utc_now().isoformat(),
        "device": str(device),
    }  # fmt: skip


def register(**who: Any) -> Command:
    """Registers somebody."""
    return command("patients.register", {"name": "Savitri Example", "sex": "female"} | who)


def receive(accession_number: str) -> Command:
    """Receives a specimen, now."""
    return command("specimens.receive", {"accession_number": accession_number, "received_at": utc_now().isoformat()})


@dataclass
class App:
    """One device signed in as one user."""

    lab: Laboratory
    token: str
    answered: dict[str, dict[str, Any]] = field(default_factory=dict)

    def send(self, *commands: Command) -> Answer:
        """One push."""
        return self.lab.call("POST", "/v1/sync/push", {"commands": list(commands)}, by=self.token)

    def push(self, *commands: Command) -> list[dict[str, Any]]:
        """The answers to a push that must be taken."""
        answer = self.send(*commands)
        assert answer.status_code == 200, answer.text
        answers: list[dict[str, Any]] = answer.json()["answers"]
        self.answered |= {one["id"]: one for one in answers}
        return answers

    def one(self, wanted: Command) -> tuple[int, dict[str, Any]]:
        """Status and reply of a single command."""
        (answer,) = self.push(wanted)
        assert answer["id"] == wanted["id"]
        return answer["status"], answer["reply"]


def slug(reply: Mapping[str, Any]) -> str:
    """The kind of a refusal."""
    return str(reply["type"]).rsplit("/", 1)[-1]


def changes(lab: Laboratory) -> int:
    """How many changes the ledger has seen of this laboratory."""
    ((count,),) = lab.rows("select count(*) from lims.ledger where organization_id = %s", lab.organization_id)
    return int(count)


def kept(lab: Laboratory, ids: Iterable[str]) -> list[tuple[str, int]]:
    """What is kept of these commands: id and status, by id."""
    rows = lab.rows(
        "select key, status from lims.idempotency_keys where organization_id = %s and key = any (%s) order by key",
        lab.organization_id, list(ids),
    )  # fmt: skip
    return [(str(key), int(status)) for key, status in rows]


def fresh() -> str:
    """An id of nothing."""
    return str(uuid4())
