"""The MLLP port alone, with short limits."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ingest.hl7.mllp import Answering, Frame, Limits, framed, listener
from ingest.listener import Listener
from tests.integration.ingest.gateways import free_port

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Streams]]
Scenario = Callable[[Connect, Listener], Awaitable[None]]


async def echo(frame: Frame) -> bytes:
    return b"answer to " + frame.body


def with_listener(limits: Limits, scenario: Scenario, answering: Answering = echo) -> None:
    async def work() -> None:
        under_test, port = listener(answering, limits, "test"), free_port()
        await under_test.start("127.0.0.1", port)
        try:
            await asyncio.wait_for(scenario(lambda: asyncio.open_connection("127.0.0.1", port), under_test), 10)
        finally:
            await under_test.close()

    asyncio.run(work())


@pytest.mark.parametrize("begun", [b"\x0bMSH|half", b""])
def test_who_falls_silent_is_hung_up_on_without_an_answer(begun: bytes) -> None:
    async def scenario(connect: Connect, _: Listener) -> None:
        reader, writer = await connect()
        writer.write(begun)

        assert await reader.read() == b""
        writer.close()

    with_listener(Limits(within_frame=0.1, between_frames=0.1), scenario)


def test_more_connections_than_allowed_are_not_served() -> None:
    async def scenario(connect: Connect, _: Listener) -> None:
        kept_reader, kept_writer = await connect()
        kept_writer.write(framed(b"a"))
        assert await kept_reader.readuntil(b"\x1c\r") == framed(b"answer to a")

        reader, writer = await connect()

        assert await reader.read() == b""
        kept_writer.write(framed(b"b"))
        assert await kept_reader.readuntil(b"\x1c\r") == framed(b"answer to b")
        writer.close()
        kept_writer.close()

    with_listener(Limits(connections=1), scenario)


def test_many_frames_in_one_packet_are_worked_on_together_and_answered_in_order() -> None:
    running = most = 0

    async def slowly(frame: Frame) -> bytes:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05 if frame.body == b"0" else 0)
        running -= 1
        return frame.body

    async def scenario(connect: Connect, _: Listener) -> None:
        reader, writer = await connect()
        writer.write(b"".join(framed(b"%d" % number) for number in range(10)))

        answers = [await reader.readuntil(b"\x1c\r") for _ in range(10)]

        assert answers == [framed(b"%d" % number) for number in range(10)]
        assert most == 10
        writer.close()

    with_listener(Limits(), scenario, slowly)


def test_a_fault_while_answering_ends_only_that_connection() -> None:
    async def faulty(frame: Frame) -> bytes:
        if frame.body == b"bad":
            raise RuntimeError
        return frame.body

    async def scenario(connect: Connect, _: Listener) -> None:
        (reader, writer), (other_reader, other_writer) = await connect(), await connect()
        writer.write(framed(b"bad"))
        assert await reader.read() == b""

        other_writer.write(framed(b"good"))

        assert await other_reader.readuntil(b"\x1c\r") == framed(b"good")
        writer.close()
        other_writer.close()

    with_listener(Limits(), scenario, faulty)


def test_closing_answers_what_was_received() -> None:
    started = asyncio.Event()

    async def slowly(frame: Frame) -> bytes:
        started.set()
        await asyncio.sleep(0.2)
        return frame.body

    async def scenario(connect: Connect, listener: Listener) -> None:
        reader, writer = await connect()
        writer.write(framed(b"a"))
        await started.wait()

        await listener.close()

        assert await reader.read() == framed(b"a")
        writer.close()

    with_listener(Limits(), scenario, slowly)
