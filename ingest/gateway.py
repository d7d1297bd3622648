"""The gateway: listeners, spool and delivery put together. Frame → keep → acknowledge, then decode and deliver."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import structlog
from pydantic import BaseModel, ConfigDict, Field, field_validator

from ingest.astm import conversation as astm
from ingest.astm.receiver import SILENCE_S
from ingest.clock import Clock, utc_now
from ingest.deliver import Channel, Deliverer, Pace
from ingest.hl7 import mllp
from ingest.hl7.acknowledgement import (
    ACCEPTED,
    INTERNAL_ERROR,
    REQUIRED_FIELD_MISSING,
    UNSUPPORTED_TYPE,
    Answer,
    Condition,
    Header,
    acknowledgement,
    header,
)
from ingest.hl7.mllp import FRAME_BYTES, Frame
from ingest.instruments.astm_profile import AstmProfile
from ingest.instruments.profile import Profile
from ingest.instruments.shipped import load
from ingest.keeper import Keeper, NotKept
from ingest.kept import Incoming, Keeping
from ingest.listener import Listener
from ingest.logs import fault
from ingest.spool import Spool, open_spool

PURGE_EVERY = 3600.0
RECOVER_EVERY = 300.0
RESTART_AFTER = 5.0
log = structlog.get_logger(__name__)


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ChannelSettings(Part):
    """One analyser's port. `code` is the channel's code in the core."""

    code: str = Field(min_length=1, pattern=r"^[^|\s]+$")
    listen: str = Field(pattern=r"^.+:[0-9]{1,5}$", description="host:port")
    profile: str
    timezone: str = "Asia/Kolkata"

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        ZoneInfo(name)
        return name

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


class Settings(Part):
    """A gateway's configuration, from the command line or a TOML file."""

    core: str = Field(pattern=r"^https?://")
    spool: Path
    api_key_file: Path
    channel: tuple[ChannelSettings, ...] = Field(min_length=1)
    retention_days: int = Field(default=14, ge=1)
    message_bytes: int = Field(default=FRAME_BYTES, ge=1024)
    spool_megabytes: int = Field(default=20_000, ge=1, description="what the spool may take of the disk")
    timeout_s: float = Field(default=30.0, gt=0)
    astm_silence_s: float = Field(default=SILENCE_S, gt=0, description="after which an ASTM transmission is over")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message can never be taken: a word for the spool, and what the answer says."""

    word: str
    condition: Condition


NO_MSH = Refusal("no-msh", REQUIRED_FIELD_MISSING)
NO_CONTROL_ID = Refusal("no-control-id", REQUIRED_FIELD_MISSING)
UNSUPPORTED = Refusal("unsupported-type", UNSUPPORTED_TYPE)
TOO_LARGE = Refusal("too-large", INTERNAL_ERROR)


def refusal(frame: Frame, sent: Header | None, profile: Profile) -> Refusal | None:
    """Why this frame can never be taken, if so."""
    if sent is None:
        return NO_MSH
    if not sent.control_id:
        return NO_CONTROL_ID
    if f"{sent.type}^{sent.event}" not in profile.message.types:
        return UNSUPPORTED
    return TOO_LARGE if frame.oversized else None


class Reception:
    """What comes in by one channel: keep it, then answer."""

    def __init__(
        self, code: str, profile: Profile, keeper: Keeper, kept: Callable[[], None], clock: Clock = utc_now
    ) -> None:
        self._code = code
        self._profile = profile
        self._keeper = keeper
        self._kept = kept
        self._clock = clock

    async def receive(self, frame: Frame) -> bytes:
        """The acknowledgement: AA or AR when the message is durable, AE when it is not."""
        at = self._clock()
        sent = header(frame.body, self._profile.acknowledgement.echo)
        reason = refusal(frame, sent, self._profile)
        to = sent or Header()
        incoming = Incoming(self._code, to.control_id, frame.body, at, reason.word if reason else None)
        try:
            keeping = await self._keeper.keep(incoming)
        except NotKept as failure:
            log.error("not_kept", channel=self._code, reason=str(failure))
            return acknowledgement(to, Answer.FAILED, INTERNAL_ERROR, at)
        self._report(keeping, reason, len(frame.body))
        if reason:
            return acknowledgement(to, Answer.REFUSED, reason.condition, at)
        return acknowledgement(to, Answer.TAKEN, ACCEPTED, at)

    def _report(self, keeping: Keeping, reason: Refusal | None, size: int) -> None:
        if reason:
            log.warning("refused", channel=self._code, reason=reason.word, bytes=size)
            return
        if keeping is Keeping.NEW_WITH_REUSED_ID:
            log.warning("control_id_reused", channel=self._code)
        log.debug("kept", channel=self._code, keeping=keeping.value, bytes=size)
        if keeping is not Keeping.REPEAT:
            self._kept()


async def run(
    settings: Settings, stop: asyncio.Event, ready: Callable[[Mapping[str, str]], None], pace: Pace | None = None
) -> None:
    """Serve until `stop`; `ready` is told where each channel listens.

    Raises `OSError` for a port, `SpoolUnusable` or `KeyUnusable` for the spool.
    """
    channels = {one.code: Channel(load(one.profile), ZoneInfo(one.timezone)) for one in settings.channel}
    spool = open_spool(settings.spool)
    spool.limit(settings.spool_megabytes * 1_000_000)
    keeper = Keeper(spool)
    await astm.recover(keeper, utc_now())
    timeout = httpx.Timeout(settings.timeout_s, connect=min(5.0, settings.timeout_s))
    try:
        async with httpx.AsyncClient(base_url=settings.core, timeout=timeout, trust_env=False) as client:
            lanes = {
                lane: Deliverer(keeper, client, settings.api_key_file, channels, lane=lane, pace=pace)
                for lane in set(channels) | await keeper.call(Spool.channels_waiting)
            }
            listeners = _listeners(settings, channels, keeper, lanes)
            background = {
                **{f"delivery {lane}": deliverer.run for lane, deliverer in lanes.items()},
                "purge": lambda: _purge(keeper, timedelta(days=settings.retention_days)),
                "recovery": lambda: _recover(keeper, timedelta(seconds=60 + 2 * settings.astm_silence_s)),
            }
            tasks = [asyncio.create_task(_again_and_again(name, work)) for name, work in background.items()]
            try:
                await _serve(settings, listeners, stop, ready)
            finally:
                await _end(listeners, tasks)
    finally:
        await asyncio.to_thread(keeper.close)


async def _serve(
    settings: Settings,
    listeners: Mapping[str, Listener],
    stop: asyncio.Event,
    ready: Callable[[Mapping[str, str]], None],
) -> None:
    for one in settings.channel:
        _warm(load(one.profile))
        await listeners[one.code].start(*one.address)
    places = {code: f"{listener.address[0]}:{listener.address[1]}" for code, listener in listeners.items()}
    log.info("listening", channels=places)
    ready(places)
    await stop.wait()
    log.info("stopping")


async def _end(listeners: Mapping[str, Listener], tasks: Sequence[asyncio.Task[None]]) -> None:
    """First no new messages, then no more deliveries; what was kept lies in the spool."""
    await asyncio.gather(*(listener.close() for listener in listeners.values()))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _listeners(
    settings: Settings, channels: Mapping[str, Channel], keeper: Keeper, lanes: Mapping[str, Deliverer]
) -> dict[str, Listener]:
    return {code: _listener(code, settings, channel.profile, keeper, lanes[code]) for code, channel in channels.items()}


def _listener(
    code: str, settings: Settings, profile: Profile | AstmProfile, keeper: Keeper, lane: Deliverer
) -> Listener:
    """By what the analyser speaks."""
    if isinstance(profile, AstmProfile):
        limits = astm.Limits(message_bytes=settings.message_bytes, silence=settings.astm_silence_s)
        return astm.listener(code, keeper, lane.notify, limits, unframed=profile.link.unframed)
    reception = Reception(code, profile, keeper, lane.notify)
    return mllp.listener(reception.receive, mllp.Limits(frame_bytes=settings.message_bytes), code)


def _warm(profile: Profile | AstmProfile) -> None:
    """hl7apy loads a version's tables at its first use, a tenth of a second; no analyser shall wait for that."""
    if isinstance(profile, Profile):
        acknowledgement(Header(version=profile.message.version), Answer.TAKEN, ACCEPTED, utc_now())


async def _purge(keeper: Keeper, retention: timedelta) -> None:
    while True:
        count = await keeper.call(partial(Spool.purge, settled_before=utc_now() - retention))
        if count:
            log.info("purged", messages=count)
        await asyncio.sleep(PURGE_EVERY)


async def _recover(keeper: Keeper, still: timedelta) -> None:
    """ASTM transmissions that stand still for longer than any that goes on."""
    while True:
        await asyncio.sleep(RECOVER_EVERY)
        await astm.recover(keeper, utc_now() - still)


async def _again_and_again(name: str, work: Callable[[], Coroutine[None, None, None]]) -> None:
    """The outer loop of a background task: whatever it failed with is logged, and it starts again."""
    while True:
        try:
            await work()
        except Exception as failure:  # noqa: BLE001
            log.error("task_failed", task=name, **fault(failure))
        await asyncio.sleep(RESTART_AFTER)
