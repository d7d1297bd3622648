"""Frames of ASTM E1381: made as the standard says, read however they were cut, and never silently wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.astm.link import ENQ, EOT, ETB, STX, Transmission, checksum, framed, unframed

CONTROLS = {0x02, 0x03, 0x04, 0x05, 0x17}
BODIES = st.binary(max_size=900).map(lambda body: bytes(byte for byte in body if byte not in CONTROLS))


def test_the_checksum_of_a_real_frame() -> None:
    assert checksum(b"2P|1||\r" + ETB) == b"4B"


def test_a_short_message_is_one_frame() -> None:
    assert framed(b"L|1|N\r") == [b"\x021L|1|N\r\x03" + checksum(b"1L|1|N\r\x03") + b"\r\n"]


def test_numbers_run_from_one_over_seven_to_nought() -> None:
    frames = framed(b"x" * 10, size=1)

    assert [frame[1:2] for frame in frames] == [b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"0", b"1", b"2"]
    assert [frame[3:4] for frame in frames] == [b"\x17"] * 9 + [b"\x03"]


@given(BODIES.filter(bytes.strip), st.integers(1, 300))
def test_what_is_framed_is_read_whole(body: bytes, size: int) -> None:
    capture = ENQ + b"".join(framed(body, size)) + EOT

    assert unframed(capture) == [Transmission(body)]


@given(st.lists(BODIES.filter(bytes.strip), min_size=1, max_size=4), st.integers(1, 300), st.data())
def test_a_frame_that_was_sent_again_counts_once(bodies: list[bytes], size: int, data: st.DataObject) -> None:
    capture = b""
    for body in bodies:
        frames = framed(body, size)
        again = data.draw(st.integers(0, len(frames) - 1))
        capture += ENQ + b"".join([*frames[: again + 1], *frames[again:]]) + EOT

    assert unframed(capture) == [Transmission(body) for body in bodies]


def test_a_damaged_frame_that_was_sent_again_is_replaced_and_not_doubled() -> None:
    first, second = framed(b"R|1|^^^GLU|85\r", 8)
    damaged = first.replace(b"GLU", b"GLV").replace(b"R|1", b"R|7")

    assert unframed(ENQ + damaged + damaged + first + second + EOT) == [Transmission(b"R|1|^^^GLU|85\r")]


@given(BODIES.filter(lambda body: len(body.strip()) > 3), st.data())
def test_a_changed_byte_is_told(body: bytes, data: st.DataObject) -> None:
    whole = b"".join(framed(body, 50))
    place = data.draw(st.sampled_from([i for i, byte in enumerate(whole) if byte not in CONTROLS | {0x0D, 0x0A}]))
    other = data.draw(st.integers(0x20, 0x7E).filter(lambda byte: byte != whole[place]))
    lower = whole[place : place + 1].lower() == bytes([other]).lower() and _in_a_sum(whole, place)

    (transmission, *_) = unframed(ENQ + whole[:place] + bytes([other]) + whole[place + 1 :] + EOT)

    assert transmission.faults or lower


def _in_a_sum(whole: bytes, place: int) -> bool:
    """A checksum in small letters is the same checksum."""
    return any(whole[place - back] in b"\x03\x17" for back in (1, 2) if place >= back)


@pytest.mark.parametrize(
    ("capture", "fault"),
    [
        (b"\x021A\r\x0300\r\n", "frame 1 has a wrong checksum"),
        (b"\x021A\r\x03\r\n", "frame 1 has no checksum"),
        (framed(b"A" * 20, 10)[1], "frame 2 stands where 1 should"),
        (framed(b"A\r")[0] + b"noise", "bytes stand beside the frames"),
    ],
)
def test_a_fault_is_named_and_the_text_is_there_all_the_same(capture: bytes, fault: str) -> None:
    (transmission,) = unframed(ENQ + capture + EOT)

    assert fault in transmission.faults
    assert transmission.body.startswith(b"A")


def test_a_capture_without_frames_is_the_records_themselves() -> None:
    assert unframed(b"H|\\^&\rL|1\r") == [Transmission(b"H|\\^&\rL|1\r")]


@pytest.mark.parametrize("nothing", [b"", b"\r\n", ENQ + EOT, EOT])
def test_a_capture_of_nothing_holds_nothing(nothing: bytes) -> None:
    assert unframed(nothing) == []


@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_an_error_and_none_of_a_sound_frames_text_is_lost(noise: bytes) -> None:
    sound = framed(b"R|1|^^^GLU|85\r")[0]

    read = unframed(noise.replace(STX, b"") + ENQ + sound + EOT)

    assert b"R|1|^^^GLU|85\r" in b"".join(each.body for each in read)
