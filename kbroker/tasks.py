"""The one place where tasks start: all of them live in one TaskGroup and end with the broker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")


LEAST_INTERVAL_MS = 10
"""Work that is asked for "at once, always" still lets others have the loop."""


class TaskSupervisor:
    """Background work of one broker. A task that fails is logged and, if the broker cannot do
    without it, takes the broker down in order (`on_fatal`)."""

    def __init__(self, group: asyncio.TaskGroup, on_fatal: Callable[[str], None]) -> None:
        self._group = group
        self._on_fatal = on_fatal
        # A dict for its order: in a simulation even who is asked first must be no chance.
        self._tasks: dict[asyncio.Task[None], None] = {}

    def spawn(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        """Run `work`, whose failure concerns nobody else."""
        return self._start(work, name, essential=False)

    def spawn_essential(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        """Run `work`, without which the broker must not go on."""
        return self._start(work, name, essential=True)

    def cancel_all(self) -> None:
        """Ask every task to end; the TaskGroup waits for them."""
        for task in list(self._tasks):
            task.cancel()

    def _start(
        self, work: Coroutine[None, None, None], name: str, *, essential: bool
    ) -> asyncio.Task[None]:
        task = self._group.create_task(self._guard(work, name, essential=essential), name=name)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        return task

    async def _guard(
        self, work: Coroutine[None, None, None], name: str, *, essential: bool
    ) -> None:
        try:
            await work
        except Exception:
            logger.exception("the task %s failed", name)
            if essential:
                self._on_fatal(f"the task {name} failed")


async def every(
    interval_ms: Callable[[], int], work: Callable[[], Coroutine[None, None, None]]
) -> None:
    """Run `work` again and again; the interval is read each time, so that it can be changed."""
    while True:
        await asyncio.sleep(max(interval_ms(), LEAST_INTERVAL_MS) / 1000)
        try:
            await work()
        except Exception:
            logger.exception("upkeep failed; it is tried again")


class StoppedError(Exception):
    """Somebody asked for a stop before the work was done."""


async def before(stopped: asyncio.Event, work: Coroutine[None, None, T]) -> T:
    """What `work` returns, or StoppedError as soon as `stopped` is set: then it is cancelled."""
    async with asyncio.TaskGroup() as group:
        working = group.create_task(_outcome(work))
        stopping = group.create_task(stopped.wait())
        await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
        is_done = working.done()
        for each in (working, stopping):
            each.cancel()
    if not is_done:
        raise StoppedError
    value, error = working.result()
    if error is not None:
        raise error
    return value[0]


async def _outcome(work: Coroutine[None, None, T]) -> tuple[list[T], Exception | None]:
    """What it returned, or raised: a group of tasks would wrap that."""
    try:
        return [await work], None
    except Exception as error:  # noqa: BLE001 - whatever it is, it is raised again
        return [], error
