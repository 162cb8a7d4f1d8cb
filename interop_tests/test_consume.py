"""Consuming."""

from __future__ import annotations

import time

import pytest

from interop_tests.batch_probe import hang_up_amid_answer
from interop_tests.client import Client
from interop_tests.drivers.protocol import Position, Received, Record
from interop_tests.scenarios import scenario
from interop_tests.targets import Target


@pytest.fixture
def numbered(reference: Client, topic: str) -> str:
    """A topic whose ten records hold their offset and lie a second apart, the first ten seconds
    ago."""
    reference.produce(
        topic,
        [Record(b"%d" % number, timestamp_ms=time_of(number)) for number in range(10)],
        batch_bytes=1,
    )
    return topic


START_MS = int(time.time() * 1000) - 600_000


def time_of(number: int) -> int:
    """The timestamp of a record of `numbered`, in milliseconds."""
    return START_MS + number * 1000


def offsets_from(client: Client, topic: str, position: Position, count: int) -> list[int]:
    received = client.consume(topic, {0: position}, count)
    assert [record.value for record in received] == [b"%d" % record.offset for record in received]
    return [record.offset for record in received]


@scenario("from the earliest offset")
def test_earliest(client: Client, numbered: str) -> None:
    assert offsets_from(client, numbered, "earliest", 10) == list(range(10))


@scenario("from the latest offset: only what comes afterwards")
def test_latest(client: Client, reference: Client, numbered: str) -> None:
    with client.consumer(numbered, {0: "latest"}) as consumer:
        reference.produce(numbered, [Record(b"10"), Record(b"11")])
        assert [record.offset for record in consumer.poll(2)] == [10, 11]


@scenario("from an offset, and from one inside a batch")
def test_seek_by_offset(client: Client, reference: Client, numbered: str) -> None:
    assert offsets_from(client, numbered, 7, 3) == [7, 8, 9]
    reference.produce(numbered, [Record(b"%d" % number) for number in range(10, 30)])
    assert offsets_from(client, numbered, 25, 5) == [25, 26, 27, 28, 29]


@scenario("from a time: the first record at or after it")
def test_seek_by_time(client: Client, numbered: str) -> None:
    assert offsets_from(client, numbered, ["time", time_of(4)], 6)[0] == 4
    assert offsets_from(client, numbered, ["time", time_of(4) + 1], 5)[0] == 5
    assert offsets_from(client, numbered, ["time", time_of(0) - 1000], 10)[0] == 0


@scenario("offset queries: earliest, latest, by time, and later than everything")
def test_list_offsets(client: Client, numbered: str) -> None:
    assert client.list_offset(numbered, "earliest") == 0
    assert client.list_offset(numbered, "latest") == 10
    assert client.list_offset(numbered, ["time", time_of(3)]) == 3
    assert client.list_offset(numbered, ["time", time_of(8) + 500]) == 9
    assert client.list_offset(numbered, ["time", time_of(100)]) is None


@scenario("an empty topic: earliest and latest are 0")
def test_empty_topic(client: Client, topic: str) -> None:
    assert client.list_offset(topic, "earliest") == 0
    assert client.list_offset(topic, "latest") == 0
    assert client.list_offset(topic, ["time", time_of(0)]) is None


@scenario("an offset past the end: OFFSET_OUT_OF_RANGE, and auto.offset.reset=earliest starts over")
def test_out_of_range(client: Client, numbered: str) -> None:
    assert offsets_from(client, numbered, 5_000, 10) == list(range(10))


@scenario("two consumers of one topic read independently")
def test_two_consumers(client: Client, numbered: str) -> None:
    with (
        client.consumer(numbered, {0: "earliest"}) as first,
        client.consumer(numbered, {0: 8}) as second,
    ):
        assert [record.offset for record in first.poll(4)] == [0, 1, 2, 3]
        assert [record.offset for record in second.poll(2)] == [8, 9]
        assert [record.offset for record in first.poll(6)] == [4, 5, 6, 7, 8, 9]


@scenario("a waiting fetch is answered when a record arrives")
def test_long_poll(client: Client, reference: Client, topic: str) -> None:
    with client.consumer(topic, {0: "latest"}) as consumer:
        for number in range(5):
            waiting = consumer.start_poll(1)
            reference.produce(topic, [Record(b"%d" % number)])
            [received] = consumer.finish_poll(waiting)
            assert received.value == b"%d" % number


@scenario("isolation.level={isolation} reads plain records")
@pytest.mark.parametrize("isolation", ["read_uncommitted", "read_committed"])
def test_isolation(client: Client, numbered: str, isolation: str) -> None:
    received = client.consume(numbered, {0: "earliest"}, 10, isolation=isolation)
    assert [record.offset for record in received] == list(range(10))


@pytest.fixture
def large_topic(reference: Client, topic_name: str) -> str:
    """Two partitions with 8 MB each, in batches of many sizes."""
    reference.create_served_topic(topic_name, partitions=2)
    reference.produce(topic_name, large_records(), batch_bytes=400_000)
    return topic_name


def large_records() -> list[Record]:
    return [
        Record(b"%07d " % number + b"x" * (20_000 + 97 * number), partition=number % 2)
        for number in range(400)
    ]


@scenario("16 MB with the client's own fetch limits")
def test_large_fetch(client: Client, large_topic: str) -> None:
    received = client.consume(large_topic, {0: "earliest", 1: "earliest"}, 400)
    assert_complete(received)


@scenario("16 MB in fetches of at most 64 KiB a partition and 100 kB in all")
def test_small_fetches(client: Client, large_topic: str) -> None:
    received = client.consume(
        large_topic,
        {0: "earliest", 1: "earliest"},
        400,
        max_bytes=100_000,
        max_partition_bytes=65_536,
    )
    assert_complete(received)


@scenario("others that hang up amid a large answer disturb nobody")
def test_hang_up(client: Client, broker: Target, large_topic: str) -> None:
    for _ in range(20):
        hang_up_amid_answer(broker.address, large_topic)
    assert_complete(client.consume(large_topic, {0: "earliest", 1: "earliest"}, 400))


def assert_complete(received: list[Received]) -> None:
    """Both partitions in order, each value whole."""
    expected = large_records()
    for partition in (0, 1):
        values = [record.value for record in received if record.partition == partition]
        assert values == [record.value for record in expected if record.partition == partition]
