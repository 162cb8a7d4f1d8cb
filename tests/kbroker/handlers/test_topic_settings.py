"""Settings of topics take effect on a broker that runs, whoever sets them: the topic or all.

What clients are answered is recorded (`topic_settings/*`); here is what they cannot see, or only
after a while.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from kbroker.handlers.produce import CODEC_IN_THREAD_BYTES
from kbroker.replication.partition import Partition
from tests.kbroker.broker_harness import NOW, Client, Running, batch_of, values_in, with_broker
from tests.kbroker.handlers.config_requests import BROKER, DELETE, SET, TOPIC, change
from tests.kbroker.handlers.requests import Target, delete_topics, fetch, produce
from tests.kbroker.held_executor import HeldExecutor
from wire.errors import ErrorCode
from wire.records.batch import build_batch, iterate_batches
from wire.records.compression import Compression
from wire.records.record import Record

LARGE = CODEC_IN_THREAD_BYTES * 2
NEVER = str(2**63 - 1)
MEGABYTE = 1 << 20


async def set_on(client: Client, kind: int, name: str, **settings: str | None) -> None:
    """Set these, underscores for dots; None: back to the default."""
    changes = [
        (key.replace("_", "."), DELETE if value is None else SET, value)
        for key, value in settings.items()
    ]
    answer = await client.ask(change(kind, name, *changes), 1)
    assert [each.error_code for each in answer.responses] == [0], answer


async def set_topic(client: Client, **settings: str | None) -> None:
    await set_on(client, TOPIC, "t", **settings)


async def a_partition(broker: Running, client: Client, **configs: str) -> tuple[Target, Partition]:
    target = Target("t", await client.create("t", **configs))
    return target, broker.broker.replicas.partition("t", 0)


def stamped(timestamp_ms: int, value: bytes = b"v") -> memoryview:
    return memoryview(build_batch([Record(0, timestamp_ms, None, value)]))


async def append(client: Client, target: Target, records: memoryview | None = None) -> int:
    answer = await client.ask(produce(target, 9, records=records), 9)
    (topic,) = answer.responses
    assert topic.partition_responses[0].error_code == 0
    return topic.partition_responses[0].base_offset


async def stored(client: Client, target: Target) -> list[tuple[int, Compression]]:
    """The base offset and codec of each batch."""
    answer = await client.ask(fetch(target, 12), 12)
    records = memoryview(bytes(answer.responses[0].partitions[0].records or b""))
    return [(header.base_offset, header.compression) for _, header in iterate_batches(records)]


def segment_bases(partition: Partition) -> list[int]:
    return [segment.base_offset for segment in partition.log.segments]


@pytest.mark.parametrize("codec", Compression)
@pytest.mark.parametrize("size", [10, LARGE])
def test_pipelined_batches_keep_their_order_however_long_their_codec_takes(
    codec: Compression, size: int
) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target, _ = await a_partition(broker, client, compression_type="gzip")
        values = [b"%d" % number + b"x" * size for number in range(4)]
        for value in values:
            client.send(produce(target, 9, records=batch_of(value, compression=codec)), 9)
            client.send(produce(target, 9, b"behind " + value[:1]), 9)
        for offset in range(8):
            answer = await client.receive()
            assert answer.responses[0].partition_responses[0].base_offset == offset
        found = await client.ask(fetch(target, 12), 12)
        wanted = [each for value in values for each in (value, b"behind " + value[:1])]
        assert values_in(found.responses[0].partitions[0].records) == wanted
        assert await stored(client, target) == [(n, Compression.GZIP) for n in range(8)]

    with_broker(scenario)


@pytest.mark.parametrize("size", [10, LARGE, MEGABYTE // 2])
def test_what_others_send_meanwhile_does_not_get_into_a_batch_that_a_thread_works_at(
    size: int,
) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target, partition = await a_partition(broker, client, compression_type="gzip")
        other = await broker.client()
        elsewhere = Target("o", await other.create("o"))
        held = HeldExecutor()
        broker.loop.set_default_executor(held)
        value = random.Random(3).randbytes(size)
        client.send(produce(target, 9, records=batch_of(value, compression=Compression.LZ4)), 9)
        await broker.until(lambda: bool(held.jobs))
        for filler in range(8):
            await other.ask(produce(elsewhere, 9, bytes([filler]) * 100_000), 9)
        assert partition.log.log_end_offset == 0
        held.let_go()
        answer = await client.receive()
        assert answer.responses[0].partition_responses[0].error_code == 0
        found = await client.ask(fetch(target, 12), 12)
        assert values_in(found.responses[0].partitions[0].records) == [value]
        other.close()

    with_broker(scenario)


def test_acks_0_in_another_codec_is_stored_and_hangs_up_where_it_is_damaged() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target, _ = await a_partition(broker, client, compression_type="zstd")
        large = batch_of(b"x" * LARGE)
        client.send_unanswered(produce(target, 9, records=large, acks=0), 9)
        assert await append(client, target) == 1
        damaged = batch_of(b"x" * LARGE, compression=Compression.LZ4)
        damaged[-5] ^= 1
        client.send_unanswered(produce(target, 9, records=damaged, acks=0), 9)
        assert await client.is_closed()

    with_broker(scenario)


def test_a_client_that_leaves_during_the_codecs_work_harms_nobody() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target, _ = await a_partition(broker, client, compression_type="gzip")
        other = await broker.client()
        other.send(produce(target, 9, records=batch_of(b"x" * (MEGABYTE // 2))), 9)
        await other.writer.drain()
        other.close()
        for number in range(3):
            answer = await client.ask(produce(target, 9, b"%d" % number), 9)
            assert answer.responses[0].partition_responses[0].error_code == 0

    with_broker(scenario)


def test_the_codec_is_the_topics_else_every_brokers_else_the_producers() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target, _ = await a_partition(broker, client)
        replicas = broker.broker.replicas
        await append(client, target)
        await set_on(client, BROKER, "", compression_type="lz4")
        await append(client, target)
        await set_topic(client, compression_type="snappy")
        await append(client, target)
        assert replicas.recompressed_topics == {"t"}
        await set_on(client, BROKER, "", compression_type=None)
        await append(client, target)
        await set_topic(client, compression_type=None)
        await append(client, target)
        assert replicas.recompressed_topics == set(), "and Produce looks for none any more"
        names = [codec.name for _, codec in await stored(client, target)]
        assert names == ["NONE", "LZ4", "SNAPPY", "SNAPPY", "NONE"]

    with_broker(scenario)


def test_a_deleted_topic_is_forgotten_with_its_codec() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target, _ = await a_partition(broker, client, compression_type="gzip")
        await client.ask(delete_topics(target, 6), 6)
        assert broker.broker.replicas.recompressed_topics == set()

    with_broker(scenario)


def test_segments_roll_by_size_by_time_and_by_their_index() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target, partition = await a_partition(broker, client)
        large = b"x" * 600_000
        for _ in range(3):
            await append(client, target, stamped(NOW, large))
        assert segment_bases(partition) == [0]
        await set_topic(client, segment_bytes=str(MEGABYTE))
        for _ in range(2):
            await append(client, target, stamped(NOW, large))
        assert segment_bases(partition) == [0, 3, 4]
        await set_topic(client, segment_ms="500")
        await append(client, target, stamped(NOW + 500))
        await append(client, target, stamped(NOW + 501))
        assert segment_bases(partition) == [0, 3, 4, 6]
        await set_topic(client, segment_index_bytes="16", index_interval_bytes="0")
        for _ in range(4):
            await append(client, target, stamped(NOW + 501))
        assert segment_bases(partition)[4:], "full"

    with_broker(scenario)


async def wait_for_upkeep(broker: Running, reached: Callable[[], bool]) -> None:
    """Let the broker's clocks go on until something holds."""
    for _ in range(50):
        broker.loop.advance(301)
        broker.world.clock.time_ms += 301_000
        for _ in range(20):
            await asyncio.sleep(0)
        if reached():
            return
    raise AssertionError("it never came to hold")


def test_old_segments_go_by_time_and_by_size_and_their_files_after_a_delay() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        settings = {"segment_bytes": str(MEGABYTE), "file_delete_delay_ms": "0"}
        target, partition = await a_partition(broker, client, **settings)
        for _ in range(4):
            await append(client, target, stamped(NOW, b"x" * 600_000))
        assert segment_bases(partition) == [0, 1, 2, 3]
        await set_topic(client, retention_bytes="1300000")
        await wait_for_upkeep(broker, lambda: segment_bases(partition) == [1, 2, 3])
        await set_topic(client, retention_bytes=None, retention_ms="1000")
        await wait_for_upkeep(broker, lambda: partition.log.log_start_offset == 4)
        await wait_for_upkeep(broker, lambda: not deleted_files(broker))
        await set_topic(client, file_delete_delay_ms=NEVER)
        assert await append(client, target, stamped(broker.world.clock.time_ms)) == 4
        await wait_for_upkeep(broker, lambda: partition.log.log_start_offset == 5)
        assert deleted_files(broker), "still there for readers"

    # However often upkeep has to come: the client must not be hung up on as idle meanwhile.
    with_broker(scenario, connections_max_idle_ms="-1")


def deleted_files(broker: Running) -> list[str]:
    return [name for name in broker.disk.list_directory("/data/t-0") if name.endswith(".deleted")]


def test_what_is_only_compacted_does_not_grow_old() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target, partition = await a_partition(broker, client, cleanup_policy="delete")
        await append(client, target, stamped(NOW - 1000))
        await set_topic(client, cleanup_policy="compact", retention_ms="1")
        for _ in range(3):
            broker.loop.advance(301)
            await asyncio.sleep(0)
        assert partition.log.log_start_offset == 0
        await set_topic(client, cleanup_policy="compact,delete")
        await wait_for_upkeep(broker, lambda: partition.log.log_start_offset == 1)

    with_broker(scenario)


def test_who_waits_for_a_flush_is_answered_when_the_topic_wants_none_any_more() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target, partition = await a_partition(broker, client)
        broker.flusher.held = True
        client.send(produce(target, 9), 9)
        await broker.until(lambda: partition.log.log_end_offset == 1)
        other = await broker.client()
        await set_topic(other, flush_messages=NEVER)
        answer = await client.receive()
        assert answer.responses[0].partition_responses[0].error_code == ErrorCode.NONE
        assert partition.log.recovery_point == 0
        await set_topic(other, flush_messages="1")
        client.send(produce(target, 9), 9)
        await broker.until(lambda: partition.log.log_end_offset == 2)
        assert partition.high_watermark == 1, "and waits again"
        broker.flusher.held = False
        broker.flusher.flush()
        await client.receive()
        await broker.until(lambda: partition.log.recovery_point == 2)
        other.close()

    with_broker(scenario)


def test_what_is_unflushed_is_flushed_after_so_many_records_or_so_long() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target, partition = await a_partition(broker, client, flush_messages=NEVER)
        await append(client, target)
        await set_topic(client, flush_messages="3")
        await broker.until(lambda: partition.log.recovery_point == 1)
        for _ in range(2):
            await append(client, target)
        assert partition.log.recovery_point == 1
        await append(client, target)
        await broker.until(lambda: partition.log.recovery_point == 4)
        await append(client, target)
        await set_topic(client, flush_messages=NEVER, flush_ms=NEVER)
        await append(client, target)
        await set_topic(client, flush_ms="5000")
        await wait_for_upkeep(broker, lambda: partition.log.recovery_point == 6)

    with_broker(scenario)


def test_every_brokers_settings_hold_where_the_topic_has_none() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target, partition = await a_partition(broker, client)
        config = partition.log.config
        await set_on(
            client,
            BROKER,
            "",
            log_segment_bytes=str(MEGABYTE),
            log_retention_ms="1000",
            log_flush_interval_messages="7",
            message_max_bytes="5000",
            log_message_timestamp_type="LogAppendTime",
        )
        new = partition.log.config
        assert (new.segment_bytes, new.retention_ms, new.flush_messages) == (MEGABYTE, 1000, 7)
        assert (new.max_message_bytes, new.message_timestamp_type) == (5000, "LogAppendTime")
        assert not partition.flushes_each_append
        await set_topic(client, retention_ms="2000")
        await set_on(client, BROKER, "", log_retention_ms="3000", log_segment_bytes=None)
        assert partition.log.config.retention_ms == 2000
        assert partition.log.config.segment_bytes == config.segment_bytes
        answer = await client.ask(produce(target, 9, b"x" * 6000), 9)
        code = answer.responses[0].partition_responses[0].error_code
        assert code == ErrorCode.MESSAGE_TOO_LARGE

    with_broker(scenario)
