"""Brokers in a simulated world: machines that run a broker's lives, one after the other.

A crash marks the disk dead and the connections gone *before* the tasks end, so that no `finally:`
writes anything; then everything that the process had planned is dropped. The next life is a new
`Broker` on what survived.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Protocol

from kbroker.broker import Broker, StartError
from kbroker.cluster.metadata_store import MetadataStore
from kbroker.config.sources import Setting, resolve
from kbroker.dependencies import Dependencies
from kbroker.flusher import Flusher
from kbroker.tasks import TaskSupervisor
from simulator.clock import SteppingClock
from simulator.disk import SimulatedDisk
from simulator.flusher import SimulatedFlusher
from simulator.loop import CURRENT, Process, SimulatedLoop
from simulator.metadata_store import MetadataDisk, SimulatedJournal, open_store
from simulator.network import WORLD, Network
from simulator.shared_store import Link, SharedStore

PORT = 9092
DATA = "/data"
UNWINDING_TURNS = 50
"""Of the loop, which the tasks of a dead process get to end in."""


class Account(Protocol):
    """Told of the end of each life, with the broker that led it, if it came to serve."""

    def __call__(self, broker: Broker | None, *, pages_lost: bool) -> None: ...


class Machine:
    """One host with its disk and clock, and the broker that runs on it. Mutable.

    `lives` counts the starts. While `broker` is None, nothing runs.
    """

    def __init__(
        self,
        loop: SimulatedLoop,
        network: Network,
        *,
        node_id: int,
        settings: Mapping[str, str],
        chance: random.Random,
        drift: float = 0.0,
        store: SharedStore | None = None,
        link: Link | None = None,
    ) -> None:
        """`store` and the `link` to it: of a cluster; else it has a store of its own."""
        self.link = link or Link()
        self._store = store
        self.node_id = node_id
        self.host = f"10.0.1.{node_id}"
        self.disk = SimulatedDisk()
        self.metadata = MetadataDisk()
        self.clock = SteppingClock(loop.time, drift=drift)
        self.broker: Broker | None = None
        self.flusher: SimulatedFlusher | None = None
        self.lives = 0
        self.process = Process("nobody", self.host)
        self.failure = ""
        """Why the last start was refused."""
        self.settings = dict(settings)
        self.account: Account = _nobody_is_told
        """Whoever knows what the broker owes: told before a dying one is gone, and after a stop."""
        self.on_dying: Callable[[str], None] = lambda how: None
        """Told "killed" or "power lost" before anything is changed by it."""
        self.on_ended: Callable[[], None] = lambda: None
        """A life is over, in whatever way."""
        self.on_flushed: Callable[[], None] = lambda: None
        """A flush is over, and all who waited for it were told."""
        self.newborn: Broker | None = None
        """The broker of this life, also before it serves."""
        self.ended_lives: list[asyncio.Task[None]] = []
        self._loop = loop
        self._network = network
        self._chance = chance
        self._journal: SimulatedJournal | None = None
        self._running: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()

    @property
    def address(self) -> tuple[str, int]:
        return self.host, PORT

    @property
    def is_running(self) -> bool:
        return self._running is not None and not self._running.done()

    @property
    def is_committing(self) -> bool:
        """Whether a change of the metadata is being written."""
        return self._journal is not None and self._journal.is_committing

    @property
    def is_stopping(self) -> bool:
        return self.broker is not None and self.broker.stopped.is_set()

    async def start(self) -> bool:
        """Start a broker on what the disk holds; whether it serves now. `failure` says why not."""
        assert not self.is_running
        self.lives += 1
        life = self.lives
        self.failure = ""
        self.process = Process(f"broker-{self.node_id}.{self.lives}", self.host)
        self._network.power_on(self.host)
        self.disk.now_ms = self.clock.now_ms()
        self.disk.open_files.clear()  # a process leaves none open, however it ended
        self._stop = asyncio.Event()
        ready: asyncio.Future[bool] = self._loop.create_future()
        token = CURRENT.set(self.process)
        try:
            running = self._loop.create_task(self._live(ready), name=self.process.name)
        finally:
            CURRENT.reset(token)
        self._running = running
        running.add_done_callback(lambda _: self._life_ended(life))
        ends: list[asyncio.Future[bool] | asyncio.Task[None]] = [ready, running]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if running.done() and not running.cancelled() and running.exception() is not None:
            self.failure = repr(running.exception())
        return self.lives == life and ready.done() and ready.result()

    def _life_ended(self, life: int) -> None:
        if self.lives == life and self._running is not None:
            self.on_ended()

    async def stop(self) -> None:
        """As SIGTERM does."""
        if self._running is not None:
            if self.broker is not None:
                self.broker.request_stop()
            await asyncio.wait([self._running])

    def kill(self) -> None:
        """kill -9: the page cache stays, and the kernel resets the connections."""
        self._die("killed")
        self._network.kill(self.process)
        self.disk = self.disk.kill()
        self.on_ended()

    def crash(self) -> None:
        """Power loss: what was not flushed is lost, torn, or there; nobody is told."""
        self._die("power lost")
        self._network.cut_power(self.process)
        self.disk = self.disk.crash(self._chance)
        self.on_ended()

    def _die(self, how: str) -> None:
        """May be called from within the broker's own code, which then meets a dead disk."""
        self.on_dying(how)
        self.account(self.broker, pages_lost=how == "power lost")
        self.process.is_dead = True
        self.disk.is_dead = True
        if self._journal is not None:
            self._journal.crash()
        self.broker = self.flusher = None
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            self.ended_lives.append(running)
        # Its tasks unwind, into a dead disk; what is still planned after that never happens.
        self._end_process(self.process, UNWINDING_TURNS)

    def _end_process(self, process: Process, turns: int) -> None:
        if turns:
            WORLD.run(self._loop.call_soon, self._end_process, process, turns - 1)
        else:
            self._loop.end_process(process)

    async def _live(self, ready: asyncio.Future[bool]) -> None:
        """One life of the broker, as `kbroker.process` leads it."""
        layer = [Setting(key, text, "simulation") for key, text in self._all_settings().items()]
        self.newborn = broker = Broker(resolve([layer]).config, self._dependencies())
        async with asyncio.TaskGroup() as group:
            tasks = TaskSupervisor(group, on_fatal=broker.request_stop)
            try:
                await broker.start(tasks)
            except StartError as error:
                if not CURRENT.get().is_dead:
                    self.failure = str(error)
                await broker.stop()
                tasks.cancel_all()
                ready.set_result(False)
                return
            if CURRENT.get().is_dead:
                return
            self.broker = broker
            ready.set_result(True)
            await broker.stopped.wait()
            await broker.drain()
            tasks.cancel_all()
            await broker.stop()
        if self.broker is broker:  # else it died while it stopped
            self.failure = broker.failure
            # What a failed flush was to write is lost, as by a power loss.
            failed = any(each.log.failed is not None for each in broker.replicas)
            self.account(broker, pages_lost=failed or bool(broker.failure))
            self.broker = self.flusher = None

    def _flushed(self) -> None:
        if not CURRENT.get().is_dead:
            self.on_flushed()

    def _all_settings(self) -> dict[str, str]:
        return {
            "node.id": str(self.node_id),
            "log.dirs": DATA,
            "listeners": f"PLAINTEXT://{self.host}:{PORT}",
            **self.settings,
        }

    def _dependencies(self) -> Dependencies:
        chance = random.Random(self._chance.random())

        async def open_metadata(*where: object) -> MetadataStore:
            if self._store is not None:
                return self._store.client(self.process.name, self.link)
            store, self._journal = open_store(self.metadata, chance, chance)
            return store

        def make_flusher(name: str) -> Flusher:
            self.flusher = SimulatedFlusher(self._loop, chance, self._flushed)
            return self.flusher

        return Dependencies(
            clock=self.clock,
            random=chance,
            file_system=self.disk,
            make_flusher=make_flusher,
            open_store=open_metadata,
            abort=self.kill,
        )


def _nobody_is_told(broker: Broker | None, *, pages_lost: bool) -> None:
    pass
