"""OffsetCommit and OffsetFetch: refused one by one, told once committed, kept over restarts."""

from __future__ import annotations

import errno

import pytest

from tests.kbroker.broker_harness import Client, Running, World, run, running, with_broker
from tests.kbroker.handlers.requests import (
    Target,
    delete_topics,
    error_codes,
    find_coordinator,
    offset_commit,
    offset_fetch,
)
from wire.errors import ErrorCode
from wire.messages.offset_commit import OffsetCommitRequestPartition, OffsetCommitRequestTopic
from wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup

NOWHERE = Target("", b"")


async def a_group(client: Client, *, partitions: int = 1) -> Target:
    target = Target("t", await client.create("t", partitions=partitions))
    await client.ask(find_coordinator(target, 4), 4)
    return target


def committed(answer) -> int:
    return answer.groups[0].topics[0].partitions[0].committed_offset


def place(index: int, *, offset: int = 1, note: str = "") -> OffsetCommitRequestPartition:
    return OffsetCommitRequestPartition(
        partition_index=index, committed_offset=offset, committed_metadata=note
    )


def test_a_group_that_never_committed_has_no_offset_and_no_error() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_group(client)
        answer = await client.ask(offset_fetch(target, 8, group="stranger"), 8)
        assert committed(answer) == -1
        assert not any(error_codes(answer))

    with_broker(scenario)


def test_an_offset_is_told_only_once_it_is_committed() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_group(client)
        await client.ask(offset_commit(target, 8, offset=1), 8)
        broker.flusher.held = True
        client.send(offset_commit(target, 8, offset=2), 8)
        other = await broker.client()
        shard = broker.broker.services.group_coordinator.partition_of("g")
        log = broker.broker.replicas.partition("__consumer_offsets", shard).log
        await broker.until(lambda: log.log_end_offset == 2)
        other.send(offset_fetch(target, 8), 8)
        # The answer would tell of offset 2, which a power loss could still take: both wait.
        connections = broker.broker.server.connections
        await broker.until(lambda: sum(each.waiting for each in connections) == 2)
        broker.flusher.held = False
        broker.flusher.flush()
        assert not any(error_codes(await client.receive()))
        assert committed(await other.receive()) == 2
        other.close()

    with_broker(scenario)


def test_a_commit_that_is_not_safe_in_time_is_answered_with_an_error() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_group(client)
        broker.flusher.held = True
        client.send(offset_commit(target, 8), 8)
        shard = broker.broker.services.group_coordinator.partition_of("g")
        log = broker.broker.replicas.partition("__consumer_offsets", shard).log
        await broker.until(lambda: log.log_end_offset == 1)
        broker.loop.advance(3600)
        codes = list(error_codes(await client.receive()))
        assert codes in (
            [ErrorCode.REQUEST_TIMED_OUT],
            [ErrorCode.COORDINATOR_NOT_AVAILABLE],
        )
        broker.flusher.flush()

    with_broker(scenario)


@pytest.mark.parametrize("version", [2, 8, 9, 10])
def test_known_and_unknown_partitions_are_answered_one_by_one(version: int) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_group(client, partitions=2)
        request = offset_commit(target, version)
        topic = request.topics[0]
        topic.partitions = [place(1, offset=11), place(7), place(0, offset=10)]
        request.topics.append(
            OffsetCommitRequestTopic(name="no", topic_id=b"n" * 16, partitions=[place(0)])
        )
        answer = await client.ask(request, version)
        found = {
            (number, each.partition_index): each.error_code
            for number, topic in enumerate(answer.topics)
            for each in topic.partitions
        }
        missing = (
            ErrorCode.UNKNOWN_TOPIC_ID if version >= 10 else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        )
        assert found == {
            (0, 0): 0,
            (0, 1): 0,
            (0, 7): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            (1, 0): missing,
        }
        assert committed(await client.ask(offset_fetch(target, 8), 8)) == 10

    with_broker(scenario)


def test_a_topic_named_twice_is_answered_for_each_of_its_partitions() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_group(client, partitions=2)
        request = offset_commit(target, 8)
        request.topics = [
            OffsetCommitRequestTopic(name=name, partitions=[place(index)])
            for name, index in (("t", 0), ("nowhere", 0), ("t", 1), ("t", 2))
        ]
        answer = await client.ask(request, 8)
        told = [
            (topic.name, each.partition_index, each.error_code)
            for topic in answer.topics
            for each in topic.partitions
        ]
        unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert told == [("t", 0, 0), ("nowhere", 0, unknown), ("t", 1, 0), ("t", 2, unknown)]

    with_broker(scenario)


def test_metadata_that_is_too_long_is_refused_and_the_rest_committed() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_group(client, partitions=2)
        request = offset_commit(target, 8)
        request.topics[0].partitions = [place(0, offset=3), place(1, note="x" * 5000)]
        answer = await client.ask(request, 8)
        codes = [each.error_code for each in answer.topics[0].partitions]
        assert codes == [0, ErrorCode.OFFSET_METADATA_TOO_LARGE]
        assert committed(await client.ask(offset_fetch(target, 8), 8)) == 3

    with_broker(scenario)


@pytest.mark.parametrize(
    ("version", "code"), [(8, ErrorCode.ILLEGAL_GENERATION), (9, ErrorCode.GROUP_ID_NOT_FOUND)]
)
def test_a_member_of_a_group_that_is_not_there_may_not_commit(version: int, code: int) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_group(client)
        answer = await client.ask(offset_commit(target, version, generation=3), version)
        assert list(error_codes(answer)) == [code]

    with_broker(scenario)


def test_a_commit_refused_as_a_whole_answers_every_partition_asked() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_group(client)
        request = offset_commit(target, 8, generation=3)
        request.topics[0].partitions = [place(0), place(7)]
        request.topics.append(OffsetCommitRequestTopic(name="no", partitions=[place(0)]))
        answer = await client.ask(request, 8)
        found = [(each.name, len(each.partitions)) for each in answer.topics]
        assert found == [("t", 2), ("no", 1)]

    with_broker(scenario)


def test_a_full_disk_lets_clients_look_for_the_coordinator_again() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_group(client)
        broker.disk.fail("append", "*.log", error_number=errno.ENOSPC)
        answer = await client.ask(offset_commit(target, 8), 8)
        assert list(error_codes(answer)) == [ErrorCode.NOT_COORDINATOR]  # as Kafka translates it
        broker.disk.heal()
        assert not any(error_codes(await client.ask(offset_commit(target, 8), 8)))

    with_broker(scenario)


def test_before_there_is_an_offsets_topic_a_coordinator_must_be_looked_for() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = Target("t", await client.create("t"))
        commit = await client.ask(offset_commit(target, 8), 8)
        found = await client.ask(offset_fetch(target, 8), 8)
        allowed = {ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NOT_COORDINATOR}
        assert set(error_codes(commit)) <= allowed
        assert {found.groups[0].error_code} <= allowed

    with_broker(scenario)


@pytest.mark.parametrize("version", [0, 4])
def test_where_there_can_be_no_offsets_topic_clients_ask_again(version: int) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        answer = await client.ask(find_coordinator(Target("", b""), version), version)
        found = answer.coordinators[0] if version == 4 else answer
        assert found.error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE
        assert (found.node_id, found.host, found.port) == (-1, "", -1)

    with_broker(scenario, offsets_topic_replication_factor="3")


def test_all_offsets_of_several_groups_are_told_at_once() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_group(client, partitions=3)
        for number, group in enumerate(("a", "b", "c")):
            request = offset_commit(target, 8, group=group)
            request.topics[0].partitions = [place(each, offset=number) for each in (2, 0)]
            await client.ask(request, 8)
        groups = [
            OffsetFetchRequestGroup(group_id=group, topics=None) for group in ("c", "nobody", "a")
        ]
        answer = await client.ask(OffsetFetchRequest(groups=groups), 8)
        told = {
            group.group_id: [
                (each.partition_index, each.committed_offset)
                for topic in group.topics
                for each in topic.partitions
            ]
            for group in answer.groups
        }
        assert told == {"c": [(0, 2), (2, 2)], "nobody": [], "a": [(0, 0), (2, 0)]}
        assert [group.group_id for group in answer.groups] == ["c", "nobody", "a"]

    with_broker(scenario)


def test_committed_offsets_survive_a_restart_and_the_topics_deletion_forgets_them() -> None:
    async def scenario() -> None:
        world = World()
        async with running(world) as broker:
            client = await broker.client()
            target = await a_group(client)
            for number in range(20):
                request = offset_commit(target, 8, group=f"g{number}", offset=number)
                await client.ask(request, 8)
            client.close()
        async with running(world) as broker:
            client = await broker.client()
            for number in range(20):
                answer = await client.ask(offset_fetch(target, 8, group=f"g{number}"), 8)
                assert committed(answer) == number
            await client.ask(delete_topics(target, 6), 6)
            again = Target("t", await client.create("t"))
            answer = await client.ask(offset_fetch(again, 8, group="g7"), 8)
            assert committed(answer) == -1
            client.close()
        async with running(world) as broker:
            client = await broker.client()
            answer = await client.ask(offset_fetch(again, 8, group="g7"), 8)
            assert committed(answer) == -1, "the tombstones were stored"
            client.close()

    run(scenario)


def test_offsets_of_a_deleted_topic_are_not_told_even_where_that_could_not_be_stored() -> None:
    async def scenario() -> None:
        world = World()
        async with running(world) as broker:
            client = await broker.client()
            target = await a_group(client)
            await client.ask(offset_commit(target, 8, offset=7), 8)
            broker.disk.fail("append", "*.log", error_number=errno.ENOSPC)
            await client.ask(delete_topics(target, 6), 6)
            broker.disk.heal()
            again = Target("t", await client.create("t"))
            await told_nothing(client, again)
            client.close()
        async with running(world) as broker:
            client = await broker.client()
            await told_nothing(client, again)
            await client.ask(offset_commit(again, 8, offset=1), 8)
            assert committed(await client.ask(offset_fetch(again, 8), 8)) == 1
            client.close()

    run(scenario)


async def told_nothing(client: Client, target: Target) -> None:
    for version in (8, 10):
        answer = await client.ask(offset_fetch(target, version), version)
        assert committed(answer) == -1
        everything = OffsetFetchRequestGroup(group_id="g", topics=None)
        answer = await client.ask(OffsetFetchRequest(groups=[everything]), version)
        assert answer.groups[0].topics == []


def test_acknowledged_commits_survive_a_power_loss() -> None:
    async def scenario() -> None:
        world = World()
        async with running(world) as broker:
            client = await broker.client()
            target = await a_group(client)
            for number in range(5):
                await client.ask(offset_commit(target, 8, offset=number), 8)
            world.file_system = broker.disk.crash(world.chance)
            client.close()
        async with running(world) as broker:
            client = await broker.client()
            assert committed(await client.ask(offset_fetch(target, 8), 8)) == 4
            client.close()

    run(scenario)
