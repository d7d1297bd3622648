"""The tokenizer and hl7apy, which is slow and thorough, must see the same values in the same places."""

from collections import Counter
from pathlib import Path

import pytest
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.hl7.codec import STANDARD, Er7Message, NotHl7, parse, unescape

REAL = Path(__file__).parents[4] / "shared" / "data" / "hl7v2"
WORDS = st.text("abcXYZ0189 .,-+<>/%()", min_size=0, max_size=8).map(str.strip)
ESCAPED = st.sampled_from(["", r"\F\a", r"x\S\9", r"a\T\b", r"\R\x", r"c\E\d"])
STRUCTURED = (3, 6)
VALUES = st.builds(lambda word, tail: word + tail, WORDS, ESCAPED)
COMPONENTS = st.lists(VALUES, min_size=1, max_size=3).map("^".join)
Values = dict[tuple[int, str, int, int], str]
DELIMITER_FIELDS = {("MSH", 1), ("MSH", 2)}
FIELDS = {"OBX": (3, 5, 6, 7, 8, 11), "OBR": (2, 3, 4, 16), "PID": (2, 3, 5, 8), "NTE": (3,)}


@st.composite
def segments(draw: st.DrawFn, name: str) -> str:
    fields = [""] * max(FIELDS[name])
    for number in FIELDS[name]:
        repetitions = draw(st.lists(COMPONENTS if name != "NTE" else VALUES, min_size=1, max_size=2))
        fields[number - 1] = "~".join(repetitions)
    fields[0] = "1"
    return "|".join([name, *fields])


@st.composite
def messages(draw: st.DrawFn) -> str:
    names = draw(st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=5))
    header = "MSH|^~\\&|Maker|Model|||20260123140000||ORU^R01|17|P|2.5"
    return "\r".join([header, *(draw(segments(name)) for name in names)])


def theirs(text: str) -> tuple[Values, set[int]]:
    """Every value, and the segments that have fields for which hl7apy knows no number."""
    values: Values = {}
    unnumbered = set()
    for place, segment in enumerate(parse_message(text, find_groups=False).children):
        counts: Counter[int] = Counter()
        for field in segment.children:
            if field.name is None:
                unnumbered.add(place)
                continue
            number = int(field.name.rpartition("_")[2])
            counts[number] += 1
            found = _canonical(field.to_er7(trailing_children=True))
            if found and (segment.name, number) not in DELIMITER_FIELDS:
                values[place, segment.name, number, counts[number]] = found
    return values, unnumbered


def ours(message: Er7Message) -> Values:
    values: Values = {}
    for place, segment in enumerate(message.segments):
        for number, field in enumerate(segment.fields):
            if number == 0 or (segment.name, number) in DELIMITER_FIELDS:
                continue
            for repetition, text in enumerate(field.split("~"), start=1):
                if found := _canonical(text):
                    values[place, segment.name, number, repetition] = found
    return values


@settings(max_examples=40, deadline=None)
@given(messages())
def test_generated_messages_are_read_alike(text: str) -> None:
    values, unnumbered = theirs(text)

    assert not unnumbered
    assert ours(parse(text.encode())) == values


@settings(max_examples=40, deadline=None)
@given(segments("OBX"))
def test_generated_components_are_read_alike(text: str) -> None:
    header = "MSH|^~\\&|Maker|Model|||20260123140000||ORU^R01|17|P|2.5"
    segment = parse(f"{header}\r{text}".encode()).segments[1]
    reference = parse_message(f"{header}\r{text}", find_groups=False).children[1]

    compared = 0
    for field in reference.children:
        number = int(field.name.rpartition("_")[2])
        if number not in STRUCTURED or field is not reference.children.get(field.name)[0]:
            continue
        for child in field.children:
            component = int(child.name.rpartition("_")[2])
            assert (segment.get(number, component) or "") == unescape(child.to_er7().strip(), STANDARD)
            compared += 1
    assert compared or not any(segment.get(number) for number in STRUCTURED)


def _leaves(text: str) -> list[str]:
    """The values in a field; hl7apy moves those for which a datatype has no place to the end."""
    return sorted(leaf for leaf in text.replace("&", "^").split("^") if leaf)


def _canonical(text: str) -> str:
    """Without trailing empty components, which hl7apy does not keep."""
    return "^".join(part.strip() for part in text.split("^")).rstrip("^")


def real_files() -> list[Path]:
    if not REAL.exists():
        return []
    return sorted([*(REAL / "analyzers").glob("*.hl7"), *(REAL / "FHIR-Converter").glob("*R*.hl7")])


@pytest.mark.req("1.7.1")
@pytest.mark.skipif(not REAL.exists(), reason="the recorded messages are not here")
def test_real_messages_are_read_alike() -> None:
    compared = 0
    for file in real_files():
        text = file.read_bytes().decode("utf-8-sig", "replace").replace("\r\n", "\r").replace("\n", "\r").strip()
        try:
            values, unnumbered = theirs(text)
        except (HL7apyException, AttributeError):
            continue  # hl7apy does not take this one at all
        mine = ours(parse(text.encode()))
        compared += 1
        assert values.keys() <= mine.keys(), file.name
        for key, value in values.items():
            assert _leaves(value) == _leaves(mine[key]), (file.name, key)
        assert {key[0] for key in mine.keys() - values.keys()} <= unnumbered, file.name
    assert compared >= 10


@pytest.mark.skipif(not REAL.exists(), reason="the recorded messages are not here")
def test_every_real_message_is_read_or_has_no_msh() -> None:
    read = 0
    for file in [*REAL.rglob("*.hl7"), *REAL.rglob("*.txt")]:
        body = file.read_bytes()
        try:
            message = parse(body)
        except NotHl7:
            assert not body.lstrip(b"\xef\xbb\xbf\r\n\t \0").startswith(b"MSH|^~\\&|"), file.name
            continue
        read += 1
        assert message.segments[0].get(9), file.name
    assert read >= 100
