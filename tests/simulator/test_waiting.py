"""Waiting for tasks: for all, for one, and no longer than there is time."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from simulator.invariant_error import InvariantError
from simulator.loop import SimulatedLoop
from simulator.waiting import first_failure


def play(scene: Callable[[], Awaitable[None]]) -> float:
    loop = SimulatedLoop(random.Random(1))
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(scene())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return loop.now


def lasting(seconds: float, name: str) -> asyncio.Task[None]:
    return asyncio.create_task(asyncio.sleep(seconds), name=name)


def test_it_waits_for_all_or_until_one_is_done() -> None:
    async def all_of_them() -> None:
        await first_failure([lasting(1, "a"), lasting(5, "b")], until=None, timeout_s=None)

    async def until_one() -> None:
        one = lasting(1, "a")
        await first_failure([one, lasting(5, "b")], until=one, timeout_s=None)

    assert play(all_of_them) == pytest.approx(5, abs=0.01)
    assert play(until_one) == pytest.approx(1, abs=0.01)


def test_whatever_one_raises_comes_out_and_so_does_the_end_of_time() -> None:
    async def fail() -> None:
        raise InvariantError("broken")

    async def one_fails() -> None:
        tasks = [asyncio.create_task(fail(), name="f"), lasting(5, "b")]
        with pytest.raises(InvariantError, match="broken"):
            await first_failure(tasks, until=None, timeout_s=None)

    async def too_long() -> None:
        with pytest.raises(InvariantError, match="not finished 3 s after the last fault: b"):
            await first_failure([lasting(1, "a"), lasting(5, "b")], until=None, timeout_s=3)

    play(one_fails)
    assert play(too_long) == pytest.approx(3, abs=0.01)
