"""One connection of an ASTM analyser: what the receiver asks for is kept in the spool, and only then acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import uuid4

import structlog

from ingest.astm.codec import NotAstm, parse
from ingest.astm.decode import message_type, text_of
from ingest.astm.receiver import MESSAGE_BYTES, SILENCE_S, Ended, Keep, Receiver, Reply, terminated
from ingest.clock import Clock, utc_now
from ingest.keeper import Keeper, NotKept
from ingest.kept import Incoming, Keeping, Piece
from ingest.listener import Connections, Listener

INCOMPLETE = "transmission-incomplete"
UNSUPPORTED = "unsupported-type"
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limits(Connections):
    """Sizes in bytes, times in seconds."""

    message_bytes: int = MESSAGE_BYTES
    silence: float = SILENCE_S
    between_transmissions: float = 3600.0


def incoming(channel: str, body: bytes, received_at: datetime, line: str) -> Incoming:
    """A message to keep. Its control id is its hash; without a terminator it is kept with an alarm."""
    return Incoming(
        channel,
        sha256(body).hexdigest(),
        body,
        received_at,
        refusal=UNSUPPORTED if _asks(body) else None,
        line=line,
        alarm=None if terminated(body) else INCOMPLETE,
    )


def _asks(body: bytes) -> bool:
    """Whether the analyser asks for orders, which this gateway does not answer yet, and sends no result."""
    try:
        return message_type(parse(text_of(body))) == "query"
    except NotAstm:
        return False


class Conversation:
    """Thin: every decision is the receiver's."""

    def __init__(
        self,
        channel: str,
        keeper: Keeper,
        kept: Callable[[], None],
        limits: Limits,
        *,
        unframed: bool,
        clock: Clock = utc_now,
    ) -> None:
        self._channel = channel
        self._keeper = keeper
        self._kept = kept
        self._limits = limits
        self._clock = clock
        self._receiver = Receiver(unframed=unframed, most=limits.message_bytes, silence=limits.silence)
        self._line = uuid4().hex

    @property
    def patience(self) -> float:
        """Seconds until the receiver's deadline, or as long as a connection may be idle."""
        deadline = self._receiver.deadline
        return self._limits.between_transmissions if deadline is None else max(0.0, deadline - _now())

    async def hear(self, data: bytes) -> bytes:
        """The answers to what came."""
        self._receiver.feed(data, _now())
        return await self._act()

    async def silence(self) -> bool:
        """A transmission that stands still is over; a connection that was idle for so long is closed."""
        if self._receiver.deadline is None:
            return False
        self._receiver.tick(_now())
        await self._act()
        return True

    async def end(self) -> None:
        """What was acknowledged of a transmission stays."""
        self._receiver.close()
        await self._act()

    async def _act(self) -> bytes:
        answers = b""
        refused = self._receiver.refused
        while (action := self._receiver.step()) is not None:
            if isinstance(action, Reply):
                answers += action.data
            elif isinstance(action, Keep):
                answers += self._receiver.kept(await self._keep(action)).data
            else:
                await self._finish(action)
        if self._receiver.refused > refused:
            log.warning("frames_refused", channel=self._channel, count=self._receiver.refused - refused)
        return answers

    async def _keep(self, asked: Keep) -> bool:
        """Whether it is durable."""
        at = self._clock()
        if asked.whole is None:
            return await self._put(Piece(self._line, self._channel, asked.text, at)) is not None
        return await self._finished(asked.whole, at)

    async def _finish(self, ended: Ended) -> None:
        """If it cannot be kept, its pieces stay under their line and are recovered; the next message has its own."""
        if not await self._finished(ended.body, self._clock()):
            self._line = uuid4().hex

    async def _finished(self, body: bytes, at: datetime) -> bool:
        """Keep the message whole and let the next one grow under a line of its own."""
        one = incoming(self._channel, body, at, self._line)
        keeping = await self._put(one)
        if keeping is None:
            return False
        self._line = uuid4().hex
        if one.alarm:
            log.warning("transmission_incomplete", channel=self._channel, bytes=len(body))
        if one.refusal:
            log.warning("refused", channel=self._channel, reason=one.refusal, bytes=len(body))
        elif keeping is not Keeping.REPEAT:
            self._kept()
        return True

    async def _put(self, one: Incoming | Piece) -> Keeping | None:
        try:
            return await self._keeper.keep(one)
        except NotKept as failure:
            log.error("not_kept", channel=self._channel, reason=str(failure))
            return None


def _now() -> float:
    return asyncio.get_running_loop().time()


def listener(
    channel: str, keeper: Keeper, kept: Callable[[], None], limits: Limits | None = None, *, unframed: bool = False
) -> Listener:
    """A port for one ASTM analyser."""
    chosen = limits or Limits()
    return Listener(lambda: Conversation(channel, keeper, kept, chosen, unframed=unframed), chosen, channel)


async def recover(keeper: Keeper, before: datetime) -> int:
    """Keep what was acknowledged and nobody continued since then: its process died, or the disk was full at its end.

    Returns how many messages there were.
    """
    unfinished = await keeper.call(lambda spool: spool.unfinished(before))
    for one in unfinished:
        try:
            await keeper.keep(incoming(one.channel, one.body, one.received_at, one.line))
        except NotKept as failure:
            log.error("not_recovered", channel=one.channel, reason=str(failure))
            continue
        log.warning("transmission_recovered", channel=one.channel, bytes=len(one.body))
    return len(unfinished)
