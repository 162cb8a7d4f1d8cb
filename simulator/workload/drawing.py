"""Which workers take part in a run, by its options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.workload.final import FinalReader
from simulator.workload.idempotent import IdempotentProducer
from simulator.workload.producers import PlainProducer
from simulator.workload.readers import Reader
from simulator.workload.worker import Worker

if TYPE_CHECKING:
    from simulator.world import World


def draw_workers(world: World) -> list[Worker]:
    """In the order in which they are prepared."""
    options = world.plan.options
    workers: list[Worker] = [FinalReader(world, "final")]
    workers += [PlainProducer(world, f"producer-{number}") for number in range(options.producers)]
    workers += [
        IdempotentProducer(world, f"idempotent-{number}")
        for number in range(options.idempotent_producers)
    ]
    workers += [Reader(world, f"reader-{number}") for number in range(options.readers)]
    return workers
