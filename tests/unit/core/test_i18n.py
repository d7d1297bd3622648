"""Every fixed word of a report is in every language's catalogue, with the same values to put in."""

import re
import tomllib
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.pofile import read_po

from lims_api.core.i18n import Language, read, words
from lims_api.reports import content
from lims_api.reports.wording import REASONS

LIMS = Path(__file__).parents[3] / "lims_api"
SAID = re.compile(r'\b(?:say|ENGLISH)\(\s*"((?:[^"\\]|\\.)*)"')
PLACES = re.compile(r"\{\w*\}")
HEADER = 'msgid ""\nmsgstr ""\n"X-Approved-By: {}\\n"\n\n'


def catalogue(language: str) -> dict[str, Message]:
    with (LIMS / "locales" / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return {str(message.id): message for message in read_po(file) if message.id}


def said() -> set[str]:
    """What code and templates say by itself: the first words in `say(...)`, and constants that reach it."""
    sources = [*LIMS.rglob("*.py"), *LIMS.rglob("*.typ")]
    literal = {found for path in sources for found in SAID.findall(path.read_text("utf-8"))}
    constants = {content.EXAMPLE, content.EXAMPLE_WORDS, content.OUT_OF_SCOPE, content.AUTOMATIC, *REASONS.values()}
    return {text.replace("\\u{2013}", "\u2013") for text in literal} | constants


def of_the_catalogue() -> set[str]:
    """Disciplines and specimen types of the tests that are shipped as examples."""
    files = (LIMS / "catalogue" / "examples").glob("*.toml")
    tests = [test for path in files for test in tomllib.loads(path.read_text("utf-8")).get("test", [])]
    return {test[name] for test in tests for name in ("discipline", "specimen_type")}


@pytest.mark.req("5.1.1")
@pytest.mark.parametrize("language", Language)
def test_every_word_that_is_said_is_in_the_catalogue(language: Language) -> None:
    assert len(said()) > 50
    assert (said() | of_the_catalogue()) - catalogue(language).keys() == set()


def test_no_message_is_left_that_nothing_says() -> None:
    assert catalogue("en").keys() - said() - of_the_catalogue() == set()


@pytest.mark.req("5.1.1")
@pytest.mark.parametrize("language", [one for one in Language if one is not Language.ENGLISH])
def test_a_translation_is_complete_and_puts_in_the_same_values(language: Language) -> None:
    translated, english = catalogue(language), catalogue("en")

    assert translated.keys() == english.keys()
    assert [one for one, message in translated.items() if not message.string or message.fuzzy] == []
    assert [
        one
        for one, message in translated.items()
        if sorted(PLACES.findall(one)) != sorted(PLACES.findall(str(message.string)))
    ] == []


def test_english_says_what_the_code_says() -> None:
    assert [message.id for message in catalogue("en").values() if message.string] == []


def test_values_are_put_in_and_words_of_the_catalogue_are_not_read_as_places() -> None:
    hindi = words(Language.HINDI)

    assert hindi("up to {limit}", limit="40") == "40 \u0924\u0915"
    assert hindi("Nobody's {word}") == "Nobody's {word}"


@pytest.mark.req("5.1.1")
def test_what_a_catalogue_lacks_is_said_in_english() -> None:
    lacking = read(
        Language.HINDI, HEADER.format("") + 'msgid "Unit"\nmsgstr ""\n\n#, fuzzy\nmsgid "Flag"\nmsgstr "?"\n'
    )

    assert [lacking("Unit"), lacking("Flag"), lacking("Result")] == ["Unit", "Flag", "Result"]


@pytest.mark.req("12.3")
@pytest.mark.parametrize(("approved_by", "is_example"), [("", True), ("Dr A, 2026-11-24", False)])
def test_a_translation_is_an_example_until_a_named_person_approves(approved_by: str, is_example: bool) -> None:
    hindi = read(Language.HINDI, HEADER.format(approved_by))

    assert (hindi.approved_by, hindi.is_example) == (approved_by, is_example)


def test_the_shipped_translation_is_an_example_and_english_is_none() -> None:
    assert words(Language.HINDI).is_example
    assert not words(Language.ENGLISH).is_example
