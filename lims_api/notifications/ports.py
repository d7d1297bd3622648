"""What the laboratory asks of whoever carries its messages, in our words and not a provider's."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

_E164 = re.compile(r"\+[1-9]\d{7,14}")
_LANGUAGE = re.compile(r"[a-z]{2}")


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message to one person: a template that was approved, in a language, with its blanks filled.

    Where it goes and what fills the blanks is personal data: neither shows when a message is printed or logged.
    `ValueError` for a number that is not E.164, a language that is not of ISO 639-1, or a template without a name.
    """

    id: UUID
    """The same at every attempt; a provider that has seen it does not send again."""
    to: str = field(repr=False)
    template: str
    language: str
    values: Mapping[str, str] = field(repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not _E164.fullmatch(self.to):
            raise ValueError("the number is not in the international form, e.g. +91 and ten digits")
        if not _LANGUAGE.fullmatch(self.language):
            raise ValueError("the language is two small letters, e.g. hi")
        if not self.template:
            raise ValueError("a message needs a template: free text is not sent")


class DeliveryFailed(Exception):
    """The provider did not take the message. `permanent`: never try again, tell a person."""

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


class MessageSender(Protocol):
    """A provider of messages."""

    def send(self, message: Message) -> str:
        """Hand the message over within a time limit; the provider's id of it, or `DeliveryFailed`."""
