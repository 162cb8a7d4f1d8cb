"""The loop's turns and the lateness of its timers, on clocks that the test moves."""

from __future__ import annotations

import asyncio

from kbroker.observability.loop_watch import LAG_INTERVAL_S, LagTimer, LoopTurns, watched_loop
from tests.kbroker.broker_harness import MovableLoop


class Clock:
    """Seconds: each look takes `step`. Mutable."""

    def __init__(self) -> None:
        self.now = 0.0
        self.step = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def test_the_work_between_two_looks_at_the_sockets_is_a_turn() -> None:
    turns, clock = LoopTurns(), Clock()

    async def work() -> None:
        for seconds in (0.0, 0.001, 0.003):
            clock.now += seconds
            await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=lambda: watched_loop(turns, clock)) as runner:
        runner.run(work())
    assert turns.slow == 1
    assert sum(turns.seconds.counts) >= 3
    assert round(turns.seconds.total, 6) == 0.004


def test_waiting_is_no_turn() -> None:
    turns, clock = LoopTurns(), Clock()

    async def wait() -> None:
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        server = await asyncio.start_server(lambda *_: woken.set_result(None), "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        _, writer = await asyncio.open_connection(host, port)
        await woken
        writer.close()
        server.close()

    with asyncio.Runner(loop_factory=lambda: watched_loop(turns, clock)) as runner:
        runner.run(wait())
    assert turns.seconds.total == 0.0


def test_a_late_timer_is_noted_and_the_next_one_set() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, MovableLoop)
        timer = LagTimer(loop)
        timer.start()
        for _ in range(2):
            loop.advance(LAG_INTERVAL_S + 0.3)
            before = sum(timer.seconds.counts)
            while sum(timer.seconds.counts) == before:
                await asyncio.sleep(0)
        assert sum(timer.seconds.counts[11:]) == 2, "later than 0.25 s"
        timer.stop()
        timer.stop()

    with asyncio.Runner(loop_factory=MovableLoop) as runner:
        runner.run(scenario())
