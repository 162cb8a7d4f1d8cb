"""What is set on a running broker takes effect: on logs, new topics, minimums, connections."""

from __future__ import annotations

import pytest

from tests.kbroker.broker_harness import Client, Running, World, batch_of, run, running, with_broker
from tests.kbroker.handlers.config_requests import BROKER, DELETE, SET, TOPIC, change, codes
from wire.errors import ErrorCode
from wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)


async def set_on_broker(client: Client, key: str, value: str | None) -> None:
    operation = DELETE if value is None else SET
    answer = await client.ask(change(BROKER, "", (key, operation, value)), 1)
    assert codes(answer) == [0], answer


async def produced(client: Client, topic: str, size: int) -> int:
    """The error code of a batch with a value of `size` bytes."""
    answer = await client.ask(
        ProduceRequest(
            acks=-1,
            timeout_ms=1000,
            topic_data=[
                TopicProduceData(
                    name=topic,
                    partition_data=[PartitionProduceData(index=0, records=batch_of(b"x" * size))],
                )
            ],
        ),
        9,
    )
    assert isinstance(answer, ProduceResponse)
    return answer.responses[0].partition_responses[0].error_code


@pytest.mark.parametrize(
    ("key", "value", "attribute", "expected"),
    [
        ("log.segment.bytes", "2000000", "segment_bytes", 2_000_000),
        ("log.roll.ms", "70000", "segment_ms", 70_000),
        ("log.roll.jitter.ms", "7", "segment_jitter_ms", 7),
        ("log.index.size.max.bytes", "4096", "segment_index_bytes", 4096),
        ("log.index.interval.bytes", "100", "index_interval_bytes", 100),
        ("log.retention.ms", "80000", "retention_ms", 80_000),
        ("log.retention.bytes", "90000", "retention_bytes", 90_000),
        ("message.max.bytes", "1000", "max_message_bytes", 1000),
        ("log.message.timestamp.type", "LogAppendTime", "message_timestamp_type", "LogAppendTime"),
        ("log.message.timestamp.before.max.ms", "5", "message_timestamp_before_max_ms", 5),
        ("log.message.timestamp.after.max.ms", "6", "message_timestamp_after_max_ms", 6),
        ("log.flush.interval.messages", "50", "flush_messages", 50),
        ("log.flush.interval.ms", "60", "flush_ms", 60),
        ("log.cleanup.policy", "compact", "cleanup_policy", frozenset({"compact"})),
        ("log.segment.delete.delay.ms", "11", "file_delete_delay_ms", 11),
        ("producer.id.expiration.ms", "12000", "producer_id_expiration_ms", 12_000),
    ],
)
def test_logs_without_a_setting_of_their_own_follow_the_broker(
    key: str, value: str, attribute: str, expected: object
) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await client.create("t", partitions=2)
        logs = [broker.broker.replicas.partition("t", index).log for index in (0, 1)]
        before = getattr(logs[0].config, attribute)
        await set_on_broker(client, key, value)
        assert [getattr(log.config, attribute) for log in logs] == [expected, expected]
        await client.create("new")
        log = broker.broker.replicas.partition("new", 0).log
        assert getattr(log.config, attribute) == expected
        await set_on_broker(client, key, None)
        assert [getattr(each.config, attribute) for each in (*logs, log)] == [before] * 3

    with_broker(scenario)


def test_a_topics_own_setting_stays_over_the_brokers() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await client.create("t", segment_bytes="3000000")
        log = broker.broker.replicas.partition("t", 0).log
        await set_on_broker(client, "log.segment.bytes", "2000000")
        assert log.config.segment_bytes == 3_000_000
        await client.ask(change(TOPIC, "t", ("segment.bytes", DELETE, None)), 1)
        assert log.config.segment_bytes == 2_000_000

    with_broker(scenario)


def test_the_next_batch_meets_the_limit_that_was_just_set() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await client.create("t")
        assert await produced(client, "t", 2000) == 0
        await set_on_broker(client, "message.max.bytes", "1000")
        assert await produced(client, "t", 2000) == ErrorCode.MESSAGE_TOO_LARGE
        await client.ask(change(TOPIC, "t", ("max.message.bytes", SET, "5000")), 1)
        assert await produced(client, "t", 2000) == 0
        await client.ask(change(TOPIC, "t", ("max.message.bytes", SET, "500")), 1)
        assert await produced(client, "t", 2000) == ErrorCode.MESSAGE_TOO_LARGE

    with_broker(scenario)


def test_durability_changes_for_the_next_batch() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await client.create("t")
        partition = broker.broker.replicas.partition("t", 0)
        assert partition.flushes_each_append
        await set_on_broker(client, "log.flush.interval.messages", "9223372036854775807")
        assert not partition.flushes_each_append
        broker.flusher.held = True
        assert await produced(client, "t", 10) == 0  # without the flush
        broker.flusher.held = False

    with_broker(scenario)


def test_the_minimum_of_in_sync_replicas_reaches_every_partition() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        follows = await client.create("follows", partitions=2)
        own = await client.create("own", min_insync_replicas="3")
        topics = broker.broker.services.metadata.image.topics
        await set_on_broker(client, "min.insync.replicas", "2")
        assert [each.min_isr for each in topics[follows].partitions.values()] == [2, 2]
        assert [each.min_isr for each in topics[own].partitions.values()] == [3]
        new = await client.create("new")
        assert topics[new].min_isr == 2
        await set_on_broker(client, "min.insync.replicas", None)
        assert {topics[each].min_isr for each in (follows, new)} == {1}

    with_broker(scenario)


def test_a_start_with_another_minimum_reaches_the_topics_that_are_there() -> None:
    async def scenario() -> None:
        world = World()
        async with running(world) as broker:
            client = await broker.client()
            topic_id = await client.create("t")
            client.close()
        async with running(world, min_insync_replicas="2") as broker:
            topic = broker.broker.services.metadata.image.topics[topic_id]
            assert (topic.min_isr, topic.partitions[0].min_isr) == (2, 2)

    run(scenario)


def test_fewer_connections_may_come_from_now_on() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await set_on_broker(client, "max.connections", "1")
        refused = await broker.client()
        assert await refused.is_closed()
        await set_on_broker(client, "max.connections", None)
        welcome = await broker.client()
        await welcome.create("t")
        welcome.close()

    with_broker(scenario)
