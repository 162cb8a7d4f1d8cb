"""Groups over the wire: members that join, wait for each other, leave, and groups as admins see
them."""

from __future__ import annotations

import re
import struct

import pytest

from kbroker.handlers.join_group import client_host
from tests.kbroker.broker_harness import Client, Running, with_broker
from tests.kbroker.handlers.group_requests import (
    Member,
    delete_groups,
    describe_groups,
    described,
    heartbeat,
    join_group,
    leave_group,
    list_groups,
    offset_delete,
    sync_group,
)
from tests.kbroker.handlers.requests import Target, find_coordinator, offset_commit, offset_fetch
from wire.errors import ErrorCode
from wire.messages.describe_groups import DescribeGroupsRequest
from wire.messages.find_coordinator import FindCoordinatorRequest
from wire.messages.list_groups import ListGroupsRequest
from wire.messages.sync_group import SyncGroupRequest
from wire.schema import Request

JOIN_VERSIONS = range(10)
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
NOTHING = Target("", b"")


async def coordinated(client: Client, *, partitions: int = 1) -> Target:
    """A topic, and a coordinator that serves."""
    target = Target("t", await client.create("t", partitions=partitions))
    await client.ask(find_coordinator(target, 4), 4)
    return target


async def pair(broker: Running, client: Client) -> tuple[Member, Member]:
    """Two members of one generation; the first leads."""
    first, second = Member(client), Member(await broker.client())
    await first.enter()
    await second.start_join()
    while await first.beat() != ErrorCode.REBALANCE_IN_PROGRESS:
        pass
    await first.start_join()
    await first.finish_join()
    await second.finish_join()
    first.start_sync()
    second.start_sync()
    await first.finish_sync()
    await second.finish_sync()
    assert first.generation == second.generation
    return first, second


# --- members ---


@pytest.mark.parametrize("version", JOIN_VERSIONS)
def test_a_member_joins_lives_and_leaves_in_every_version(version: int) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await coordinated(client)
        sync, beat, leave = min(version, 5), min(version, 4), min(version, 5)
        joined = await client.ask(join_group(version=version), version)
        if version >= 4:
            assert joined.error_code == ErrorCode.MEMBER_ID_REQUIRED
            again = join_group(version=version, member_id=joined.member_id)
            joined = await client.ask(again, version)
        assert joined.error_code == 0
        assert (joined.generation_id, joined.leader) == (1, joined.member_id)
        assert [each.member_id for each in joined.members] == [joined.member_id]
        assert joined.protocol_type == ("consumer" if version >= 7 else None)
        me = joined.member_id
        assert re.fullmatch("test-" + UUID, me), "the client's id and a fresh one"
        synced = await client.ask(
            sync_group(version=sync, member_id=me, assignments={me: b"all"}), sync
        )
        assert (synced.error_code, synced.assignment) == (0, b"all")
        beaten = await client.ask(heartbeat(version=beat, member_id=me), beat)
        assert beaten.error_code == 0
        left = await client.ask(leave_group(version=leave, member_id=me), leave)
        assert left.error_code == 0
        assert [each.error_code for each in left.members] == ([0] if leave >= 3 else [])
        gone = await client.ask(heartbeat(version=beat, member_id=me), beat)
        assert gone.error_code == ErrorCode.UNKNOWN_MEMBER_ID

    with_broker(scenario)


def test_members_wait_for_each_other_and_share_a_generation() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await coordinated(client)
        first, second = await pair(broker, client)
        assert (first.leads, second.leads) == (True, False)
        assert first.joined is not None
        assert second.joined is not None
        assert len(first.joined.members) == 2
        assert second.joined.members == [], "only the leader is told about everybody"
        assert await first.beat() == await second.beat() == 0
        assert await second.beat(generation=1) == ErrorCode.ILLEGAL_GENERATION
        assert await second.leave() == 0
        assert await first.beat() == ErrorCode.REBALANCE_IN_PROGRESS
        second.client.close()

    with_broker(scenario)


def test_two_hundred_members_share_a_generation() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await coordinated(client)
        members = [Member(await broker.client()) for _ in range(200)]
        for each in members:
            await each.get_id()
        for each in members:
            await each.start_join()
        told = [len((await each.finish_join()).members) for each in members]
        assert sorted(told) == [0] * 199 + [200]
        assert {each.generation for each in members} == {1}
        for each in members:
            each.start_sync()
        for each in members:
            await each.finish_sync()
        assert {await each.beat() for each in members} == {0}
        gone = next(each for each in members if not each.leads)
        assert await gone.leave() == 0
        members.remove(gone)
        assert {await each.beat() for each in members} == {ErrorCode.REBALANCE_IN_PROGRESS}
        for each in members:
            await each.start_join()
        told = [len((await each.finish_join()).members) for each in members]
        assert sorted(told) == [0] * 198 + [199]
        for each in [gone, *members]:
            each.client.close()

    with_broker(scenario)


def test_a_parked_request_blocks_those_behind_it_as_in_kafka() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await coordinated(client)
        first, second = Member(client), Member(await broker.client())
        await first.enter()
        await second.start_join()
        second.client.send(find_coordinator(NOTHING, 4), 4)
        while await first.beat() != ErrorCode.REBALANCE_IN_PROGRESS:
            pass
        await first.join()
        await second.finish_join()
        answer = await second.client.receive()
        assert answer.coordinators[0].error_code == 0  # type: ignore[attr-defined]
        second.client.close()

    with_broker(scenario)


def test_a_member_that_hangs_up_while_it_waits_leaks_nothing() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await coordinated(client)
        coordinator = broker.broker.services.group_coordinator
        first, second = Member(client), Member(await broker.client())
        await first.enter()
        await second.start_join()
        await broker.until(lambda: coordinator.parked_count == 1)
        second.client.close()
        await broker.until(lambda: coordinator.parked_count == 0)
        await first.start_join()
        await first.finish_join()  # the one that is gone has joined: it has its session's time
        assert first.joined is not None
        assert len(first.joined.members) == 2

    with_broker(scenario)


def test_an_assignment_is_told_only_once_it_is_stored() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await coordinated(client)
        member = Member(client)
        await member.join()
        broker.flusher.held = True
        member.start_sync()
        index = broker.broker.services.group_coordinator.partition_of("g")
        log = broker.broker.replicas.partition("__consumer_offsets", index).log
        await broker.until(lambda: log.log_end_offset == 1)
        other = await broker.client()
        # A heartbeat does not wait for the disk, and what waits for it is not told by then.
        beaten = await other.ask(heartbeat(member_id=member.member_id), 4)
        assert beaten.error_code == 0  # type: ignore[attr-defined]
        assert not client.reader._buffer  # type: ignore[attr-defined]
        broker.flusher.held = False
        broker.flusher.flush()
        await member.finish_sync()
        other.close()

    with_broker(scenario)


def test_nor_does_a_second_request_learn_what_is_not_stored_yet() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await coordinated(client)
        member, leader = Member(await broker.client()), Member(client)
        await leader.join()
        await client.ask(offset_commit(target, 8, group="simple"), 8)
        log = broker.broker.replicas.partition("__consumer_offsets", 0).log
        broker.flusher.held = True
        end_offset = log.log_end_offset
        leader.start_sync()
        await broker.until(lambda: log.log_end_offset == end_offset + 1)
        await waits(broker, sync_group(member_id=leader.member_id), 5)
        # Whoever deletes what somebody else deletes is told no earlier.
        await waits(broker, offset_delete(None, 0, group="simple"), 0)
        await waits(broker, offset_delete(None, 0, group="simple"), 0)
        await waits(broker, delete_groups(None, 2, "simple"), 2)
        await waits(broker, delete_groups(None, 2, "simple"), 2)
        await waits(broker, list_groups(None, 5), 5)
        await waits(broker, offset_fetch(Target("t", b""), 7, group="simple"), 7)
        assert await member_code(member, leader) == 0, "a heartbeat waits for nothing"
        broker.flusher.held = False
        broker.flusher.flush()
        await leader.finish_sync()
        member.client.close()

    with_broker(scenario, offsets_topic_num_partitions="1")


async def waits(broker: Running, request: Request, version: int) -> None:
    """A connection of its own asks, and has no answer when others behind it have theirs."""
    asking, other = await broker.client(), await broker.client()
    asking.send(request, version)
    for _ in range(3):
        await other.ask(find_coordinator(NOTHING, 4), 4)
    assert not asking.reader._buffer, type(request).__name__  # type: ignore[attr-defined]
    other.close()


async def member_code(asking: Member, of: Member) -> int:
    """A heartbeat of one, sent by another."""
    asking.member_id, asking.generation = of.member_id, of.generation
    return await asking.beat()


def test_a_silent_member_is_removed_when_its_session_is_over() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await coordinated(client)
        member = Member(client)
        await member.enter()
        broker.loop.advance(9)
        assert await member.beat() == 0
        broker.loop.advance(9)
        assert await member.beat() == 0
        broker.loop.advance(11)
        found = await described(client)
        while found.group_state != "Empty":
            found = await described(client)
        assert await member.beat() == ErrorCode.UNKNOWN_MEMBER_ID

    with_broker(scenario)


def test_the_limits_of_the_configuration_hold() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await coordinated(client)
        for timeout_ms in (1_999, 20_001):
            refused = await client.ask(join_group(session_timeout_ms=timeout_ms), 3)
            assert refused.error_code == ErrorCode.INVALID_SESSION_TIMEOUT
        member = Member(client)
        member.session_timeout_ms = 2_000
        await member.enter()
        other = await broker.client()
        full = await other.ask(join_group(session_timeout_ms=20_000), 3)
        assert full.error_code == ErrorCode.GROUP_MAX_SIZE_REACHED
        other.close()

    with_broker(
        scenario,
        group_min_session_timeout_ms="2000",
        group_max_session_timeout_ms="20000",
        group_max_size="1",
    )


def test_the_first_member_waits_as_long_as_configured_for_others() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await coordinated(client)
        first, second = Member(client), Member(await broker.client())
        await first.start_join()
        await second.start_join()
        coordinator = broker.broker.services.group_coordinator
        await broker.until(lambda: coordinator.parked_count == 2)
        answers = [await first.finish_join(), await second.finish_join()]
        assert [len(each.members) for each in answers] == [2, 0]
        assert first.generation == second.generation == 1
        second.client.close()

    with_broker(scenario, group_initial_rebalance_delay_ms="50")


def test_a_group_must_have_a_name() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await coordinated(client)
        for version in JOIN_VERSIONS:
            joined = await client.ask(join_group(group="", member_id="m"), version)
            assert joined.error_code == ErrorCode.INVALID_GROUP_ID
            assert (joined.member_id, joined.generation_id) == ("m", -1)
            assert joined.protocol_name == (None if version >= 7 else "")
        for request, version in (
            (sync_group(group=""), 5),
            (heartbeat(group=""), 4),
            (leave_group(group=""), 5),
            (offset_delete(NOTHING, 0, group=""), 0),
        ):
            answer = await client.ask(request, version)
            assert answer.error_code == ErrorCode.INVALID_GROUP_ID  # type: ignore[attr-defined]

    with_broker(scenario)


def test_offsets_of_a_topic_named_twice_are_deleted_and_answered_all() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await coordinated(client, partitions=2)
        await client.ask(offset_commit(target, 8, group="simple"), 8)
        request = offset_delete(None, 0, group="simple")
        for index in (7, 1):
            request.topics += offset_delete(None, 0, partition=index).topics
        answer = await client.ask(request, 0)
        (topic,) = answer.topics
        assert sorted((each.partition_index, each.error_code) for each in topic.partitions) == [
            (0, 0),
            (1, 0),
            (7, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ]

    with_broker(scenario)


def test_the_protocol_must_be_named_since_version_5_of_sync() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await coordinated(client)
        request = SyncGroupRequest(group_id="g", generation_id=1, member_id="m", assignments=[])
        for version, code in (
            (4, ErrorCode.UNKNOWN_MEMBER_ID),
            (5, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ):
            answer = await client.ask(request, version)
            assert answer.error_code == code  # type: ignore[attr-defined]

    with_broker(scenario)


def test_unknown_members_are_told_one_by_one_since_version_3_of_leave() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await coordinated(client)
        for version in range(6):
            left = await client.ask(leave_group(version=version), version)
            codes = (left.error_code, [each.error_code for each in left.members])
            unknown = ErrorCode.UNKNOWN_MEMBER_ID
            assert codes == ((0, [unknown]) if version >= 3 else (unknown, []))

    with_broker(scenario)


def test_members_commit_with_their_generation() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await coordinated(client)
        member = Member(client)
        await member.enter()
        request = offset_commit(target, 8, generation=member.generation, offset=7)
        request.member_id = member.member_id
        answer = await client.ask(request, 8)
        assert answer.topics[0].partitions[0].error_code == 0
        request.generation_id_or_member_epoch = member.generation + 1
        answer = await client.ask(request, 8)
        assert answer.topics[0].partitions[0].error_code == ErrorCode.ILLEGAL_GENERATION
        fetched = await client.ask(offset_fetch(target, 8), 8)
        assert fetched.groups[0].topics[0].partitions[0].committed_offset == 7

    with_broker(scenario)


# --- administrators ---


@pytest.mark.parametrize("version", range(7))
def test_groups_are_described_in_the_order_asked(version: int) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await coordinated(client)
        member = Member(client)
        await member.enter()
        request = describe_groups(None, version, "none", "g", "none")
        answer = await client.ask(request, version)
        assert [each.group_id for each in answer.groups] == ["none", "g", "none"]
        missing, group, _ = answer.groups
        assert (group.error_code, group.group_state) == (0, "Stable")
        assert (group.protocol_type, group.protocol_data) == ("consumer", "range")
        (found,) = group.members
        assert (found.client_id, found.client_host) == ("test", "/127.0.0.1")
        assert found.member_assignment == member.member_id.encode()
        assert missing.group_state == "Dead"
        code = ErrorCode.GROUP_ID_NOT_FOUND if version >= 6 else ErrorCode.NONE
        assert missing.error_code == code
        assert missing.error_message == ("Group none not found." if version >= 6 else None)
        # Kafka 4.3.1 answers 3400, also for a group that is only dead.
        assert group.authorized_operations == (3400 if version >= 3 else -(2**31))
        operations = 3400 if 3 <= version < 6 else -(2**31)
        assert missing.authorized_operations == operations

    with_broker(scenario)


def test_what_a_client_may_do_is_told_only_where_it_asks() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await coordinated(client)
        answer = await client.ask(DescribeGroupsRequest(groups=["g"]), 5)
        assert answer.groups[0].authorized_operations == -(2**31)  # type: ignore[attr-defined]

    with_broker(scenario)


def test_groups_are_listed_by_state_and_type() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await coordinated(client)
        assert (await client.ask(list_groups(NOTHING, 5), 5)).groups == []
        member = Member(client)
        await member.enter()
        for group in ("a", "b", "c", "d"):
            await client.ask(offset_commit(target, 8, group=group), 8)

        async def names(version: int, *, states: tuple = (), types: tuple = ()) -> list[str]:
            request = ListGroupsRequest(states_filter=list(states), types_filter=list(types))
            answer = await client.ask(request, version)
            assert answer.error_code == 0
            return sorted(each.group_id for each in answer.groups)

        for version in range(6):
            assert await names(version) == ["a", "b", "c", "d", "g"]
        assert await names(5, states=("Stable",)) == ["g"]
        assert await names(5, states=("stable", "Bogus")) == ["g"]
        assert await names(5, states=("Empty",)) == ["a", "b", "c", "d"]
        assert await names(5, types=("classic",)) == ["a", "b", "c", "d", "g"]
        assert await names(5, types=("consumer",)) == []

    with_broker(scenario)


def test_before_there_is_an_offsets_topic_there_are_no_groups() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        answer = await client.ask(list_groups(NOTHING, 5), 5)
        assert (answer.error_code, answer.groups) == (0, [])
        joined = await client.ask(join_group(), 7)
        assert joined.error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE
        answer = await client.ask(describe_groups(None, 6), 6)
        assert answer.groups[0].error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE

    with_broker(scenario)


def test_a_group_is_deleted_once_nobody_is_in_it() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await coordinated(client)
        member = Member(client)
        await member.enter()
        await client.ask(offset_commit(target, 8, group="other"), 8)

        async def delete(*groups: str) -> list[tuple[str, int]]:
            answer = await client.ask(delete_groups(None, 2, *groups), 2)
            return [(each.group_id, each.error_code) for each in answer.results]

        assert await delete("g", "none", "other", "g", "") == [
            ("g", ErrorCode.NON_EMPTY_GROUP),
            ("none", ErrorCode.GROUP_ID_NOT_FOUND),
            ("other", 0),
            ("", ErrorCode.GROUP_ID_NOT_FOUND),
        ]
        fetched = await client.ask(offset_fetch(target, 8, group="other"), 8)
        assert fetched.groups[0].topics[0].partitions[0].committed_offset == -1
        await member.leave()
        assert await delete("g") == [("g", 0)]
        assert (await described(client)).error_code == ErrorCode.GROUP_ID_NOT_FOUND

    with_broker(scenario)


def test_offsets_are_deleted_where_no_member_reads_the_topic() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await coordinated(client)
        member = Member(client)
        await member.enter()  # subscribed to "t"
        other = Target("u", await client.create("u"))
        for each in (target, other):
            request = offset_commit(each, 8, generation=member.generation)
            request.member_id = member.member_id
            await client.ask(request, 8)
        request = offset_delete(target, 0)
        for name, partition in (("u", 0), ("u", 9), ("no", 0)):
            request.topics += offset_delete(Target(name, b""), 0, partition=partition).topics
        request.topics[1].partitions += request.topics.pop(2).partitions
        answer = await client.ask(request, 0)
        found = {
            (topic.name, each.partition_index): each.error_code
            for topic in answer.topics
            for each in topic.partitions
        }
        assert found == {
            ("t", 0): ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC,
            ("u", 0): 0,
            ("u", 9): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            ("no", 0): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        }
        for each, offset in ((target, 5), (other, -1)):
            fetched = await client.ask(offset_fetch(each, 8), 8)
            assert fetched.groups[0].topics[0].partitions[0].committed_offset == offset
        answer = await client.ask(offset_delete(target, 0, group="none"), 0)
        assert (answer.error_code, answer.topics) == (ErrorCode.GROUP_ID_NOT_FOUND, [])

    with_broker(scenario)


def test_a_commit_for_topics_that_are_all_unknown_does_not_ask_the_group() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await coordinated(client)
        answer = await client.ask(offset_commit(Target("no", b""), 8, generation=4), 8)
        assert answer.topics[0].partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION

    with_broker(scenario)


# --- coordinators ---


@pytest.mark.parametrize("key", [68, 69, 76, 77, 88, 89])
def test_groups_of_other_protocols_are_neither_advertised_nor_served(key: int) -> None:
    """Java's and librdkafka's admin clients then ask DescribeGroups instead."""

    async def scenario(broker: Running, client: Client) -> None:
        assert key not in dict(broker.broker.services.advertised_apis)
        frame = struct.pack(">hhihb", key, 1, 1, -1, 0)
        client.writer.write(struct.pack(">i", len(frame)) + frame)
        assert await client.is_closed(), "as Kafka does with a key that it does not know"

    with_broker(scenario)


@pytest.mark.parametrize("version", range(7))
def test_kinds_of_coordinators(version: int) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await coordinated(client)

        async def find(kind: int) -> tuple[int, str | None]:
            request = FindCoordinatorRequest(key="g", coordinator_keys=["g"], key_type=kind)
            answer = await client.ask(request, version)
            found = answer.coordinators[0] if version >= 4 else answer
            return found.error_code, found.error_message

        assert (await find(0))[0] == 0
        if version >= 1:
            code, message = await find(2)
            assert code == ErrorCode.INVALID_REQUEST
            assert bool(message) == (version < 4), "Kafka tells why only there"
            code, message = await find(7)
            assert (code, bool(message)) == (ErrorCode.INVALID_REQUEST, True)

    with_broker(scenario)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("127.0.0.1", "/127.0.0.1"),
        ("::1", "/0:0:0:0:0:0:0:1"),
        ("fe80::1%eth0", "/fe80:0:0:0:0:0:0:1"),
        ("::ffff:10.0.0.7", "/10.0.0.7"),
        ("", "/"),
    ],
)
def test_a_clients_host_is_shown_as_java_does(address: str, shown: str) -> None:
    assert client_host(address) == shown
