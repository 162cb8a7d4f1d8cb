"""A run of a cluster: its machines, and what happens in it from the first start to the last stop.

Counterpart: `run`, which has what all runs have in common.
"""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import TYPE_CHECKING

from simulator.cluster import Machine
from simulator.cluster_invariants import ClusterWatch
from simulator.faults.cluster_nemesis import ClusterNemesis
from simulator.invariant_error import InvariantError
from simulator.invariants import check_after
from simulator.options import chance_of
from simulator.shared_store import Link, SharedStore
from simulator.waiting import first_failure
from simulator.workload import draw_workers
from simulator.world import Phase, World

if TYPE_CHECKING:
    from simulator.loop import SimulatedLoop
    from simulator.network import Network
    from simulator.plan import Plan

STORE_ADDRESS = "10.0.4.1:2379"
"""Nobody listens there: it says that the metadata are shared."""


def make_cluster(
    plan: Plan, loop: SimulatedLoop, network: Network, settings: dict[str, str]
) -> World:
    """Machines that are off, one store, and nobody who uses them."""
    assert plan.cluster is not None
    store = SharedStore(chance_of(plan.seed, "store"))
    machines = {
        number: Machine(
            loop,
            network,
            node_id=number,
            settings=settings | cluster_settings(plan),
            chance=random.Random(chance_of(plan.seed, f"machine/{number}").random()),
            store=store,
            link=Link(),
        )
        for number in range(1, plan.cluster.brokers + 1)
    }
    return World(plan, loop, network, machines[1], machines=machines, store=store)


def cluster_settings(plan: Plan) -> dict[str, str]:
    assert plan.cluster is not None
    return {
        "kbroker.metadata": f"etcd://{STORE_ADDRESS}",
        "default.replication.factor": str(plan.cluster.replication_factor),
        "min.insync.replicas": str(plan.cluster.min_isr),
        "offsets.topic.replication.factor": str(plan.cluster.replication_factor),
        "broker.session.timeout.ms": str(plan.cluster.session_timeout_ms),
        "replica.lag.time.max.ms": str(plan.cluster.replica_lag_ms),
    }


async def play_cluster(world: World) -> None:
    """Safety, then liveness, then the reckoning. InvariantError."""
    watch = ClusterWatch(world)
    world.on_possible_loss = partial(possible_loss, world, watch)
    links = {each: machine.link for each, machine in world.machines.items()}
    nemesis = ClusterNemesis(world, links, watch)
    await start_all(world)
    workers = [
        each for each in draw_workers(world) if f"worker:{each.name}" not in world.plan.without
    ]
    world.workers = [each.name for each in workers]
    for worker in workers:
        await worker.prepare()
    await first_failure(
        [asyncio.create_task(nemesis.until_well(), name="first replication")],
        until=None,
        timeout_s=60,
    )
    tasks = [world.spawn_client(worker.name, worker.work()) for worker in workers]
    watch.look_now_and_then()
    keeping = [
        asyncio.create_task(each.keep(), name=f"keeper-{number}")
        for number, each in nemesis.keepers.items()
    ]
    faults = asyncio.create_task(nemesis.work())
    await first_failure([faults, *keeping, *tasks], until=faults, timeout_s=None)
    world.enter(Phase.LIVENESS)
    world.note("every fault is healed")
    nemesis.heal()
    liveness_s = world.plan.options.liveness_s
    well = asyncio.create_task(nemesis.until_well(), name="full ISRs")
    finished = asyncio.create_task(
        first_failure([well, *tasks], until=None, timeout_s=liveness_s), name="finished"
    )
    await first_failure([finished, *keeping], until=finished, timeout_s=None)
    world.enter(Phase.AFTER)
    checked = asyncio.create_task(check_after(world, workers), name="check")
    await first_failure([checked, *keeping], until=checked, timeout_s=None)
    watch.look()
    for task in keeping:
        task.cancel()
    for machine in world.machines.values():
        await machine.stop()


async def start_all(world: World) -> None:
    """Every machine that is off, at one time. InvariantError."""
    off = [machine for machine in world.machines.values() if not machine.is_running]
    started = await asyncio.gather(*(machine.start() for machine in off))
    for machine, serves in zip(off, started, strict=True):
        world.note(f"{machine.process.name} {'serves' if serves else machine.failure}")
        if not serves:
            raise InvariantError(f"broker {machine.node_id} does not start: {machine.failure}")


def possible_loss(
    world: World, watch: ClusterWatch, topic: str, index: int, leader_epoch: int
) -> None:
    """Acknowledged records may be missing from that leader epoch on, as the store shows: only where
    no flush promises the contrary, and whoever elected has said so before (rule 4)."""
    if watch.has_lost((topic, index), leader_epoch):
        return
    if (topic, index, leader_epoch) not in world.losses_told:
        words = f"{topic}-{index} may have lost records in epoch {leader_epoch}: nobody told before"
        world.loop.fail(InvariantError(words))
        return
    promise = world.ledger.promises.get((topic, index))
    is_flushed = world.plan.options.flush_messages == 1 if promise is None else promise.is_flushed
    if is_flushed:
        world.loop.fail(InvariantError(f"{topic}-{index} is flushed, and may have lost records"))
        return
    watch.lose((topic, index), leader_epoch)
    world.situations.saw("possible loss logged")
    if promise is not None:
        world.ledger.forget_from((topic, index), 0)
    else:
        world.ledger.group_losses += 1
        world.ledger.history.commits.forgive()
