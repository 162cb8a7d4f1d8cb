"""Committed offsets, with assign."""

from __future__ import annotations

import pytest

from interop_tests.client import Client
from interop_tests.clients import Feature
from interop_tests.drivers.protocol import ClientError, Record
from interop_tests.scenarios import scenario


@scenario("commit and read back offsets with their metadata", Feature.COMMITS)
def test_commit(client: Client, reference: Client, topic_name: str) -> None:
    reference.create_served_topic(topic_name, partitions=3)
    client.produce(topic_name, [Record(b"value")] * 10)
    group = f"group of {topic_name}"
    client.commit(group, topic_name, {0: (7, "seven"), 2: (0, "")})
    assert client.committed(group, topic_name, [0, 1, 2]) == {
        0: (7, "seven"),
        1: None,
        2: (0, ""),
    }


@scenario("a later commit replaces the earlier, group by group", Feature.COMMITS)
def test_commit_again(client: Client, topic: str) -> None:
    client.produce(topic, [Record(b"value")] * 10)
    client.commit("first " + topic, topic, {0: (3, "three")})
    client.commit("second " + topic, topic, {0: (5, "five")})
    client.commit("first " + topic, topic, {0: (4, "four")})
    assert client.committed("first " + topic, topic, [0]) == {0: (4, "four")}
    assert client.committed("second " + topic, topic, [0]) == {0: (5, "five")}


@scenario("a group never heard of has no offsets, and that is no error", Feature.COMMITS)
def test_unknown_group(client: Client, topic: str) -> None:
    assert client.committed("never heard of " + topic, topic, [0]) == {0: None}


@scenario("one client reads what another committed", Feature.COMMITS)
def test_commit_across_clients(client: Client, reference: Client, topic: str) -> None:
    reference.produce(topic, [Record(b"value")] * 10)
    client.commit("shared " + topic, topic, {0: (6, "by " + client.spec.name)})
    found = reference.committed("shared " + topic, topic, [0])[0]
    assert found is not None
    offset, metadata = found
    # confluent-kafka commits the NUL that ends a C string, too, and does not show it itself.
    assert (offset, metadata.rstrip("\0")) == (6, "by " + client.spec.name)


@scenario("metadata of more than 4096 bytes: OFFSET_METADATA_TOO_LARGE", Feature.COMMITS)
def test_metadata_too_large(client: Client, topic: str) -> None:
    with pytest.raises(ClientError) as refusal:
        client.commit("talkative " + topic, topic, {0: (1, "x" * 5_000)})
    assert refusal.value.name == "OFFSET_METADATA_TOO_LARGE"
    assert client.committed("talkative " + topic, topic, [0]) == {0: None}
