"""Transmissions while they grow: every acknowledged frame is a sealed piece in the spool, until the whole is kept."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from datetime import datetime

from ingest.kept import Keeping, Piece, Unfinished
from ingest.seal import Sealer, Unsealable


class Pieces:
    """The spool's table of pieces. The spool's transactions are around every call."""

    def __init__(self, connection: sqlite3.Connection, sealer: Sealer) -> None:
        self._db = connection
        self._sealer = sealer

    def add(self, piece: Piece) -> Keeping:
        """One more frame of its line."""
        self._db.execute(
            "insert into pieces (line, channel, received_at, sealed) values (?, ?, ?, ?)",
            (
                piece.line,
                piece.channel,
                piece.received_at.isoformat(),
                self._sealer.seal(piece.text, _belongs_to(piece.line, piece.channel)),
            ),
        )
        return Keeping.PIECE

    def drop(self, line: str) -> None:
        """The whole is kept, in the same transaction."""
        self._db.execute("delete from pieces where line = ?", (line,))

    def unfinished(self, before: datetime) -> list[Unfinished]:
        """Every line of which nothing came since then, with what its pieces make, in the order of their beginning."""
        lines = self._db.execute(
            "select line, channel, min(received_at) from pieces group by line, channel having max(received_at) < ?"
            " order by min(id)",
            (before.isoformat(),),
        ).fetchall()
        return [
            Unfinished(line, channel, datetime.fromisoformat(at), self._body(line, channel))
            for line, channel, at in lines
        ]

    def _body(self, line: str, channel: str) -> bytes:
        """Without a piece that no longer unseals: what is left is incomplete, and a person is asked."""
        rows = self._db.execute("select sealed from pieces where line = ? order by id", (line,)).fetchall()
        texts = []
        for (sealed,) in rows:
            with suppress(Unsealable):
                texts.append(self._sealer.open(sealed, _belongs_to(line, channel)))
        return b"".join(texts)


def _belongs_to(line: str, channel: str) -> str:
    return f"piece|{channel}|{line}"
