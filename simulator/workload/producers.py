"""Producers: bursts of batches, several in flight, over a connection made anew as needed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from simulator.client import ConnectionGoneError, WireClient, connect
from wire.errors import ErrorCode
from wire.messages.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from wire.records.batch import build_batch
from wire.records.record import Record

if TYPE_CHECKING:
    from simulator.world import World

TOPIC = "load"


class PlainProducer:
    """Without idempotence, acks=all: what is unknown is left. Mutable."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self._world = world
        self._chance = world.chance(name)
        self._count = 0

    async def prepare(self) -> None:
        client = await connect(self._world.machine.address, self.name)
        topic = CreatableTopic(
            name=TOPIC,
            num_partitions=self._world.plan.options.partitions,
            replication_factor=-1,
            assignments=[],
            configs=[],
        )
        request = CreateTopicsRequest(topics=[topic], timeout_ms=60_000)
        answer = await client.send(request, 7, CreateTopicsResponse)
        assert answer.topics[0].error_code in (0, ErrorCode.TOPIC_ALREADY_EXISTS)
        client.close()

    async def work(self) -> None:
        while True:
            try:
                client = await connect(self._world.machine.address, self.name)
                while True:
                    await self._burst(client)
                    if self._world.finishing:
                        client.close()
                        return
                    await asyncio.sleep(self._chance.expovariate(0.2))
            except ConnectionGoneError:
                await asyncio.sleep(self._chance.uniform(0.05, 1))

    async def _burst(self, client: WireClient) -> None:
        under_way = []
        for _ in range(self._chance.randint(1, 10)):
            self._count += 1
            value = f"{self.name}/{self._count}".encode()
            partition = self._chance.randrange(self._world.plan.options.partitions)
            data = build_batch([Record(offset=0, timestamp_ms=0, key=None, value=value)])
            request = ProduceRequest(
                acks=-1,
                timeout_ms=30_000,
                topic_data=[
                    TopicProduceData(
                        name=TOPIC,
                        partition_data=[
                            PartitionProduceData(index=partition, records=memoryview(data))
                        ],
                    )
                ],
            )
            under_way.append((partition, value, client.send(request, 9, ProduceResponse)))
        for partition, value, answer in under_way:
            told = (await answer).responses[0].partition_responses[0]
            if told.error_code == 0:
                self._world.counts["acknowledged"] += 1
                self._world.acked[partition, told.base_offset] = value

    async def check(self) -> None:
        pass
