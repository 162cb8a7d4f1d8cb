"""Makes the faults of a cluster's plan happen, and starts each broker again when it is down.

Each machine has a keeper, so that several may be down, or starting, at one time. A start that is
refused, and a broker that goes down by itself, need a fault that explains it: else the run fails.
Counterparts: `cluster_kinds` (what can happen), `nemesis` (of a broker that is alone).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from simulator.cluster import Machine
from simulator.faults.cluster_kinds import CLUSTER_KINDS
from simulator.faults.drawing import Fault
from simulator.faults.machine import Trap
from simulator.faults.nemesis import EXECUTOR_DELAY_S, FLUSH_DELAY_S
from simulator.network import WORLD, Route
from simulator.world import InvariantError, Phase, World

if TYPE_CHECKING:
    from simulator.cluster_invariants import ClusterWatch
    from simulator.shared_store import Link

MOST_REFUSALS = 6
"""So many starts of one broker in a row that are refused for a reason: it hangs."""
EXPLAINED = ("another broker runs with node.id",)
"""Parts of a refusal that the store, or what it still holds of the last life, explains."""


class Keeper:
    """Of one machine. Mutable: `pause_s` is how long it stays down the next time."""

    def __init__(self, nemesis: ClusterNemesis, machine: Machine) -> None:
        self.machine = machine
        self.pause_s = 0.5
        self.refusals = 0
        self._nemesis = nemesis
        self._ended = asyncio.Event()
        self._traps: list[Trap] = []
        self._is_starting = False
        machine.on_ended = self._life_ended
        machine.disk.observe = self._observe
        machine.disk.on_refused = self._refused

    @property
    def serves(self) -> bool:
        machine = self.machine
        return not self._is_starting and machine.broker is not None and not machine.is_stopping

    def set_trap(self, trap: Trap) -> None:
        self._traps.append(trap)

    def heal(self) -> None:
        self._traps.clear()
        self.refusals = 0
        self.machine.disk.heal()
        self.machine.disk.capacity_bytes = None
        if self.machine.flusher is not None:
            self.machine.flusher.delay_s = FLUSH_DELAY_S

    async def keep(self) -> None:
        """Start it whenever it has ended, for ever. InvariantError."""
        while True:
            await self._ended.wait()
            self._ended.clear()
            await asyncio.sleep(self.pause_s)
            self.pause_s = 0.5
            if not self.machine.is_running:
                await self._start()

    async def _start(self) -> None:
        world, machine = self._nemesis.world, self.machine
        errors_before = machine.disk.injected_errors
        self._is_starting = True
        try:
            started = await machine.start()
        finally:
            self._is_starting = False
        if started:
            self.refusals = 0
            world.note(f"{machine.process.name} serves")
            return
        world.note(f"{machine.process.name}: {machine.failure or 'died while starting'}")
        self._ended.set()
        if machine.process.is_dead:
            return
        was_injected = machine.disk.injected_errors > errors_before
        machine.disk.heal()
        self.refusals += 1
        if not was_injected and not any(part in machine.failure for part in EXPLAINED):
            raise InvariantError(f"broker {machine.node_id} does not start: {machine.failure}")
        if self.refusals > MOST_REFUSALS and world.phase is not Phase.SAFETY:
            raise InvariantError(f"broker {machine.node_id} still refuses: {machine.failure}")

    def _life_ended(self) -> None:
        world, machine = self._nemesis.world, self.machine
        if world.loop.is_ending:
            return
        self._ended.set()
        if machine.process.is_dead or self._is_starting:
            return
        world.note(f"{machine.process.name} has stopped {machine.failure}")
        if machine.failure and not machine.disk.injected_errors:
            words = f"broker {machine.node_id} went down: {machine.failure}"
            world.loop.fail(InvariantError(words))

    def _refused(self, operation: str, path: str) -> None:
        if ".snapshot" in path:
            self._nemesis.world.ledger.snapshot_refused(path)

    def _observe(self, operation: str, path: str, size: int) -> None:
        trap = next((each for each in self._traps if each.takes(operation, path)), None)
        if trap is not None:
            self._traps.remove(trap)
            self._nemesis.world.note(
                f"broker {self.machine.node_id} {trap.how} at {operation} {path}"
            )
            (self.machine.crash if trap.how == "power lost" else self.machine.kill)()


class ClusterNemesis:
    """Mutable."""

    def __init__(self, world: World, links: dict[int, Link], watch: ClusterWatch) -> None:
        self.world = world
        self.links = links
        self.watch = watch
        self.keepers = {each: Keeper(self, machine) for each, machine in world.machines.items()}
        self.tasks: list[asyncio.Task[None]] = []

    async def work(self) -> None:
        """Until the safety phase is over."""
        loop = self.world.loop
        for fault in self.world.plan.faults:
            await asyncio.sleep(max(0.0, fault.at_s - loop.now))
            self.world.note(str(fault))
            self.world.counts[f"fault: {fault.kind}"] += 1
            CLUSTER_KINDS[fault.kind](self, fault)
            self.watch.look()
        await asyncio.sleep(max(0.0, self.world.plan.options.safety_s - loop.now))

    def heal(self) -> None:
        """Everything is well from now on."""
        world = self.world
        assert world.store is not None
        for task in self.tasks:
            task.cancel()
        world.network.heal()
        world.store.regain_quorum()
        for link in self.links.values():
            link.heal()
        for keeper in self.keepers.values():
            keeper.heal()
        world.loop.executor_delay_s = EXECUTOR_DELAY_S

    async def until_well(self) -> None:
        """Every broker serves, and every ISR is full."""
        while not (all(each.serves for each in self.keepers.values()) and self.watch.all_in_sync()):
            await asyncio.sleep(0.25)

    # --- for faults ---

    def chance_of(self, fault: Fault) -> random.Random:
        return self.world.chance(f"fault:{fault.number}")

    def some_machine(self, chance: random.Random) -> Machine:
        """Any; more often one that matters."""
        machines = self.world.machines
        draw = chance.random()
        wanted: int | None = None
        if draw < 0.2:
            wanted = self.watch.truth.controller()
        elif draw < 0.6:
            wanted = self.some_leader(chance)
        return machines[wanted if wanted in machines else chance.choice(sorted(machines))]

    def some_leader(self, chance: random.Random) -> int | None:
        leaders = sorted(
            {record.leader for record in self.watch.truth.partitions().values()} - {-1}
        )
        return chance.choice(leaders) if leaders else None

    def end(self, machine: Machine, how: str, pause_s: float) -> None:
        """how: "power lost", "killed" or "stopped"."""
        self.keepers[machine.node_id].pause_s = pause_s
        if how == "stopped":
            if machine.broker is not None:
                machine.broker.request_stop()
        elif machine.is_running:
            (machine.crash if how == "power lost" else machine.kill)()

    def cut(self, source: str, target: str, for_s: float) -> None:
        self.reroute(source, target, Route(is_cut=True), for_s)

    def reroute(self, source: str, target: str, route: Route, for_s: float) -> None:
        network = self.world.network
        network.change_route(source, target, route)
        self.later(for_s, lambda: network.change_route(source, target, Route()))

    def later(self, delay_s: float, callback: Callable[[], None]) -> None:
        """As the world, which outlives every process."""
        WORLD.copy().run(self.world.loop.call_later, delay_s, callback)
