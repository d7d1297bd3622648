"""Every message of a file is found, whatever wrote the file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.astm.link import ENQ, EOT, framed
from ingest.examination import examined
from ingest.files import NO_MESSAGE, Found, messages
from ingest.hl7.mllp import framed as in_mllp
from ingest.received import INDIA
from tests.unit.ingest.transmissions import oru

ASTM = b"H|\\^&|||A\rP|1\rO|1|S1||^^^GLU\rR|1|^^^GLU|5.1|mmol/L||H||F||||20261124101500\rL|1|N\r"
OTHER = ASTM.replace(b"S1", b"S2")
HL7, NEXT = oru("1", "OBR|1|S1", "OBX|1|NM|GLU||5"), oru("2", "OBR|1|S2", "OBX|1|NM|GLU||6")
SHARED = Path(__file__).parents[3] / ".." / "shared" / "data"


def bodies(data: bytes) -> list[bytes]:
    return [found.body for found in messages(data)]


@pytest.mark.parametrize(
    "data",
    [
        in_mllp(HL7) + in_mllp(NEXT),
        b"noise" + in_mllp(HL7 + NEXT),
        HL7 + NEXT,
        b"\xef\xbb\xbf" + HL7 + NEXT,
        b"FHS|^~\\&|x\rBHS|^~\\&|x\r" + HL7 + NEXT + b"BTS|2\rFTS|1\r",
        (HL7 + NEXT).decode().encode("utf-16"),
    ],
    ids=["frames", "one frame", "bare", "BOM", "batch", "UTF-16"],
)
def test_hl7_messages_are_found(data: bytes) -> None:
    assert bodies(data) == [HL7, NEXT]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_hl7_lines_may_end_as_a_program_saved_them(end: bytes) -> None:
    assert bodies((HL7 + NEXT).replace(b"\r", end)) == [HL7.replace(b"\r", end), NEXT.replace(b"\r", end)]


@pytest.mark.parametrize(
    "data",
    [
        ENQ + b"".join(framed(ASTM, 40)) + EOT + ENQ + framed(OTHER)[0] + EOT,
        framed(ASTM + OTHER, 50)[0] + b"".join(framed(ASTM + OTHER, 50)[1:]),
        ASTM + OTHER,
        b"# a comment\n#\n" + ASTM + OTHER,
        (ENQ + framed(ASTM)[0] + EOT + ENQ + framed(OTHER)[0] + EOT).hex(" ").encode(),
        ENQ + b"\x06" + framed(ASTM)[0] + b"\x06" + EOT + ENQ + b"\x06" + framed(OTHER)[0] + b"\x06" + EOT,
    ],
    ids=["frames", "two in one", "bare", "comments", "hexadecimal", "both directions"],
)
def test_astm_messages_are_found(data: bytes) -> None:
    assert messages(data) == [Found("astm", ASTM), Found("astm", OTHER)]


@pytest.mark.parametrize("marks", ["<>", "[]"])
def test_a_transcript_with_named_control_characters_is_read(marks: str) -> None:
    text = (ENQ + framed(ASTM)[0] + EOT).decode()
    for byte, name in (("\x05", "ENQ"), ("\x02", "STX"), ("\r", "CR"), ("\n", "LF"), ("\x03", "ETX"), ("\x04", "EOT")):
        text = text.replace(byte, f"{marks[0]}{name}{marks[1]}" + ("\n" if name == "LF" else ""))

    assert messages(text.encode()) == [Found("astm", ASTM)]


@pytest.mark.parametrize("data", [b"", b"\r\n", b"<html>", b"{}", b"a,b\n1,2\n", ENQ + EOT])
def test_a_file_without_a_message_says_so(data: bytes) -> None:
    (found,) = messages(data)

    assert (found.format, found.faults) == (None, (NO_MESSAGE,))


def test_a_frame_that_was_cut_off_is_a_message_with_a_fault() -> None:
    assert messages(in_mllp(HL7)[:-2]) == [Found("hl7", HL7, ("its MLLP frame has no end",))]


@given(st.binary(max_size=300), st.sampled_from([b"", HL7, ASTM, in_mllp(HL7), ENQ + framed(ASTM)[0]]))
def test_any_bytes_are_examined_without_an_error(noise: bytes, sound: bytes) -> None:
    for found in messages(noise + sound):
        said = examined(found, None, INDIA, validate=False)
        assert said["ok"] is (said["error"] is None)


def files(folder: str) -> list[Path]:
    return sorted(path for path in (SHARED / folder).rglob("*") if path.is_file() and "expected_fhir" not in path.parts)


@pytest.mark.req("1.7.2")
@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is not here")
@pytest.mark.parametrize(
    ("folder", "count", "bad"),
    # Counted with grep before: lines that begin with MSH, and files without one; header records, and one file of a
    # maker's own protocol. Bad are the 171 files without a message, 9 headers that declare no usable delimiters, and
    # one role of a specimen that is none; 3 headers without a terminator and 2 files that are no ASTM.
    [("hl7v2", 383 + 171, 171 + 9 + 1), ("astm", 35 + 1, 3 + 2)],
)
def test_every_message_of_the_shared_recordings_is_accounted_for(folder: str, count: int, bad: int) -> None:
    found = [one for path in files(folder) for one in messages(path.read_bytes())]
    said = [examined(one, None, INDIA, validate=False) for one in found]

    assert len(said) == count
    assert sum(not one["ok"] for one in said) == bad
    assert all(one["error"] for one in said if not one["ok"])


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is not here")
def test_every_result_of_the_shared_astm_recordings_is_an_observation_or_named_as_none() -> None:
    for path in files("astm"):
        if path.name.startswith(("sysmex_xn", "mini_vidas")):
            continue
        lines = re.split(rb"[\r\n\x02]+", path.read_bytes())
        results = sum(re.match(rb"[0-7]?R\|", line) is not None for line in lines)
        said = [examined(one, None, INDIA, validate=False) for one in messages(path.read_bytes())]

        assert sum(len(one["observations"]) for one in said) == results, path.name
