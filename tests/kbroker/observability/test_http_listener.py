"""The small HTTP server: what it answers, and how little a hostile client gets of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from kbroker.observability.http_listener import (
    IDLE_TIMEOUT_S,
    MAX_BODY_BYTES,
    MAX_CONNECTIONS,
    MAX_HEAD_BYTES,
    TAKE_TIMEOUT_S,
    Answer,
    HttpListener,
)
from tests.kbroker.broker_harness import MovableLoop

LARGE = 64 << 20


class Site:
    """A listener with some paths, and its clients. Mutable."""

    def __init__(self, loop: MovableLoop, listener: HttpListener) -> None:
        self.loop = loop
        self.listener = listener

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.listener.address)

    async def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer, after which the server hangs up."""
        reader, writer = await self.connect()
        writer.write(request)
        data = await reader.read()
        writer.close()
        return split(data)


def split(data: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split(" ")[1]), headers, body


def serve(scenario: Callable[[Site], Awaitable[None]]) -> None:
    async def hello() -> Answer:
        return Answer(200, b"hello\n")

    async def large() -> Answer:
        return Answer(200, bytes(LARGE))

    async def broken() -> Answer:
        raise OSError(5, "it broke")

    async def whole() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, MovableLoop)
        tasks: set[asyncio.Task[None]] = set()

        def spawn(work, name: str) -> None:
            task = loop.create_task(work)
            tasks.add(task)
            task.add_done_callback(lambda done: done.exception())

        routes = {"/hello": hello, "/large": large, "/broken": broken}
        listener = HttpListener(loop, routes, spawn)
        await listener.start("127.0.0.1", 0)
        await scenario(Site(loop, listener))
        listener.close()

    with asyncio.Runner(loop_factory=MovableLoop) as runner:
        runner.run(whole())


CLOSE = b"Host: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("request_line", "status", "body"),
    [
        (b"GET /hello HTTP/1.1", 200, b"hello\n"),
        (b"GET /hello?verbose=1 HTTP/1.1", 200, b"hello\n"),
        (b"HEAD /hello HTTP/1.1", 200, b""),
        (b"GET /hello HTTP/1.0", 200, b"hello\n"),
        (b"GET / HTTP/1.1", 404, b"here are /hello /large /broken\n"),
        (b"POST /hello HTTP/1.1", 405, b"GET or HEAD\n"),
        (b"GET /broken HTTP/1.1", 500, b"it failed; the broker's log says why\n"),
    ],
)
def test_answers(request_line: bytes, status: int, body: bytes) -> None:
    async def scenario(site: Site) -> None:
        found = await site.ask(request_line + b"\r\n" + CLOSE)
        assert (found[0], found[2]) == (status, body)
        assert found[1]["cache-control"] == "no-store"

    serve(scenario)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"\x00\x00\x00\x10garbage\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\r\nHost: x\r\nX: " + b"x" * (2 * MAX_HEAD_BYTES), 431),
        (b"POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"
         + bytes(MAX_BODY_BYTES + 1), 413),
    ],
)  # fmt: skip
def test_what_is_no_request_of_ours_is_refused(text: bytes, status: int) -> None:
    async def scenario(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(text)
        (line, _, _) = (await reader.read(64)).partition(b"\r\n")
        assert line.split(b" ")[1] == str(status).encode()
        writer.close()
        assert (await site.ask(b"GET /hello HTTP/1.1\r\n" + CLOSE))[0] == 200

    serve(scenario)


def test_a_client_may_ask_again_on_its_connection_also_before_it_was_answered() -> None:
    async def scenario(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        writer.write(b"GET /hello HTTP/1.1\r\n" + CLOSE)
        assert (await reader.read()).count(b"hello\n") == 4
        writer.close()

    serve(scenario)


async def closed(site: Site, seconds: float) -> None:
    """Nothing happens in half of these seconds, and the connection ends with them. (The loop's own
    time goes on as well: on a machine that is busy, by more than one.)"""
    site.loop.advance(seconds / 2)
    for _ in range(20):
        await asyncio.sleep(0)
    assert site.listener.connections
    site.loop.advance(seconds / 2)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not site.listener.connections


def test_half_a_request_is_hung_up_on_in_time() -> None:
    async def scenario(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(b"GET /hel")
        while not site.listener.connections:
            await asyncio.sleep(0)
        await closed(site, IDLE_TIMEOUT_S)
        assert await reader.read() == b""
        writer.close()

    serve(scenario)


def test_who_does_not_take_an_answer_is_hung_up_on_in_time() -> None:
    async def scenario(site: Site) -> None:
        _, writer = await site.connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        while not any(each._writing_paused for each in site.listener.connections):
            await asyncio.sleep(0)
        await closed(site, TAKE_TIMEOUT_S)
        writer.close()

    serve(scenario)


def test_who_has_asked_nothing_for_longest_makes_room_for_one_connection_too_many() -> None:
    async def scenario(site: Site) -> None:
        held = [await site.connect() for _ in range(MAX_CONNECTIONS)]
        while len(site.listener.connections) < MAX_CONNECTIONS:
            await asyncio.sleep(0)
        held[0][1].write(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        await held[0][0].readuntil(b"hello")
        held[1][1].write(b"GET /hel")
        assert (await site.ask(b"GET /hello HTTP/1.1\r\n" + CLOSE))[0] == 200
        with contextlib.suppress(ConnectionResetError):
            assert await held[1][0].read() == b"", "slow, and the oldest"
        held[0][1].write(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        await held[0][0].readuntil(b"hello")
        for _, each in held:
            each.close()

    serve(scenario)


def test_where_all_are_being_answered_one_more_is_refused() -> None:
    async def scenario(site: Site) -> None:
        held = [await site.connect() for _ in range(MAX_CONNECTIONS)]
        while len(site.listener.connections) < MAX_CONNECTIONS:
            await asyncio.sleep(0)
        for connection in site.listener.connections:
            connection.is_busy = True
        reader, writer = await site.connect()
        assert await reader.read() == b""
        writer.close()
        for _, each in held:
            each.close()

    serve(scenario)
