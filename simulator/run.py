"""One run: faults, then their end, then the reckoning.

safety    workers work, faults happen
liveness  every fault is healed; each worker must come to an end in virtual time
after     what is on the broker is compared with what everybody was told
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field

from simulator.cluster import Machine
from simulator.cluster_run import make_cluster, play_cluster
from simulator.faults import Fault
from simulator.faults.nemesis import Nemesis
from simulator.invariants import StateWatch, check_after
from simulator.loop import SimulatedLoop, SimulationStuckError
from simulator.network import Network
from simulator.options import chance_of
from simulator.plan import Plan
from simulator.probes import Probes
from simulator.probes_log import reading_log
from simulator.virtual_time import virtual_time
from simulator.waiting import first_failure
from simulator.workload import Worker, draw_workers
from simulator.world import InvariantError, Phase, World

EVENTS_SHOWN = 400
UNWINDING_S = 10.0
"""What tasks get to end in once the run is over; some wait for what no longer comes."""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a run. `digest` covers every byte that arrived anywhere, and when."""

    plan: Plan
    digest: str
    simulated_s: float
    situations: Mapping[str, int]
    counts: Mapping[str, int]
    failure: str | None
    events: tuple[str, ...]
    workers: tuple[str, ...] = ()
    """Who took part."""
    phases: Mapping[str, float] = field(default_factory=dict)
    """When each began, in virtual seconds."""


def run(plan: Plan) -> Report:
    """Run it to its end. A broken invariant is a `failure`, not an exception."""
    digest = hashlib.blake2b(digest_size=8)
    loop = SimulatedLoop(chance_of(plan.seed, "executor"))

    def seen(sender: str, receiver: str, data: bytes) -> None:
        digest.update(f"{loop.now:.9f} {sender} {receiver} {len(data)} ".encode())
        digest.update(data)

    network = Network(loop, chance_of(plan.seed, "network"), seen)
    world = (
        _make_world(plan, loop, network)
        if plan.cluster is None
        else make_cluster(plan, loop, network, broker_settings(plan))
    )
    failure: str | None = None
    asyncio.set_event_loop(loop)
    foreign = contextlib.ExitStack()
    if plan.options.aiokafka:
        foreign.enter_context(virtual_time(loop.time, f"{plan.seed}/foreign"))
    gc.disable()  # when it runs must not depend on what ran before
    try:
        with reading_log(world):
            loop.run_until_complete(play_cluster(world) if world.is_cluster else _play(world))
        loop.raise_failure()
    except Exception as error:  # noqa: BLE001 - whatever it is, this seed has found it
        failure = f"{type(error).__name__}: {error}"
        if not isinstance(error, InvariantError | SimulationStuckError):
            world.events += traceback.format_exc().splitlines()
    finally:
        _end(loop)
        foreign.close()
        gc.enable()
        gc.collect()
    return Report(
        plan=plan,
        digest=digest.hexdigest(),
        simulated_s=loop.now,
        situations=dict(sorted(world.situations.counts.items())),
        counts=dict(sorted(world.counts.items())),
        failure=failure,
        events=tuple(world.events[-EVENTS_SHOWN:]),
        workers=tuple(world.workers),
        phases=dict(world.phases),
    )


def _make_world(plan: Plan, loop: SimulatedLoop, network: Network) -> World:
    """Of one broker."""
    machine = Machine(
        loop,
        network,
        node_id=1,
        settings=broker_settings(plan),
        chance=chance_of(plan.seed, "machine"),
    )
    return World(plan, loop, network, machine)


def broker_settings(plan: Plan) -> dict[str, str]:
    return {
        "offsets.topic.num.partitions": "2",
        "log.flush.interval.messages": str(plan.options.flush_messages),
        "offsets.topic.segment.bytes": str(plan.options.offsets_segment_bytes),
        "log.retention.check.interval.ms": str(plan.options.retention_check_ms),
        "producer.id.expiration.ms": "2000000000",  # more than clocks step by
        "log.segment.delete.delay.ms": str(plan.options.file_delete_delay_ms),
    }


async def _play(world: World) -> None:
    await world.start_broker()
    workers = [
        each for each in draw_workers(world) if f"worker:{each.name}" not in world.plan.without
    ]
    world.workers = [each.name for each in workers]
    for worker in workers:
        await worker.prepare()
    tasks = [world.spawn_client(worker.name, worker.work()) for worker in workers]
    watch = StateWatch(world)
    watch.look_now_and_then()
    nemesis = Nemesis(world, Probes(world), watch)
    faults = asyncio.create_task(nemesis.work())
    await first_failure([faults, *tasks], until=faults, timeout_s=None)
    world.enter(Phase.LIVENESS)
    world.note("every fault is healed")
    await nemesis.heal()
    liveness_s = world.plan.options.liveness_s
    finished = asyncio.create_task(first_failure(tasks, until=None, timeout_s=liveness_s))
    tending = asyncio.create_task(nemesis.tend())
    await first_failure([finished, tending], until=finished, timeout_s=None)
    world.enter(Phase.AFTER)
    await check_after(world, workers)
    watch.look_deeply()
    await world.machine.stop()
    watch.look_at_the_end()


def _end(loop: SimulatedLoop) -> None:
    loop.is_ending = True
    tasks = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
    for task in tasks:
        task.cancel()
    if tasks:
        with contextlib.suppress(SimulationStuckError):  # somebody does not let go
            loop.run_until_complete(asyncio.wait(tasks, timeout=UNWINDING_S))
    asyncio.set_event_loop(None)
    loop.close()


__all__ = ["Fault", "Report", "Worker", "run"]
