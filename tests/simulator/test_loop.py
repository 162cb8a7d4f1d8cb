"""Virtual time: it jumps to the next timer, creeps where there is none, and no thread ever runs."""

import asyncio
import random
import threading

import pytest

from simulator.loop import CURRENT, Process, SimulatedLoop, SimulationStuckError


@pytest.fixture
def loop():
    made = SimulatedLoop(random.Random(1))
    asyncio.set_event_loop(made)
    yield made
    asyncio.set_event_loop(None)
    made.close()


def test_an_hour_passes_at_once(loop) -> None:
    done = loop.create_future()
    loop.call_later(3600, done.set_result, None)
    loop.run_until_complete(done)
    assert 3600 <= loop.now < 3600.001


def test_the_clock_creeps_for_whoever_polls_a_deadline(loop) -> None:
    async def poll() -> None:
        deadline = loop.time() + 0.001
        while loop.time() < deadline:
            await asyncio.sleep(0)

    loop.run_until_complete(poll())


def test_who_waits_for_what_never_comes_is_found(loop) -> None:
    with pytest.raises(SimulationStuckError, match="nothing is left"):
        loop.run_until_complete(loop.create_future())


def test_who_never_lets_go_is_found(loop, monkeypatch) -> None:
    monkeypatch.setattr("simulator.loop.STEPS_AT_ONE_TIME", 100)

    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(SimulationStuckError, match="busy"):
        loop.run_until_complete(spin())


def test_an_executor_is_this_thread_after_a_delay(loop) -> None:
    async def ask() -> None:
        here = threading.get_ident()
        assert await loop.run_in_executor(None, threading.get_ident) == here
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, lambda: 1 / 0)

    loop.run_until_complete(ask())
    assert loop.now > 0


def test_nothing_happens_that_a_dead_process_had_planned(loop) -> None:
    happened: list[str] = []
    process = Process("p", "10.0.0.9")
    token = CURRENT.set(process)
    loop.call_later(1, happened.append, "its own")
    CURRENT.reset(token)
    done = loop.create_future()
    loop.call_later(2, happened.append, "another's")
    loop.call_later(3, done.set_result, None)
    loop.end_process(process)
    loop.run_until_complete(done)
    assert happened == ["another's"]


def test_what_a_callback_raises_ends_the_run(loop) -> None:
    def broken() -> None:
        raise AssertionError("this cannot be")

    loop.call_later(1, broken)
    with pytest.raises(AssertionError, match="cannot be"):
        loop.run_until_complete(loop.create_future())


def test_a_failure_counts_though_somebody_catches_all(loop) -> None:
    async def work() -> None:
        loop.fail(ValueError("the first"))
        loop.fail(ValueError("the second"))
        await asyncio.sleep(0)

    with pytest.raises(ValueError, match="the first"):
        loop.run_until_complete(work())


def test_equal_seeds_take_equal_time() -> None:
    def moment(seed: int) -> float:
        loop = SimulatedLoop(random.Random(seed))
        loop.run_until_complete(loop.run_in_executor(None, int))
        loop.close()
        return loop.now

    assert moment(1) == moment(1) != moment(2)
