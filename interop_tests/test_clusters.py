"""Clusters: brokers die, stop and come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from interop_tests.client import Client, Consumer
from interop_tests.clients import Feature
from interop_tests.cluster_target import BROKERS, ClusterTarget
from interop_tests.drivers.protocol import Record
from interop_tests.groups import (
    Stream,
    committed_offsets,
    received_values,
    wait_for_commits,
    wait_for_share,
    wait_for_values,
)
from interop_tests.scenarios import scenario
from interop_tests.targets import Target

pytestmark = pytest.mark.cluster
PARTITIONS = 3
BURST = 600
"""Far more than are sent before a scenario goes on."""
HALF = BURST // 2
KEPT_BACK = 20
"""kcat sends the last KiB for each partition once there is more of it."""


def a_leader(cluster: ClusterTarget, topic: str) -> int:
    """One that leads a partition, and is not the controller."""
    controller = cluster.controller()
    leaders = [each.leader for each in cluster.partitions(topic).values()]
    return next(each for each in leaders if each != controller)


def a_follower(cluster: ClusterTarget, topic: str) -> int:
    """One that leads nothing of partition 0, and is not the controller, if there are two such."""
    leader = cluster.partitions(topic)[0].leader
    controller = cluster.controller()
    followers = [each for each in BROKERS if each != leader]
    return next((each for each in followers if each != controller), followers[0])


ROLES: dict[str, tuple[int, Callable[[ClusterTarget, str], int]]] = {
    "a leader": (PARTITIONS, a_leader),
    "a follower": (1, a_follower),
    "the controller": (PARTITIONS, lambda cluster, topic: cluster.controller()),
}
"""Who is killed, and of how many partitions the topic is."""


@pytest.fixture
def cluster(broker: Target) -> Iterator[ClusterTarget]:
    """All of its brokers run, before and afterwards."""
    assert isinstance(broker, ClusterTarget)
    yield broker
    broker.start()


def numbered(first: int, count: int, partitions: int) -> list[Record]:
    """Records that tell their order, spread evenly."""
    return [
        Record(b"%d %s" % (number, b"z" * 200), partition=number % partitions)
        for number in range(first, first + count)
    ]


def everywhere(partitions: int) -> dict[int, int | str | list[object]]:
    """The beginning of each partition."""
    return dict.fromkeys(range(partitions), "earliest")


def assert_whole(reference: Client, topic: str, records: list[Record], partitions: int) -> None:
    """Each record is there once, and each partition in order."""
    received = reference.consume(topic, everywhere(partitions), len(records))
    for partition in range(partitions):
        expected = [each.value for each in records if each.partition == partition]
        mine = [each for each in received if each.partition == partition]
        assert [each.value for each in mine] == expected
        assert [each.offset for each in mine] == list(range(len(expected)))
        assert reference.list_offset(topic, "latest", partition) == len(expected)


@scenario("acks=all and kill -9 of {role}: nothing is lost, doubled or out of order")
@pytest.mark.parametrize("role", ROLES)
def test_killed_amid_produce(
    client: Client, cluster: ClusterTarget, reference: Client, topic_name: str, role: str
) -> None:
    partitions, choose = ROLES[role]
    reference.create_served_topic(topic_name, partitions)
    victim = choose(cluster, topic_name)
    before = numbered(0, BURST, partitions)
    after = numbered(BURST, BURST, partitions)
    with (
        reference.consumer(topic_name, everywhere(partitions)) as watcher,
        client.producer(topic_name, idempotence=True, batch_bytes=1_000) as producer,
    ):
        producer.send(before)
        watcher.poll(1)  # the first is acknowledged, the last most likely not
        cluster.kill_broker(victim)
        producer.send(after)
        assert {sent.error for sent in producer.finish()} == {None}
    assert_whole(reference, topic_name, before + after, partitions)


@scenario("acks=all without idempotence and kill -9 of a leader: nothing acknowledged is lost")
def test_plain_producer(
    client: Client, cluster: ClusterTarget, reference: Client, topic_name: str
) -> None:
    reference.create_served_topic(topic_name, PARTITIONS)
    records = numbered(0, 2 * BURST, PARTITIONS)
    with (
        reference.consumer(topic_name, everywhere(PARTITIONS)) as watcher,
        client.producer(topic_name, batch_bytes=1_000) as producer,
    ):
        producer.send(records[:BURST])
        watcher.poll(1)
        cluster.kill_broker(a_leader(cluster, topic_name))
        producer.send(records[BURST:])
        sent = producer.finish()
    taken = {each.value for each, one in zip(records, sent, strict=True) if one.error is None}
    assert len(taken) == len(records)
    ends = [reference.list_offset(topic_name, "latest", at) or 0 for at in range(PARTITIONS)]
    received = reference.consume(topic_name, everywhere(PARTITIONS), sum(ends))
    assert taken == {each.value for each in received}


@scenario("a consumer reads on through kill -9 of a leader, in order and each record once")
def test_consumer(
    client: Client, cluster: ClusterTarget, reference: Client, topic_name: str
) -> None:
    reference.create_served_topic(topic_name)
    before, after = numbered(0, 50, 1), numbered(50, 50, 1)
    reference.produce(topic_name, before)
    with client.consumer(topic_name, {0: "earliest"}) as consumer:
        assert values(consumer, 50) == [each.value for each in before]
        cluster.kill_broker(cluster.partitions(topic_name)[0].leader)
        reference.produce(topic_name, after, idempotence=True)
        assert values(consumer, 50) == [each.value for each in after]


def values(consumer: Consumer, count: int) -> list[bytes | None]:
    return [each.value for each in consumer.poll(count)]


@scenario("a group lives through kill -9 of its coordinator: nothing is lost, its offsets are kept")
def test_coordinator(
    client: Client, cluster: ClusterTarget, reference: Client, topic_name: str
) -> None:
    reference.create_served_topic(topic_name, PARTITIONS)
    stream = Stream(reference, topic_name, PARTITIONS)
    group = f"of {topic_name}"
    with client.member(group, topic_name) as first, client.member(group, topic_name) as second:
        wait_for_share([first, second], PARTITIONS)
        stream.flow()
        wait_for_commits(reference, group, topic_name, PARTITIONS)
        committed = committed_offsets(reference, group, topic_name, PARTITIONS)
        gone = cluster.coordinator(group)
        cluster.kill_broker(gone)
        assert committed_offsets(reference, group, topic_name, PARTITIONS) == committed
        stream.flow()
        wait_for_values([first, second], stream.values)
        wait_for_share([first, second], PARTITIONS, stream)
        assert cluster.coordinator(group) != gone
    wait_for_commits(reference, group, topic_name, PARTITIONS)
    assert set(received_values([first, second])) == set(stream.values)


@scenario("a rolling restart: no failed produce, and nothing is lost, doubled or out of order")
def test_rolling_restart(
    client: Client, cluster: ClusterTarget, reference: Client, topic_name: str
) -> None:
    reference.create_served_topic(topic_name, PARTITIONS)
    records: list[Record] = []
    with (
        reference.consumer(topic_name, everywhere(PARTITIONS)) as watcher,
        client.producer(topic_name, idempotence=True, batch_bytes=1_000) as producer,
    ):

        def send() -> None:
            more = numbered(len(records), HALF, PARTITIONS)
            records.extend(more)
            producer.send(more)

        for broker in BROKERS:
            send()
            watcher.poll(1)
            cluster.stop_broker(broker)
            send()
            cluster.start()
            watcher.poll(BURST - 1 - KEPT_BACK)
        send()
        assert {sent.error for sent in producer.finish()} == {None}
    assert_whole(reference, topic_name, records, PARTITIONS)


@scenario("a topic that was created through one broker is there at once through each other")
def test_read_your_create(
    client: Client, cluster: ClusterTarget, reference: Client, topic_names: Callable[[], str]
) -> None:
    creator = reference if Feature.TOPIC_ADMIN in client.spec.missing else client
    for broker in BROKERS:
        name = topic_names()
        others = [cluster.members[each].address for each in BROKERS if each != broker]
        creator.bootstrap = cluster.members[broker].address
        creator.create_topic(name, PARTITIONS)
        client.bootstrap = others[0]
        client.produce(name, [Record(b"value", partition=2)])
        client.bootstrap = others[1]
        [received] = client.consume(name, {2: "earliest"}, 1)
        assert received.value == b"value"


@scenario("after kill -9 of the controller another one creates topics")
def test_controller(
    client: Client, cluster: ClusterTarget, reference: Client, topic_name: str
) -> None:
    admin = reference if Feature.TOPIC_ADMIN in client.spec.missing else client
    gone = cluster.controller()
    cluster.kill_broker(gone)
    assert cluster.controller() != gone
    admin.create_topic(topic_name)
    client.produce(topic_name, [Record(b"value")])
    [received] = client.consume(topic_name, {0: "earliest"}, 1)
    assert received.value == b"value"


@scenario("two of three are killed: nothing is acknowledged until they are back, nothing is lost")
def test_below_the_minimum(
    client: Client, cluster: ClusterTarget, reference: Client, topic_name: str
) -> None:
    reference.create_served_topic(topic_name)
    # One batch: aiokafka takes no more while it waits.
    before, after = numbered(0, 100, 1), numbered(100, 50, 1)
    with client.producer(topic_name, idempotence=True) as producer:
        producer.send(before)
        with reference.consumer(topic_name, {0: "earliest"}) as watcher:
            watcher.poll(len(before) - KEPT_BACK)
        leader = cluster.partitions(topic_name)[0].leader
        for follower in BROKERS:
            if follower != leader:
                cluster.kill_broker(follower)
        producer.send(after)
        cluster.wait_for_isr(topic_name, leader)
        committed = reference.list_offset(topic_name, "latest")
        assert committed is not None
        assert committed <= len(before)
        cluster.start()
        assert {sent.error for sent in producer.finish()} == {None}
    assert_whole(reference, topic_name, before + after, 1)


@scenario("a topic is made anew while a broker is away: it leads the new one afterwards")
def test_made_anew_in_absence(
    client: Client, cluster: ClusterTarget, reference: Client, topic_name: str
) -> None:
    # By the reference, which keeps no client that might create the topic between the two.
    reference.create_served_topic(topic_name)
    reference.produce(topic_name, numbered(0, 50, 1))
    away = a_follower(cluster, topic_name)
    cluster.stop_broker(away)
    reference.delete_topic(topic_name)
    reference.create_served_topic(topic_name)
    new = numbered(1_000, 20, 1)
    client.produce(topic_name, new)
    cluster.start()
    for broker in BROKERS:
        if broker != away:
            cluster.stop_broker(broker)
    assert cluster.partitions(topic_name)[0].leader == away
    received = client.consume(topic_name, {0: "earliest"}, len(new))
    assert [each.value for each in received] == [each.value for each in new]
    assert reference.list_offset(topic_name, "latest") == len(new)
