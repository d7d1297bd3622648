"""Records of ASTM E1394 are read as they were sent, by the delimiters that their header declares."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.astm.codec import Delimiters, NotAstm, parse
from ingest.astm.link import unframed

SYSMEX = (
    "H|\\^&|||    XN-550^00-24^22723^^^^BD634545||||||||E1394-97\r"
    "P|1|||37182|^Test^Pat01||19870626|M\r"
    "O|1||^^                    27^M|^^^^WBC\\^^^^RBC|||||||N\r"
    "R|1|^^^^WBC^1|7.65|10*3/uL||N||F\r"
    "L|1|N\r"
)
GENEXPERT = "H|@^\\|URM-1||Site^GeneXpert^4.8|||||LIS||P|1394-97\rO|1|S1||^^^A@^^^B\rR|1|x|a\\F\\b\\S\\c\r"
MARKS = st.lists(st.sampled_from("|\\^&@~#!$%*"), min_size=4, max_size=4, unique=True).map(
    lambda four: Delimiters(*four)
)
TEXTS = st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=60)


def test_a_haematology_analysers_message_is_read() -> None:
    header, patient, order, result, end = parse(SYSMEX)

    assert [record.type for record in (header, patient, order, result, end)] == ["H", "P", "O", "R", "L"]
    assert (header.get(5), header.get(5, 2), header.get(13)) == ("    XN-550", "00-24", "E1394-97")
    assert (patient.get(6, 2), patient.get(6, 3), patient.get(8), patient.get(9)) == ("Test", "Pat01", "19870626", "M")
    assert (order.get(4, 3), order.get(4, 4), order.get(12)) == ("                    27", "M", "N")
    assert [order.get(5, 5, repeat) for repeat in (1, 2, 3)] == ["WBC", "RBC", None]
    assert [result.get(position) for position in (4, 5, 7, 9)] == ["7.65", "10*3/uL", "N", "F"]
    assert (result.get(3, 5), result.get(3, 6), end.get(3)) == ("WBC", "1", "N")


def test_the_headers_own_delimiters_are_used() -> None:
    header, order, result = parse(GENEXPERT)

    assert (header.field(2), header.get(3), header.get(5, 2)) == ("@^\\", "URM-1", "GeneXpert")
    assert [order.get(5, 4, repeat) for repeat in (1, 2)] == ["A", "B"]
    assert result.get(4) == "a|b^c"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_lines_may_end_as_a_program_saved_them(end: str) -> None:
    assert [record.type for record in parse(f"H|\\^&{end}{end}L|1|N{end}")] == ["H", "L"]


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("a&F&b", "a|b"), ("&S&", "^"), ("&R&", "\\"), ("&E&", "&"), ("&X41&", "A"), ("&X0D0A&", "\r\n"),
        ("salt & pepper", "salt & pepper"), ("&&", "&&"), ("&Q&", "&Q&"), ("&F", "&F"), ("&E&F&E&", "&F&"),
    ],
)  # fmt: skip
def test_escapes_are_read_and_what_is_none_stays(sent: str, read: str) -> None:
    assert Delimiters().unescaped(sent) == read


@given(MARKS, TEXTS)
def test_what_is_escaped_is_read_again_under_any_delimiters(delimiters: Delimiters, text: str) -> None:
    marks = f"{delimiters.repeat}{delimiters.component}{delimiters.escape}"
    line = f"H{delimiters.field}{marks}\rR{delimiters.field}{delimiters.escaped(text)}{delimiters.field}after"

    _, record = parse(line)

    assert record.get(2) == (text or None)
    assert record.get(3) == "after"


@given(st.text(max_size=80))
def test_any_text_is_records_without_a_loss_or_a_refusal(text: str) -> None:
    try:
        records = parse(text)
    except NotAstm:
        return
    assert "".join(record.text for record in records) == text.replace("\r", "").replace("\n", "")
    for record in records:
        assert all(record.get(position, 2, 2) != "" for position in range(-1, 6))


@pytest.mark.parametrize("text", ["", "\r\n", "P|1\r", "H", "H|\\^", "H||||", "H|\\^^", "H|\\^a", "H| ^&", "MSH|^~\\&"])
def test_without_a_usable_header_it_is_refused(text: str) -> None:
    with pytest.raises(NotAstm):
        parse(text)


@pytest.mark.parametrize("position", [-1, 0, 4, 99])
def test_a_field_that_is_not_there_is_nothing(position: int) -> None:
    (record,) = parse("H|\\^&|1")[:1]

    assert record.get(position) is None


SHARED = Path(__file__).parents[4] / ".." / "shared" / "data" / "astm"


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is not here")
@pytest.mark.parametrize(
    ("file", "specimen", "codes"),
    [
        ("senaite.astm/sysmex_xn550.txt", "27", ["WBC", "RBC", "HGB"]),
        ("go-astm/galileo_result.astm", "0651439A", ["Rh Ctrl", "Anti-A", "Anti-B"]),
        ("transcribed/snibe_maglumi_tsh_ft4.astm", "21427", ["TSH", "FT4"]),
    ],
)
def test_real_messages_are_read(file: str, specimen: str, codes: list[str]) -> None:
    (transmission, *_) = unframed((SHARED / file).read_bytes())
    records = parse(transmission.body.decode("latin-1"))

    (order,) = [record for record in records if record.type == "O"][:1]
    results = [record for record in records if record.type == "R"]
    named = [next(filter(None, (record.get(3, part) for part in (5, 4)))) for record in results[: len(codes)]]
    assert specimen in {part.strip() for part in (order.get(3) or "", order.get(4, 3) or "")}
    assert named == codes
