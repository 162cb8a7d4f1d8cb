"""Produce: answers wait for the flush, in order; refusals name their partition."""

from __future__ import annotations

import asyncio
import errno

import pytest

from kbroker.handlers.produce import CRC_IN_THREAD_BYTES
from tests.kbroker.broker_harness import Client, Running, batch_of, values_in, with_broker
from tests.kbroker.handlers.requests import (
    Target,
    delete_topics,
    error_codes,
    fetch,
    find_coordinator,
    list_offsets,
    metadata,
    produce,
)
from wire.errors import ErrorCode
from wire.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from wire.records.compression import Compression


def partition_answer(answer):
    (topic,) = answer.responses
    (partition,) = topic.partition_responses
    return partition


async def a_topic(client: Client, **configs: str) -> Target:
    return Target("t", await client.create("t", **configs))


@pytest.mark.parametrize("acks", [1, -1])
def test_the_answer_leaves_after_the_flush_that_covers_it(acks: int) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        broker.flusher.held = True
        client.send(produce(target, 9, b"a", acks=acks), 9)
        other = await broker.client()
        found = await other.ask(list_offsets(target, 5), 5)
        partition = broker.broker.replicas.partition("t", 0)
        await broker.until(lambda: partition.log.log_end_offset == 1)
        found = await other.ask(list_offsets(target, 5), 5)
        assert found.topics[0].partitions[0].offset == 0, "not durable: not readable"
        broker.flusher.flush()
        assert partition_answer(await client.receive()).base_offset == 0
        found = await other.ask(list_offsets(target, 5), 5)
        assert found.topics[0].partitions[0].offset == 1
        other.close()

    with_broker(scenario)


def test_pipelined_requests_share_one_flush_and_are_answered_in_order() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        broker.flusher.held = True
        for number in range(50):
            client.send(produce(target, 9, b"%d" % number), 9)
        partition = broker.broker.replicas.partition("t", 0)
        await broker.until(lambda: partition.log.log_end_offset == 50)
        broker.flusher.held = False
        broker.flusher.flush()
        offsets = [partition_answer(await client.receive()).base_offset for _ in range(50)]
        assert offsets == list(range(50))

    with_broker(scenario)


def test_an_answer_is_not_kept_back_by_another_topics_slower_one() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        slow = await a_topic(client)
        fast = Target("fast", await client.create("fast", flush_messages=str(2**63 - 1)))
        broker.flusher.held = True
        client.send(produce(slow, 9), 9)
        other = await broker.client()
        assert partition_answer(await other.ask(produce(fast, 9), 9)).base_offset == 0
        broker.flusher.flush()
        await client.receive()
        other.close()

    with_broker(scenario)


def test_what_is_not_safe_in_time_is_answered_as_timed_out() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        broker.flusher.held = True
        client.send(produce(target, 9, timeout_ms=5_000), 9)
        partition = broker.broker.replicas.partition("t", 0)
        await broker.until(lambda: partition.log.log_end_offset == 1)
        broker.loop.advance(6)
        answer = partition_answer(await client.receive())
        assert answer.error_code == ErrorCode.REQUEST_TIMED_OUT
        broker.flusher.held = False
        broker.flusher.flush()
        answer = partition_answer(await client.ask(produce(target, 9), 9))
        assert (answer.error_code, answer.base_offset) == (0, 1), "late flush, no second answer"

    with_broker(scenario)


def test_acks_0_has_no_answer_and_is_stored() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        client.send_unanswered(produce(target, 9, b"silent", acks=0), 9)
        answer = partition_answer(await client.ask(produce(target, 9, b"loud"), 9))
        assert answer.base_offset == 1
        found = await client.ask(fetch(target, 12), 12)
        assert values_in(found.responses[0].partitions[0].records) == [b"silent", b"loud"]

    with_broker(scenario)


def test_acks_0_that_fails_hangs_up_because_nothing_else_would_tell() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        client.send_unanswered(produce(Target("no", b""), 9, acks=0), 9)
        assert await client.is_closed()

    with_broker(scenario)


@pytest.mark.parametrize("acks", [2, -2, 100])
def test_other_acks_are_refused(acks: int) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        answer = partition_answer(await client.ask(produce(target, 9, acks=acks), 9))
        assert answer.error_code == ErrorCode.INVALID_REQUIRED_ACKS
        assert answer.base_offset == -1

    with_broker(scenario)


def test_each_partition_is_answered_by_itself() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = Target("t", await client.create("t", partitions=2))
        corrupt = batch_of(b"bad")
        corrupt[-1] ^= 1
        data = [
            PartitionProduceData(index=0, records=batch_of(b"a")),
            PartitionProduceData(index=9, records=batch_of(b"b")),
            PartitionProduceData(index=1, records=corrupt),
        ]
        request = ProduceRequest(
            acks=-1,
            timeout_ms=1000,
            topic_data=[TopicProduceData(name=target.name, partition_data=data)],
        )
        answer = await client.ask(request, 9)
        found = [(each.index, each.error_code) for each in answer.responses[0].partition_responses]
        assert found == [
            (0, ErrorCode.NONE),
            (9, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
            (1, ErrorCode.CORRUPT_MESSAGE),
        ]

    with_broker(scenario)


@pytest.mark.parametrize(("version", "stored"), [(6, False), (7, True)])
def test_zstd_needs_version_7(version: int, stored: bool) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        records = batch_of(b"a" * 100, compression=Compression.ZSTD)
        answer = partition_answer(
            await client.ask(produce(target, version, records=records), version)
        )
        expected = ErrorCode.NONE if stored else ErrorCode.UNSUPPORTED_COMPRESSION_TYPE
        assert answer.error_code == expected

    with_broker(scenario)


@pytest.mark.parametrize("version", [3, 7, 13])
def test_a_batch_with_a_senseless_length_is_corrupt_in_every_version(version: int) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        records = batch_of(b"a" * 50)
        records[8:12] = b"\x00\x00\x00\x01"
        client.send(produce(target, version, records=records), version)
        try:
            answer = partition_answer(await client.receive())
        except asyncio.IncompleteReadError:
            pytest.fail("hung up on")
        assert answer.error_code == ErrorCode.CORRUPT_MESSAGE

    with_broker(scenario)


def test_clients_do_not_write_to_internal_topics() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        name = "__consumer_offsets"
        await client.ask(find_coordinator(Target("", b""), 4), 4)
        described = await client.ask(metadata(Target(name, b""), 12), 12)
        target = Target(name, described.topics[0].topic_id)
        for version in (9, 13):
            records = batch_of(b"rubbish")
            answer = await client.ask(produce(target, version, records=records), version)
            assert partition_answer(answer).error_code == ErrorCode.INVALID_TOPIC_EXCEPTION

    with_broker(scenario)


def large_batch(**options: int) -> memoryview:
    return batch_of(b"x" * (CRC_IN_THREAD_BYTES + 1000), **options)


def test_a_large_batch_is_checked_in_a_thread_and_stored() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client, max_message_bytes="10000000")
        client.send(produce(target, 9, records=large_batch()), 9)
        client.send(produce(target, 9, b"behind it"), 9)
        assert partition_answer(await client.receive()).base_offset == 0
        assert partition_answer(await client.receive()).base_offset == 1

    with_broker(scenario)


def test_a_large_batch_with_a_bad_checksum_is_refused_in_its_partition() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client, max_message_bytes="10000000")
        records = large_batch()
        records[-5] ^= 1
        answer = partition_answer(await client.ask(produce(target, 9, records=records), 9))
        assert answer.error_code == ErrorCode.CORRUPT_MESSAGE

    with_broker(scenario)


def test_a_large_batch_with_a_senseless_length_is_refused_in_its_partition() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client, max_message_bytes="10000000")
        records = large_batch()
        records[8:12] = b"\x00\x00\x00\x01"
        client.send(produce(target, 9, records=records), 9)
        try:
            answer = partition_answer(await client.receive())
        except asyncio.IncompleteReadError:
            pytest.fail("hung up on")
        assert answer.error_code == ErrorCode.CORRUPT_MESSAGE

    with_broker(scenario)


def test_a_batch_above_the_limit_is_refused() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client, max_message_bytes="1000")
        answer = partition_answer(await client.ask(produce(target, 9, b"x" * 2000), 9))
        assert answer.error_code == ErrorCode.MESSAGE_TOO_LARGE

    with_broker(scenario)


def test_a_repeated_batch_of_an_idempotent_producer_is_answered_with_its_offset() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        for _ in range(2):
            records = batch_of(b"once", producer_id=5, producer_epoch=0, base_sequence=0)
            answer = partition_answer(await client.ask(produce(target, 9, records=records), 9))
            assert (answer.error_code, answer.base_offset) == (0, 0)
        records = batch_of(b"gap", producer_id=5, producer_epoch=0, base_sequence=2)
        answer = partition_answer(await client.ask(produce(target, 9, records=records), 9))
        assert answer.error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER

    with_broker(scenario)


def test_what_follows_a_first_batch_that_was_refused_for_the_moment_waits_for_it() -> None:
    """A leader that did not know yet that it leads: the producer's order would be lost."""

    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        partition = broker.broker.replicas.partition("t", 0)

        async def told(sequence: int) -> int:
            records = batch_of(b"v", producer_id=5, producer_epoch=0, base_sequence=sequence)
            return partition_answer(
                await client.ask(produce(target, 9, records=records), 9)
            ).error_code

        partition.is_leader = False
        assert await told(0) == ErrorCode.NOT_LEADER_OR_FOLLOWER
        assert await told(1) == ErrorCode.NOT_LEADER_OR_FOLLOWER
        partition.is_leader = True
        assert await told(2) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
        assert [await told(each) for each in (0, 1, 2)] == [0, 0, 0]

    with_broker(scenario)


def test_a_full_disk_refuses_writes_serves_reads_and_recovers() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        await client.ask(produce(target, 9, b"before"), 9)
        broker.disk.fail("append", "*.log", error_number=errno.ENOSPC)
        answer = partition_answer(await client.ask(produce(target, 9, b"lost"), 9))
        assert answer.error_code == ErrorCode.KAFKA_STORAGE_ERROR
        found = await client.ask(fetch(target, 12), 12)
        assert values_in(found.responses[0].partitions[0].records) == [b"before"]
        broker.disk.heal()
        answer = partition_answer(await client.ask(produce(target, 9, b"after"), 9))
        assert (answer.error_code, answer.base_offset) == (0, 1)
        assert not broker.broker.stopped.is_set()

    with_broker(scenario)


def test_a_failed_flush_is_told_to_producers_and_ends_the_broker() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        broker.disk.fail("flush", "*.log", count=1)
        answer = await client.ask(produce(target, 9), 9)
        assert list(error_codes(answer)) == [ErrorCode.KAFKA_STORAGE_ERROR]
        assert broker.broker.stopped.is_set()
        assert "offline" in broker.broker.failure

    with_broker(scenario)


def test_a_deleted_topic_answers_the_producers_that_wait_for_it() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        broker.flusher.held = True
        client.send(produce(target, 9), 9)
        partition = broker.broker.replicas.partition("t", 0)
        await broker.until(lambda: partition.log.log_end_offset == 1)
        other = await broker.client()
        await other.ask(delete_topics(target, 6), 6)
        answer = partition_answer(await client.receive())
        assert answer.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        broker.flusher.flush()
        other.close()

    with_broker(scenario)
