"""What we say in each language: gettext catalogues in `lims_api/locales`, keyed by the English words.

Units, codes, identifiers and numbers are never translated. A translation is an EXAMPLE until a named person approves.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

from babel.messages.pofile import read_po

APPROVED_BY = re.compile(r'^"X-Approved-By:[ \t]*(.*?)\\n"$', re.MULTILINE)


class Language(StrEnum):
    """ISO 639-1. A language is here once its catalogue is complete."""

    ENGLISH = "en"
    HINDI = "hi"


@dataclass(frozen=True)
class Words:
    """One language's catalogue; `approved_by` is who answers for the translation, empty when nobody does yet."""

    language: Language
    texts: Mapping[str, str]
    approved_by: str

    def __call__(self, message: str, **values: object) -> str:
        """The message in this language, with its values put in; English where the catalogue has none."""
        text = self.texts.get(message, message)
        return text.format(**values) if values else text

    @property
    def is_example(self) -> bool:
        """A translation that nobody has approved; English is what the others are translated from."""
        return self.language is not Language.ENGLISH and not self.approved_by


@cache
def words(language: Language) -> Words:
    """The catalogue of a language, read once a process."""
    path = files("lims_api") / "locales" / language / "LC_MESSAGES" / "messages.po"
    return read(language, path.read_text("utf-8"))


def read(language: Language, catalogue: str) -> Words:
    """A gettext catalogue (`.po`). What it leaves empty, or marks as fuzzy, is said in English."""
    messages = [message for message in read_po(catalogue.splitlines(keepends=True)) if message.id]
    texts = {str(one.id): str(one.id if one.fuzzy else one.string or one.id) for one in messages}
    approved_by = APPROVED_BY.search(catalogue)
    return Words(language, texts, approved_by[1] if approved_by else "")
