import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.hl7.codec import Delimiters, Er7Message, NotHl7, Segment, escape, parse, unescape

STANDARD = Delimiters()
HEADER = "MSH|^~\\&|Maker|Model|||20260123140000||ORU^R01|17|P|2.3.1||||0||"
DELIMITERS = st.builds(
    lambda marks: Delimiters(*marks), st.lists(st.sampled_from("|^~\\&$!?/#*@+;%"), min_size=5, max_size=5, unique=True)
)
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("|^~\\&$!?/#\r\n"), max_size=40)
CHARSETS = {"": "utf-8", "ASCII": "utf-8", "UNICODE UTF-8": "utf-8", "8859/1": "latin-1", "8859/15": "iso8859-15"}


def message(*segments: str, end: str = "\r") -> Er7Message:
    return parse(end.join([HEADER, *segments, ""]).encode())


def obx(text: str) -> Segment:
    return message(text).segments[1]


def test_msh_fields_are_numbered_as_hl7_numbers_them() -> None:
    header = message().header

    assert (header.get(1), header.get(2), header.get(3), header.get(9), header.get(9, 2), header.get(10)) == (
        "|",
        "^~\\&",
        "Maker",
        "ORU",
        "R01",
        "17",
    )


def test_a_field_that_was_not_sent_differs_from_one_to_be_deleted() -> None:
    segment = obx('OBX|1|NM|GLU||""|a^""^c')

    assert segment.get(4) is None
    assert segment.get(99) is None
    assert segment.get(5) == ""
    assert (segment.get(6), segment.get(6, 2), segment.get(6, 3), segment.get(6, 4)) == ("a", "", "c", None)


def test_repetitions_components_and_subcomponents_are_told_apart() -> None:
    segment = obx("OBX|1|ST|a&b^c~d^e&f&g~|~N|x")

    assert segment.get(3) == "a"
    assert segment.get(3, subcomponent=2) == "b"
    assert segment.get(3, 2) == "c"
    assert segment.get(3, 2, repetition=2, subcomponent=3) == "g"
    assert segment.get(3, repetition=3) is None
    assert segment.repetitions(3) == ["a", "d"]
    assert segment.repetitions(4) == ["N"]
    assert segment.components(3, repetition=2) == ["d", "e"]
    assert segment.components(9) == []


def test_what_stands_behind_a_plain_value_is_nothing() -> None:
    segment = obx("OBX|1|ST|a")

    assert (segment.get(3, 2), segment.get(3, repetition=2), segment.get(3, subcomponent=2)) == (None, None, None)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (r"a\F\b\S\c\T\d\R\e\E\f", "a|b^c&d~e\\f"),
        (r"first\.br\second", "first\nsecond"),
        (r"\X41\\X0D0A\end", "A\r\nend"),
        (r"\XC3A9\t\XE9\ ", "ét\ufffd "),
        (r"plain \H\marked\N\ plain", "plain marked plain"),
        (r"\Zown\ \XQQ\ \X4\ open\E", r"\Zown\ \XQQ\ \X4\ open\E"),
        (r"10\S\9/L", "10^9/L"),
    ],
)
def test_escapes_are_resolved_and_unknown_ones_left(sent: str, read: str) -> None:
    assert unescape(sent, STANDARD) == read
    assert obx(f"OBX|1|ST|{sent}|").get(3) == read


@given(TEXTS, DELIMITERS)
def test_what_is_escaped_comes_back_with_its_line_ends_as_line_feeds(text: str, delimiters: Delimiters) -> None:
    escaped = escape(text, delimiters)

    assert not set(escaped) & {delimiters.field, *delimiters.all(), "\r", "\n"} - {delimiters.escape}
    assert unescape(escaped, delimiters) == text.replace("\r\n", "\n").replace("\r", "\n")


@given(st.lists(st.lists(TEXTS, min_size=1, max_size=6), min_size=1, max_size=4), DELIMITERS)
def test_any_texts_survive_any_delimiters(segments: list[list[str]], delimiters: Delimiters) -> None:
    field = delimiters.field
    header = f"MSH{field}{delimiters.declared}{field}Maker"
    lines = [field.join(["OBX", *(escape(text, delimiters) for text in texts)]) for texts in segments]

    found = parse("\r".join([header, *lines]).encode())

    assert found.encoding.delimiters == delimiters
    for segment, texts in zip(found.segments[1:], segments, strict=True):
        for number, text in enumerate(texts, start=1):
            expected = text.replace("\r\n", "\n").replace("\r", "\n")
            assert (segment.get(number) or "") == ("" if text == '""' else expected)
            assert segment.plain(number) == expected


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\n\r\n"])
def test_segments_may_end_with_cr_or_lf_or_both(end: str) -> None:
    found = message("PID|1", "OBX|1|NM", end=end)

    assert [segment.name for segment in found.segments] == ["MSH", "PID", "OBX"]
    assert found.segments[2].get(2) == "NM"


@pytest.mark.parametrize("charset", CHARSETS)
def test_the_charset_is_read_from_msh_18(charset: str) -> None:
    codec = CHARSETS[charset]
    body = f"{HEADER}{charset}\rPID|1||7||Jos\xe9".encode(codec)

    found = parse(body)

    assert found.segments[1].get(5) == "José"


def test_bytes_that_are_not_what_they_claim_are_still_read() -> None:
    assert parse(f"{HEADER}ASCII\rPID|1||7||José".encode("latin-1")).segments[1].get(5) == "José"
    assert parse(f"{HEADER}\rPID|1||7||आशा".encode()).segments[1].get(5) == "आशा"


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_decides(codec: str) -> None:
    found = parse(f"{HEADER}8859/1\rPID|1||7||José".encode(codec))

    assert found.header.get(3) == "Maker"
    if codec == "utf-16":
        assert found.segments[1].get(5) == "José"


@pytest.mark.parametrize(
    "body",
    [b"", b"PID|1", b"MSH", b"MSH|", b"MSH||", b"MSH|^^~\\", b"MSH^^~\\&", b"MSHA^~\\&|x", b"MSH|abc&|", b"\xff\xfe"],
)
def test_without_a_usable_msh_nothing_is_read(body: bytes) -> None:
    with pytest.raises(NotHl7):
        parse(body)


def test_fewer_delimiters_than_four_are_enough() -> None:
    found = parse(b"MSH|^~|Maker\rOBX|1|a^b~c\\F\\d&e")

    assert found.segments[1].get(2, 2) == "b"
    assert found.segments[1].get(2, repetition=2) == "c\\F\\d&e"


@given(st.binary(max_size=300) | st.binary(max_size=200).map(lambda tail: HEADER.encode() + tail))
def test_no_bytes_break_the_tokenizer(body: bytes) -> None:
    try:
        found = parse(body)
    except NotHl7:
        return
    starts = found.starts()

    assert len(starts) == len(found.segments)
    assert starts == sorted(starts)
    for segment in found.segments:
        for number in range(len(segment.fields)):
            segment.get(number)
            segment.plain(number)
            segment.repetitions(number)
            segment.components(number)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20), max_size=5))
def test_every_segment_knows_its_first_byte(texts: list[str]) -> None:
    lines = [f"NTE|{text}" for text in texts]
    body = "\r".join([HEADER, *lines]).encode()

    found = parse(body)

    for segment, start in zip(found.segments, found.starts(), strict=True):
        assert body[start:].startswith(segment.text.encode())
