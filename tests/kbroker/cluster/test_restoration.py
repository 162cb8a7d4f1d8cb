"""What is written so that brokers can go on from metadata restored from a backup."""

from __future__ import annotations

import asyncio
import random

import pytest

from kbroker.cluster.controller import Controller
from kbroker.cluster.keys import Keys
from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_image import MetadataImage
from kbroker.cluster.metadata_records import BrokerRegistration
from kbroker.cluster.metadata_store import Delete, Listing
from kbroker.cluster.restoration import (
    EPOCHS_BEYOND,
    PRODUCER_IDS_BEYOND,
    RestorationRefusedError,
    batches,
    plan_restoration,
)
from kbroker.cluster.store_history import decode_restores
from kbroker.cluster.topic_creation import CreatedTopic, NewTopic

KEYS = Keys("main")


async def cluster_of_one(partitions: int = 3) -> MemoryStore:
    """Its broker has gone."""
    store = MemoryStore(random.Random(1))
    controller = Controller(store, "main", 1, random.Random(2))
    await controller.create_cluster(cluster_id="id")
    await controller.start_broker(BrokerRegistration(1, bytes(16)), is_lossy=lambda *_: False)
    await controller.allocate_producer_id_block()
    (topic,) = await controller.create_topics([NewTopic("t", partition_count=partitions)])
    assert isinstance(topic, CreatedTopic)
    return store


async def without_broker(store: MemoryStore) -> Listing:
    await store.transact([], [Delete(KEYS.broker(1)), Delete(KEYS.controller)])
    return await store.list(KEYS.prefix)


def image_of(listing: Listing) -> MetadataImage:
    image = MetadataImage(KEYS)
    image.replace_with(listing)
    return image


def test_epochs_and_producer_ids_go_past_all_that_was_given_out() -> None:
    async def scenario() -> None:
        store = await cluster_of_one(partitions=300)
        before = await without_broker(store)
        plan = plan_restoration(before, KEYS, "first")
        assert (plan.cluster_id, plan.partition_count) == ("id", 300)
        sizes = [len(puts) for _, puts in batches(plan.puts)]
        assert (sum(sizes), max(sizes)) == (301, 128)
        for compares, puts in batches(plan.puts):
            assert (await store.transact(compares, puts)).succeeded
        old, new = image_of(before), image_of(await store.list(KEYS.prefix))
        for topic_id, topic in old.topics.items():
            for number, record in topic.partitions.items():
                found = new.topics[topic_id].partitions[number]
                assert found.leader_epoch == record.leader_epoch + EPOCHS_BEYOND
                assert found.partition_epoch == record.partition_epoch + EPOCHS_BEYOND
                assert (found.replicas, found.isr, found.leader, found.min_isr) == (
                    (record.replicas, record.isr, record.leader, record.min_isr)
                )
        assert old.producer_id_block is not None
        assert new.producer_id_block is not None
        assert new.producer_id_block.next_producer_id == (
            old.producer_id_block.next_producer_id + PRODUCER_IDS_BEYOND
        )

    asyncio.run(scenario())


def test_the_next_restoration_is_noted_behind_the_one_before() -> None:
    async def scenario() -> None:
        store = await cluster_of_one()
        for restore_id in ("first", "second"):
            plan = plan_restoration(await without_broker(store), KEYS, restore_id)
            unchanged, note = plan.note
            assert (await store.transact([unchanged], [note])).succeeded
            assert not (await store.transact([unchanged], [note])).succeeded
        assert decode_restores(await store.get(KEYS.restores)) == ("first", "second")

    asyncio.run(scenario())


def test_what_is_no_stopped_cluster_is_refused() -> None:
    async def scenario() -> None:
        store = await cluster_of_one()
        with pytest.raises(RestorationRefusedError, match="brokers are registered: 1"):
            plan_restoration(await store.list(KEYS.prefix), KEYS, "first")
        with pytest.raises(RestorationRefusedError, match="no cluster at /kbroker/other/"):
            plan_restoration(await store.list("/kbroker/other/"), Keys("other"), "first")

    asyncio.run(scenario())
