"""Topics that grow: all new partitions or none, whoever races and whatever breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbroker.cluster.controller import Controller
from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_image import MetadataImage
from kbroker.cluster.metadata_store import Delete, Put
from kbroker.cluster.topic_creation import NewTopic
from kbroker.cluster.topic_growth import GrownTopic, TopicGrowth
from tests.kbroker.cluster.controller_harness import (
    BreakingStore,
    BrokenError,
    MeddledStore,
    SlowStore,
    controller_of,
    create,
    read,
    run,
    start,
)
from wire.errors import ErrorCode, KafkaError


async def grow(controller: Controller, name: str, count: int) -> GrownTopic:
    (answer,) = await controller.create_partitions([TopicGrowth(name, count)])
    assert isinstance(answer, GrownTopic), answer
    return answer


def test_what_was_there_stays_and_what_is_new_starts_in_epoch_0() -> None:
    async def scenario(store: MemoryStore) -> None:
        for _ in range(3):  # every start raises the epochs of what is there
            controller = controller_of(store)
            await start(controller)
            if not (await read(store, controller)).topics:
                topic = await create(controller, NewTopic("t", 2, configs={"x": "y"}))
        before = (await read(store, controller)).topics[topic.topic_id]
        grown = await grow(controller, "t", 5)
        after = (await read(store, controller)).topics[topic.topic_id]
        assert grown == GrownTopic(topic.topic_id, 3, after.mod_revision)
        assert list(after.partitions) == [0, 1, 2, 3, 4]
        assert [after.partitions[n] for n in (0, 1)] == [before.partitions[n] for n in (0, 1)]
        assert {after.partitions[n].leader_epoch for n in (2, 3, 4)} == {0}
        assert after.partitions[0].leader_epoch > 0
        assert after.configs == {"x": "y"}

    run(scenario)


def test_new_partitions_have_as_many_replicas_and_as_much_min_isr_as_the_first() -> None:
    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store, 0, min_isr=2)
        await start(controller)
        for node_id in (1, 2):
            await start(other := controller_of(store, node_id))
            await controller.admit_broker(other.node_id, is_lossy=lambda *_: False)
        topic = await create(controller, NewTopic("t", 1, replication_factor=2))
        await grow(controller, "t", 7)
        partitions = (await read(store, controller)).topics[topic.topic_id].partitions
        assert {len(each.replicas) for each in partitions.values()} == {2}
        assert {each.min_isr for each in partitions.values()} == {2}
        assert {each.leader for each in partitions.values()} == {0, 1, 2}, "the load is spread"

    run(scenario)


@pytest.mark.parametrize(
    ("name", "count", "assignment", "code", "message"),
    [
        ("no", 3, None, "UNKNOWN_TOPIC_OR_PARTITION", ""),
        ("t_1", 3, None, "UNKNOWN_TOPIC_OR_PARTITION", ""),  # t.1 holds the key of both names
        ("t.1", 2, None, "INVALID_PARTITIONS", "Topic already has 2 partition(s)."),
        (
            "t.1",
            1,
            None,
            "INVALID_PARTITIONS",
            "The topic t.1 currently has 2 partition(s); 1 would not be an increase.",
        ),
        (
            "t.1",
            4,
            [[0]],
            "INVALID_REPLICA_ASSIGNMENT",
            "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
        ),
        (
            "t.1",
            3,
            [[7]],
            "INVALID_REPLICA_ASSIGNMENT",
            "The manual partition assignment includes broker 7, but no such broker is registered.",
        ),
        (
            "t.1",
            10_003,
            None,
            "POLICY_VIOLATION",
            "Excessively large number of partitions per request.",
        ),
    ],
)
def test_refusals_are_kafkas(
    name: str, count: int, assignment: Sequence[Sequence[int]] | None, code: str, message: str
) -> None:
    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store)
        await start(controller)
        await create(controller, NewTopic("t.1", 2))
        revision = (await store.status()).revision
        for validate_only in (True, False):
            (answer,) = await controller.create_partitions(
                [TopicGrowth(name, count, assignment)], validate_only=validate_only
            )
            assert isinstance(answer, KafkaError)
            assert (answer.code.name, answer.detail) == (code, message)
        assert (await store.status()).revision == revision

    run(scenario)


def test_validating_only_writes_nothing_and_one_request_adds_at_most_ten_thousand() -> None:
    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store)
        await start(controller)
        for name in ("a", "b", "c"):
            await create(controller, NewTopic(name))
        revision = (await store.status()).revision
        answers = await controller.create_partitions(
            [TopicGrowth("a", 6_001), TopicGrowth("b", 5_001), TopicGrowth("c", 4_001)],
            validate_only=True,
        )
        refused = [isinstance(each, KafkaError) for each in answers]
        assert refused == [False, True, False], "what is refused takes no room"
        assert (await store.status()).revision == revision

    run(scenario)


@given(added=st.integers(1, 400), good_transactions=st.integers(0, 6))
@settings(max_examples=25, deadline=None)
def test_a_topic_shows_with_all_its_new_partitions_or_with_none(
    added: int, good_transactions: int
) -> None:
    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store)
        await start(controller)
        topic = await create(controller, NewTopic("t", 3))
        doomed = controller_of(BreakingStore(store, good_transactions))
        doomed._term.epoch = controller.epoch
        try:
            await grow(doomed, "t", 3 + added)
            total = 3 + added
        except BrokenError:
            total = 3
        for revision in range(topic.revision, (await store.status()).revision + 1):
            image = MetadataImage(controller.keys)
            image.replace_with(await store.list(controller.keys.prefix, revision))
            assert len(image.topics[topic.topic_id].partitions) in (3, 3 + added)
        # What was left beyond the count is no obstacle, and the next controller removes it.
        if total == 3:
            await grow(controller, "t", total := 5)
        successor = controller_of(store)
        await start(successor)
        assert len((await store.list(successor.keys.all_partitions)).items) == total
        assert len((await read(store, successor)).topics[topic.topic_id].partitions) == total

    run(scenario)


@pytest.mark.parametrize("counts", [(5, 5), (5, 9), (300, 300), (130, 400, 270)])
def test_of_racing_growths_each_adds_all_of_its_own_or_nothing(counts: tuple[int, ...]) -> None:
    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store)
        await start(controller)
        topic = await create(controller, NewTopic("t", 2))
        racer = controller_of(SlowStore(store))
        racer._term.epoch = controller.epoch
        answers = await asyncio.gather(
            *(racer.create_partitions([TopicGrowth("t", count)]) for count in counts)
        )
        codes = {each.code for (each,) in answers if isinstance(each, KafkaError)}
        assert codes <= {ErrorCode.INVALID_PARTITIONS}
        partitions = (await read(store, controller)).topics[topic.topic_id].partitions
        assert len(partitions) == max(counts), "the largest is possible whoever comes first"

    run(scenario)


def test_a_growth_and_a_deletion_leave_a_topic_or_none() -> None:
    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store)
        await start(controller)
        topic = await create(controller, NewTopic("t", 2))
        racer = controller_of(SlowStore(store))
        racer._term.epoch = controller.epoch
        (answer,), _ = await asyncio.gather(
            racer.create_partitions([TopicGrowth("t", 300)]), racer.delete_topic(topic.topic_id)
        )
        if isinstance(answer, KafkaError):
            assert answer.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert not (await read(store, controller)).topics
        successor = controller_of(store)
        await start(successor)
        assert not (await store.list(successor.keys.all_partitions)).items

    run(scenario)


GROWTH_TRANSACTIONS = 3
"""Of a growth by 298 partitions."""


@pytest.mark.parametrize("number", range(GROWTH_TRANSACTIONS + 1))
def test_nothing_is_left_of_a_topic_deleted_between_two_writes_of_its_growth(number: int) -> None:
    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store)
        await start(controller)
        topic = await create(controller, NewTopic("t", 2))
        growing = controller_of(
            MeddledStore(store, number, lambda: controller.delete_topic(topic.topic_id))
        )
        growing._term.epoch = controller.epoch
        (answer,) = await growing.create_partitions([TopicGrowth("t", 300)])
        if number == GROWTH_TRANSACTIONS:
            assert isinstance(answer, GrownTopic), "it was over by then"
            return
        assert isinstance(answer, KafkaError)
        assert answer.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        left = [kv.key for kv in (await store.list(controller.keys.prefix)).items]
        topic_keys = (controller.keys.all_partitions, controller.keys.topics)
        # Batches written ahead of the deletion went with it, and none was written behind it.
        assert not [key for key in left if key.startswith(topic_keys)]

    run(scenario)


@pytest.mark.parametrize("number", range(GROWTH_TRANSACTIONS))
def test_settings_changed_between_two_writes_of_a_growth_hold_for_all_partitions(
    number: int,
) -> None:
    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store)
        await start(controller)
        topic = await create(controller, NewTopic("t", 2))
        changed = {"min.insync.replicas": "2", "retention.ms": "1"}
        growing = controller_of(
            MeddledStore(
                store, number, lambda: controller.set_topic_configs(topic.topic_id, changed)
            )
        )
        growing._term.epoch = controller.epoch
        await grow(growing, "t", 300)
        found = (await read(store, controller)).topics[topic.topic_id]
        assert len(found.partitions) == 300
        assert found.configs == changed
        assert {each.min_isr for each in found.partitions.values()} == {2}

    run(scenario)


def test_a_broker_that_left_before_the_last_write_is_in_sync_with_nothing() -> None:
    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store)
        await start(controller)
        topic = await create(controller, NewTopic("t", 2))
        key = controller.keys.broker(0)
        registered = await store.get(key)
        assert registered is not None

        async def another_life() -> None:
            await store.transact([], [Delete(key)])
            await store.transact([], [Put(key, registered.value)])

        growing = controller_of(MeddledStore(store, GROWTH_TRANSACTIONS - 1, another_life))
        growing._term.epoch = controller.epoch
        (answer,) = await growing.create_partitions([TopicGrowth("t", 300)])
        assert isinstance(answer, KafkaError)
        assert len((await read(store, controller)).topics[topic.topic_id].partitions) == 2

    run(scenario)
