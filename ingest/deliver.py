"""Delivers what the spool holds to the core, oldest first, in batches; each batch under one id until it is answered.

The batch's composition lies in the spool, so that after a crash the same bytes go out under the same id. Only the
core's own problem document (RFC 9457) can refuse a message; whatever else goes wrong is tried again, ever more slowly.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from secrets import SystemRandom

import httpx
import structlog
from pydantic import ValidationError

from ingest.clock import Clock, utc_now
from ingest.contract import MAX_MESSAGES, Batch, BatchReceipt, Message
from ingest.decode import decode
from ingest.instruments.astm_profile import AstmProfile
from ingest.instruments.profile import Profile
from ingest.keeper import Keeper
from ingest.kept import PendingBatch
from ingest.logs import fault
from ingest.received import Name, Received, undecodable

PATH = "/v1/ingest/messages"
_PROBLEM = "application/problem+json"
_ABOUT_THE_MESSAGE = frozenset({400, 413, 415, 422})
_MOST_CONFLICTS = 10
_random = SystemRandom()
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Channel:
    """How what comes in by one channel is read."""

    profile: Profile | AstmProfile
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class Pace:
    """How much and how often; seconds and bytes."""

    most: int = MAX_MESSAGES
    most_bytes: int = 4 * 1024 * 1024
    gather: float = 0.05
    first_pause: float = 0.25
    longest_pause: float = 30.0
    look: float = 5.0


class TryAgain(Exception):
    """The core has not said yes or no; `after` is how long it asked us to wait."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


class RefusedByCore(Exception):
    """The core says that it will never take this; the reason is its problem's type."""


class IdSpent(Exception):
    """The core knows this batch's id with other content (an older gateway's): the messages need a new id."""


class Conflicting(TryAgain):
    """The core says that it is in another state just now (409)."""


class Deliverer:
    """Sends batches one after another: of one channel, its *lane*, or of all when there is none.

    A channel's transmissions arrive in their order; lanes run beside each other, so that one slow delivery delays no
    other channel. `notify` says that something new waits; `run` ends only by cancellation.
    """

    def __init__(
        self,
        keeper: Keeper,
        client: httpx.AsyncClient,
        key_file: Path,
        channels: Mapping[str, Channel],
        *,
        lane: str | None = None,
        pace: Pace | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._lane = lane
        self._keeper = keeper
        self._client = client
        self._key_file = key_file
        self._channels = channels
        self._pace = pace or Pace()
        self._clock = clock
        self._news, self._full = asyncio.Event(), asyncio.Event()
        self._count = 0
        self._conflicts = 0
        self._offset_ms: int | None = None

    def notify(self) -> None:
        """One more transmission waits."""
        self._count += 1
        self._news.set()
        if self._count >= self._pace.most:
            self._full.set()

    async def run(self) -> None:
        """Deliver for ever."""
        failures = 0
        while True:
            try:
                await self.deliver()
                failures = 0
                await self._wait()
            except TryAgain as reason:
                failures += 1
                pause = max(reason.after, self._pause(failures))
                log.warning("delivery_failed", reason=str(reason), failures=failures, pause_s=round(pause, 2))
                await asyncio.sleep(pause)

    async def deliver(self) -> bool:
        """Send the oldest batch once; `False` when nothing waits. Raises `TryAgain`."""
        pace, now, offset = self._pace, self._clock(), self._offset_ms
        self._count = 0
        self._full.clear()
        self._news.clear()
        pending = await self._keeper.call(
            lambda spool: spool.next_batch(pace.most, pace.most_bytes, now, offset, self._lane)
        )
        if pending is None:
            return False
        body = await asyncio.to_thread(self._body, pending)
        try:
            receipt = await self._post(pending, body)
        except RefusedByCore as reason:
            await self._refused(pending, str(reason))
        except IdSpent:
            await self._keeper.call(lambda spool: spool.split(pending.id, now))
        except Conflicting as reason:
            self._conflicts += 1
            if self._conflicts < _MOST_CONFLICTS:
                raise
            await self._refused(pending, str(reason))
        else:
            await self._settled(pending, receipt)
        self._conflicts = 0
        return True

    async def _wait(self) -> None:
        """Until something waits, and then until it fills a batch, but no longer than 50 ms."""
        pace = self._pace
        backlog = await self._keeper.call(lambda spool: spool.backlog(pace.most, self._lane))
        if backlog >= pace.most:
            return
        try:
            if not backlog:
                async with asyncio.timeout(pace.look):
                    await self._news.wait()
            async with asyncio.timeout(pace.gather):
                await self._full.wait()
        except TimeoutError:
            return

    def _pause(self, failures: int) -> float:
        longest = min(self._pace.longest_pause, self._pace.first_pause * 2 ** min(failures - 1, 16))
        return float(longest * _random.uniform(0.5, 1.0))

    def _body(self, pending: PendingBatch) -> bytes:
        """The same bytes every time that the batch is sent."""
        batch = Batch(
            id=pending.id,
            sent_at=pending.sent_at,
            clock_offset_ms=pending.clock_offset_ms,
            messages=tuple(self._message(received) for received in pending.transmissions),
        )
        return batch.model_dump_json().encode()

    def _message(self, received: Received) -> Message:
        channel = self._channels.get(received.channel)
        if channel is None:
            return undecodable(received, "the gateway no longer has this channel")
        try:
            return decode(received, channel.profile, channel.zone)
        except Exception as failure:  # noqa: BLE001 - one message must not hold up all others; its bytes go to a person
            log.error("decoder_failed", channel=received.channel, body=received.body_sha256[:12], **fault(failure))
            return undecodable(received, "the gateway's decoder failed", channel.profile.format)

    async def _post(self, pending: PendingBatch, body: bytes) -> BatchReceipt:
        headers = {
            "Authorization": f"Bearer {await asyncio.to_thread(self._api_key)}",
            "Idempotency-Key": str(pending.id),
            "Content-Type": "application/json",
        }
        sent = self._clock()
        try:
            response = await self._client.post(PATH, content=body, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout) as failure:
            await self._keeper.call(lambda spool: spool.restamp(pending.id, self._clock(), self._offset_ms))
            raise TryAgain(type(failure).__name__) from failure
        except httpx.HTTPError as failure:
            raise TryAgain(type(failure).__name__) from failure
        receipt = read_answer(response, pending)
        self._measure_clock(sent, self._clock(), receipt.core_clock)
        return receipt

    def _measure_clock(self, sent: datetime, answered: datetime, core: datetime) -> None:
        if core.tzinfo is not None:
            mid_flight = sent + (answered - sent) / 2
            self._offset_ms = round((mid_flight - core) / timedelta(milliseconds=1))

    def _api_key(self) -> str:
        """Read each time, so that a new key needs no restart."""
        try:
            return self._key_file.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as failure:
            raise TryAgain("the API key file cannot be read") from failure

    async def _settled(self, pending: PendingBatch, receipt: BatchReceipt) -> None:
        outcomes: dict[Name, str] = {
            (one.channel, one.control_id, one.body_sha256): one.outcome.value for one in receipt.receipts
        }
        now = self._clock()
        unnamed = await self._keeper.call(lambda spool: spool.settle(pending.id, outcomes, now))
        log.info("delivered", batch=str(pending.id), messages=len(pending.transmissions) - unnamed)
        if unnamed:
            raise TryAgain("the core's receipt does not name every message")

    async def _refused(self, pending: PendingBatch, problem: str) -> None:
        """A refused batch is sent again message by message; a refused message is set aside."""
        now = self._clock()
        if len(pending.transmissions) > 1:
            log.warning("batch_refused", batch=str(pending.id), problem=problem)
            await self._keeper.call(lambda spool: spool.split(pending.id, now))
            return
        await self._keeper.call(lambda spool: spool.refuse(pending.id, problem, now))
        one = pending.transmissions[0]
        log.error("message_refused", channel=one.channel, body=one.body_sha256[:12], problem=problem)


def read_answer(response: httpx.Response, pending: PendingBatch) -> BatchReceipt:
    """The receipt. Raises `RefusedByCore` when the core will never take the batch, `TryAgain` for anything else.

    401, 403, 404 and 405 are faults of the set-up, not of a message: nothing is set aside for them.
    """
    status = response.status_code
    if status == 200:
        try:
            receipt = BatchReceipt.model_validate_json(response.content)
        except ValidationError as reason:
            raise TryAgain("the core's receipt cannot be read") from reason
        if receipt.batch_id != pending.id:
            raise TryAgain("the core's receipt is for another batch")
        return receipt
    if status == 413 and len(pending.transmissions) > 1:
        raise RefusedByCore("too-large")
    problem = problem_type(response) or ""
    if status == 409 and problem.endswith("idempotency-key-reused"):
        raise IdSpent
    if status == 409 and problem:
        raise Conflicting(problem)
    if status in _ABOUT_THE_MESSAGE and problem:
        raise RefusedByCore(problem)
    raise TryAgain(f"HTTP {status}", _retry_after(response))


def problem_type(response: httpx.Response) -> str | None:
    """The type of the core's problem document; `None` when the answer is none."""
    if response.headers.get("content-type", "").partition(";")[0].strip() != _PROBLEM:
        return None
    try:
        problem = json.loads(response.content)
    except ValueError:
        return None
    kind = problem.get("type") if isinstance(problem, dict) else None
    return kind[:200] if isinstance(kind, str) and kind != "about:blank" else None


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "")
    return min(float(text), 60.0) if text.isascii() and text.isdigit() else 0.0
