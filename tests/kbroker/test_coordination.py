"""The host of the coordinators: where a group lives, and what a shard is rebuilt from."""

from __future__ import annotations

import pytest

from kbroker.coordination import java_hash
from tests.kbroker.broker_harness import Client, Running, World, run, running, with_broker
from tests.kbroker.handlers.requests import Target, find_coordinator, offset_commit, offset_fetch
from wire.errors import ErrorCode, KafkaError
from wire.records.batch import build_batch
from wire.records.record import Record

GROUP_TOPIC = "__consumer_offsets"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", 0),
        ("a", 97),
        ("hello", 99162322),
        ("group", 98629247),
        ("polygenelubricants", 0x80000000),  # Integer.MIN_VALUE
        ("é", 233),
        ("😀", 31 * 0xD83D + 0xDE00),  # two UTF-16 units
    ],
)
def test_javas_hash_of_a_string(text: str, value: int) -> None:
    assert java_hash(text) == value


def test_a_group_lives_where_kafka_puts_it() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        coordinator = broker.broker.services.group_coordinator
        with pytest.raises(KafkaError) as refused:
            coordinator.partition_of("g")
        assert refused.value.code == ErrorCode.COORDINATOR_NOT_AVAILABLE
        await client.ask(find_coordinator(Target("", b""), 4), 4)
        assert coordinator.partition_of("hello") == 99162322 % 50
        # Kafka takes the sign bit off: Math.abs(Integer.MIN_VALUE) would be negative.
        assert coordinator.partition_of("polygenelubricants") == 0

    with_broker(scenario, offsets_topic_num_partitions="50")


def test_clients_that_look_for_a_coordinator_at_once_create_one_topic() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        clients = [await broker.client() for _ in range(5)]
        for each in clients:
            each.send(find_coordinator(Target("", b""), 4), 4)
        for each in clients:
            answer = await each.receive()
            assert answer.coordinators[0].error_code in (
                0,
                ErrorCode.COORDINATOR_NOT_AVAILABLE,
                ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
            )
        partitions = [each for each in broker.broker.replicas if each.topic == GROUP_TOPIC]
        assert len(partitions) == 3
        for each in clients:
            each.close()

    with_broker(scenario)


def test_a_shard_that_does_not_fit_one_read_is_rebuilt_whole() -> None:
    async def scenario() -> None:
        world = World()
        async with running(world, offsets_topic_num_partitions="1") as broker:
            client = await broker.client()
            target = Target("t", await client.create("t"))
            await client.ask(find_coordinator(target, 4), 4)
            for number in range(400):
                request = offset_commit(target, 8, group=f"g{number}", offset=number)
                request.topics[0].partitions[0].committed_metadata = "m" * 4000
                client.send(request, 8)
            for _ in range(400):
                await client.receive()
            client.close()
        async with running(world, offsets_topic_num_partitions="1") as broker:
            client = await broker.client()
            for number in (0, 1, 200, 261, 262, 399):
                answer = await client.ask(offset_fetch(target, 8, group=f"g{number}"), 8)
                found = answer.groups[0].topics[0].partitions[0].committed_offset
                assert found == number
            client.close()

    run(scenario)


def test_an_unreadable_record_does_not_lock_groups_out() -> None:
    async def scenario() -> None:
        world = World()
        async with running(world, offsets_topic_num_partitions="1") as broker:
            client = await broker.client()
            target = Target("t", await client.create("t"))
            await client.ask(find_coordinator(target, 4), 4)
            await client.ask(offset_commit(target, 8, offset=1), 8)
            partition = broker.broker.replicas.partition(GROUP_TOPIC, 0)
            for key in (b"\x00\x01\x00\x63", b"\x00", b"\x00\x63other"):
                partition.append_as_leader(
                    _keyed(key), now_ms=world.clock.now_ms(), required_acks=-1, internal=True
                )
            await client.ask(offset_commit(target, 8, group="h", offset=2), 8)
            client.close()
        async with running(world, offsets_topic_num_partitions="1") as broker:
            client = await broker.client()
            for group, offset in (("g", 1), ("h", 2)):
                answer = await client.ask(offset_fetch(target, 8, group=group), 8)
                assert answer.groups[0].topics[0].partitions[0].committed_offset == offset
            client.close()

    run(scenario)


def _keyed(key: bytes) -> memoryview:
    return memoryview(build_batch([Record(0, 0, key, b"value", ())]))
