"""Everything that one run consists of, for those who act in it: workers and faults."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from enum import Enum

from simulator.cluster import Machine
from simulator.invariant_error import InvariantError
from simulator.ledger import Ledger
from simulator.loop import CURRENT, Process, SimulatedLoop
from simulator.network import Network
from simulator.options import chance_of
from simulator.plan import Plan
from simulator.shared_store import SharedStore
from simulator.situations import Situations

__all__ = ["InvariantError", "Phase", "World"]


class Phase(Enum):
    """SAFETY: faults happen. LIVENESS: they are healed, everybody comes to an end. AFTER: nothing
    is under way any more, and what is there is compared with what everybody was told."""

    SAFETY = "safety"
    LIVENESS = "liveness"
    AFTER = "after"


@dataclass
class World:
    """Mutable. `events` is what happened, one line each, for whoever explains a failure."""

    plan: Plan
    loop: SimulatedLoop
    network: Network
    machine: Machine
    """Of a cluster, one of them: for what they have in common."""
    situations: Situations = field(default_factory=Situations)
    counts: Counter[str] = field(default_factory=Counter)
    events: list[str] = field(default_factory=list)
    phase: Phase = Phase.SAFETY
    ledger: Ledger = field(default_factory=Ledger)
    phases: dict[str, float] = field(default_factory=lambda: {Phase.SAFETY.value: 0.0})
    """When each began."""
    clients: int = 0
    workers: list[str] = field(default_factory=list)
    """The names of those who take part."""
    machines: dict[int, Machine] = field(default_factory=dict)
    """All of them, by broker id."""
    store: SharedStore | None = None
    """Of a cluster; a broker that is alone has its own."""
    losses_told: set[tuple[str, int, int]] = field(default_factory=set)
    """(topic, partition, leader epoch): a broker has logged that from there on acknowledged records
    may be missing. That comes before it can be so."""
    on_possible_loss: Callable[[str, int, int], None] = lambda topic, index, leader_epoch: None
    """The store shows that it is so."""

    def __post_init__(self) -> None:
        if self.store is None:
            self.machines = {self.machine.node_id: self.machine}
            self.machine.account = self.ledger.broker_ended
        else:
            self.ledger.is_replicated = True
            self.ledger.history.commits.is_judging = False

    @property
    def is_cluster(self) -> bool:
        return self.store is not None

    @property
    def moves(self) -> int:
        """Rises whenever somebody else, or somebody's next life, may be the one who answers."""
        lives = sum(each.lives for each in self.machines.values())
        if self.store is None:
            return lives
        return lives + self.store.revision

    def chance(self, name: str) -> random.Random:
        """The chance of one actor of this run."""
        return chance_of(self.plan.seed, name)

    def note(self, event: str) -> None:
        self.events.append(f"{self.loop.now:10.6f} {event}")

    def enter(self, phase: Phase) -> None:
        self.phase = phase
        if phase is Phase.AFTER:
            self.ledger.history.commits.is_judging = True
        self.phases[phase.value] = self.loop.now
        self.note(f"phase: {phase.value}")

    @property
    def finishing(self) -> bool:
        """Nothing new is to be begun."""
        return self.phase is not Phase.SAFETY

    def spawn_client(self, name: str, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run a client as a process of its own, on a host of its own."""
        self.clients += 1
        token = CURRENT.set(Process(name, f"10.0.2.{self.clients}"))
        try:
            return self.loop.create_task(work, name=name)
        finally:
            CURRENT.reset(token)

    async def start_broker(self) -> None:
        """Start it on what survived. A start that is refused without a cause fails the run."""
        if self.machine.is_running:
            return
        started = await self.machine.start()
        self.note(f"{self.machine.process.name} {'serves' if started else self.machine.failure}")
        if not started:
            raise InvariantError(f"the broker does not start: {self.machine.failure}")
