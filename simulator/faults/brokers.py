"""Brokers of a cluster end, lose sight of each other, and run on bad disks and clocks."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from simulator.cluster import Machine
from simulator.faults.drawing import Fault
from simulator.faults.machine import TARGETS, Trap
from simulator.faults.nemesis import FLUSH_DELAY_S
from simulator.faults.surroundings import MOST_OFF_MS, STEPS_MS
from simulator.network import Route

if TYPE_CHECKING:
    from simulator.faults.cluster_nemesis import ClusterNemesis

CLUSTER_TARGETS = (
    *TARGETS,
    ("truncate", "*.log"),
    ("truncate", "*.log"),
    ("append", "*cleanshutdown*"),
    ("append", "*lease*"),
    ("rename", "*lease*"),
)
LONG_S = 25.0
"""Longer than any session of a broker."""


def power_loss(nemesis: ClusterNemesis, fault: Fault) -> None:
    machine = nemesis.some_machine(nemesis.chance_of(fault))
    nemesis.end(machine, "power lost", _down_s(fault))


def kill(nemesis: ClusterNemesis, fault: Fault) -> None:
    nemesis.end(nemesis.some_machine(nemesis.chance_of(fault)), "killed", _down_s(fault))


def restart(nemesis: ClusterNemesis, fault: Fault) -> None:
    nemesis.end(nemesis.some_machine(nemesis.chance_of(fault)), "stopped", _down_s(fault))


def _down_s(fault: Fault) -> float:
    """Often shorter than the lease of the life before, sometimes much longer."""
    return 0.05 + 30 * fault.strength**3


def power_loss_at_operation(nemesis: ClusterNemesis, fault: Fault) -> None:
    _set_trap(nemesis, fault, "power lost")


def kill_at_operation(nemesis: ClusterNemesis, fault: Fault) -> None:
    _set_trap(nemesis, fault, "killed")


def _set_trap(nemesis: ClusterNemesis, fault: Fault, how: str) -> None:
    chance = nemesis.chance_of(fault)
    keeper = nemesis.keepers[nemesis.some_machine(chance).node_id]
    operation, pattern = chance.choice(CLUSTER_TARGETS)
    keeper.pause_s = 0.05 + fault.strength
    keeper.set_trap(Trap(operation, pattern, chance.choice((0, 0, 1, 2, 5, 12)), how))


def power_loss_of_all(nemesis: ClusterNemesis, fault: Fault) -> None:
    _end_all(nemesis, fault, "power lost")


def kill_of_all(nemesis: ClusterNemesis, fault: Fault) -> None:
    _end_all(nemesis, fault, "killed")


def _end_all(nemesis: ClusterNemesis, fault: Fault, how: str) -> None:
    chance = nemesis.chance_of(fault)
    for machine in nemesis.world.machines.values():
        nemesis.end(machine, how, 0.05 + chance.uniform(0, 10 * fault.strength))


def rolling_restart(nemesis: ClusterNemesis, fault: Fault) -> None:
    """Each in its turn, the next one once the last one serves."""
    pause_s = 2 * fault.strength

    async def roll() -> None:
        for keeper in nemesis.keepers.values():
            nemesis.end(keeper.machine, "stopped", pause_s)
            while keeper.serves:
                await asyncio.sleep(0.1)
            while not keeper.serves:
                await asyncio.sleep(0.1)

    nemesis.tasks.append(asyncio.create_task(roll(), name="rolling restart"))


def controller_lost(nemesis: ClusterNemesis, fault: Fault) -> None:
    _lost(nemesis, fault, nemesis.watch.truth.controller())


def leader_lost(nemesis: ClusterNemesis, fault: Fault) -> None:
    _lost(nemesis, fault, nemesis.some_leader(nemesis.chance_of(fault)))


def _lost(nemesis: ClusterNemesis, fault: Fault, broker: int | None) -> None:
    machine = nemesis.world.machines.get(-1 if broker is None else broker)
    if machine is not None:
        how = nemesis.chance_of(fault).choice(("power lost", "killed", "cut off"))
        if how == "cut off":
            _cut_off(nemesis, machine, 1 + LONG_S * fault.strength, of_clients=True)
        else:
            nemesis.end(machine, how, _down_s(fault))


def broker_cut_off(nemesis: ClusterNemesis, fault: Fault) -> None:
    """From all others and from the store; its clients may still reach it."""
    chance = nemesis.chance_of(fault)
    machine = nemesis.some_machine(chance)
    _cut_off(nemesis, machine, 1 + LONG_S * fault.strength, of_clients=chance.random() < 0.3)


def _cut_off(nemesis: ClusterNemesis, machine: Machine, for_s: float, *, of_clients: bool) -> None:
    hosts = [each.host for each in nemesis.world.machines.values() if each is not machine]
    if of_clients:
        hosts += _clients_of(nemesis, machine)
    for host in hosts:
        nemesis.cut(machine.host, host, for_s)
        nemesis.cut(host, machine.host, for_s)
    link = nemesis.links[machine.node_id]
    link.requests_cut = link.answers_cut = True
    nemesis.later(for_s, link.heal)


def _clients_of(nemesis: ClusterNemesis, machine: Machine) -> list[str]:
    ours = {each.host for each in nemesis.world.machines.values()}
    there = [each.peer.owner.host for each in nemesis.world.network.connections(machine.host)]
    return [host for host in dict.fromkeys(there) if host not in ours]


def _two(nemesis: ClusterNemesis, chance: random.Random) -> tuple[Machine, Machine]:
    one = nemesis.some_machine(chance)
    others = [each for each in nemesis.world.machines.values() if each is not one]
    return one, chance.choice(others)


def brokers_parted(nemesis: ClusterNemesis, fault: Fault) -> None:
    one, other = _two(nemesis, nemesis.chance_of(fault))
    for_s = 0.5 + LONG_S * fault.strength
    nemesis.cut(one.host, other.host, for_s)
    nemesis.cut(other.host, one.host, for_s)


def brokers_parted_one_way(nemesis: ClusterNemesis, fault: Fault) -> None:
    one, other = _two(nemesis, nemesis.chance_of(fault))
    nemesis.cut(one.host, other.host, 0.5 + LONG_S * fault.strength)


def clients_parted(nemesis: ClusterNemesis, fault: Fault) -> None:
    """Some clients do not reach a broker, or only one way."""
    chance = nemesis.chance_of(fault)
    machine = nemesis.some_machine(chance)
    for_s = 0.5 + 15 * fault.strength
    for host in _clients_of(nemesis, machine):
        if chance.random() < 0.5:
            nemesis.cut(host, machine.host, for_s)
        if chance.random() < 0.5:
            nemesis.cut(machine.host, host, for_s)


def slow_link(nemesis: ClusterNemesis, fault: Fault) -> None:
    chance = nemesis.chance_of(fault)
    one, other = _two(nemesis, chance)
    route = (
        Route(latency_s=(0.01, 0.05 + 3 * fault.strength))
        if chance.random() < 0.5
        else Route(bytes_per_s=300 + 20_000 * fault.strength)
    )
    for_s = 1 + LONG_S * chance.random()
    nemesis.reroute(one.host, other.host, route, for_s)
    nemesis.reroute(other.host, one.host, route, for_s)


def resets(nemesis: ClusterNemesis, fault: Fault) -> None:
    chance = nemesis.chance_of(fault)
    machine = nemesis.some_machine(chance)
    for endpoint in nemesis.world.network.connections(machine.host):
        if chance.random() < max(fault.strength, 0.2):
            (endpoint if chance.random() < 0.5 else endpoint.peer).reset()


def slow_disk(nemesis: ClusterNemesis, fault: Fault) -> None:
    """Each flush of one broker takes long for a while."""
    machine = nemesis.some_machine(nemesis.chance_of(fault))
    flusher = machine.flusher
    if flusher is not None:
        flusher.delay_s = (0.01, 0.02 + 5 * fault.strength**2)

        def quicken() -> None:
            flusher.delay_s = FLUSH_DELAY_S

        nemesis.later(1 + 15 * fault.strength, quicken)


def failed_fsync(nemesis: ClusterNemesis, fault: Fault) -> None:
    chance = nemesis.chance_of(fault)
    machine = nemesis.some_machine(chance)
    machine.disk.fail("flush", chance.choice(("*", "*.log")), skip=chance.randint(0, 4), count=1)


def append_refused(nemesis: ClusterNemesis, fault: Fault) -> None:
    chance = nemesis.chance_of(fault)
    machine = nemesis.some_machine(chance)
    machine.disk.fail("append", chance.choice(("*", "*.log")), skip=chance.randint(0, 4), count=1)


def clock_step(nemesis: ClusterNemesis, fault: Fault) -> None:
    chance = nemesis.chance_of(fault)
    clock = nemesis.some_machine(chance).clock
    step_ms = int(chance.choice(STEPS_MS) * (0.5 + fault.strength)) * chance.choice((-1, 1))
    clock.offset_ms = max(-MOST_OFF_MS, min(MOST_OFF_MS, clock.offset_ms + step_ms))


def clock_drift(nemesis: ClusterNemesis, fault: Fault) -> None:
    nemesis.some_machine(nemesis.chance_of(fault)).clock.set_drift(0.2 * (fault.strength - 0.5))


def pause(nemesis: ClusterNemesis, fault: Fault) -> None:
    """Nobody gets a turn for a while, and timers come late."""
    nemesis.world.loop.now += 0.1 + 15 * fault.strength**2
