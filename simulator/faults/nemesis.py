"""Makes the faults of a plan happen, and starts the broker again whenever it is down.

One task does both, so that a fault may come at any moment, a start included. A start that is
refused, and a broker that goes down by itself, need a fault that explains it: else the run fails.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING

from simulator.faults import rot
from simulator.faults.drawing import Fault
from simulator.faults.kinds import KINDS
from simulator.faults.machine import Trap
from simulator.loop import CREEP_S, CURRENT, Process
from simulator.network import WORLD
from simulator.world import InvariantError, World

if TYPE_CHECKING:
    from simulator.invariants import StateWatch
    from simulator.probes import Probes

EXECUTOR_DELAY_S = (0.000_05, 0.005)
FLUSH_DELAY_S = (0.000_1, 0.01)
IN_A_COMMIT_S = EXECUTOR_DELAY_S[0] / 2
STARTS_IN_A_ROW = 8
"""So many starts that end early, each for a reason, before it counts as one that hangs."""


class Nemesis:
    """Mutable. `pause_s` is how long the broker stays down the next time."""

    def __init__(self, world: World, probes: Probes, watch: StateWatch) -> None:
        self.world = world
        self.pause_s = 0.5
        self.probes = probes
        self._watch = watch
        self._answers_left: int | None = None
        """How many answers arrive before the power goes; None: it does not wait for one."""
        self._seen = world.network.seen
        self._traps: list[Trap] = []
        self._restart_at: float | None = None
        self._starting: asyncio.Task[bool] | None = None
        self._rot: rot.Rot | None = None
        self._accepts_loss = False
        self.ends_next_commit = ""
        """"power lost" or "killed": how the life ends in which metadata are written next."""
        self._before_start: list[Callable[[], None]] = []
        self._changed = asyncio.Event()
        self._errors_before = 0
        self._metadata_failures = 0
        """In this life, its start included."""
        self._visitors = 0
        self._tasks: list[asyncio.Task[None]] = []
        world.network.seen = self._arrived
        world.machine.on_ended = self._ended
        world.machine.disk.observe = self._observe
        world.machine.disk.on_refused = self._refused
        world.machine.metadata.on_failure = self._metadata_failed
        world.machine.metadata.on_stage = self._commit_begun

    async def work(self) -> None:
        """Until the safety phase is over. InvariantError."""
        loop = self.world.loop
        end = self.world.plan.options.safety_s
        for fault in self.world.plan.faults:
            await self._keep_running(until=fault.at_s)
            self.world.note(str(fault))
            self.world.counts[f"fault: {fault.kind}"] += 1
            self.probes.look()
            KINDS[fault.kind](self, fault)
            self._watch.look()
        await self._keep_running(until=max(end, loop.now))

    async def tend(self) -> None:
        """Only start it again where an earlier fault takes it down; for ever. InvariantError."""
        while True:
            await self._keep_running(until=self.world.loop.now + 60)

    async def heal(self) -> None:
        """Disk, network and clock are well from now on, and a broker runs. InvariantError."""
        world = self.world
        self._traps.clear()
        self._answers_left = None
        world.situations.awaited.clear()
        self.ends_next_commit = ""
        self.probes.look()
        world.network.heal()
        world.machine.disk.heal()
        world.machine.disk.capacity_bytes = None
        world.machine.metadata.fail_next = ""
        self.quicken()
        for _ in range(STARTS_IN_A_ROW):
            await self._keep_running(until=world.loop.now + 30, serves=True)
            if self._serves:
                return
        raise InvariantError(f"the broker does not start: {world.machine.failure}")

    # --- for faults ---

    def chance_of(self, fault: Fault) -> random.Random:
        return self.world.chance(f"fault:{fault.number}")

    def crash(self) -> None:
        if self.world.machine.is_running:
            self.world.machine.crash()

    def crash_after_answer(self, skip: int) -> None:
        """As soon as clients have this many answers, and one more: what they say must be so."""
        self._answers_left = skip

    def end_when_told(self, situation: str, how: str) -> None:
        """As soon as a client is told of something."""

        def end() -> None:
            self.world.note(f"{how}: {situation}")
            self.later(0, self.crash if how == "power lost" else self.kill)

        self.world.situations.awaited[situation] = end

    def kill(self) -> None:
        if self.world.machine.is_running:
            self.world.machine.kill()

    def request_stop(self) -> None:
        """As SIGTERM does."""
        broker = self.world.machine.broker
        if broker is not None:
            self.probes.stopping()
            broker.request_stop()

    def set_trap(self, trap: Trap, wait_s: float) -> None:
        self._traps.append(trap)
        self.later(wait_s, self._remove_trap, trap)

    def at_next_start(self, action: Callable[[], None]) -> None:
        self._before_start.append(action)

    def later(self, delay_s: float, callback: Callable[..., None], *args: object) -> None:
        """As the world, which outlives every process."""
        WORLD.run(self.world.loop.call_later, delay_s, callback, *args)

    def spawn(self, name: str, work: Coroutine[None, None, None]) -> None:
        """A client of no importance, on a host of its own."""
        self._visitors += 1
        host = f"10.0.3.{self._visitors}"
        token = CURRENT.set(Process(name, host))
        try:
            self._tasks.append(self.world.loop.create_task(work, name=name))
        finally:
            CURRENT.reset(token)

    def quicken(self) -> None:
        self.world.loop.executor_delay_s = EXECUTOR_DELAY_S
        self.world.loop.creep_s = CREEP_S
        if self.world.machine.flusher is not None:
            self.world.machine.flusher.delay_s = FLUSH_DELAY_S

    def rot_record(self, chance: random.Random) -> None:
        """A bit of a record changes before the next start, which has to refuse then."""
        found = rot.choose(self.world, chance)
        if found is None or self._rot is not None:
            return
        self._accepts_loss = chance.random() < 0.5
        self.at_next_start(lambda: self._rots(found, chance))
        self.kill()

    def _rots(self, found: rot.Rot, chance: random.Random) -> None:
        if self._rot is None:
            self._rot = found
            rot.apply(self.world, found, chance)

    # --- the broker's lives ---

    def _refused(self, operation: str, path: str) -> None:
        self.probes.refused(operation, path)
        if ".snapshot" in path:
            self.world.ledger.snapshot_refused(path)

    def _observe(self, operation: str, path: str, size: int) -> None:
        self.probes.operation(operation, path, size)
        trap = next((each for each in self._traps if each.takes(operation, path)), None)
        if trap is not None:
            self._traps.remove(trap)
            self.world.note(f"{trap.how} at {operation} {path}")
            self.probes.at_operation = (operation, path)
            (self.crash if trap.how == "power lost" else self.kill)()

    def _arrived(self, sender: str, receiver: str, data: bytes) -> None:
        self._seen(sender, receiver, data)
        if self._answers_left is None or sender != self.world.machine.process.name:
            return
        self._answers_left -= 1
        if self._answers_left < 0:
            self._answers_left = None
            self.world.note(f"power lost after an answer to {receiver}")
            self.world.situations.saw("power lost after an answer")
            self.later(0, self.crash)

    def _commit_begun(self) -> None:
        how, self.ends_next_commit = self.ends_next_commit, ""
        if how:
            self.later(IN_A_COMMIT_S, self.crash if how == "power lost" else self.kill)

    def _remove_trap(self, trap: Trap) -> None:
        if trap in self._traps:
            self._traps.remove(trap)

    def _ended(self) -> None:
        """A life is over: was that to be expected?"""
        world, machine = self.world, self.world.machine
        if world.loop.is_ending:
            return
        self._restart_at = world.loop.now + self.pause_s
        self._changed.set()
        if machine.process.is_dead or self._starting is not None:
            return
        world.note(f"{machine.process.name} has stopped {machine.failure}")
        if machine.failure and not self._is_explained:
            world.loop.fail(InvariantError(f"the broker went down: {machine.failure}"))
        self.probes.ended(by_itself=bool(machine.failure))

    @property
    def _is_explained(self) -> bool:
        """Whether something was made to fail since this life began."""
        errors = self.world.machine.disk.injected_errors - self._errors_before
        return errors + self._metadata_failures > 0

    def _metadata_failed(self, how: str) -> None:
        self._metadata_failures += 1
        self.world.situations.saw("metadata refused" if how == "refuse" else "metadata unknown")

    @property
    def _serves(self) -> bool:
        machine = self.world.machine
        return self._starting is None and machine.broker is not None and not machine.is_stopping

    async def _keep_running(self, *, until: float, serves: bool = False) -> None:
        """Start the broker whenever it is due, until then; or until it serves."""
        loop = self.world.loop
        while True:
            self._take_outcome()
            if serves and self._serves:
                return
            due = until if self._restart_at is None else min(until, self._restart_at)
            if loop.now < due:
                self._changed.clear()
                timer = loop.call_at(due, self._changed.set)
                await self._changed.wait()
                timer.cancel()
                continue
            if self._restart_at is not None and loop.now >= self._restart_at:
                self._restart_at = None
                self._begin_start()
            if loop.now >= until:
                return

    def _begin_start(self) -> None:
        machine = self.world.machine
        actions, self._before_start = self._before_start, []
        for action in actions:
            action()
        self._errors_before = machine.disk.injected_errors
        self._metadata_failures = 0
        self.probes.starting()
        self._starting = asyncio.create_task(machine.start(), name="start")
        self._starting.add_done_callback(lambda _: self._changed.set())

    def _take_outcome(self) -> None:
        starting = self._starting
        if starting is None or not starting.done():
            return
        self._starting = None
        machine = self.world.machine
        if starting.result():
            if self._rot is not None:
                raise rot.unnoticed(self._rot)
            machine.settings.pop("kbroker.accept.damaged.logs", None)
            self.world.note(f"{machine.process.name} serves")
            self.probes.started()
            return
        self.world.note(f"{machine.process.name}: {machine.failure or 'died while starting'}")
        if machine.process.is_dead:
            if self._rot is not None and not self.world.network.is_up(machine.host):
                # A power loss may take the word of flushed ends, which is a stated limit: what
                # rotted in the seconds before it is not told from a torn write.
                rot.restore(self.world, self._rot)
                self._rot = None
            return
        if self._rot is not None and self._rot.explains(machine.failure):
            self._take_way_out(self._rot)
            return
        if not self._is_explained:
            raise InvariantError(f"the broker does not start: {machine.failure}")
        self.world.situations.saw("start refused by the disk")
        # An fsync that was refused has dropped what only the page cache held.
        machine.account(None, pages_lost=True)
        machine.disk.heal()

    def _take_way_out(self, found: rot.Rot) -> None:
        """As the refusal says: the file from a copy, or without the records."""
        self.world.situations.saw("damage refused")
        self._rot = None
        if self._accepts_loss:
            rot.accept_loss(self.world, found)
        else:
            rot.restore(self.world, found)
