"""The controller: clusters of one and of several, from the first start to the last topic."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_image import MetadataImage
from kbroker.cluster.metadata_records import (
    BrokerRegistration,
    DeletedTopic,
    PartitionRecord,
    decode_partition,
    encode_partition,
)
from kbroker.cluster.metadata_store import Delete, Put
from kbroker.cluster.sqlite import open_sqlite_store
from kbroker.cluster.topic_creation import CreatedTopic, NewTopic
from kbroker.cluster.topic_ids import ZERO_ID, parse_topic_id
from tests.kbroker.cluster.controller_harness import (
    BreakingStore,
    BrokenError,
    SlowStore,
    always_lossy,
    controller_of,
    create,
    never_lossy,
    read,
    run,
    start,
)
from wire.errors import ErrorCode, KafkaError

# Clusters and brokers


def test_the_first_broker_names_the_cluster_and_the_others_adopt_it() -> None:
    async def scenario(store: MemoryStore) -> None:
        first = await controller_of(store, 0).create_cluster()
        parse_topic_id(first.cluster_id)
        assert await controller_of(store, 1).create_cluster(cluster_id="other") == first

    run(scenario)


def test_a_cluster_of_a_newer_format_is_refused() -> None:
    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store)
        value = b'{"cluster_id":"x","features":{},"format_version":99}'
        await store.transact([], [Put(controller.keys.cluster, value)])
        with pytest.raises(KafkaError, match="format version 99") as caught:
            await controller.create_cluster()
        assert caught.value.code is ErrorCode.UNSUPPORTED_VERSION

    run(scenario)


def test_a_cluster_of_one_starts_and_leads() -> None:
    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store)
        broker_epoch = await start(controller)
        image = await read(store, controller)
        assert image.brokers[0].broker_epoch == broker_epoch
        assert image.brokers[0].is_active
        assert image.controller_id == 0
        assert controller.epoch == image.controller_epoch

    run(scenario)


def test_every_start_raises_the_leader_epoch_of_what_the_broker_leads() -> None:
    async def scenario(store: MemoryStore) -> None:
        epochs = []
        controller = controller_of(store)
        broker_epochs = [await start(controller)]
        topic = await create(controller, NewTopic("t", partition_count=3))
        for life in range(3):
            controller = controller_of(store)
            broker_epochs.append(await start(controller, lossy=life == 1))
            image = await read(store, controller)
            records = image.topics[topic.topic_id].partitions.values()
            assert all(each.leader == 0 and each.isr == (0,) for each in records)
            assert not any(each.elr for each in records)
            epochs.append({each.leader_epoch for each in records})
            assert image.brokers[0].is_active
        assert epochs == [{1}, {2}, {3}]
        assert sorted(set(broker_epochs)) == broker_epochs

    run(scenario)


def test_a_lossy_restart_of_a_lone_replica_is_reported() -> None:
    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store)
        await start(controller)
        topic = await create(controller, NewTopic("t"))
        controller = controller_of(store)
        await controller.register_broker(BrokerRegistration(0, bytes(16)))
        await controller.become_controller()
        admission = await controller.admit_broker(0, is_lossy=always_lossy)
        assert admission.possible_losses == ((topic.topic_id, 0),)
        again = await controller.admit_broker(0, is_lossy=always_lossy)
        assert again.possible_losses == ()

    run(scenario)


def test_a_start_that_was_interrupted_starts_over() -> None:
    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store)
        await start(controller)
        topic = await create(controller, NewTopic("t", partition_count=300))
        broken = BreakingStore(store, good_transactions=7)
        with pytest.raises(BrokenError):
            await start(controller_of(broken))
        image = await read(store, controller)
        epochs = {each.leader_epoch for each in image.topics[topic.topic_id].partitions.values()}
        assert epochs == {0, 1}
        assert not image.brokers[0].is_admitted
        await start(controller_of(store))
        image = await read(store, controller)
        assert image.brokers[0].is_active
        records = image.topics[topic.topic_id].partitions.values()
        assert {each.leader_epoch for each in records} == {1, 2}

    run(scenario)


def test_two_brokers_with_one_id_are_told_apart_by_the_lease() -> None:
    async def scenario(store: MemoryStore) -> None:
        lease = await store.lease_grant(60_000)
        registration = BrokerRegistration(0, bytes(16))
        await controller_of(store).register_broker(registration, lease=lease)
        with pytest.raises(KafkaError) as caught:
            await controller_of(store).register_broker(registration, lease=lease)
        assert caught.value.code is ErrorCode.DUPLICATE_BROKER_REGISTRATION
        await store.lease_revoke(lease)
        await controller_of(store).register_broker(registration)

    run(scenario)


def test_who_lost_the_office_changes_nothing() -> None:
    async def scenario(store: MemoryStore) -> None:
        old, new = controller_of(store, 0), controller_of(store, 1)
        await start(old)
        await start(new)
        assert new.epoch == 0
        (refused,) = await new.create_topics([NewTopic("t")])
        assert isinstance(refused, KafkaError)
        assert refused.code is ErrorCode.NOT_CONTROLLER
        await old.admit_broker(1, is_lossy=never_lossy)
        await store.transact([], [Delete(old.keys.controller)])
        assert await new.become_controller()
        (refused,) = await old.create_topics([NewTopic("t")])
        assert isinstance(refused, KafkaError)
        assert refused.code is ErrorCode.NOT_CONTROLLER
        assert old.epoch == 0
        topic = await create(new, NewTopic("t"))
        with pytest.raises(KafkaError):
            await old.delete_topic(topic.topic_id)

    run(scenario)


def test_three_brokers_share_a_topic_and_one_comes_back() -> None:
    async def scenario(store: MemoryStore) -> None:
        controllers = [controller_of(store, n, min_isr=2) for n in range(3)]
        for n, controller in enumerate(controllers):
            await start(controller, rack=f"r{n % 2}")
            await controllers[0].admit_broker(n, is_lossy=never_lossy)
        topic = await create(controllers[0], NewTopic("t", partition_count=6, replication_factor=3))
        image = await read(store, controllers[0])
        records = image.topics[topic.topic_id].partitions
        assert sorted(each.leader for each in records.values()) == [0, 0, 1, 1, 2, 2]
        assert all(each.isr == each.replicas and each.min_isr == 2 for each in records.values())
        await controllers[1].register_broker(BrokerRegistration(1, bytes(16)))
        await controllers[0].admit_broker(1, is_lossy=never_lossy)
        image = await read(store, controllers[0])
        for number, record in image.topics[topic.topic_id].partitions.items():
            assert record.leader != 1
            assert 1 not in record.isr
            assert record.leader_epoch == (1 if records[number].leader == 1 else 0)

    run(scenario)


# Topics


def test_a_created_topic_has_all_that_was_asked_for() -> None:
    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store, partition_count=4)
        await start(controller)
        answers = await controller.create_topics(
            [
                NewTopic("defaults"),
                NewTopic("set", 2, 1, configs={"min.insync.replicas": "2", "retention.ms": "5"}),
                NewTopic("assigned", assignment={1: [0], 0: [0]}),
            ]
        )
        created = [each for each in answers if isinstance(each, CreatedTopic)]
        assert [each.partition_count for each in created] == [4, 2, 2]
        image = await read(store, controller)
        assert [image.topic_ids[each.name] for each in created] == [e.topic_id for e in created]
        topic = image.topics[created[1].topic_id]
        assert topic.configs == {"min.insync.replicas": "2", "retention.ms": "5"}
        assert topic.mod_revision == created[1].revision
        assert topic.partitions[1] == PartitionRecord(
            replicas=(0,),
            leader=0,
            leader_epoch=0,
            isr=(0,),
            min_isr=2,
            mod_revision=created[1].revision,
        )

    run(scenario)


@pytest.mark.parametrize(
    ("topic", "code", "message"),
    [
        (NewTopic("t.1"), "TOPIC_ALREADY_EXISTS", "Topic 't.1' already exists."),
        (NewTopic("t.1", 0), "TOPIC_ALREADY_EXISTS", "Topic 't.1' already exists."),
        (
            NewTopic("t_1"),
            "INVALID_TOPIC_EXCEPTION",
            "Topic 't_1' collides with existing topic: t.1",
        ),
        (
            NewTopic(""),
            "INVALID_TOPIC_EXCEPTION",
            "Topic name is invalid: the empty string is not allowed",
        ),
        (
            NewTopic("__cluster_metadata"),
            "INVALID_REQUEST",
            "Creation of internal topic __cluster_metadata is prohibited.",
        ),
        (
            NewTopic("new", 0),
            "INVALID_PARTITIONS",
            "Number of partitions was set to an invalid non-positive value.",
        ),
        (
            NewTopic("new", 1, 0),
            "INVALID_REPLICATION_FACTOR",
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ),
        (
            NewTopic("new", 1, 3),
            "INVALID_REPLICATION_FACTOR",
            "Unable to replicate the partition 3 time(s): The target replication factor of 3 "
            "cannot be reached because only 1 broker(s) are registered or some brokers have all "
            "their log directories cordoned.",
        ),
        (
            NewTopic("new", assignment={0: [5]}),
            "INVALID_REPLICA_ASSIGNMENT",
            "The manual partition assignment includes broker 5, but no such broker is registered.",
        ),
        (
            NewTopic("new", 1, assignment={0: [0]}),
            "INVALID_REQUEST",
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        ),
        (
            NewTopic("new", -1, 1, assignment={0: [0]}),
            "INVALID_REQUEST",
            "A manual partition assignment was specified, but replication factor was not set to "
            "-1.",
        ),
        (NewTopic("new", 0, configs={"x": "y"}), "INVALID_CONFIG", "no x"),
        (NewTopic("t.1", 1, configs={"x": "y"}), "TOPIC_ALREADY_EXISTS", None),
    ],
)
def test_refusals_are_kafkas(topic: NewTopic, code: str, message: str | None) -> None:
    def check_configs(configs: Mapping[str, str]) -> None:
        if "x" in configs:
            raise KafkaError(ErrorCode.INVALID_CONFIG, "no x")

    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store)
        await start(controller)
        await create(controller, NewTopic("t.1"))
        revision = (await store.status()).revision
        for validate_only in (True, False):
            (answer,) = await controller.create_topics(
                [topic], validate_only=validate_only, check_configs=check_configs
            )
            assert isinstance(answer, KafkaError)
            assert answer.code.name == code
            assert message is None or answer.detail == message
        assert (await store.status()).revision == revision

    run(scenario)


def test_validating_only_writes_nothing() -> None:
    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store)
        await start(controller)
        revision = (await store.status()).revision
        (answer,) = await controller.create_topics([NewTopic("t", 3)], validate_only=True)
        assert isinstance(answer, CreatedTopic)
        assert answer.topic_id != ZERO_ID  # Kafka shows one, too; it means nothing
        assert answer == CreatedTopic(answer.topic_id, "t", 3, 1, {}, 0)
        assert (await store.status()).revision == revision

    run(scenario)


def test_of_racing_creations_of_one_name_one_wins_and_leaves_no_trace_of_the_others() -> None:
    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store)
        await start(controller)
        slow = SlowStore(store)
        racer = controller_of(slow)
        racer._term.epoch = controller.epoch
        names = ["a.b", "a_b", "a.b", "a_b"]
        answers = await asyncio.gather(
            *(racer.create_topics([NewTopic(name, 250)]) for name in names)
        )
        created = [each for (each,) in answers if isinstance(each, CreatedTopic)]
        assert len(created) == 1
        image = await read(store, controller)
        assert list(image.topics) == [created[0].topic_id]
        partitions = await store.list(controller.keys.all_partitions)
        assert len(partitions.items) == 250

    run(scenario)


@given(partition_count=st.integers(1, 400), good_transactions=st.integers(0, 6))
@settings(max_examples=25, deadline=None)
def test_a_topic_shows_with_all_its_partitions_or_not_at_all(
    partition_count: int, good_transactions: int
) -> None:
    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store)
        await start(controller)
        breaking = BreakingStore(store, good_transactions)
        doomed = controller_of(breaking)
        doomed._term.epoch = controller.epoch
        try:
            (answer,) = await doomed.create_topics([NewTopic("t", partition_count)])
        except BrokenError:
            answer = None
        # Every state on the way, as a follower of the watch would see it.
        for revision in range(2, (await store.status()).revision + 1):
            image = MetadataImage(controller.keys)
            image.replace_with(await store.list(controller.keys.prefix, revision))
            for topic in image.topics.values():
                assert len(topic.partitions) == partition_count
        assert (answer is not None) == bool((await read(store, controller)).topics)
        if answer is None:
            successor = controller_of(store)
            await start(successor)
            assert not (await store.list(successor.keys.all_partitions)).items
            await create(successor, NewTopic("t", partition_count))

    run(scenario)


def test_a_deleted_topic_is_gone_at_once_and_known_as_deleted() -> None:
    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store)
        await start(controller)
        topic = await create(controller, NewTopic("t", 500))
        before = (await store.status()).revision
        revision = await controller.delete_topic(topic.topic_id)
        assert revision == before + 1
        image = await read(store, controller)
        assert not image.topics
        assert image.deleted_topics == {topic.topic_id: DeletedTopic("t", (0,))}
        with pytest.raises(KafkaError) as caught:
            await controller.delete_topic(topic.topic_id)
        assert caught.value.code is ErrorCode.UNKNOWN_TOPIC_ID
        again = await create(controller, NewTopic("t"))
        assert again.topic_id != topic.topic_id
        await controller.confirm_deletion(topic.topic_id)
        await controller.confirm_deletion(topic.topic_id)
        image = await read(store, controller)
        assert image.deleted_topics == {}
        assert list(image.topics) == [again.topic_id]

    run(scenario)


def test_configs_are_replaced_and_changed_without_losing_a_change() -> None:
    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store)
        await start(controller)
        topic = await create(controller, NewTopic("t", configs={"a": "1"}))
        await controller.set_topic_configs(topic.topic_id, {"b": "2"})
        slow = controller_of(SlowStore(store))
        slow._term.epoch = controller.epoch

        def adding(key: str) -> Callable[[Mapping[str, str]], Mapping[str, str]]:
            return lambda configs: {**configs, key: "x"}

        await asyncio.gather(
            *(slow.change_topic_configs(topic.topic_id, adding(key)) for key in "cdef")
        )
        image = await read(store, controller)
        assert sorted(image.topics[topic.topic_id].configs) == list("bcdef")
        revision = (await store.status()).revision
        await controller.change_topic_configs(topic.topic_id, lambda configs: configs)
        assert (await store.status()).revision == revision
        with pytest.raises(KafkaError) as caught:
            await controller.set_topic_configs(ZERO_ID, {})
        assert caught.value.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION

    run(scenario)


def test_min_insync_replicas_reaches_every_partition_and_survives_an_interruption() -> None:
    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store)
        await start(controller)
        topic = await create(controller, NewTopic("t", 300))
        doomed = controller_of(BreakingStore(store, good_transactions=2))
        doomed._term.epoch = controller.epoch
        with pytest.raises(BrokenError):
            await doomed.set_topic_configs(topic.topic_id, {"min.insync.replicas": "2"})
        partitions = await store.list(controller.keys.partitions(topic.topic_id))
        found = {decode_partition(kv.value, kv.mod_revision).min_isr for kv in partitions.items}
        assert found == {1, 2}
        successor = controller_of(store)
        await start(successor)
        image = await read(store, successor)
        assert {each.min_isr for each in image.topics[topic.topic_id].partitions.values()} == {2}
        revision = await successor.set_topic_configs(topic.topic_id, {})
        image = await read(store, successor)
        assert image.revision == revision
        assert {each.min_isr for each in image.topics[topic.topic_id].partitions.values()} == {1}

    run(scenario)


def test_another_min_insync_replicas_empties_the_elr() -> None:
    """Rule min-isr-change-empties-elr: by the former minimum they were judged."""

    async def scenario(store: MemoryStore) -> None:
        controller = controller_of(store)
        await start(controller)
        topic = await create(controller, NewTopic("t"))
        key = controller.keys.partition(topic.topic_id, 0)
        record = PartitionRecord((0, 1, 2), 0, 0, isr=(0,), elr=(1,), min_isr=2)
        await store.transact([], [Put(key, encode_partition(record))])
        await controller.set_topic_configs(topic.topic_id, {"min.insync.replicas": "3"})
        image = await read(store, controller)
        changed = image.topics[topic.topic_id].partitions[0]
        assert (changed.isr, changed.elr, changed.min_isr) == ((0,), (), 3)
        assert changed.partition_epoch == record.partition_epoch + 1

    run(scenario)


# Producer ids


def test_no_producer_id_is_given_twice() -> None:
    async def scenario(store: MemoryStore) -> None:
        slow = SlowStore(store)
        brokers = [controller_of(slow, n) for n in range(4)]
        blocks = await asyncio.gather(
            *(broker.allocate_producer_id_block() for broker in brokers for _ in range(5))
        )
        assert sorted(block.start for block in blocks) == list(range(0, 20_000, 1000))
        assert await brokers[0].allocate_producer_id_block(5) == range(20_000, 20_005)

    run(scenario)


def test_everything_survives_a_restart_on_sqlite(tmp_path: object) -> None:
    async def main() -> None:
        path = f"{tmp_path}/metadata.db"
        store = open_sqlite_store(path, random.Random(1))
        controller = controller_of(store)
        cluster = await controller.create_cluster()
        await start(controller)
        topic = await create(controller, NewTopic("t", 130, configs={"a": "b"}))
        await controller.allocate_producer_id_block()
        await store.close()
        store = open_sqlite_store(path, random.Random(2))
        controller = controller_of(store)
        assert await controller.create_cluster() == cluster
        await start(controller)
        image = await read(store, controller)
        assert image.topics[topic.topic_id].configs == {"a": "b"}
        assert {e.leader_epoch for e in image.topics[topic.topic_id].partitions.values()} == {1}
        assert await controller.allocate_producer_id_block() == range(1000, 2000)
        await store.close()

    asyncio.run(main())


# Stores that stand in the way
