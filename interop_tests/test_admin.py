"""Administration."""

from __future__ import annotations

import pytest

from interop_tests.admin import Admin
from interop_tests.client import Client, Drivers
from interop_tests.clients import Feature
from interop_tests.drivers.protocol import ClientError, Record
from interop_tests.scenarios import scenario
from interop_tests.targets import Target


def values(client: Client, topic: str, count: int, partition: int = 0) -> list[bytes | None]:
    """The first so many that are left."""
    return [each.value for each in client.consume(topic, {partition: "earliest"}, count)]


def produce_numbers(client: Client, topic: str, count: int) -> None:
    client.produce(topic, [Record(b"%d" % number) for number in range(count)])


@scenario("a topic grows: what was there stays, the new partitions take records", Feature.ADMIN)
def test_create_partitions(client: Client, reference: Client, topic: str) -> None:
    client.produce(topic, [Record(b"old")])
    Admin(client).create_partitions(topic, 3)
    reference.wait_until_served(topic, 3)
    assert client.metadata(topic)["topics"][topic]["partitions"] == 3
    client.produce(topic, [Record(b"new", partition=2)])
    assert values(client, topic, 1) == [b"old"]
    assert values(client, topic, 1, partition=2) == [b"new"]


@scenario("growing to what it has, or of an unknown topic, is refused", Feature.ADMIN)
def test_create_partitions_refused(
    client: Client, drivers: Drivers, strict_broker: Target, topic_name: str
) -> None:
    client.bootstrap = strict_broker.address
    with pytest.raises(ClientError) as refusal:
        Admin(client).create_partitions(topic_name, 3)
    assert refusal.value.name == "UNKNOWN_TOPIC_OR_PARTITION"
    client.create_topic(topic_name, partitions=2)
    for count in (2, 1):
        with pytest.raises(ClientError) as refusal:
            Admin(client).create_partitions(topic_name, count)
        assert refusal.value.name == "INVALID_PARTITIONS"


@scenario("deleted records are gone, and the offsets go on", Feature.ADMIN)
def test_delete_records(client: Client, topic: str) -> None:
    produce_numbers(client, topic, 10)
    assert Admin(client).delete_records(topic, {0: 4}) == {0: 4}
    assert client.list_offset(topic, "earliest") == 4
    assert values(client, topic, 6) == [b"%d" % number for number in range(4, 10)]
    assert Admin(client).delete_records(topic, {0: -1}) == {0: 10}
    assert client.list_offset(topic, "earliest") == client.list_offset(topic, "latest") == 10
    client.produce(topic, [Record(b"next")])
    [received] = client.consume(topic, {0: "earliest"}, 1)
    assert (received.offset, received.value) == (10, b"next")


@scenario("deleting past the end: OFFSET_OUT_OF_RANGE, and nothing is deleted", Feature.ADMIN)
def test_delete_records_past_the_end(client: Client, topic: str) -> None:
    produce_numbers(client, topic, 3)
    with pytest.raises(ClientError) as refusal:
        Admin(client).delete_records(topic, {0: 4})
    assert refusal.value.name == "OFFSET_OUT_OF_RANGE"
    assert client.list_offset(topic, "earliest") == 0


@scenario("deleting from a topic that is only compacted: POLICY_VIOLATION", Feature.ADMIN)
def test_delete_compacted(client: Client, reference: Client, topic_name: str) -> None:
    reference.create_served_topic(topic_name, configs={"cleanup.policy": "compact"})
    client.produce(topic_name, [Record(b"value", key=b"key")])
    with pytest.raises(ClientError) as refusal:
        Admin(client).delete_records(topic_name, {0: 1})
    assert refusal.value.name == "POLICY_VIOLATION"


@scenario("the cluster's nodes are its brokers, one of which is the controller", Feature.ADMIN)
def test_describe_cluster(client: Client, broker: Target) -> None:
    cluster = Admin(client).describe_cluster()
    assert len(set(cluster["nodes"])) == len(broker.address.split(","))
    assert cluster["controller"] in cluster["nodes"]
    assert cluster["cluster_id"]


@scenario("a topic's settings are told and changed, and hold at once", Feature.ADMIN)
def test_configs(client: Client, reference: Client, topic_name: str) -> None:
    reference.create_served_topic(topic_name, configs={"max.message.bytes": "20000"})
    admin = Admin(client)
    configs = admin.describe_configs(topic_name)
    assert configs["max.message.bytes"] == "20000"
    assert configs["cleanup.policy"] == "delete"
    admin.alter_config(topic_name, "max.message.bytes", "300000")
    assert admin.describe_configs(topic_name)["max.message.bytes"] == "300000"
    client.produce(topic_name, [Record(b"x" * 30_000)])


@scenario("an impossible setting: INVALID_CONFIG", Feature.ADMIN)
def test_bad_config(client: Client, topic: str) -> None:
    with pytest.raises(ClientError) as refusal:
        Admin(client).alter_config(topic, "retention.ms", "soon")
    assert refusal.value.name == "INVALID_CONFIG"


@scenario("offsets by the administration: start, end, and of a time", Feature.ADMIN_OFFSETS)
def test_list_offsets(client: Client, topic: str) -> None:
    client.produce(topic, [Record(b"a", timestamp_ms=1_700_000_000_000)])
    client.produce(topic, [Record(b"b", timestamp_ms=1_700_000_001_000)])
    admin = Admin(client)
    assert admin.list_offset(topic, 0, -2) == 0
    assert admin.list_offset(topic, 0, -1) == 2
    assert admin.list_offset(topic, 0, 1_700_000_000_500) == 1
    assert admin.list_offset(topic, 0, -3) == 1


@scenario("an election that is not needed says so", Feature.ELECTIONS)
def test_elect_leaders(client: Client, reference: Client, topic_name: str) -> None:
    reference.create_served_topic(topic_name, partitions=2)
    found = Admin(client).elect_leaders(topic_name, [0, 1])
    assert found == dict.fromkeys((0, 1), "ELECTION_NOT_NEEDED")


@scenario("without an authorizer: SECURITY_DISABLED", Feature.ACLS)
def test_acls(client: Client) -> None:
    with pytest.raises(ClientError) as refusal:
        Admin(client).describe_acls()
    assert refusal.value.name == "SECURITY_DISABLED"


@scenario("partitions are as large as what was sent to them", Feature.LOG_DIRS)
def test_log_dirs(client: Client, reference: Client, topic_name: str) -> None:
    reference.create_served_topic(topic_name, partitions=2)
    assert Admin(client).describe_log_dirs(topic_name) == {0: 0, 1: 0}
    client.produce(topic_name, [Record(b"x" * 5_000)])
    sizes = Admin(client).describe_log_dirs(topic_name)
    assert 5_000 < sizes[0] < 5_200
    assert sizes[1] == 0


@scenario("partitions by pages, producers, the quorum, reassignments", Feature.NEWEST_ADMIN)
def test_newest_calls(client: Client, reference: Client, topic_name: str) -> None:
    reference.create_served_topic(topic_name, partitions=5)
    admin = Admin(client)
    assert admin.describe_pages(topic_name, 2) == [[0, 1], [2, 3], [4]]
    client.produce(topic_name, [Record(b"value")], idempotence=True)
    assert admin.describe_producers(topic_name, 0) == 1
    cluster = admin.describe_cluster()
    node, nodes = cluster["controller"], sorted(cluster["nodes"])
    quorum = admin.describe_quorum()
    assert quorum == {"leader": node, "voters": [node]}
    assert admin.list_reassignments(topic_name) == 0
    assert admin.reassign(topic_name, nodes) is None
    assert admin.reassign(topic_name, [node + 70]) == "INVALID_REPLICA_ASSIGNMENT"
    assert admin.reassign(topic_name, None) == "NO_REASSIGNMENT_IN_PROGRESS"
