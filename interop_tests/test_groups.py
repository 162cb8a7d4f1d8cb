"""Groups: members come, go and die."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from interop_tests.client import Client, Drivers
from interop_tests.clients import CLIENTS, Feature
from interop_tests.groups import (
    Stream,
    received_values,
    wait_for_commits,
    wait_for_error,
    wait_for_share,
    wait_for_values,
)
from interop_tests.scenarios import scenario
from interop_tests.targets import Target

PARTITIONS = 4
SHORT_SESSION_MS = 1_500

RESTARTS: dict[str, Callable[[Target], None]] = {
    "SIGTERM": lambda target: target.stop(),
    "kill -9": lambda target: target.kill(),
}


@pytest.fixture
def shared_topic(reference: Client, topic_name: str) -> str:
    """A topic of four partitions."""
    reference.create_served_topic(topic_name, partitions=PARTITIONS)
    return topic_name


@scenario(
    "a group grows to three and shrinks to one while records come: nothing is lost",
    Feature.MEMBER_CALLS,  # kcat commits as it leaves what it has not printed yet
)
def test_grow_and_shrink(client: Client, reference: Client, shared_topic: str) -> None:
    stream = Stream(reference, shared_topic, PARTITIONS)
    group = f"grows {shared_topic}"
    with (
        client.member(group, shared_topic) as first,
        client.member(group, shared_topic) as second,
    ):
        wait_for_share([first, second], PARTITIONS, stream)
        with client.member(group, shared_topic) as third:
            wait_for_share([first, second, third], PARTITIONS, stream)
            stream.flow()
        wait_for_share([first, second], PARTITIONS, stream)
        first.leave()
        wait_for_share([second], PARTITIONS, stream)
        wait_for_values([first, second, third], stream.values)


@scenario("members that commit before they leave: every record is consumed exactly once")
def test_exactly_once_in_peace(client: Client, reference: Client, shared_topic: str) -> None:
    stream = Stream(reference, shared_topic, PARTITIONS)
    group = f"in peace {shared_topic}"
    with client.member(group, shared_topic) as first:
        wait_for_share([first], PARTITIONS)
        stream.flow()
        wait_for_values([first], stream.values)
        with client.member(group, shared_topic) as second:
            wait_for_share([first, second], PARTITIONS)
            stream.flow()
            wait_for_values([first, second], stream.values)
        wait_for_share([first], PARTITIONS)
        stream.flow()
        wait_for_values([first, second], stream.values)
    assert sorted(received_values([first, second])) == sorted(stream.values)
    assert second.received


@scenario("a member is killed: after its session the others take over, and nothing is lost")
def test_killed_member(
    client: Client, drivers: Drivers, reference: Client, shared_topic: str
) -> None:
    stream = Stream(reference, shared_topic, PARTITIONS)
    group = f"killed {shared_topic}"
    victim = drivers.client(client.spec, client.bootstrap, role=" as victim")
    with client.member(group, shared_topic) as first:
        wait_for_share([first], PARTITIONS)
        # What it commits before its death nobody would see again.
        options = {"session_ms": SHORT_SESSION_MS, "commits": False}
        with victim.member(group, shared_topic, **options) as second:
            wait_for_share([first, second], PARTITIONS, stream)
            stream.flow()
            victim.kill()
        stream.flow()
        wait_for_share([first], PARTITIONS, stream)
        wait_for_values([first, second], stream.values)


@scenario(
    "a static member restarts within its session: it has its partitions back, unnoticed",
    Feature.STATIC_MEMBERS,
)
def test_static_member(client: Client, reference: Client, shared_topic: str) -> None:
    stream = Stream(reference, shared_topic, PARTITIONS)
    group = f"static {shared_topic}"
    with client.member(group, shared_topic, instance="one") as first:
        wait_for_share([first], PARTITIONS)
        with client.member(group, shared_topic, instance="two") as second:
            wait_for_share([first, second], PARTITIONS)
            before, mine = first.rebalances, second.assigned
            stream.flow()
            wait_for_values([first, second], stream.values)
        stream.flow()
        with client.member(group, shared_topic, instance="two") as again:
            wait_for_share([first, again], PARTITIONS)
            assert again.assigned == mine
            wait_for_values([first, second, again], stream.values)
        first.look()
        assert first.rebalances == before
    assert sorted(received_values([first, second, again])) == sorted(stream.values)


@scenario(
    "two members with one instance id: the earlier one is fenced",
    Feature.STATIC_MEMBERS,
    Feature.FENCING,
)
def test_fenced_member(
    client: Client, drivers: Drivers, reference: Client, shared_topic: str
) -> None:
    group = f"fenced {shared_topic}"
    other = drivers.client(client.spec, client.bootstrap, role=" as victim")
    with client.member(group, shared_topic, instance="one") as first:
        wait_for_share([first], PARTITIONS)
        with other.member(group, shared_topic, instance="one") as second:
            wait_for_share([second], PARTITIONS)
            # kcat tells it to its user, and ends.
            assert any(word in wait_for_error(first).upper() for word in ("FENCE", "KCAT_ENDED"))
        other.kill()


@scenario(
    "cooperative-sticky: who stays keeps what it has, but for what the newcomer gets",
    Feature.COOPERATIVE,
)
def test_cooperative(client: Client, reference: Client, shared_topic: str) -> None:
    stream = Stream(reference, shared_topic, PARTITIONS)
    group = f"cooperative {shared_topic}"
    options = {"assignor": "cooperative-sticky"}
    with client.member(group, shared_topic, **options) as first:
        wait_for_share([first], PARTITIONS)
        with client.member(group, shared_topic, **options) as second:
            wait_for_share([first, second], PARTITIONS, stream)
            kept = set(first.assigned)
            assert reference.describe_group(group)["protocol"] == "cooperative-sticky"
            stream.flow()
            # kcat commits as it leaves what it has not printed yet.
            wait_for_values([first, second], stream.values)
        wait_for_share([first], PARTITIONS, stream)
        assert kept < set(first.assigned)
        wait_for_values([first, second], stream.values)


@scenario("roundrobin shares out as well")
def test_roundrobin(client: Client, reference: Client, shared_topic: str) -> None:
    group = f"roundrobin {shared_topic}"
    with (
        client.member(group, shared_topic, assignor="roundrobin") as first,
        client.member(group, shared_topic, assignor="roundrobin") as second,
    ):
        wait_for_share([first, second], PARTITIONS)
        assert reference.describe_group(group)["protocol"] == "roundrobin"


@scenario("a group lives through {how} of the broker: nothing is lost, and its offsets are there")
@pytest.mark.parametrize("how", RESTARTS)
def test_group_survives(
    client: Client, drivers: Drivers, strict_broker: Target, topic_name: str, how: str
) -> None:
    reference = drivers.client(CLIENTS[0], strict_broker.address, role=" as reference")
    client.bootstrap = strict_broker.address
    reference.create_served_topic(topic_name, PARTITIONS, configs={"flush.messages": "1"})
    stream = Stream(reference, topic_name, PARTITIONS)
    group = f"survives {topic_name}"
    with (
        client.member(group, topic_name) as first,
        client.member(group, topic_name) as second,
    ):
        wait_for_share([first, second], PARTITIONS)
        stream.flow()
        wait_for_commits(reference, group, topic_name, PARTITIONS)
        RESTARTS[how](strict_broker)
        strict_broker.start()
        stream.flow()
        wait_for_values([first, second], stream.values)
    wait_for_commits(reference, group, topic_name, PARTITIONS)
    assert sorted(received_values([first, second])) == sorted(stream.values)
