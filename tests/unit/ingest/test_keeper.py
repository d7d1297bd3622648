import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.keeper import Keeper, NotKept
from ingest.spool import Incoming, Keeping, State, open_spool

AT = datetime(2026, 1, 23, 8, 45, tzinfo=UTC)


def incoming(number: int, body: bytes = b"x") -> Incoming:
    return Incoming("A", str(number), body, AT)


def test_nothing_is_said_to_be_kept_before_it_is_durable(tmp_path: Path) -> None:
    async def scenario() -> None:
        keeper, gate = Keeper(open_spool(tmp_path)), threading.Event()
        held = asyncio.create_task(keeper.call(lambda _: gate.wait(5)))
        wishes = [asyncio.create_task(keeper.keep(incoming(number))) for number in range(50)]
        await asyncio.sleep(0.05)
        assert not any(wish.done() for wish in wishes)

        gate.set()
        kept = await asyncio.gather(*wishes)

        assert await held
        assert kept == [Keeping.NEW] * 50
        other = open_spool(tmp_path)
        assert other.counts()[State.KEPT] == 50
        other.close()
        keeper.close()

    asyncio.run(scenario())


def test_every_sender_in_a_commit_that_failed_hears_of_it_and_later_ones_do_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        spool = open_spool(tmp_path)
        spool.limit(300_000)
        keeper, gate = Keeper(spool), threading.Event()
        held = asyncio.create_task(keeper.call(lambda _: gate.wait(5)))
        wishes = [asyncio.create_task(keeper.keep(incoming(n, bytes(400_000) if n == 1 else b"x"))) for n in range(3)]
        await asyncio.sleep(0.05)
        gate.set()

        outcomes = await asyncio.gather(*wishes, return_exceptions=True)

        await held
        assert [type(outcome) for outcome in outcomes] == [NotKept] * 3
        assert await keeper.keep(incoming(0)) is Keeping.NEW
        keeper.close()

    asyncio.run(scenario())


def test_a_fault_of_a_job_goes_to_who_asked_and_the_thread_lives_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        keeper = Keeper(open_spool(tmp_path))
        with pytest.raises(ZeroDivisionError):
            await keeper.call(lambda _: 1 // 0)

        assert await keeper.call(lambda spool: spool.waiting()) == 0
        keeper.close()

    asyncio.run(scenario())


def test_closing_finishes_what_was_handed_over(tmp_path: Path) -> None:
    async def scenario() -> None:
        keeper = Keeper(open_spool(tmp_path))
        wishes = [asyncio.create_task(keeper.keep(incoming(number))) for number in range(20)]
        await asyncio.sleep(0)
        await asyncio.to_thread(keeper.close)

        assert await asyncio.gather(*wishes) == [Keeping.NEW] * 20

    asyncio.run(scenario())
