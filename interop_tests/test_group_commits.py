"""Groups: commits, positions and resets."""

from __future__ import annotations

from interop_tests.client import Client
from interop_tests.clients import Feature
from interop_tests.drivers.protocol import Deadline, Record
from interop_tests.groups import (
    Stream,
    received_values,
    wait_for_commits,
    wait_for_error,
    wait_for_share,
    wait_for_values,
)
from interop_tests.scenarios import scenario


@scenario("a new group with auto.offset.reset=earliest begins at the beginning")
def test_earliest(client: Client, reference: Client, topic: str) -> None:
    stream = Stream(reference, topic, 1)
    stream.flow()
    with client.member(f"earliest {topic}", topic) as member:
        wait_for_values([member], stream.values)
    assert received_values([member]) == stream.values


@scenario("a new group with auto.offset.reset=latest begins at the end")
def test_latest(client: Client, reference: Client, topic: str) -> None:
    stream = Stream(reference, topic, 1)
    stream.flow()
    old = set(stream.values)
    with client.member(f"latest {topic}", topic, reset="latest") as member:
        wait_for_share([member], 1)
        deadline = Deadline()
        while not member.received:  # until the client has found out where the end is
            stream.flow(1)
            member.look()
            deadline.check("nothing came")
    assert old.isdisjoint(received_values([member]))


@scenario(
    "a new group with auto.offset.reset=none is told that it has no offsets", Feature.MEMBER_CALLS
)
def test_no_reset(client: Client, reference: Client, topic: str) -> None:
    Stream(reference, topic, 1).flow()
    with client.member(f"none {topic}", topic, reset="none") as member:
        assert "OFFSET" in wait_for_error(member).upper()


@scenario("a group goes on where it committed, also with another reset")
def test_go_on(client: Client, reference: Client, topic: str) -> None:
    stream = Stream(reference, topic, 1)
    group = f"goes on {topic}"
    stream.flow()
    with client.member(group, topic) as first:
        wait_for_values([first], stream.values)
    wait_for_commits(reference, group, topic, 1)
    stream.flow()
    with client.member(group, topic, reset="latest") as second:
        wait_for_values([first, second], stream.values)
    assert received_values([first, second]) == stream.values


@scenario("a group that commits nothing begins anew", Feature.MEMBER_CALLS)
def test_begin_anew(client: Client, reference: Client, topic: str) -> None:
    stream = Stream(reference, topic, 1)
    group = f"anew {topic}"
    stream.flow()
    for _ in range(2):
        with client.member(group, topic, commits=False) as member:
            wait_for_values([member], stream.values)
        assert received_values([member]) == stream.values
    assert reference.committed(group, topic, [0]) == {0: None}


@scenario("a member seeks back, and tells its position and what it committed", Feature.MEMBER_CALLS)
def test_seek(client: Client, reference: Client, topic: str) -> None:
    stream = Stream(reference, topic, 1)
    stream.flow()
    with client.member(f"seeks {topic}", topic, commits=False) as member:
        wait_for_values([member], stream.values)
        assert member.committed(0) is None
        assert member.position(0) == len(stream.values)
        member.commit()
        assert member.committed(0) == len(stream.values)
        member.look()
        rebalances = member.rebalances
        member.seek(0, 3)
        deadline = Deadline()
        while len(member.received) < 2 * len(stream.values) - 3:
            member.look()
            assert member.error is None
            # It would go on from what is committed; but nobody else is in this group.
            assert member.rebalances == rebalances, "a rebalance has undone the seek"
            deadline.check(f"{len(member.received)} records came")
        assert received_values([member]) == [*stream.values, *stream.values[3:]]


@scenario("another client goes on where this one committed")
def test_hand_over(client: Client, reference: Client, topic: str) -> None:
    stream = Stream(reference, topic, 1)
    group = f"hands over {topic}"
    for each in (client, reference):
        stream.flow()
        with each.member(group, topic) as member:
            wait_for_values([member], stream.values[-8:])
        wait_for_commits(reference, group, topic, 1)
        assert received_values([member]) == stream.values[-8:]


@scenario("the lag of a group, by its offsets and the ends of the partitions", Feature.GROUP_ADMIN)
def test_lag(client: Client, reference: Client, topic_name: str) -> None:
    reference.create_served_topic(topic_name, partitions=2)
    stream = Stream(reference, topic_name, 2)
    group = f"lags {topic_name}"
    stream.flow()
    with client.member(group, topic_name) as member:
        wait_for_values([member], stream.values)
        wait_for_commits(reference, group, topic_name, 2)
    reference.produce(topic_name, [Record(b"late", partition=1)] * 3)
    offsets = client.group_offsets(group, topic_name)
    ends = {at: client.list_offset(topic_name, "latest", at) for at in (0, 1)}
    assert {at: (ends[at] or 0) - offsets[at] for at in (0, 1)} == {0: 0, 1: 3}
