"""Deleting records, growing topics, and what is told of partitions, producers and disks."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kbroker.broker_harness import (
    Client,
    Running,
    World,
    batch_of,
    run,
    running,
    values_in,
    with_broker,
)
from tests.kbroker.handlers.admin_requests import (
    create_partitions,
    delete_records,
    describe_log_dirs,
    describe_producers,
    describe_quorum,
    describe_topic_partitions,
)
from tests.kbroker.handlers.requests import (
    Target,
    delete_topics,
    error_codes,
    fetch,
    list_offsets,
    produce,
)
from wire.errors import ErrorCode
from wire.messages.create_partitions import CreatePartitionsRequest, CreatePartitionsTopic
from wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)

EARLIEST = -2
TO_HIGH_WATERMARK = -1


async def a_topic_with(client: Client, count: int, **configs: str) -> Target:
    target = Target("t", await client.create("t", **configs))
    for number in range(count):
        await client.ask(produce(target, 9, b"%d" % number), 9)
    return target


async def start_of(client: Client, target: Target) -> int:
    answer = await client.ask(list_offsets(target, 9, timestamp=EARLIEST), 9)
    return answer.topics[0].partitions[0].offset


def deleted(answer) -> list[tuple[int, int]]:
    """(low watermark, error code) of each partition answered."""
    return [
        (each.low_watermark, each.error_code)
        for topic in answer.topics
        for each in topic.partitions
    ]


# DeleteRecords


@pytest.mark.parametrize("end", ["stop", "kill", "power loss"])
def test_records_deleted_do_not_come_back(end: str) -> None:
    async def scenario() -> None:
        world = World()
        async with running(world) as broker:
            client = await broker.client()
            target = await a_topic_with(client, 6)
            assert deleted(await client.ask(delete_records(target, 2, offset=4), 2)) == [(4, 0)]
            if end == "kill":
                world.file_system = broker.disk.kill()
            elif end == "power loss":
                world.file_system = broker.disk.crash(world.chance)
            client.close()
        async with running(world) as broker:
            client = await broker.client()
            assert await start_of(client, target) == 4
            (topic,) = (await client.ask(fetch(target, 13, offset=4), 13)).responses
            assert values_in(topic.partitions[0].records) == [b"4", b"5"]
            (topic,) = (await client.ask(fetch(target, 13, offset=3), 13)).responses
            assert topic.partitions[0].error_code == ErrorCode.OFFSET_OUT_OF_RANGE
            client.close()

    run(scenario)


@pytest.mark.parametrize("durability", ["1", "9223372036854775807"])
def test_offsets_go_on_after_everything_was_deleted_and_the_power_went(durability: str) -> None:
    async def scenario() -> None:
        world = World()
        async with running(world) as broker:
            client = await broker.client()
            target = await a_topic_with(client, 3, flush_messages=durability)
            request = delete_records(target, 2, offset=TO_HIGH_WATERMARK)
            assert deleted(await client.ask(request, 2)) == [(3, 0)]
            world.file_system = broker.disk.crash(world.chance)
            client.close()
        async with running(world) as broker:
            client = await broker.client()
            assert await start_of(client, target) == 3, "whatever page cache was lost"
            answer = await client.ask(produce(target, 9, b"next"), 9)
            assert answer.responses[0].partition_responses[0].base_offset == 3
            client.close()

    run(scenario)


def test_a_deletion_is_answered_once_it_is_durable_and_not_before() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic_with(client, 3)
        broker.disk.fail("append", "*log-start-offset-checkpoint*", error_number=errno.ENOSPC)
        answer = await client.ask(delete_records(target, 2, offset=2), 2)
        assert deleted(answer) == [(-1, ErrorCode.KAFKA_STORAGE_ERROR)]
        broker.disk.heal()
        assert deleted(await client.ask(delete_records(target, 2, offset=2), 2)) == [(2, 0)]

    with_broker(scenario)


def test_many_delete_at_once_and_each_is_durable_when_it_is_answered() -> None:
    async def scenario() -> None:
        world = World()
        async with running(world) as broker:
            clients = [await broker.client() for _ in range(5)]
            topic_id = await clients[0].create("t", partitions=5)
            targets = [Target("t", topic_id, partition) for partition in range(5)]
            for client, target in zip(clients, targets, strict=True):
                await client.ask(produce(target, 9, b"a", b"b", b"c"), 9)
            answers = await asyncio.gather(
                *(
                    client.ask(delete_records(target, 2, offset=1 + target.partition % 3), 2)
                    for client, target in zip(clients, targets, strict=True)
                )
            )
            assert [deleted(each)[0][1] for each in answers] == [0] * 5
            world.file_system = broker.disk.crash(world.chance)
            for client in clients:
                client.close()
        async with running(world) as broker:
            client = await broker.client()
            starts = [await start_of(client, target) for target in targets]
            assert starts == [1, 2, 3, 1, 2]
            client.close()

    run(scenario)


def test_nothing_that_is_not_committed_is_deleted() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic_with(client, 2)
        broker.flusher.held = True
        other = await broker.client()
        other.send(produce(target, 9, b"not durable yet"), 9)
        log = broker.broker.replicas.partition("t", 0).log
        await broker.until(lambda: log.log_end_offset == 3)
        answer = await client.ask(delete_records(target, 2, offset=3), 2)
        assert deleted(answer) == [(-1, ErrorCode.OFFSET_OUT_OF_RANGE)]
        request = delete_records(target, 2, offset=TO_HIGH_WATERMARK)
        assert deleted(await client.ask(request, 2)) == [(2, 0)]
        broker.flusher.held = False
        broker.flusher.flush()
        assert not any(error_codes(await other.receive()))
        other.close()

    with_broker(scenario)


def test_the_files_of_deleted_records_go_with_the_next_retention() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic_with(client, 0, segment_bytes=str(1 << 20))
        for number in range(4):
            await client.ask(produce(target, 9, bytes([number]) * 600_000), 9)
        replicas = broker.broker.replicas
        log = replicas.partition("t", 0).log
        before = log.size_bytes
        await client.ask(delete_records(target, 2, offset=2), 2)
        await replicas.apply_retention()
        assert log.size_bytes * 2 == before
        request = fetch(target, 13, offset=2, max_bytes=1 << 21)
        (topic,) = (await client.ask(request, 13)).responses
        first, *_ = values_in(topic.partitions[0].records)
        assert first is not None
        assert first[:1] == b"\2"

    with_broker(scenario)


def test_a_failed_directory_deletes_nothing() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic_with(client, 2)
        broker.broker.replicas.take_offline()
        answer = await client.ask(delete_records(target, 2, offset=1), 2)
        assert deleted(answer) == [(-1, ErrorCode.KAFKA_STORAGE_ERROR)]
        (directory,) = (await client.ask(describe_log_dirs(target, 4), 4)).results
        assert directory.error_code == ErrorCode.KAFKA_STORAGE_ERROR
        assert (directory.log_dir, directory.topics) == ("/data", [])

    with_broker(scenario)


def test_deletions_of_one_request_are_independent() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic_with(client, 2)
        await client.create("compacted", cleanup_policy="compact")
        topics = [
            DeleteRecordsTopic(
                name=name,
                partitions=[DeleteRecordsPartition(partition_index=index, offset=1)],
            )
            for name, index in (("compacted", 0), ("t", 0), ("t", 1), ("no", 0))
        ]
        answer = await client.ask(DeleteRecordsRequest(topics=topics, timeout_ms=1000), 2)
        assert deleted(answer) == [
            (-1, ErrorCode.POLICY_VIOLATION),
            (1, 0),
            (-1, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
            (-1, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ]
        assert await start_of(client, target) == 1

    with_broker(scenario)


# CreatePartitions


def test_new_partitions_take_records_as_soon_as_they_are_answered() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic_with(client, 1)
        for count in (2, 5, 40):
            await client.ask(create_partitions(target, 3, count=count), 3)
            last = Target("t", target.topic_id, count - 1)
            answer = await client.ask(produce(last, 13, b"first"), 13)
            assert not any(error_codes(answer))

    with_broker(scenario)


@pytest.mark.parametrize("end", ["stop", "power loss"])
def test_a_topic_that_grew_is_as_large_after_a_restart(end: str) -> None:
    async def scenario() -> None:
        world = World()
        async with running(world) as broker:
            client = await broker.client()
            target = await a_topic_with(client, 1)
            await client.ask(create_partitions(target, 3, count=3), 3)
            new = Target("t", target.topic_id, 2)
            await client.ask(produce(new, 9, b"kept"), 9)
            if end == "power loss":
                world.file_system = broker.disk.crash(world.chance)
            client.close()
        async with running(world) as broker:
            client = await broker.client()
            (topic,) = (await client.ask(fetch(new, 13), 13)).responses
            assert values_in(topic.partitions[0].records) == [b"kept"]
            client.close()

    run(scenario)


def test_a_disk_that_refuses_new_partitions_is_told_and_they_are_made_later() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic_with(client, 1)
        broker.disk.fail("make_directory", "*t-1*", error_number=errno.ENOSPC)
        (result,) = (await client.ask(create_partitions(target, 3, count=3), 3)).results
        assert result.error_code == ErrorCode.KAFKA_STORAGE_ERROR
        assert "made once it has room" in result.error_message
        assert not any(error_codes(await client.ask(produce(target, 9), 9))), "the old goes on"
        broker.disk.heal()
        broker.broker.replicas.make_unmade(broker.broker.services.metadata.image)
        for partition in (1, 2):
            new = Target("t", target.topic_id, partition)
            assert not any(error_codes(await client.ask(produce(new, 9), 9)))

    with_broker(scenario)


def test_a_topic_named_twice_does_not_grow_and_neither_does_the_offsets_topic() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic_with(client, 1)
        names = ("t", "__consumer_offsets", "t", "no")
        topics = [CreatePartitionsTopic(name=name, count=10, assignments=None) for name in names]
        request = CreatePartitionsRequest(topics=topics, timeout_ms=1000, validate_only=False)
        results = (await client.ask(request, 3)).results
        assert {each.name: each.error_code for each in results} == {
            "t": ErrorCode.INVALID_REQUEST,
            "__consumer_offsets": ErrorCode.INVALID_REQUEST,
            "no": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        }
        new = Target("t", target.topic_id, 1)
        assert any(error_codes(await client.ask(produce(new, 9), 9)))

    with_broker(scenario)


def test_a_topic_that_grew_is_deleted_whole() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic_with(client, 1)
        await client.ask(create_partitions(target, 3, count=6), 3)
        await client.ask(delete_topics(target, 6), 6)
        assert not [name for name in broker.disk.list_directory("/data") if name == "t-5"]
        again = Target("t", await client.create("t", partitions=6), 5)
        assert await start_of(client, again) == 0

    with_broker(scenario)


# DescribeTopicPartitions


@given(seed=st.integers(0, 2**32), limit=st.integers(-1, 9))
@settings(max_examples=10, deadline=None)
def test_the_pages_together_are_everything_once(seed: int, limit: int) -> None:
    chance = random.Random(seed)
    sizes = {f"t{number}": chance.randrange(1, 5) for number in range(chance.randrange(1, 5))}

    async def scenario(broker: Running, client: Client) -> None:
        for name, partitions in sizes.items():
            await client.create(name, partitions=partitions)
        found: list[tuple[str, int]] = []
        cursor = None
        while True:
            request = describe_topic_partitions(
                Target("t0", b""), 0, *sizes, limit=limit, cursor=cursor
            )
            page = await client.ask(request, 0)
            assert not any(error_codes(page))
            here = [
                (each.name, one.partition_index) for each in page.topics for one in each.partitions
            ]
            assert 1 <= len(here) <= max(limit, 1)
            found += here
            if page.next_cursor is None:
                break
            cursor = page.next_cursor.topic_name, page.next_cursor.partition_index
        assert found == [(name, index) for name in sorted(sizes) for index in range(sizes[name])]

    with_broker(scenario)


def test_the_broker_limits_what_a_page_may_hold() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await client.create("t", partitions=5)
        page = await client.ask(describe_topic_partitions(Target("t", b""), 0), 0)
        assert [each.partition_index for each in page.topics[0].partitions] == [0, 1, 2]
        assert (page.next_cursor.topic_name, page.next_cursor.partition_index) == ("t", 3)

    with_broker(scenario, max_request_partition_size_limit="3")


# What else is told


def test_the_disk_is_told_as_it_is() -> None:
    async def scenario() -> None:
        world = World()
        async with running(world) as broker:
            client = await broker.client()
            target = await a_topic_with(client, 3)
            (directory,) = (await client.ask(describe_log_dirs(target, 5), 5)).results
            assert directory.log_dir == "/data"
            space = broker.disk.space("/data")
            assert directory.total_bytes == space.total_bytes
            assert 0 < directory.usable_bytes < directory.total_bytes
            ((partition,),) = ([each.partitions for each in directory.topics],)
            assert partition[0].partition_size == 3 * len(batch_of(b"0"))
            broker.disk.fail("space", "/data", error_number=errno.EIO)
            (directory,) = (await client.ask(describe_log_dirs(target, 5), 5)).results
            assert directory.error_code == ErrorCode.KAFKA_STORAGE_ERROR
            client.close()

    run(scenario)


def test_producers_are_told_with_their_last_sequence() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = Target("t", await client.create("t"))
        for producer_id, sequence in ((70, 0), (50, 0), (70, 2)):
            records = batch_of(
                b"a", b"b", producer_id=producer_id, producer_epoch=3, base_sequence=sequence
            )
            await client.ask(produce(target, 9, records=records), 9)
        (topic,) = (await client.ask(describe_producers(target, 0), 0)).topics
        told = [
            (each.producer_id, each.producer_epoch, each.last_sequence)
            for each in topic.partitions[0].active_producers
        ]
        assert told == [(50, 3, 1), (70, 3, 3)]

    with_broker(scenario)


def test_the_controller_is_the_only_voter_and_the_metadata_is_seen_to_move_on() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        def quorum(answer):
            return answer.topics[0].partitions[0]

        first = quorum(await client.ask(describe_quorum(Target("", b""), 2), 2))
        assert first.leader_id == 1
        assert [each.replica_id for each in first.current_voters] == [1]
        await client.create("t")
        answer = await client.ask(describe_quorum(Target("", b""), 2), 2)
        assert quorum(answer).high_watermark > first.high_watermark
        assert quorum(answer).leader_epoch == first.leader_epoch
        assert answer.nodes[0].listeners[0].port == broker.port

    with_broker(scenario)


def test_of_two_who_delete_a_topic_by_name_at_once_one_is_told_that_it_is_gone() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = Target("t", await client.create("t"))
        other = await broker.client()
        for each in (client, other):
            each.send(delete_topics(target, 5), 5)
        answers = [await client.receive(), await other.receive()]
        codes = [answer.responses[0].error_code for answer in answers]  # type: ignore[attr-defined]
        assert sorted(codes) == [0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
        other.close()

    with_broker(scenario)


def test_a_new_leader_tells_the_end_once_it_knows_what_was_committed_before_it() -> None:
    """Rule 8 (KIP-207): its high watermark may still lag behind its predecessor's."""

    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic_with(client, 1)
        partition = broker.broker.replicas.partition("t", 0)
        node = partition.record.leader
        shared = dataclasses.replace(
            partition.record,
            replicas=(node, node + 1),
            isr=(node, node + 1),
            partition_epoch=partition.record.partition_epoch + 1,
        )
        partition.apply(shared)
        await client.ask(produce(target, 9, b"1", acks=1), 9)
        partition.apply(
            dataclasses.replace(
                shared,
                leader_epoch=shared.leader_epoch + 1,
                partition_epoch=shared.partition_epoch + 1,
            )
        )
        told = []
        for version in (5, 4):
            answer = await client.ask(list_offsets(target, version), version)
            told.append(answer.topics[0].partitions[0].error_code)
        assert told == [ErrorCode.OFFSET_NOT_AVAILABLE, ErrorCode.LEADER_NOT_AVAILABLE]
        assert await start_of(client, target) == 0, "which no leader doubts"
        partition.fetched_by_follower(node + 1, 1, 2, 0, now=0.0)
        answer = await client.ask(list_offsets(target, 5), 5)
        assert answer.topics[0].partitions[0].offset == 2

    with_broker(scenario)
