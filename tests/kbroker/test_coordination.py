"""The host of the coordinators: where a group lives, and what a shard is rebuilt from."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
from collections.abc import Callable

import pytest

from kbroker.coordination import GROUPS_TOGETHER, TOMBSTONES_TOGETHER
from kbroker.group_replay import RECORDS_TOGETHER
from kbroker.handlers import HANDLERS
from kbroker.replication.partition import Partition
from tests.kbroker.broker_harness import Client, Running, World, run, running, with_broker
from tests.kbroker.handlers.group_requests import (
    Member,
    described,
    heartbeat,
    leave_group,
    sync_group,
)
from tests.kbroker.handlers.requests import (
    Target,
    delete_topics,
    find_coordinator,
    offset_commit,
    offset_fetch,
)
from wire.api_key import ApiKey
from wire.errors import ErrorCode, KafkaError
from wire.messages.heartbeat import HeartbeatRequest
from wire.messages.sync_group import SyncGroupRequest

GROUP_TOPIC = "__consumer_offsets"


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


# --- groups and what happens to their partition ---


async def member_of(client: Client) -> Member:
    member = Member(client)
    await client.create("t")
    await client.ask(find_coordinator(Target("", b""), 4), 4)
    await member.enter()
    return member


async def parked_with(broker: Running, member: Member) -> Member:
    """A second member, whose join waits for the first."""
    other = Member(await broker.client())
    await other.start_join()
    coordinator = broker.broker.services.group_coordinator
    await broker.until(lambda: coordinator.parked_count == 1)
    return other


async def settled(broker: Running) -> None:
    """The coordinator serves all of its groups."""
    coordinator = broker.broker.services.group_coordinator
    await broker.until(lambda: coordinator.is_loaded)


async def refused(client: Client) -> int:
    answer = await client.receive()
    code: int = answer.error_code  # type: ignore[attr-defined]
    return code


def test_a_group_comes_back_with_its_generation_and_a_fresh_session() -> None:
    async def scenario() -> None:
        world = World()
        async with running(world) as broker:
            member = await member_of(await broker.client())
            await member.join()
            member.start_sync()
            await member.finish_sync()
            assert member.generation == 2
            member.client.close()
        async with running(world) as broker:
            member.client = await broker.client()
            assert await member.beat() == 0
            found = await described(member.client)
            assert (found.group_state, len(found.members)) == ("Stable", 1)
            broker.loop.advance(9)
            assert await member.beat() == 0
            broker.loop.advance(11)
            while (await described(member.client)).group_state != "Empty":
                pass
            assert await member.beat() == ErrorCode.UNKNOWN_MEMBER_ID
            member.member_id = ""
            await member.enter()
            assert member.generation > 2, "generations do not fall"
            member.client.close()

    run(scenario)


def test_an_assignment_that_cannot_be_stored_is_refused_to_all_and_the_group_made_anew() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        first = await member_of(client)
        second = await parked_with(broker, first)
        await first.join()
        await second.finish_join()
        second.start_sync()
        coordinator = broker.broker.services.group_coordinator
        await broker.until(lambda: coordinator.parked_count == 1)
        broker.disk.fail("append", "*.log", error_number=errno.ENOSPC)
        first.start_sync()
        assert await refused(first.client) == ErrorCode.NOT_COORDINATOR
        assert await refused(second.client) == ErrorCode.NOT_COORDINATOR
        assert coordinator.parked_count == 0
        broker.disk.heal()
        await settled(broker)
        # What was stored is the generation before.
        assert await first.beat(generation=1) == 0
        assert await second.beat() == ErrorCode.UNKNOWN_MEMBER_ID
        second.client.close()

    with_broker(scenario)


def test_what_comes_behind_a_refused_request_finds_no_shard_that_is_ahead_of_its_partition() -> (
    None
):
    async def scenario(broker: Running, client: Client) -> None:
        first = await member_of(client)
        second = await parked_with(broker, first)
        await first.join()
        await second.finish_join()
        second.start_sync()
        coordinator = broker.broker.services.group_coordinator
        await broker.until(lambda: coordinator.parked_count == 1)
        second.client.send(leave_group(member_id=second.member_id), 5)
        first.client.send(heartbeat(member_id=first.member_id), 4)
        broker.disk.fail("append", "*.log", error_number=errno.ENOSPC)
        first.start_sync()
        first.client.send(leave_group(member_id=first.member_id), 5)
        assert await refused(first.client) == ErrorCode.ILLEGAL_GENERATION  # the heartbeat's
        for each in (first, second):
            for _ in range(2):
                assert await refused(each.client) == ErrorCode.NOT_COORDINATOR
        broker.disk.heal()
        await settled(broker)
        assert await first.beat(generation=1) == 0
        second.client.close()

    with_broker(scenario)


def test_a_commit_that_cannot_be_stored_costs_nobody_the_group() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        member = await member_of(client)
        other = await parked_with(broker, member)
        broker.disk.fail("append", "*.log", error_number=errno.ENOSPC)
        request = offset_commit(Target("t", b""), 8, group="h")
        answer = await client.ask(request, 8)
        assert answer.topics[0].partitions[0].error_code == ErrorCode.NOT_COORDINATOR
        broker.disk.heal()
        assert broker.broker.services.group_coordinator.parked_count == 1
        await member.join()
        await other.finish_join()
        other.client.close()

    with_broker(scenario, offsets_topic_num_partitions="1")


@pytest.mark.parametrize(("max_message_bytes", "step"), [(1_000, 1), (2_000_000, 100)])
def test_a_group_may_be_as_large_as_its_partition_takes_and_costs_no_other_if_larger(
    max_message_bytes: int, step: int
) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        bystander = await member_of(client)
        other = await parked_with(broker, bystander)
        log = broker.broker.replicas.partition(GROUP_TOPIC, 0).log
        log.config = dataclasses.replace(log.config, max_message_bytes=max_message_bytes)
        member = Member(await broker.client(), group="h")
        await member.join()
        codes = []
        for assignment_bytes in range(max_message_bytes - 400, max_message_bytes, step):
            assignments = {member.member_id: bytes(assignment_bytes)}
            request = sync_group(
                group="h",
                member_id=member.member_id,
                generation=member.generation,
                assignments=assignments,
            )
            answer = await member.client.ask(request, 5)
            codes.append(answer.error_code)  # type: ignore[attr-defined]
            if codes[-1]:
                break
            await member.join()
        assert set(codes[:-1]) == {0}, "what is smaller is stored"
        assert codes[-1] == ErrorCode.UNKNOWN_SERVER_ERROR
        assert len(codes) > 1
        assert broker.broker.services.group_coordinator.parked_count == 1
        other.client.close()
        member.client.close()

    with_broker(scenario, offsets_topic_num_partitions="1")


def test_members_look_for_the_coordinator_again_when_the_offsets_topic_is_deleted() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        member = await member_of(client)
        other = await parked_with(broker, member)
        topic_id = broker.broker.services.metadata.image.topic_ids[GROUP_TOPIC]
        await client.ask(delete_topics(Target(GROUP_TOPIC, topic_id), 6), 6)
        assert await refused(other.client) == ErrorCode.NOT_COORDINATOR
        assert await member.beat() in (
            ErrorCode.NOT_COORDINATOR,
            ErrorCode.COORDINATOR_NOT_AVAILABLE,
        )
        await client.ask(find_coordinator(Target("", b""), 4), 4)
        await settled(broker)
        assert await member.beat() == ErrorCode.UNKNOWN_MEMBER_ID
        other.client.close()

    with_broker(scenario)


def test_a_new_leader_epoch_makes_the_shard_anew() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        member = await member_of(client)
        other = await parked_with(broker, member)
        coordinator = broker.broker.services.group_coordinator
        index = coordinator.partition_of("g")
        led_in_the_next_epoch(broker.broker.replicas.partition(GROUP_TOPIC, index))
        coordinator.leadership_changed()
        assert await refused(other.client) == ErrorCode.NOT_COORDINATOR
        await settled(broker)
        assert await member.beat() == 0
        coordinator.leadership_changed()
        assert coordinator.is_loaded, "nothing changed"
        other.client.close()

    with_broker(scenario)


def test_while_partitions_are_loaded_no_group_is_sent_elsewhere_and_none_is_listed() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        groups = await one_group_in_each_partition(broker, client)
        coordinator = broker.broker.services.group_coordinator
        led_anew(broker)
        turns = 0
        while not coordinator.is_loaded:
            codes = {code_of(lambda name=name: coordinator.read(name, str)) for name in groups}
            if ErrorCode.COORDINATOR_LOAD_IN_PROGRESS in codes:
                turns += 1
                assert codes <= {0, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS}
                listed = code_of(lambda: coordinator.read_all(str, len))  # type: ignore[type-var]
                assert listed == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
            await asyncio.sleep(0)
        assert turns >= len(groups)

    with_broker(scenario)


def test_no_group_waits_for_the_replicas_of_another_ones_partition() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        groups = await one_group_in_each_partition(broker, client)
        coordinator = broker.broker.services.group_coordinator
        behind = broker.broker.replicas.partition(GROUP_TOPIC, coordinator.partition_of(groups[0]))
        for partition in broker.broker.replicas:
            if partition.topic == GROUP_TOPIC:
                led_in_the_next_epoch(partition)
        behind.epoch_start_offset = behind.high_watermark + 1  # its followers are to be heard yet
        coordinator.leadership_changed()
        await broker.until(
            lambda: (
                not any(
                    code_of(lambda name=name: coordinator.read(name, str)) for name in groups[1:]
                )
            )
        )
        loading = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        assert code_of(lambda: coordinator.read(groups[0], str)) == loading
        await client.ask(find_coordinator(Target("", b""), 4), 4)
        led_in_the_next_epoch(behind)
        await broker.until(lambda: coordinator.is_loaded)

    with_broker(scenario, offsets_topic_num_partitions="3")


def test_a_partition_that_cannot_be_read_keeps_no_others_from_being_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        groups = await one_group_in_each_partition(broker, client)
        coordinator = broker.broker.services.group_coordinator
        damaged = broker.broker.replicas.partition(GROUP_TOPIC, coordinator.partition_of(groups[0]))

        def refuse(*arguments: object, **options: object) -> None:
            raise KafkaError(ErrorCode.CORRUPT_MESSAGE)

        monkeypatch.setattr(damaged.log, "read", refuse)
        led_anew(broker)
        codes = [0] * len(groups)

        def looked_at() -> list[int]:
            codes[:] = [code_of(lambda name=name: coordinator.read(name, str)) for name in groups]
            return codes

        await broker.until(lambda: looked_at() == [ErrorCode.NOT_COORDINATOR, 0, 0])

    with_broker(scenario, offsets_topic_num_partitions="3")


def test_a_partition_that_is_gone_when_it_is_loaded_is_not_served() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        (group,) = await one_group_in_each_partition(broker, client, count=1)
        coordinator = broker.broker.services.group_coordinator
        led_anew(broker)
        loading = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        while code_of(lambda: coordinator.read(group, str)) != loading:
            await asyncio.sleep(0)
        broker.broker.replicas.partition(GROUP_TOPIC, 0).stop(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        while (code := code_of(lambda: coordinator.read(group, str))) == loading:
            await asyncio.sleep(0)
        assert code == ErrorCode.NOT_COORDINATOR

    with_broker(scenario, offsets_topic_num_partitions="1")


def test_a_broker_that_has_lost_its_membership_loads_nothing() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        (group,) = await one_group_in_each_partition(broker, client, count=1)
        coordinator = broker.broker.services.group_coordinator
        partition = broker.broker.replicas.partition(GROUP_TOPIC, 0)
        partition.step_down()
        coordinator.leadership_changed()
        await coordinator.load()  # although the metadata still say that it leads here
        assert not coordinator.is_loaded
        led_in_the_next_epoch(partition)
        coordinator.leadership_changed()
        await broker.until(lambda: coordinator.is_loaded)
        assert code_of(lambda: coordinator.read(group, str)) == 0

    with_broker(scenario, offsets_topic_num_partitions="1")


def test_expiry_ends_with_the_shard_that_it_began_with() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = Target("t", await client.create("t"))
        await client.ask(find_coordinator(target, 4), 4)
        for number in range(3 * GROUPS_TOGETHER):
            await client.ask(offset_commit(target, 8, group=f"g{number}"), 8)
        log = broker.broker.replicas.partition(GROUP_TOPIC, 0).log
        broker.world.clock.time_ms += 60_001
        before = log.log_end_offset
        task = asyncio.ensure_future(broker.broker.services.group_coordinator.expire_offsets())
        await broker.until(lambda: log.log_end_offset > before)
        before = log.log_end_offset
        led_anew(broker)
        await task
        assert log.log_end_offset == before

    with_broker(scenario, offsets_topic_num_partitions="1", **EXPIRING)


def test_offsets_of_a_topic_that_was_deleted_meanwhile_are_forgotten_when_they_are_loaded() -> None:
    async def scenario() -> None:
        world = World()
        async with running(world) as broker:
            client = await broker.client()
            target = Target("t", await client.create("t"))
            await client.ask(find_coordinator(target, 4), 4)
            await client.ask(offset_commit(target, 8), 8)
            broker.disk.fail("append", "*.log", error_number=errno.ENOSPC)
            await client.ask(delete_topics(target, 6), 6)
            broker.disk.heal()
            assert await offset_of(client, "g") == 5
            client.close()
        async with running(world) as broker:
            client = await broker.client()
            assert await offset_of(client, "g") == -1
            client.close()

    run(scenario)


def test_a_broker_serves_others_while_many_groups_load(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        world = World()
        async with running(world) as broker:
            client = await broker.client()
            target = Target("t", await client.create("t"))
            await client.ask(find_coordinator(target, 4), 4)
            for number in range(3 * RECORDS_TOGETHER):
                client.send(offset_commit(target, 8, group=f"g{number}"), 8)
            for _ in range(3 * RECORDS_TOGETHER):
                await client.receive()
            client.close()
        monkeypatch.setattr("kbroker.broker.GROUPS_FIRST_S", 0)
        async with running(world) as broker:
            coordinator = broker.broker.services.group_coordinator
            assert not coordinator.is_loaded
            answer = code_of(lambda: coordinator.read("g0", str))
            assert answer == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
            await broker.until(lambda: coordinator.is_loaded)
            client = await broker.client()
            assert await offset_of(client, "g0") == 5
            client.close()

    run(scenario)


async def one_group_in_each_partition(
    broker: Running, client: Client, *, count: int = 3
) -> list[str]:
    target = Target("t", await client.create("t"))
    await client.ask(find_coordinator(target, 4), 4)
    coordinator = broker.broker.services.group_coordinator
    groups = {coordinator.partition_of(f"g{number}"): f"g{number}" for number in range(50)}
    assert sorted(groups) == list(range(count))
    for group in groups.values():
        await client.ask(offset_commit(target, 8, group=group), 8)
    return list(groups.values())


def led_in_the_next_epoch(partition: Partition) -> None:
    record = partition.record
    leader_epoch, partition_epoch = record.leader_epoch + 1, record.partition_epoch + 1
    partition.apply(
        dataclasses.replace(record, leader_epoch=leader_epoch, partition_epoch=partition_epoch)
    )


def led_anew(broker: Running) -> None:
    """Every partition of the groups has a new leader epoch, and the coordinator is told."""
    for partition in broker.broker.replicas:
        if partition.topic == GROUP_TOPIC:
            led_in_the_next_epoch(partition)
    broker.broker.services.group_coordinator.leadership_changed()


def code_of(operation: Callable[[], object]) -> int:
    """The error code that the operation raises."""
    try:
        operation()
    except KafkaError as error:
        return error.code
    return 0


def test_while_groups_are_loaded_heartbeats_are_welcome() -> None:
    request = HeartbeatRequest(group_id="g", generation_id=1, member_id="m")
    for code, told in (
        (ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.NONE),
        (ErrorCode.NOT_COORDINATOR, ErrorCode.NOT_COORDINATOR),
    ):
        assert HANDLERS[ApiKey.HEARTBEAT].error_response(request, 4, code).error_code == told


def test_while_groups_are_loaded_a_member_that_syncs_joins_anew() -> None:
    """The rebalance it was part of is gone. aiokafka takes any other code of a SyncGroup, that of a
    coordinator that loads included, for an error to raise."""
    request = SyncGroupRequest(group_id="g", generation_id=1, member_id="m", assignments=[])
    for code, told in (
        (ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.REBALANCE_IN_PROGRESS),
        (ErrorCode.NOT_COORDINATOR, ErrorCode.NOT_COORDINATOR),
    ):
        assert HANDLERS[ApiKey.SYNC_GROUP].error_response(request, 5, code).error_code == told


def test_offsets_of_idle_groups_expire_and_stay_forgotten() -> None:
    async def scenario() -> None:
        world = World()
        target = Target("t", b"")
        async with running(world, **EXPIRING) as broker:
            client = await broker.client()
            member = await member_of(client)
            request = offset_commit(target, 8, generation=member.generation)
            request.member_id = member.member_id
            await client.ask(request, 8)
            await client.ask(offset_commit(target, 8, group="idle"), 8)
            coordinator = broker.broker.services.group_coordinator
            await coordinator.expire_offsets()
            assert await offset_of(client, "idle") == 5
            world.clock.time_ms += 60_001
            broker.loop.advance(601)
            while await offset_of(client, "idle") != -1:
                pass
            assert await offset_of(client, "g") == 5, "its group has a member"
            client.close()
        async with running(world, **EXPIRING) as broker:
            client = await broker.client()
            assert await offset_of(client, "idle") == -1
            assert (await described(client, "idle")).error_code == ErrorCode.GROUP_ID_NOT_FOUND
            client.close()

    run(scenario)


def test_others_have_the_loop_while_many_groups_expire() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = Target("t", await client.create("t"))
        await client.ask(find_coordinator(target, 4), 4)
        count = 5 * GROUPS_TOGETHER + 1
        for number in range(count):
            await client.ask(offset_commit(target, 8, group=f"g{number}"), 8)
        log = broker.broker.replicas.partition(GROUP_TOPIC, 0).log
        broker.world.clock.time_ms += 60_001
        before = first = log.log_end_offset
        most = 0
        task = asyncio.ensure_future(broker.broker.services.group_coordinator.expire_offsets())
        while not task.done():
            await asyncio.sleep(0)
            most, before = max(most, log.log_end_offset - before), log.log_end_offset
        assert before - first == 2 * count, "of each group the offset and the group"
        assert most == 2 * GROUPS_TOGETHER
        assert await offset_of(client, "g0") == -1

    with_broker(scenario, offsets_topic_num_partitions="1", **EXPIRING)


def test_a_disk_that_fails_while_groups_expire_ends_the_broker_as_any_other_write() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = Target("t", await client.create("t"))
        await client.ask(find_coordinator(target, 4), 4)
        await client.ask(offset_commit(target, 8), 8)
        broker.world.clock.time_ms += 60_001
        broker.disk.fail("append", "*.log", error_number=errno.EIO)
        await broker.broker.services.group_coordinator.expire_offsets()
        assert broker.broker.failure
        broker.disk.heal()

    with_broker(scenario, **EXPIRING)


EXPIRING = {"offsets_retention_minutes": "1", "group_max_session_timeout_ms": "2000000"}


async def offset_of(client: Client, group: str) -> int:
    answer = await client.ask(offset_fetch(Target("t", b""), 8, group=group), 8)
    offset: int = answer.groups[0].topics[0].partitions[0].committed_offset  # type: ignore[attr-defined]
    return offset


def test_the_offsets_of_a_deleted_topic_are_forgotten_in_batches_of_bounded_size() -> None:
    async def scenario() -> None:
        world = World()
        count = TOMBSTONES_TOGETHER + 5
        async with running(world, offsets_topic_num_partitions="1") as broker:
            client = await broker.client()
            target = Target("t", await client.create("t"))
            await client.ask(find_coordinator(target, 4), 4)
            for number in range(count):
                client.send(offset_commit(target, 8, group=f"g{number}"), 8)
            for _ in range(count):
                await client.receive()
            log = broker.broker.replicas.partition(GROUP_TOPIC, 0).log
            before = log.log_end_offset
            await client.ask(delete_topics(target, 6), 6)
            await broker.until(lambda: log.log_end_offset == before + count)
            client.close()
        async with running(world, offsets_topic_num_partitions="1") as broker:
            client = await broker.client()
            await client.create("t")
            for group in ("g0", f"g{count - 1}"):
                assert await offset_of(client, group) == -1
            client.close()

    run(scenario)


def test_where_the_partition_cannot_be_read_the_next_client_that_asks_has_it_loaded() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        member = await member_of(client)
        coordinator = broker.broker.services.group_coordinator
        broker.disk.fail("append", "*.log", error_number=errno.ENOSPC)
        broker.disk.fail("read", "*.log", error_number=errno.ENOSPC)
        before = member.generation
        await member.join()
        member.start_sync()
        assert await refused(client) == ErrorCode.NOT_COORDINATOR
        for _ in range(20):
            assert await member.beat() == ErrorCode.NOT_COORDINATOR
        assert not coordinator.is_loaded
        broker.disk.heal()
        await client.ask(find_coordinator(Target("", b""), 4), 4)
        assert await member.beat(generation=before) == ErrorCode.NONE

    with_broker(scenario, offsets_topic_num_partitions="1")
