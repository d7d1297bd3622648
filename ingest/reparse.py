"""`lims ingest reparse`: kept transmissions read again, for whoever has to prove where a result came from.

One question a line on standard input, one answer a line on standard output. What a patient is known by stands in the
bytes, so they come neither as an argument nor as a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AwareDatetime, Base64Bytes, BaseModel
from pydantic_core import to_json

from ingest.contract import Message
from ingest.decode import decode
from ingest.instruments.astm_profile import AstmProfile
from ingest.instruments.profile import Profile
from ingest.instruments.shipped import ProfileUnknown, load, names, read
from ingest.received import Received

_MEASUREMENT = {"hl7": re.compile(rb"OBX[^\r\n]*"), "astm": re.compile(rb"R[^\r\n]*")}


class Question(BaseModel):
    """A transmission as the core keeps it, and the analyser model whose profile reads it."""

    model: str
    timezone: str = "Asia/Kolkata"
    channel: str
    control_id: str
    body_sha256: str
    received_at: AwareDatetime
    body: Base64Bytes


class Profiles:
    """Profiles by name or by the analyser models they are for; those of `folder` go before the shipped ones."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._read: dict[str, tuple[Profile | AstmProfile, str]] = {}

    def of(self, model: str) -> tuple[Profile | AstmProfile, str]:
        """The profile and the SHA-256 of its text, or `ProfileUnknown`."""
        if model not in self._read:
            text = self._text(model)
            self._read[model] = read(text), sha256(text.encode()).hexdigest()
        return self._read[model]

    def _text(self, model: str) -> str:
        own = self._folder / f"{model}.toml" if self._folder and Path(model).name == model else None
        if own is not None and own.is_file():
            return own.read_text("utf-8")
        name = model if model in names() else next((one for one in names() if model in load(one).models), None)
        if name is None:
            raise ProfileUnknown(f"no profile is named {model!r} or reads that model")
        return (files("ingest.instruments") / f"{name}.toml").read_text("utf-8")


def answers(questions: Iterable[str], profiles: Profiles) -> Iterator[str]:
    """A line of JSON for each line: the message and where its measurements stand, or the `problem`."""
    for line in questions:
        question = Question.model_validate_json(line)
        try:
            answer = _answer(question, profiles)
        except (ProfileUnknown, ZoneInfoNotFoundError) as reason:
            answer = {"problem": str(reason)}
        yield to_json(answer).decode()


def _answer(question: Question, profiles: Profiles) -> dict[str, Any]:
    profile, digest = profiles.of(question.model)
    kept = Received(
        question.channel, question.control_id, question.body_sha256, question.received_at, bytes(question.body)
    )
    message = decode(kept, profile, ZoneInfo(question.timezone))
    return {
        "profile": profile.name,
        "profile_sha256": digest,
        "message": message.model_dump(mode="json"),
        "places": places(message),
    }


def places(message: Message) -> list[list[tuple[int, int]]]:
    """Where each group's measurements (OBX, or R records) stand in the transmission: offset and length in bytes.

    An observation's number is its record's; where a group has no such record, as a control's in its OBR, it has none.
    """
    start = len(message.envelope)
    found = []
    for group in message.groups:
        records = _MEASUREMENT[message.format].finditer(group.raw) if message.format in _MEASUREMENT else iter(())
        of_group = [
            (start + one.start(), one.end() - one.start()) for one in records if _begins(group.raw, one.start())
        ]
        numbers = [observation.sequence for observation in group.observations]
        known = all(0 < number <= len(of_group) for number in numbers)
        found.append([of_group[number - 1] for number in numbers] if known else [])
        start += len(group.raw)
    return found


def _begins(raw: bytes, at: int) -> bool:
    """Whether a record begins here, and not a field that looks like one."""
    return at == 0 or raw[at - 1 : at] in (b"\r", b"\n")
