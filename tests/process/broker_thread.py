"""A broker in a thread of this process, on a disk in memory that can fail and lose its power.

The thread runs the broker's loop, and all that touches the disk runs in it (`run`): a test talks to
the broker over TCP like anyone else, and to its disk through `run`.
"""

import asyncio
import concurrent.futures
import contextlib
import queue
import random
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from kbroker.broker import Broker, StartError
from kbroker.cluster.sqlite import open_sqlite_store
from kbroker.config.sources import read_assignment, resolve
from kbroker.dependencies import Dependencies, SystemClock
from kbroker.flusher import Flusher, FlushResults, Syncable
from kbroker.tasks import TaskSupervisor
from simulator.disk import SimulatedDisk

DATA = "/data"
DEADLINE_S = 60.0
R = TypeVar("R")
Done = Callable[[FlushResults], None]


class PromptFlusher:
    """Flushes in the next turn of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    def submit(self, tickets: Sequence[Syncable], done: Done) -> None:
        self.loop.call_soon(lambda: done([sync(ticket) for ticket in tickets]))

    def close(self) -> None: ...


class SlowFlusher:
    """Flushes and says so some turns of the loop later, as a generator of chance has it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: random.Random) -> None:
        self.loop = loop
        self._chance = chance

    def submit(self, tickets: Sequence[Syncable], done: Done) -> None:
        def flush() -> None:
            results = [sync(ticket) for ticket in tickets]
            self._after_turns(lambda: done(results))

        self._after_turns(flush)

    def close(self) -> None: ...

    def _after_turns(self, action: Callable[[], None]) -> None:
        turns = self._chance.randrange(8)

        def turn() -> None:
            nonlocal turns
            turns -= 1
            if turns < 0:
                action()
            else:
                self.loop.call_soon(turn)

        turn()


class GatedFlusher:
    """Flushes when it is told to; `submitted` gets the number of each flush that waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.submitted: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.is_open = False
        self._count = 0
        self._waiting: list[tuple[Sequence[Syncable], Done]] = []

    def submit(self, tickets: Sequence[Syncable], done: Done) -> None:
        if self.is_open:
            self.loop.call_soon(lambda: done([sync(ticket) for ticket in tickets]))
            return
        self._waiting.append((tickets, done))
        self._count += 1
        self.submitted.put(self._count)

    def release(self) -> None:
        """In the loop: do what waits."""
        waiting, self._waiting = self._waiting, []
        for tickets, done in waiting:
            done([sync(ticket) for ticket in tickets])

    def open_gate(self) -> None:
        """In the loop: from now on, flush at once."""
        self.is_open = True
        self.release()

    def close(self) -> None:
        self.release()


def sync(ticket: Syncable) -> OSError | None:
    try:
        ticket.sync()
    except OSError as error:
        return error
    return None


class BrokerThread:
    """One life of a broker on `disk`; its metadata is in the SQLite file `store`."""

    def __init__(
        self,
        disk: SimulatedDisk,
        store: str,
        *settings: str,
        make_flusher: Callable[[asyncio.AbstractEventLoop], Flusher] = PromptFlusher,
    ) -> None:
        self.disk = disk
        self.failure = ""
        self.was_clean: bool | None = None
        self._again = (disk, store, *settings)
        self._store = store
        assignments = [f"log.dirs={DATA}", "listeners=PLAINTEXT://127.0.0.1:0", *settings]
        self._config = resolve([[read_assignment(text) for text in assignments]]).config
        self._make_flusher = make_flusher
        self._ready: concurrent.futures.Future[tuple[str, int]] = concurrent.futures.Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> "BrokerThread":
        """Start it; StartError."""
        self._thread.start()
        try:
            self.address = self._ready.result(DEADLINE_S)
        except BaseException:
            self._thread.join(DEADLINE_S)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def next_life(self) -> "BrokerThread":
        """One like it, not yet started."""
        return BrokerThread(*self._again, make_flusher=self._make_flusher)

    def run(self, action: Callable[[], R]) -> R:
        """`action` in the broker's loop, between two of its turns."""
        result: concurrent.futures.Future[R] = concurrent.futures.Future()

        def act() -> None:
            try:
                result.set_result(action())
            except BaseException as error:  # noqa: BLE001
                result.set_exception(error)

        self.loop.call_soon_threadsafe(act)
        return result.result(DEADLINE_S)

    def checkpoint(self) -> None:
        """Write the checkpoints, as the broker does now and then."""
        work = self.broker.replicas.write_checkpoints()
        asyncio.run_coroutine_threadsafe(work, self.loop).result(DEADLINE_S)

    def stop(self) -> None:
        """Stop it in order, if it has not stopped by itself; then `failure` says why."""
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # it has just ended
                self.loop.call_soon_threadsafe(self.broker.request_stop)
        self.wait()

    def wait(self) -> None:
        """Wait for its end."""
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), "the broker does not end"

    def lose_power(self, chance: random.Random) -> SimulatedDisk:
        """End it at this moment; the disk as the next life finds it."""

        def crash() -> SimulatedDisk:
            survivor = self.disk.crash(chance)
            for connection in list(self.broker.server.connections):
                connection.abort()  # a machine without power says nothing more
            self.broker.request_stop("power loss")
            return survivor

        survivor = self.run(crash)
        self.wait()
        return survivor

    async def _run(self) -> None:
        self.loop = loop = asyncio.get_running_loop()
        generator = random.Random()  # ids differ from life to life, whatever the seed of a test

        async def open_store(_: str):
            return open_sqlite_store(self._store, generator)

        self.flusher = self._make_flusher(loop)
        dependencies = Dependencies(
            clock=SystemClock(),
            random=generator,
            file_system=self.disk,
            make_flusher=lambda _: self.flusher,
            open_store=open_store,
        )
        self.broker = broker = Broker(self._config, dependencies)
        async with asyncio.TaskGroup() as group:
            tasks = TaskSupervisor(group, on_fatal=broker.request_stop)
            try:
                await broker.start(tasks)
                _, host, port = broker.server.bound[0]
                self._ready.set_result((host, port))
                await broker.stopped.wait()
            except StartError as error:
                self._ready.set_exception(error)
            finally:
                tasks.cancel_all()
                await broker.stop()
        self.failure = broker.failure
