"""Transmissions that grow: sealed piece by piece, replaced by the whole, and found again when nobody continues them."""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.kept import Incoming, Keeping, Piece, State
from ingest.spool import DATABASE, Spool, open_spool

AT = datetime(2026, 1, 23, 8, 45, tzinfo=UTC)
LATER = AT + timedelta(minutes=5)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = open_spool(tmp_path)
    yield opened
    opened.close()


def piece(line: str, text: bytes, at: datetime = AT) -> Piece:
    return Piece(line, "A", text, at)


@pytest.mark.req("1.7.5")
def test_pieces_are_sealed_and_are_no_transmission_yet(spool: Spool, tmp_path: Path) -> None:
    assert spool.keep([piece("a", b"P|1|Deshmukh"), piece("b", b"Rao")]) == [Keeping.PIECE, Keeping.PIECE]

    assert spool.counts()[State.KEPT] == 0
    assert not any(name in path.read_bytes() for path in tmp_path.iterdir() for name in (b"Deshmukh", b"Rao"))


@pytest.mark.req("1.7.5")
def test_the_whole_takes_the_place_of_its_pieces_and_of_no_others(spool: Spool) -> None:
    spool.keep([piece("a", b"one "), piece("b", b"other"), piece("a", b"two")])

    assert spool.keep([Incoming("A", "1", b"one two", AT, line="a", alarm="transmission-incomplete")]) == [Keeping.NEW]

    (left,) = spool.unfinished(LATER)
    assert (left.line, left.body, left.received_at) == ("b", b"other", AT)
    assert spool.alarms() == {"transmission-incomplete A": 1}


def test_a_repeat_removes_its_pieces_too(spool: Spool) -> None:
    spool.keep([Incoming("A", "1", b"x", AT), piece("a", b"x")])

    assert spool.keep([Incoming("A", "1", b"x", AT, line="a")]) == [Keeping.REPEAT]

    assert spool.unfinished(LATER) == []


def test_a_line_to_which_something_was_added_since_then_is_not_unfinished(spool: Spool) -> None:
    spool.keep([piece("a", b"one"), piece("b", b"other"), piece("a", b"two", LATER)])

    assert [one.line for one in spool.unfinished(LATER)] == ["b"]
    assert [one.body for one in spool.unfinished(LATER + timedelta(seconds=1))] == [b"onetwo", b"other"]


def test_a_damaged_piece_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.keep([piece("a", b"one"), piece("a", b"two"), piece("a", b"three")])
    spool.close()
    with sqlite3.connect(tmp_path / DATABASE) as connection:
        connection.execute("update pieces set sealed = zeroblob(40) where id = 2")
    connection.close()

    spool = open_spool(tmp_path)

    assert [one.body for one in spool.unfinished(LATER)] == [b"onethree"]
    spool.close()


def test_a_spool_that_keeps_no_more_still_finishes_and_sends_what_it_has(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.limit(200_000)
    kept = 0
    with suppress(sqlite3.OperationalError):
        while kept < 100:
            spool.keep([piece("a", bytes(10_000))])
            kept += 1
    assert 0 < kept < 100

    spool.keep([Incoming("A", "1", bytes(10_000 * kept), AT, line="a")])

    assert spool.unfinished(LATER) == []
    assert spool.next_batch(50, 10**9, AT, None) is not None
    spool.close()
