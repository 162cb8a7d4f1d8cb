"""Fetch: waits for enough, wakes on append, remembers its session, lets go when nobody waits."""

from __future__ import annotations

import pytest

from tests.kbroker.broker_harness import Client, Running, values_in, with_broker
from tests.kbroker.handlers.requests import (
    Target,
    delete_topics,
    error_codes,
    fetch,
    list_offsets,
    produce,
)
from wire.errors import ErrorCode
from wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic, ForgottenTopic

LONG_MS = 3_600_000


async def a_topic(client: Client, *, partitions: int = 1, **configs: str) -> Target:
    return Target("t", await client.create("t", partitions=partitions, **configs))


def only(answer):
    (topic,) = answer.responses
    (partition,) = topic.partitions
    return partition


def watcher_count(broker: Running) -> int:
    return sum(len(partition._watchers) for partition in broker.broker.replicas)


async def parked(broker: Running, client: Client, target: Target, **options) -> None:
    """Send a Fetch that waits, and see it wait."""
    client.send(fetch(target, 12, min_bytes=1, max_wait_ms=LONG_MS, **options), 12)
    await broker.until(lambda: watcher_count(broker) > 0)


def test_a_waiting_fetch_wakes_when_records_are_durable() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        await parked(broker, client, target)
        producer = await broker.client()
        await producer.ask(produce(target, 9, b"news"), 9)
        assert values_in(only(await client.receive()).records) == [b"news"]
        assert watcher_count(broker) == 0
        producer.close()

    with_broker(scenario)


def test_a_waiting_fetch_stays_until_there_is_enough() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        client.send(fetch(target, 12, min_bytes=250, max_wait_ms=LONG_MS), 12)
        await broker.until(lambda: watcher_count(broker) > 0)
        producer = await broker.client()
        await producer.ask(produce(target, 9, b"x" * 50), 9)
        assert watcher_count(broker) == 1
        await producer.ask(produce(target, 9, b"y" * 200), 9)
        assert len(values_in(only(await client.receive()).records)) == 2
        producer.close()

    with_broker(scenario)


def test_a_waiting_fetch_is_answered_with_what_there_is_when_its_time_is_up() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        await client.ask(produce(target, 9, b"little"), 9)
        client.send(fetch(target, 12, min_bytes=10_000, max_wait_ms=500), 12)
        await broker.until(lambda: watcher_count(broker) > 0)
        broker.loop.advance(1)
        assert values_in(only(await client.receive()).records) == [b"little"]
        assert watcher_count(broker) == 0

    with_broker(scenario)


def test_requests_behind_a_waiting_fetch_wait_for_it() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        await parked(broker, client, target)
        client.send(produce(target, 9, b"my own"), 9)
        other = await broker.client()
        found = await other.ask(list_offsets(target, 5), 5)
        assert found.topics[0].partitions[0].offset == 0, "not started"
        broker.loop.advance(LONG_MS / 1000 + 1)
        assert values_in(only(await client.receive()).records) == []
        assert (await client.receive()).responses[0].partition_responses[0].base_offset == 0
        other.close()

    with_broker(scenario)


def test_a_client_that_leaves_takes_its_waiting_fetch_with_it() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        reader = await broker.client()
        await parked(broker, reader, target)
        reader.close()
        await broker.until(lambda: watcher_count(broker) == 0)
        answer = await client.ask(produce(target, 9), 9)
        assert not any(error_codes(answer))

    with_broker(scenario)


def test_deleting_the_topic_wakes_its_waiting_fetch() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        await parked(broker, client, target)
        other = await broker.client()
        await other.ask(delete_topics(target, 6), 6)
        assert only(await client.receive()).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        other.close()

    with_broker(scenario)


def test_an_error_is_told_at_once_however_long_the_client_would_wait() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        request = fetch(target, 12, offset=99, min_bytes=1, max_wait_ms=LONG_MS)
        answer = only(await client.ask(request, 12))
        assert (answer.error_code, answer.high_watermark) == (ErrorCode.OFFSET_OUT_OF_RANGE, -1)

    with_broker(scenario)


@pytest.mark.parametrize(("epoch", "code"), [(0, 0), (7, ErrorCode.UNKNOWN_LEADER_EPOCH), (-1, 0)])
def test_a_fetch_is_fenced_by_the_leaders_epoch(epoch: int, code: int) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        answer = await client.ask(fetch(target, 12, leader_epoch=epoch), 12)
        assert only(answer).error_code == code

    with_broker(scenario)


def test_nothing_that_is_not_durable_is_served() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        await client.ask(produce(target, 9, b"safe"), 9)
        broker.flusher.held = True
        client.send(produce(target, 9, b"unsafe"), 9)
        partition = broker.broker.replicas.partition("t", 0)
        await broker.until(lambda: partition.log.log_end_offset == 2)
        other = await broker.client()
        answer = only(await other.ask(fetch(target, 12), 12))
        assert values_in(answer.records) == [b"safe"]
        assert answer.high_watermark == 1
        broker.flusher.flush()
        await client.receive()
        other.close()

    with_broker(scenario)


def test_the_first_batch_comes_even_if_it_is_larger_than_asked() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client, partitions=2)
        for index in (0, 1):
            await client.ask(produce(Target("t", b"", index), 9, b"x" * 5000), 9)
        request = FetchRequest(
            max_wait_ms=0,
            min_bytes=0,
            max_bytes=10,
            topics=[
                FetchTopic(
                    topic=target.name,
                    partitions=[
                        FetchPartition(partition=index, fetch_offset=0, partition_max_bytes=10)
                        for index in (0, 1)
                    ],
                )
            ],
        )
        answer = await client.ask(request, 12)
        first, second = answer.responses[0].partitions
        assert values_in(first.records) == [b"x" * 5000]
        assert values_in(second.records) == []

    with_broker(scenario)


# --- sessions (KIP-227) ---


@pytest.mark.parametrize("version", [7, 12, 13, 18])
def test_a_session_tells_only_news(version: int) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        full = await client.ask(fetch(target, version, session_epoch=0), version)
        session_id = full.session_id
        assert session_id
        assert len(full.responses) == 1

        async def next_fetch(epoch: int, *, asks: bool = False, offset: int = 0):
            request = fetch(
                target,
                version,
                session_id=session_id,
                session_epoch=epoch,
                asks=asks,
                offset=offset,
            )
            return await client.ask(request, version)

        assert (await next_fetch(1)).responses == []
        await client.ask(produce(target, 9, b"news"), 9)
        answer = await next_fetch(2)
        assert values_in(only(answer).records) == [b"news"]
        assert answer.session_id == session_id
        again = await next_fetch(3)
        assert values_in(only(again).records) == [b"news"], "asked from the same offset"
        assert (await next_fetch(4, asks=True, offset=1)).responses == []

    with_broker(scenario)


def test_a_waiting_incremental_fetch_wakes_with_news_of_a_partition_not_named_in_it() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        full = await client.ask(fetch(target, 12, session_epoch=0), 12)
        await parked(
            broker, client, target, session_id=full.session_id, session_epoch=1, asks=False
        )
        producer = await broker.client()
        await producer.ask(produce(target, 9, b"news"), 9)
        assert values_in(only(await client.receive()).records) == [b"news"]
        producer.close()

    with_broker(scenario)


def test_session_errors_are_those_of_the_whole_response() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        unknown = await client.ask(fetch(target, 12, session_id=9, session_epoch=1), 12)
        assert unknown.error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
        full = await client.ask(fetch(target, 12, session_epoch=0), 12)
        request = fetch(target, 12, session_id=full.session_id, session_epoch=5)
        wrong = await client.ask(request, 12)
        assert wrong.error_code == ErrorCode.INVALID_FETCH_SESSION_EPOCH
        assert wrong.responses == []

    with_broker(scenario)


def test_a_forgotten_partition_is_not_told_any_more() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client, partitions=2)
        request = fetch(target, 12, session_epoch=0)
        request.topics[0].partitions.append(
            FetchPartition(partition=1, fetch_offset=0, partition_max_bytes=1000)
        )
        full = await client.ask(request, 12)
        request = fetch(target, 12, session_id=full.session_id, session_epoch=1, asks=False)
        request.forgotten_topics_data = [ForgottenTopic(topic="t", partitions=[0])]
        await client.ask(request, 12)
        for index in (0, 1):
            await client.ask(produce(Target("t", b"", index), 9), 9)
        request = fetch(target, 12, session_id=full.session_id, session_epoch=2, asks=False)
        assert only(await client.ask(request, 12)).partition_index == 1

    with_broker(scenario)


def test_slices_are_released_however_a_fetch_ends() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        await client.ask(produce(target, 9, b"x" * 1000), 9)
        log = broker.broker.replicas.partition("t", 0).log.segments.active.log()
        before = log.reference_count
        await client.ask(fetch(target, 12), 12)
        client.send(fetch(target, 12, min_bytes=100_000, max_wait_ms=LONG_MS), 12)
        await broker.until(lambda: watcher_count(broker) > 0)
        producer = await broker.client()
        await producer.ask(produce(target, 9, b"more"), 9)
        assert log.reference_count == before, "a look that is not enough keeps nothing"
        client.close()
        await broker.until(lambda: watcher_count(broker) == 0)
        assert log.reference_count == before
        producer.close()

    with_broker(scenario)


# --- data that is not in the page cache ---


@pytest.mark.parametrize("pattern", ["*", "*.log", "*index"])
def test_old_data_comes_from_the_disk_whole_and_in_order(pattern: str) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        sent = [b"%03d" % number + b"x" * 3000 for number in range(40)]
        for value in sent:
            await client.ask(produce(target, 9, value), 9)
        broker.disk.cold_patterns.append(pattern)
        got: list[bytes | None] = []
        while len(got) < len(sent):
            answer = await client.ask(fetch(target, 12, offset=len(got), min_bytes=1), 12)
            found = values_in(only(answer).records)
            assert found, "a fetch below the high watermark makes progress"
            got += found
        assert got == sent

    with_broker(scenario)


def test_requests_behind_a_fetch_of_old_data_come_after_it() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        await client.ask(produce(target, 9, b"old" * 30_000), 9)
        broker.disk.cold_patterns.append("*")
        for _ in range(5):
            client.send(fetch(target, 12), 12)
            client.send(list_offsets(target, 5), 5)
        for _ in range(5):
            assert values_in(only(await client.receive()).records) == [b"old" * 30_000]
            assert (await client.receive()).topics[0].partitions[0].offset == 1

    with_broker(scenario)


def test_a_client_that_leaves_amid_old_data_leaves_no_file_open() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await a_topic(client)
        await client.ask(produce(target, 9, b"old" * 30_000), 9)
        log = broker.broker.replicas.partition("t", 0).log.segments.active.log()
        before = log.reference_count
        broker.disk.cold_patterns.append("*")
        for _ in range(10):
            reader = await broker.client()
            for _ in range(3):
                reader.send(fetch(target, 12), 12)
            await reader.writer.drain()
            reader.close()
        await client.ask(fetch(target, 12), 12)
        broker.disk.cold_patterns.clear()  # what was read is in the page cache from now on
        await broker.until(lambda: len(broker.broker.server.connections) == 1)
        await broker.until(lambda: log.reference_count == before)

    with_broker(scenario)
