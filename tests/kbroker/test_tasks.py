"""Background work: a failure concerns nobody else, unless the broker cannot do without."""

from __future__ import annotations

import asyncio

import pytest

from kbroker.tasks import StoppedError, TaskSupervisor, before, every
from tests.kbroker.broker_harness import MovableLoop


async def failing() -> None:
    raise ZeroDivisionError


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("essential", [False, True])
def test_only_the_failure_of_an_essential_task_ends_the_broker(essential: bool) -> None:
    async def scenario() -> None:
        fatal: list[str] = []
        async with asyncio.TaskGroup() as group:
            tasks = TaskSupervisor(group, on_fatal=fatal.append)
            other = tasks.spawn(forever(), "other")
            start = tasks.spawn_essential if essential else tasks.spawn
            await start(failing(), "unlucky")
            assert not other.done()
            tasks.cancel_all()
        assert fatal == (["the task unlucky failed"] if essential else [])
        assert other.cancelled()

    asyncio.run(scenario())


def test_tasks_that_ended_are_forgotten() -> None:
    async def scenario() -> None:
        async with asyncio.TaskGroup() as group:
            tasks = TaskSupervisor(group, on_fatal=pytest.fail)
            for _ in range(10):
                tasks.spawn(asyncio.sleep(0), "short")
        assert not tasks._tasks

    asyncio.run(scenario())


def test_work_is_repeated_at_an_interval_that_may_change() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, MovableLoop)
        intervals = iter([60_000, 3_600_000, 60_000, 10**9])
        times: list[float] = []
        start = loop.time()

        async def work() -> None:
            times.append(loop.time() - start)

        async with asyncio.TaskGroup() as group:
            task = group.create_task(every(lambda: next(intervals), work))
            for minutes in (1, 1, 58, 1, 1):
                await asyncio.sleep(0)
                loop.advance(minutes * 60 + 1)
                for _ in range(5):
                    await asyncio.sleep(0)
            task.cancel()
        assert len(times) == 3

    with asyncio.Runner(loop_factory=MovableLoop) as runner:
        runner.run(scenario())


def test_a_stop_does_not_wait_for_what_may_take_for_ever() -> None:
    async def scenario() -> None:
        stopped = asyncio.Event()
        ended: list[str] = []

        async def waiting() -> None:
            try:
                await forever()
            finally:
                await asyncio.sleep(0)
                ended.append("waiting")

        asyncio.get_running_loop().call_soon(stopped.set)
        with pytest.raises(StoppedError):
            await before(stopped, waiting())
        assert ended == ["waiting"], "nothing of it goes on"

    asyncio.run(scenario())


def test_what_is_done_before_a_stop_is_done() -> None:
    async def scenario() -> None:
        assert await before(asyncio.Event(), asyncio.sleep(0, "done")) == "done"
        with pytest.raises(ZeroDivisionError):
            await before(asyncio.Event(), failing())

    asyncio.run(scenario())
