"""Groups: administration."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from interop_tests.client import Client
from interop_tests.clients import Feature
from interop_tests.drivers.protocol import ClientError, Deadline
from interop_tests.groups import (
    Stream,
    received_values,
    wait_for_commits,
    wait_for_share,
    wait_for_values,
)
from interop_tests.scenarios import scenario


def refusal(call: Callable[[], None]) -> str:
    with pytest.raises(ClientError) as error:
        call()
    return error.value.name


def wait_for_state(client: Client, group: str, state: str) -> None:
    """A member that leaves is answered before or after its group is seen to be empty."""
    deadline = Deadline()
    while client.describe_group(group)["state"] != state:
        deadline.check(f"{group} is not {state}")


@scenario(
    "a group is listed, and described with its members and their partitions", Feature.GROUP_ADMIN
)
def test_describe(client: Client, reference: Client, topic_name: str) -> None:
    reference.create_served_topic(topic_name, partitions=3)
    group = f"described {topic_name}"
    with (
        client.member(group, topic_name, client_id="anna") as first,
        reference.member(group, topic_name, client_id="otto") as second,
    ):
        wait_for_share([first, second], 3)
        deadline = Deadline()
        while True:  # who has just learnt of the topic wants the partitions shared out again
            wait_for_share([first, second], 3)
            members = [["anna", first.assigned], ["otto", second.assigned]]
            found = client.describe_group(group)
            if found["state"] == "Stable" and sorted(found["members"]) == members:
                break
            deadline.check(f"described as {found}")
        assert found["protocol"] == "range"
        assert client.list_groups()[group] in ("Stable", None)
    wait_for_state(client, group, "Empty")
    assert client.describe_group(group)["members"] == []
    assert client.list_groups()[group] in ("Empty", None)


@scenario("offsets alone make a group: it is listed, and empty", Feature.GROUP_ADMIN)
def test_simple_group(client: Client, reference: Client, topic: str) -> None:
    group = f"simple {topic}"
    reference.commit(group, topic, {0: (5, "")})
    assert client.list_groups()[group] in ("Empty", None)
    assert client.describe_group(group)["state"] == "Empty"
    assert client.group_offsets(group, topic) == {0: 5}


@scenario("a group is deleted once it is empty, with its offsets", Feature.DELETE_GROUPS)
def test_delete(client: Client, reference: Client, topic: str) -> None:
    stream = Stream(reference, topic, 1)
    group = f"deleted {topic}"
    stream.flow()
    with client.member(group, topic) as member:
        wait_for_values([member], stream.values)
        wait_for_commits(reference, group, topic, 1)
        assert refusal(lambda: client.delete_group(group)) == "NON_EMPTY_GROUP"
    wait_for_state(client, group, "Empty")
    client.delete_group(group)
    assert group not in client.list_groups()
    assert reference.committed(group, topic, [0]) == {0: None}
    assert refusal(lambda: client.delete_group(group)) == "GROUP_ID_NOT_FOUND"


@scenario(
    "a group's offsets are set back, and its members begin there", Feature.ALTER_GROUP_OFFSETS
)
def test_alter_offsets(client: Client, reference: Client, topic: str) -> None:
    stream = Stream(reference, topic, 1)
    group = f"altered {topic}"
    stream.flow()
    with client.member(group, topic) as first:
        wait_for_values([first], stream.values)
        wait_for_commits(reference, group, topic, 1)
        assert refusal(lambda: client.alter_group_offsets(group, topic, {0: 2})) in (
            "UNKNOWN_MEMBER_ID",
            "NON_EMPTY_GROUP",
        )
    wait_for_state(client, group, "Empty")
    client.alter_group_offsets(group, topic, {0: 3})
    assert client.group_offsets(group, topic) == {0: 3}
    with client.member(group, topic) as second:
        wait_for_values([second], stream.values[3:])
    assert received_values([second]) == stream.values[3:]


@scenario(
    "a group's offsets are deleted, unless it subscribes to their topic",
    Feature.DELETE_GROUP_OFFSETS,
)
def test_delete_offsets(client: Client, reference: Client, topic: str) -> None:
    stream = Stream(reference, topic, 1)
    group = f"deleted offsets {topic}"
    stream.flow()
    with client.member(group, topic) as member:
        wait_for_values([member], stream.values)
        wait_for_commits(reference, group, topic, 1)
        name = refusal(lambda: client.delete_group_offsets(group, topic, [0]))
        assert name == "GROUP_SUBSCRIBED_TO_TOPIC"
    wait_for_state(client, group, "Empty")
    client.delete_group_offsets(group, topic, [0])
    assert client.group_offsets(group, topic) == {}


@scenario("a static member that is gone for good is removed", Feature.REMOVE_MEMBERS)
def test_remove_member(client: Client, topic_name: str) -> None:
    client.create_served_topic(topic_name, partitions=2)
    group = f"removed {topic_name}"
    with client.member(group, topic_name, instance="stays") as first:
        with client.member(group, topic_name, instance="goes") as second:
            wait_for_share([first, second], 2)
        assert len(client.describe_group(group)["members"]) == 2
        client.remove_member(group, "goes")
        wait_for_share([first], 2)
