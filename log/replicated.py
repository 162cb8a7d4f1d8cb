"""Append what another leader wrote, as it is: a follower's part of `log.writing`."""

from __future__ import annotations

from collections.abc import Iterator

from log.leader_epochs import LeaderEpochs
from log.log_config import LogConfig
from log.producer_state import Origin, ProducerState
from log.writing import Writer, marker_in
from wire.records.batch import BatchHeader

PlacedBatch = tuple[int, BatchHeader]


def append_replicated(
    records: memoryview,
    batches: list[PlacedBatch],
    *,
    writer: Writer,
    producer_state: ProducerState,
    leader_epochs: LeaderEpochs,
    config: LogConfig,
    now_ms: int,
) -> None:
    """Write the batches that were found in `records` with as few writes as possible.

    An OSError leaves those before the failed write appended; the producer state's end offset is
    the log end in any case.
    """
    for group in groups_of(batches, max_bytes=config.segment_bytes):
        start, first = group[0]
        last_start, last = group[-1]
        update = None
        if first.is_control:
            update = producer_state.plan(
                first,
                base_offset=first.base_offset,
                origin=Origin.REPLICATION,
                marker=marker_in(records[start:], first),
            )
        writer.append(
            records[start : last_start + last.size_bytes],
            base_offset=first.base_offset,
            last_offset=last.last_offset,
            max_timestamp=max(header.max_timestamp for _, header in group),
            now_ms=now_ms,
            config=config,
            update=update,
            headers=[header for _, header in group],
        )
        for _, header in group:
            if not first.is_control:
                producer_state.replay(header)
            if header.partition_leader_epoch >= 0:
                leader_epochs.assign(header.partition_leader_epoch, header.base_offset)


def groups_of(batches: list[PlacedBatch], *, max_bytes: int) -> Iterator[list[PlacedBatch]]:
    """Runs of adjoining batches that fit into a segment; a control batch is a run of its own.

    A marker may need an entry in the transaction index before it is written.
    """
    group: list[PlacedBatch] = []
    size = 0
    for position, header in batches:
        if group and (header.is_control or size + header.size_bytes > max_bytes):
            yield group
            group, size = [], 0
        group.append((position, header))
        size += header.size_bytes
        if header.is_control:
            yield group
            group, size = [], 0
    if group:
        yield group
