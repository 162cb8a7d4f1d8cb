"""What a broker holds in memory, compared with what its logs say when they are read anew."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from coordinator.group.shard import GroupShard
from log.producer_state import ProducerState
from log.segment import LOG_SUFFIX
from wire.records.batch import iterate_batches
from wire.records.record import iterate_records

if TYPE_CHECKING:
    from kbroker.coordination import GroupCoordinator
    from kbroker.hosted_shard import HostedShard
    from kbroker.replication.partition import Partition
    from simulator.disk import SimulatedDisk

MOST_BYTES = 1 << 24


def read_log(partition: Partition, disk: SimulatedDisk) -> list[memoryview]:
    """The bytes of its segments, as the process sees them, behind everyone's back."""
    segments = partition.log.segments
    return [memoryview(disk.content(each.path(LOG_SUFFIX))) for each in segments if each.size]


def wrong_producers(partition: Partition, disk: SimulatedDisk, now_ms: int) -> str:
    """How the state of the producers differs from a replay of the log; "" if it does not."""
    log = partition.log
    if log.log_start_offset or log.segments.first.base_offset:
        return ""  # what was deleted is remembered by snapshots only
    known = log.producer_state
    replayed = ProducerState(producer_id_expiration_ms=known.producer_id_expiration_ms)
    for data in read_log(partition, disk):
        for _, header in iterate_batches(data):
            replayed.replay(header)
    for entry in known.entries:
        other = replayed.entry(entry.producer_id)
        # After a restart fewer batches may be known, but the last one is.
        if other is None or replace(other, batches=other.batches[-len(entry.batches) :]) != entry:
            return f"{log.name} holds {entry}, and its batches say {other}"
    for entry in replayed.entries:
        age_ms = now_ms - entry.last_timestamp_ms
        if known.entry(entry.producer_id) is None and age_ms < known.producer_id_expiration_ms:
            return f"{log.name} has forgotten {entry}"
    return ""


def wrong_groups(groups: GroupCoordinator, disk: SimulatedDisk) -> str:
    """How the offsets and groups differ from a replay of `__consumer_offsets`; "" if not."""
    for _, hosted in sorted(groups._shards.items()):
        replayed = _replayed(hosted, disk)
        for name in sorted(set(hosted.shard.group_ids()) | set(replayed.group_ids())):
            held, said = hosted.shard.offsets.of_group(name), replayed.offsets.of_group(name)
            if held != said:
                return f"group {name} has committed {held}, and its records say {said}"
    return ""


def _replayed(hosted: HostedShard, disk: SimulatedDisk) -> GroupShard:
    shard = GroupShard(hosted.shard.settings, lambda: "nobody")
    for data in read_log(hosted.partition, disk):
        for position, header in iterate_batches(data):
            if not header.is_control:
                for record in iterate_records(data, position, max_decompressed_bytes=MOST_BYTES):
                    if record.key is not None:
                        shard.replay(record.key, record.value)
    return shard
