import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.hl7.mllp import HEAD_KEPT, Frame, Framer, framed

BODIES = st.lists(st.binary(max_size=40).filter(lambda body: not {0x0B, 0x1C} & set(body)), max_size=6)
STREAMS = st.lists(st.sampled_from([b"\x0b", b"\x1c\r", b"\x1c", b"\r", b"a", b"MSH|", b"\n"]), max_size=30).map(
    b"".join
)


def in_chunks(stream: bytes, cuts: list[int], limit: int = 1000) -> list[Frame]:
    framer = Framer(limit)
    frames: list[Frame] = []
    places = sorted({cut % (len(stream) + 1) for cut in cuts} | {0, len(stream)})
    for start, end in pairwise(places):
        frames += framer.feed(stream[start:end])
    return frames


CUTS = st.lists(st.integers(0, 10_000), max_size=20)


@given(BODIES, st.sampled_from([b"", b"\r\n", b"junk", b"\x1c\r"]), CUTS)
def test_frames_are_found_however_the_stream_is_cut(bodies: list[bytes], junk: bytes, cuts: list[int]) -> None:
    stream = junk + junk.join(framed(body) for body in bodies) + junk

    assert in_chunks(stream, cuts) == [Frame(body) for body in bodies]


@given(STREAMS, CUTS)
def test_any_stream_gives_the_same_frames_in_one_piece_and_in_many(stream: bytes, cuts: list[int]) -> None:
    whole = in_chunks(stream, [])

    assert in_chunks(stream, cuts) == whole
    assert in_chunks(stream, list(range(len(stream)))) == whole
    assert [frame.body for frame in whole] == re.findall(rb"\x0b((?:(?!\x1c\r)[^\x0b])*)\x1c\r", stream, re.DOTALL)


def test_a_frame_that_begins_anew_drops_what_came_before() -> None:
    framer = Framer()

    assert framer.feed(b"\x0bMSH|half\x0bMSH|whole\x1c\r") == [Frame(b"MSH|whole")]
    assert framer.discarded == len(b"MSH|half")


def test_bytes_outside_frames_are_counted_but_not_line_ends() -> None:
    framer = Framer()

    framer.feed(b"\r\nxyz\r\n" + framed(b"a") + b"\n")

    assert framer.discarded == 3
    assert not framer.inside


@pytest.mark.parametrize("cuts", [[], list(range(0, 400, 7))])
def test_of_an_oversized_frame_the_head_is_kept_and_the_next_one_is_whole(cuts: list[int]) -> None:
    stream = framed(b"MSH|" + b"x" * 300) + framed(b"MSH|next")

    oversized, following = in_chunks(stream, cuts, limit=100)

    assert oversized.oversized
    assert oversized.body.startswith(b"MSH|xxxx")
    assert following == Frame(b"MSH|next")


def test_an_endless_frame_costs_no_memory() -> None:
    framer = Framer(limit=100_000)

    framer.feed(b"\x0b")
    for _ in range(100):
        framer.feed(b"x" * 65_536)
    (frame,) = framer.feed(b"\x1c\r")

    assert frame.oversized
    assert len(frame.body) <= HEAD_KEPT + 1


@given(st.binary(min_size=0, max_size=100).filter(lambda body: not {0x0B, 0x1C} & set(body)), st.integers(10, 60))
def test_only_what_exceeds_the_limit_is_oversized(body: bytes, limit: int) -> None:
    (frame,) = in_chunks(framed(body), [], limit)

    assert frame.oversized == (len(body) > limit)
    assert frame.oversized or frame.body == body
