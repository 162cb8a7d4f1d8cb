"""What is done from time to time is done as often as it is asked for, by whom it concerns."""

from __future__ import annotations

import asyncio
import random

from kbroker.cluster.keys import Keys
from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_records import DeletedTopic, encode_deleted_topic
from kbroker.cluster.metadata_store import KeyValue, Put
from tests.kbroker.broker_harness import World, run, running
from wire.messages.api_versions import ApiVersionsRequest

GONE = b"g" * 16
HOUR_S = 3_600


class CountingStore(MemoryStore):
    """Counts the reads of single keys. Mutable."""

    def __init__(self) -> None:
        super().__init__(random.Random(1))
        self.reads = 0

    async def get(self, key: str) -> KeyValue | None:
        self.reads += 1
        return await super().get(key)


def test_a_broker_says_once_that_it_has_nothing_of_a_deleted_topic() -> None:
    async def scenario() -> None:
        store = CountingStore()
        async with running(World(store=store)) as broker:
            key = Keys("kbroker").deleted_topic(GONE)
            deleted = encode_deleted_topic(DeletedTopic("t", (1, 7)))
            await store.transact([], [Put(key, deleted)])
            image = broker.broker.services.metadata.image

            def confirmed() -> bool:
                broker.loop.advance(1)
                return GONE in image.deleted_topics and image.deleted_topics[GONE].replicas == (7,)

            await broker.until(confirmed)
            reads = store.reads
            for _ in range(50):
                broker.loop.advance(1)
                await asyncio.sleep(0)
            assert store.reads == reads, "what is left is for another broker to say"

    run(scenario)


def test_an_interval_below_nothing_is_never() -> None:
    async def scenario() -> None:
        async with running(connections_max_idle_ms="-1") as broker:
            client = await broker.client()
            for _ in range(50):
                broker.loop.advance(HOUR_S)
                await asyncio.sleep(0)
            answer = await client.ask(ApiVersionsRequest(), 0)
            assert answer is not None, "still served after two days without a word"

    run(scenario)
