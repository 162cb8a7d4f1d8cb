"""Producing."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from interop_tests.batch_probe import CODECS, stored_batches
from interop_tests.client import Client
from interop_tests.clients import Feature
from interop_tests.drivers.protocol import Record
from interop_tests.scenarios import scenario
from interop_tests.targets import Target


def text_values(count: int, prefix: str = "value") -> list[Record]:
    """Records that compress well and tell their order."""
    return [Record(f"{prefix} {number} {'x' * 50}".encode()) for number in range(count)]


@scenario("produce and consume, {codec}; the batches stored have that codec")
@pytest.mark.parametrize("codec", CODECS)
def test_codec(client: Client, broker: Target, topic: str, codec: str) -> None:
    records = text_values(200)
    client.produce(topic, records, codec=codec)
    received = client.consume(topic, {0: "earliest"}, len(records))
    assert [record.value for record in received] == [record.value for record in records]
    assert [record.offset for record in received] == list(range(len(records)))
    assert {batch.codec for batch in stored_batches(broker.address, topic)} == {codec}


@scenario("the producer is told the offset of every record", Feature.SENT_OFFSETS)
def test_sent_offsets(client: Client, topic: str) -> None:
    sent = client.produce(topic, text_values(50))
    assert [(one.partition, one.offset) for one in sent] == [(0, offset) for offset in range(50)]


@scenario("keys, null keys, null values (tombstones)")
def test_keys_and_nulls(client: Client, topic: str) -> None:
    pairs = [
        (b"key", b"value"),
        (None, b"only a value"),
        (b"only a key", None),
        (b"\x01\xff", b"\x80\xfe"),
    ]
    client.produce(topic, [Record(value, key=key) for key, value in pairs])
    received = client.consume(topic, {0: "earliest"}, len(pairs))
    assert [(record.key, record.value) for record in received] == pairs


@scenario("empty keys and values stay empty, and are not null", Feature.EMPTY_VALUES)
def test_empty(client: Client, topic: str) -> None:
    client.produce(topic, [Record(b"", key=b"")])
    [received] = client.consume(topic, {0: "earliest"}, 1)
    assert (received.key, received.value) == (b"", b"")


@scenario("headers: several, in order, a name twice, an empty value")
def test_headers(client: Client, topic: str) -> None:
    headers = (("b", b"1"), ("a", b"\xc3\xa9"), ("b", b"2"), ("empty", b""))
    client.produce(topic, [Record(b"with", headers=headers), Record(b"without")])
    received = client.consume(topic, {0: "earliest"}, 2)
    assert [record.headers for record in received] == [headers, ()]


@scenario("a header without a value", Feature.NULL_HEADERS)
def test_null_header(client: Client, topic: str) -> None:
    client.produce(topic, [Record(b"value", headers=(("nothing", None),))])
    [received] = client.consume(topic, {0: "earliest"}, 1)
    assert received.headers == (("nothing", None),)


@scenario("timestamps of the producer (CreateTime)", Feature.TIMESTAMPS)
def test_create_time(client: Client, broker: Target, topic: str) -> None:
    start_ms = int(time.time() * 1000) - 60_000
    times = [start_ms, start_ms + 5, start_ms + 3, start_ms + 59_999]
    client.produce(topic, [Record(b"value", timestamp_ms=time_ms) for time_ms in times])
    received = client.consume(topic, {0: "earliest"}, len(times))
    assert [record.timestamp_ms for record in received] == times
    assert not any(batch.has_log_append_time for batch in stored_batches(broker.address, topic))


@scenario("timestamps of the broker (message.timestamp.type=LogAppendTime)")
def test_log_append_time(
    client: Client, broker: Target, reference: Client, topic_name: str
) -> None:
    reference.create_served_topic(topic_name, configs={"message.timestamp.type": "LogAppendTime"})
    before_ms = int(time.time() * 1000)
    client.produce(topic_name, text_values(3))
    received = client.consume(topic_name, {0: "earliest"}, 3)
    after_ms = int(time.time() * 1000)
    assert all(before_ms <= record.timestamp_ms <= after_ms for record in received)
    assert all(batch.has_log_append_time for batch in stored_batches(broker.address, topic_name))


@scenario("a message of 3 MB, where max.message.bytes allows it")
def test_large_message(client: Client, reference: Client, topic_name: str) -> None:
    reference.create_served_topic(topic_name, configs={"max.message.bytes": "8000000"})
    value = bytes(range(65, 91)) * 120_000
    sent = client.produce(topic_name, [Record(value, key=b"large")], max_request_bytes=8_000_000)
    assert len(sent) == 1
    # No fetch of this consumer has room for it: the first batch comes whole all the same (KIP-74).
    [received] = client.consume(topic_name, {0: "earliest"}, 1)
    assert (received.key, received.value) == (b"large", value)


@scenario("a message larger than max.message.bytes is refused: MESSAGE_TOO_LARGE")
def test_message_too_large(client: Client, reference: Client, topic_name: str) -> None:
    reference.create_served_topic(topic_name, configs={"max.message.bytes": "10000"})
    client.produce(topic_name, [Record(b"small")])
    [refused] = client.try_produce(topic_name, [Record(b"x" * 50_000)])
    assert refused.error == "MESSAGE_TOO_LARGE"
    client.produce(topic_name, [Record(b"small again")])
    received = client.consume(topic_name, {0: "earliest"}, 2)
    assert [record.value for record in received] == [b"small", b"small again"]


@scenario("a timestamp two hours ahead is refused: INVALID_TIMESTAMP", Feature.TIMESTAMPS)
def test_timestamp_ahead(client: Client, topic: str) -> None:
    ahead_ms = int(time.time() * 1000) + 2 * 60 * 60 * 1000
    [refused] = client.try_produce(topic, [Record(b"value", timestamp_ms=ahead_ms)])
    assert refused.error == "INVALID_TIMESTAMP"
    assert client.list_offset(topic, "latest") == 0


@scenario("batches of 900 kB, {codec}")
@pytest.mark.parametrize("codec", CODECS)
def test_large_batches(client: Client, broker: Target, topic: str, codec: str) -> None:
    noise = random.Random(3)
    words = [noise.randbytes(8) for _ in range(500)]
    records = [Record(b" ".join(noise.choices(words, k=900))) for _ in range(300)]
    client.produce(topic, records, codec=codec, batch_bytes=900_000)
    received = client.consume(topic, {0: "earliest"}, len(records))
    assert [record.value for record in received] == [record.value for record in records]
    assert {batch.codec for batch in stored_batches(broker.address, topic)} == {codec}


@scenario("acks=0", Feature.ACKS_0)
def test_acks_0(client: Client, topic: str) -> None:
    play_acks(client, topic, acks=0)


@scenario("acks={acks}")
@pytest.mark.parametrize("acks", [1, -1])
def test_acks(client: Client, topic: str, acks: int) -> None:
    play_acks(client, topic, acks=acks)


def play_acks(client: Client, topic: str, *, acks: int) -> None:
    records = text_values(20)
    client.produce(topic, records, acks=acks)
    received = client.consume(topic, {0: "earliest"}, len(records))
    assert [record.value for record in received] == [record.value for record in records]


@scenario("an idempotent producer: its id and sequences are stored, nothing is lost or doubled")
def test_idempotent_producer(client: Client, broker: Target, topic: str) -> None:
    records = text_values(500)
    client.produce(topic, records, idempotence=True, batch_bytes=2_000)
    received = client.consume(topic, {0: "earliest"}, len(records))
    assert [record.value for record in received] == [record.value for record in records]
    batches = stored_batches(broker.address, topic)
    assert len({batch.producer_id for batch in batches}) == 1
    assert batches[0].producer_id >= 0
    assert [batch.base_sequence for batch in batches] == [batch.base_offset for batch in batches]


@scenario("two idempotent producers, one after the other, have different ids")
def test_producer_ids_differ(client: Client, broker: Target, topic: str) -> None:
    client.produce(topic, text_values(1), idempotence=True)
    client.produce(topic, text_values(1), idempotence=True)
    first, second = stored_batches(broker.address, topic)
    assert first.producer_id != second.producer_id


@scenario("many requests in flight keep their order")
def test_pipelining(client: Client, broker: Target, topic: str) -> None:
    records = [Record(b"%d %s" % (number, b"x" * 500)) for number in range(2_000)]
    client.produce(topic, records, idempotence=True, batch_bytes=4_000)
    received = client.consume(topic, {0: "earliest"}, len(records))
    assert [record.value for record in received] == [record.value for record in records]
    assert len(stored_batches(broker.address, topic)) > 20


@scenario("24 partitions, produced to by number")
def test_many_partitions(client: Client, reference: Client, topic_name: str) -> None:
    count = 24
    reference.create_served_topic(topic_name, partitions=count)
    records = [
        Record(b"%d of %d" % (number, partition), partition=partition)
        for partition in range(count)
        for number in range(5)
    ]
    client.produce(topic_name, records)
    received = client.consume(topic_name, dict.fromkeys(range(count), "earliest"), len(records))
    by_place = sorted((record.partition, record.offset, record.value) for record in received)
    assert by_place == [
        (partition, number, b"%d of %d" % (number, partition))
        for partition in range(count)
        for number in range(5)
    ]


@scenario("the client's partitioner sends equal keys to one partition, and uses several")
def test_partitioner(client: Client, reference: Client, topic_name: str) -> None:
    reference.create_served_topic(topic_name, partitions=6)
    keys = [b"key %d" % (number % 20) for number in range(100)]
    client.produce(topic_name, [Record(b"value", key=key, partition=None) for key in keys])
    received = client.consume(topic_name, dict.fromkeys(range(6), "earliest"), len(keys))
    places = {(record.key, record.partition) for record in received}
    assert len(places) == 20
    assert len({partition for _, partition in places}) > 1


@scenario("two producers at once: each one's order holds, no offset is given twice")
def test_concurrent_producers(client: Client, reference: Client, topic: str) -> None:
    theirs, mine = text_values(300, "theirs"), text_values(300, "mine")
    pending = reference.start_produce(topic, theirs, batch_bytes=2_000)
    client.produce(topic, mine, batch_bytes=2_000)
    assert all(sent.error is None for sent in reference.finish_produce(pending))
    received = client.consume(topic, {0: "earliest"}, 600)
    assert [record.offset for record in received] == list(range(600))
    for records in (theirs, mine):
        values = {record.value for record in records}
        assert [one.value for one in received if one.value in values] == [
            record.value for record in records
        ]


@scenario("produce to a topic that does not exist yet creates it")
def test_auto_create(client: Client, topic_names: Callable[[], str]) -> None:
    name = topic_names()
    client.produce(name, [Record(b"first")])
    [received] = client.consume(name, {0: "earliest"}, 1)
    assert received.value == b"first"
