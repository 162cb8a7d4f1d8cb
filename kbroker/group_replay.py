"""Rebuilds a group shard from its partition of `__consumer_offsets`.

Reads in slices, so that others have the loop in between. Counterpart: `coordination`, which appends
what is read here.
"""

from __future__ import annotations

import asyncio
import logging

from coordinator.group.shard import GroupShard
from kbroker.replication.partition import Partition
from wire.errors import ErrorCode, KafkaError, WireError
from wire.records.batch import crc_is_valid, iterate_batches
from wire.records.record import Record, iterate_records

logger = logging.getLogger(__name__)

REPLAY_BYTES = 1024 * 1024
"""Read at once while a shard loads."""

RECORDS_TOGETHER = 100
"""Replayed at once: about a millisecond. The loop serves others in between."""

LARGEST_DECOMPRESSED = 8
"""A compressed batch may grow to this many times the largest batch that the topic takes."""


async def replay(shard: GroupShard, partition: Partition) -> None:
    """Replay the partition into `shard`, up to the log end at the start. KafkaError, OSError.

    Not before all of that is committed (rule 8): what only this leader has may be gone with it,
    after somebody was told of it.
    """
    await committed(partition)
    log = partition.log
    offset, end_offset = log.log_start_offset, log.log_end_offset
    while offset < end_offset:
        found = log.read(
            offset,
            max_bytes=REPLAY_BYTES,
            upper_bound_offset=end_offset,
            at_least_one_batch=True,
        )
        if found is None:
            break
        try:
            data = memoryview(found.source.read_at(found.position, found.size))
        finally:
            found.release()
        next_offset = await _replay_batches(shard, data, partition, offset)
        if next_offset == offset:
            raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"no batch at offset {offset}")
        offset = next_offset
        await asyncio.sleep(0)


async def committed(partition: Partition) -> None:
    """Wait until everything that was there before this leader's epoch is committed, or another
    epoch begins."""
    leader_epoch = partition.leader_epoch
    while (
        partition.is_leader
        and partition.leader_epoch == leader_epoch
        and not partition.is_high_watermark_known
    ):
        news: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake(news: asyncio.Future[None] = news) -> None:
            if not news.done():
                news.set_result(None)

        partition.watch(wake)
        try:
            await news
        finally:
            partition.unwatch(wake)


async def _replay_batches(
    shard: GroupShard, data: memoryview, partition: Partition, offset: int
) -> int:
    """Replay the whole batches of `data`; returns the offset behind them.

    What cannot be read is passed over and logged: one bad record must not lock out every group.
    """
    count = 0
    most_bytes = partition.log.config.max_message_bytes * LARGEST_DECOMPRESSED
    for position, header in iterate_batches(data):
        if not crc_is_valid(data, position, header):
            # Nothing of it: an offset that a disk has changed looks like any other.
            _passed_over(partition, header.base_offset, WireError("the checksum does not match"))
        elif not header.is_control:
            try:
                for record in iterate_records(data, position, max_decompressed_bytes=most_bytes):
                    count += 1
                    if count % RECORDS_TOGETHER == 0:
                        await asyncio.sleep(0)
                    _replay_record(shard, record, partition)
            except WireError as error:
                _passed_over(partition, header.base_offset, error)
        offset = header.next_offset
    return offset


def _replay_record(shard: GroupShard, record: Record, partition: Partition) -> None:
    if record.key is not None:
        try:
            shard.replay(record.key, record.value)
        except WireError as error:
            _passed_over(partition, record.offset, error)


def _passed_over(partition: Partition, offset: int, error: WireError) -> None:
    logger.error(
        "%s-%d at offset %d holds what is no coordinator record: %s",
        partition.topic,
        partition.index,
        offset,
        error,
    )
