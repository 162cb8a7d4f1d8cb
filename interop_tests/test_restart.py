"""Reopening after a restart."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from interop_tests.client import Client, Drivers
from interop_tests.clients import CLIENTS, Feature
from interop_tests.drivers.protocol import Record
from interop_tests.scenarios import scenario
from interop_tests.targets import Target

RESTARTS: dict[str, Callable[[Target], None]] = {
    "SIGTERM": lambda target: target.stop(),
    "kill -9": lambda target: target.kill(),
}


@pytest.fixture
def strict_reference(drivers: Drivers, strict_broker: Target) -> Client:
    """The reference client, on the broker that restarts."""
    return drivers.client(CLIENTS[0], strict_broker.address, role=" as reference")


def restart(target: Target, how: str) -> None:
    """On the same data and the same address."""
    RESTARTS[how](target)
    target.start()


@scenario("after {how}, acknowledged records are there and producing goes on")
@pytest.mark.parametrize("how", RESTARTS)
def test_records_survive(
    client: Client, strict_broker: Target, strict_reference: Client, topic_name: str, how: str
) -> None:
    client.bootstrap = strict_broker.address
    strict_reference.create_served_topic(topic_name, partitions=2, configs={"flush.messages": "1"})
    before = [Record(b"before %d" % number, partition=number % 2) for number in range(200)]
    client.produce(topic_name, before, codec="lz4")
    restart(strict_broker, how)
    after = [Record(b"after %d" % number, partition=number % 2) for number in range(20)]
    client.produce(topic_name, after, idempotence=True)
    received = client.consume(topic_name, {0: "earliest", 1: "earliest"}, 220)
    for partition in (0, 1):
        mine = [record for record in received if record.partition == partition]
        assert [record.value for record in mine] == [
            record.value for record in before + after if record.partition == partition
        ]
        assert [record.offset for record in mine] == list(range(110))


@scenario("after {how}, committed offsets are there", Feature.COMMITS)
@pytest.mark.parametrize("how", RESTARTS)
def test_commits_survive(
    client: Client, strict_broker: Target, strict_reference: Client, topic_name: str, how: str
) -> None:
    client.bootstrap = strict_broker.address
    strict_reference.create_served_topic(topic_name, configs={"flush.messages": "1"})
    client.produce(topic_name, [Record(b"value")] * 10)
    client.commit("group", topic_name, {0: (8, "eight")})
    restart(strict_broker, how)
    # Kafka serves before its coordinators do: the reference waits for them, aiokafka says "none".
    assert strict_reference.committed("group", topic_name, [0])[0] is not None
    assert client.committed("group", topic_name, [0]) == {0: (8, "eight")}


@scenario("a consumer lives through {how} of the broker and reads on")
@pytest.mark.parametrize("how", RESTARTS)
def test_consumer_survives(
    client: Client, strict_broker: Target, strict_reference: Client, topic_name: str, how: str
) -> None:
    client.bootstrap = strict_broker.address
    strict_reference.create_served_topic(topic_name, configs={"flush.messages": "1"})
    strict_reference.produce(topic_name, [Record(b"before")])
    with client.consumer(topic_name, {0: "earliest"}) as consumer:
        assert [record.value for record in consumer.poll(1)] == [b"before"]
        restart(strict_broker, how)
        strict_reference.produce(topic_name, [Record(b"after")])
        assert [(record.offset, record.value) for record in consumer.poll(1)] == [(1, b"after")]


@scenario("an idempotent producer lives through {how}: nothing is lost, doubled or out of order")
@pytest.mark.parametrize("how", RESTARTS)
def test_producer_survives(
    client: Client, strict_broker: Target, strict_reference: Client, topic_name: str, how: str
) -> None:
    client.bootstrap = strict_broker.address
    strict_reference.create_served_topic(topic_name, configs={"flush.messages": "1"})
    records = [Record(b"%d %s" % (number, b"z" * 200)) for number in range(2_000)]
    pending = client.start_produce(topic_name, records, idempotence=True, batch_bytes=1_000)
    # The first record is there, the last most likely not.
    with strict_reference.consumer(topic_name, {0: "earliest"}) as watcher:
        watcher.poll(1)
    restart(strict_broker, how)
    assert {sent.error for sent in client.finish_produce(pending)} == {None}
    received = strict_reference.consume(topic_name, {0: "earliest"}, len(records))
    assert [record.value for record in received] == [record.value for record in records]
    assert strict_reference.list_offset(topic_name, "latest") == len(records)
