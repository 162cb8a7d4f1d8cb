"""Topics and metadata."""

from __future__ import annotations

import pytest

from interop_tests.client import Client, Drivers
from interop_tests.clients import Feature
from interop_tests.drivers.protocol import ClientError, Record
from interop_tests.scenarios import scenario
from interop_tests.targets import Target


@scenario("metadata lists each broker's address and every topic with its partitions")
def test_metadata(client: Client, broker: Target, reference: Client, topic_name: str) -> None:
    reference.create_served_topic(topic_name, partitions=3)
    listing = client.metadata()
    assert sorted(listing["brokers"]) == sorted(broker.address.split(","))
    assert listing["topics"][topic_name] == {"partitions": 3, "error": None}


@scenario("metadata of one topic")
def test_metadata_of_one_topic(client: Client, reference: Client, topic_name: str) -> None:
    reference.create_served_topic(topic_name, partitions=2)
    assert client.metadata(topic_name)["topics"] == {topic_name: {"partitions": 2, "error": None}}


@scenario("asking for an unknown topic creates none", Feature.QUIET_METADATA)
def test_metadata_without_creation(client: Client, reference: Client, topic_name: str) -> None:
    answer = client.metadata(topic_name)["topics"]
    assert answer == {topic_name: {"partitions": 0, "error": "UNKNOWN_TOPIC_OR_PARTITION"}}
    assert topic_name not in reference.metadata()["topics"]


@scenario("without auto.create.topics.enable, an unknown topic is an error and stays unknown")
def test_unknown_topic(
    client: Client, drivers: Drivers, strict_broker: Target, topic_name: str
) -> None:
    client.bootstrap = strict_broker.address
    answer = client.metadata(topic_name)["topics"]
    assert answer == {topic_name: {"partitions": 0, "error": "UNKNOWN_TOPIC_OR_PARTITION"}}
    try:
        [sent] = client.try_produce(topic_name, [Record(b"value")], metadata_wait_ms=3_000)
        assert sent.error is not None
    except ClientError:
        pass  # some raise what others report of the record
    assert topic_name not in client.metadata()["topics"]


@scenario("create a topic with partitions and configs; it is usable at once", Feature.TOPIC_ADMIN)
def test_create_topic(client: Client, topic_name: str) -> None:
    client.create_topic(topic_name, partitions=4, configs={"max.message.bytes": "20000"})
    client.produce(topic_name, [Record(b"value", partition=3)])
    [received] = client.consume(topic_name, {3: "earliest"}, 1)
    assert received.value == b"value"
    assert client.metadata(topic_name)["topics"][topic_name]["partitions"] == 4
    [refused] = client.try_produce(topic_name, [Record(b"x" * 30_000)])
    assert refused.error == "MESSAGE_TOO_LARGE"


@scenario("creating a topic twice: TOPIC_ALREADY_EXISTS", Feature.TOPIC_ADMIN)
def test_create_twice(client: Client, topic_name: str) -> None:
    client.create_topic(topic_name)
    with pytest.raises(ClientError) as refusal:
        client.create_topic(topic_name)
    assert refusal.value.name == "TOPIC_ALREADY_EXISTS"


@scenario("a bad topic name: INVALID_TOPIC_EXCEPTION", Feature.TOPIC_ADMIN)
def test_bad_name(client: Client) -> None:
    with pytest.raises(ClientError) as refusal:
        client.create_topic("no spaces, please")
    assert refusal.value.name == "INVALID_TOPIC_EXCEPTION"


@scenario("delete a topic: it leaves the metadata", Feature.TOPIC_ADMIN)
def test_delete_topic(
    client: Client, drivers: Drivers, strict_broker: Target, topic_name: str
) -> None:
    client.bootstrap = strict_broker.address  # where no client's refresh brings it back
    client.create_topic(topic_name)
    client.produce(topic_name, [Record(b"value")])
    client.delete_topic(topic_name)
    assert topic_name not in client.metadata()["topics"]
    with pytest.raises(ClientError) as refusal:
        client.delete_topic(topic_name)
    assert refusal.value.name == "UNKNOWN_TOPIC_OR_PARTITION"


@scenario("a topic of the same name again is a new one, and empty", Feature.TOPIC_ADMIN)
def test_recreate_topic(
    client: Client, drivers: Drivers, strict_broker: Target, topic_name: str
) -> None:
    client.bootstrap = strict_broker.address
    client.create_topic(topic_name)
    client.produce(topic_name, [Record(b"old")])
    client.delete_topic(topic_name)
    client.create_topic(topic_name)
    assert client.list_offset(topic_name, "latest") == 0
    client.produce(topic_name, [Record(b"new")])
    [received] = client.consume(topic_name, {0: "earliest"}, 1)
    assert received.value == b"new"
