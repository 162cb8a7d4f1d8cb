"""What the producers have in common: which topics, which batches, how many at once, how often."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.ledger import Bounds
from simulator.workload.requests import Partition, make_batch
from simulator.workload.topics import draw_topics
from wire.records.compression import Compression

if TYPE_CHECKING:
    from simulator.world import World

LONGEST_PAUSE_S = 30.0
"""Much less than the liveness phase."""
SMALL_BYTES = 40
MEDIUM_BYTES = 1_500
LARGE_BYTES = 90_000
"""More than a connection's buffers hold at once."""
CODECS = (Compression.GZIP, Compression.SNAPPY, Compression.LZ4, Compression.ZSTD)


@dataclass(slots=True)
class Batch:
    """One batch as it is sent, byte for byte. `since`: what was known when it was sent first."""

    partition: Partition
    data: bytearray
    values: list[bytes]
    since: Bounds
    sequence: int


class Source:
    """Draws what a producer sends and tells the history that it is about to. Mutable."""

    def __init__(self, world: World, name: str, chance: random.Random) -> None:
        self.partitions = [
            partition for topic in draw_topics(world.plan) for partition in topic.partitions
        ]
        self._world = world
        self._name = name
        self._chance = chance
        self._count = 0
        self._mean_pause_s = world.plan.options.safety_s / world.plan.options.bursts

    async def rest(self) -> None:
        """Until the next burst."""
        await asyncio.sleep(self.pause_s())

    def pause_s(self) -> float:
        """How long to rest: drawn anew each time."""
        return min(self._chance.expovariate(1 / self._mean_pause_s), LONGEST_PAUSE_S)

    def values(self, partition: Partition, sender: str) -> list[bytes]:
        """New ones for one batch. Nobody else has sent, or will ever send, any of them."""
        chance = self._chance
        size = SMALL_BYTES
        if chance.random() < 0.15:
            size = LARGE_BYTES if chance.random() < 0.1 else MEDIUM_BYTES
        values = []
        for _ in range(1 if size != SMALL_BYTES else chance.randint(1, 3)):
            self._count += 1
            value = f"{self._name}/{self._count}".encode().ljust(size, b".")
            self._world.ledger.history.sent(value, producer=sender, partition=partition)
            values.append(value)
        return values

    def batch(
        self,
        partition: Partition,
        sender: str,
        *,
        producer: tuple[int, int] = (-1, -1),
        sequence: int = -1,
    ) -> Batch:
        values = self.values(partition, sender)
        compressed = self._chance.random() < 0.1
        data = make_batch(
            values,
            timestamp_ms=self._world.machine.clock.now_ms(),
            producer=producer,
            sequence=sequence,
            compression=self._chance.choice(CODECS) if compressed else Compression.NONE,
        )
        return Batch(partition, data, values, self._world.ledger.bounds(partition), sequence)

    def acknowledged(self, batch: Batch, base_offset: int) -> None:
        """The broker has told where the batch is."""
        self._world.counts["acknowledged"] += len(batch.values)
        for place, value in enumerate(batch.values):
            self._world.ledger.acknowledged(
                value, batch.partition, base_offset + place, batch.since
            )
