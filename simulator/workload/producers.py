"""Producers without idempotence: several requests in flight, in bursts, with every kind of acks.

What is not answered is unknown, and is left so. Their order holds on one connection only: what a
slow route held back may arrive after what the next connection brought.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from simulator.client import Client, ConnectionGoneError
from simulator.invariant_error import InvariantError
from simulator.workload.caller import RETRIABLE, Caller, must_be
from simulator.workload.requests import PRODUCE_VERSION, Partition, produce_request
from simulator.workload.sending import Batch, Source
from wire.errors import ErrorCode
from wire.messages.produce import PartitionProduceResponse, ProduceResponse

if TYPE_CHECKING:
    from simulator.world import World

MOST_IN_FLIGHT = 8


class PlainProducer:
    """What is unknown is left. Mutable."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self._world = world
        self._chance = world.chance(name)
        self._caller = Caller(world, name, self._chance)
        self._source = Source(world, name, self._chance)

    async def prepare(self) -> None:
        self._world.ledger.producers_left += 1

    async def work(self) -> None:
        while True:
            was_finishing = self._world.finishing
            try:
                acknowledged = await self._burst(await self._caller.client())
            except ConnectionGoneError:
                await self._caller.pause()
                continue
            if was_finishing and acknowledged:
                break
            await self._source.rest()
        self._caller.hang_up()
        self._world.ledger.producers_left -= 1

    async def check(self) -> None:
        pass

    async def _burst(self, client: Client) -> int:
        """How many requests had all their batches acknowledged. ConnectionGoneError."""
        sender = f"{self.name}@{self._caller.connections}"
        under_way: list[tuple[list[Batch], asyncio.Future[ProduceResponse], bool]] = []
        for _ in range(self._chance.randint(1, MOST_IN_FLIGHT)):
            count = 2 if self._chance.random() < 0.2 else 1
            partitions = self._source.partitions
            chosen = self._chance.sample(partitions, k=min(count, len(partitions)))
            batches = [self._source.batch(partition, sender) for partition in chosen]
            acks = self._chance.choice((-1, -1, -1, 1, 1, 0))
            request = produce_request([(each.partition, each.data) for each in batches], acks=acks)
            if acks == 0:
                client.send_unanswered(request, PRODUCE_VERSION)
            else:
                # A leader alone can promise nothing in a cluster.
                lasts = acks == -1 or not self._world.is_cluster
                answer = client.send(request, PRODUCE_VERSION, ProduceResponse)
                under_way.append((batches, answer, lasts))
        if self._chance.random() < 0.1:
            await self._send_damaged(client, sender)
        acknowledged = 0
        for batches, answer, lasts in under_way:
            acknowledged += self._take(batches, await answer, lasts=lasts)
        return acknowledged

    def _take(self, batches: list[Batch], answer: ProduceResponse, *, lasts: bool) -> bool:
        found = answers_by_partition(answer)
        codes = [self._told(each, found[each.partition], lasts=lasts) for each in batches]
        return not any(codes)

    def _told(self, batch: Batch, answer: PartitionProduceResponse, *, lasts: bool) -> ErrorCode:
        code = must_be(answer.error_code, *RETRIABLE, who=self.name, what="a batch")
        if code is ErrorCode.NONE and lasts:
            self._source.acknowledged(batch, answer.base_offset)
        return code

    async def _send_damaged(self, client: Client, sender: str) -> None:
        """A batch that changed on its way: refused, for certain."""
        batch = self._source.batch(self._chance.choice(self._source.partitions), sender)
        batch.data[-1] ^= 1
        request = produce_request([(batch.partition, batch.data)], acks=-1)
        answer = await client.send(request, PRODUCE_VERSION, ProduceResponse)
        told = answer.responses[0].partition_responses[0]
        if told.error_code == ErrorCode.NONE:
            raise InvariantError(f"{self.name}: a damaged batch is at offset {told.base_offset}")
        allowed = (ErrorCode.CORRUPT_MESSAGE, *RETRIABLE)
        must_be(told.error_code, *allowed, who=self.name, what="a damaged batch")
        for value in batch.values:
            self._world.ledger.history.failed(value)


def answers_by_partition(answer: ProduceResponse) -> dict[Partition, PartitionProduceResponse]:
    return {
        (topic.name, each.index): each
        for topic in answer.responses
        for each in topic.partition_responses
    }
