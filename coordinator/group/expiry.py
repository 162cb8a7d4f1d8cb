"""When committed offsets are forgotten (KIP-211).

Not while somebody reads: the offsets of a group expire once it has been empty for the retention
time; of a consumer group with members, those of topics that nobody reads any more, counted from
their commit; of a simple group, which has no members ever, each counted from its commit. An offset
that a client of old gave a time of its own expires then.
"""

from __future__ import annotations

from coordinator.group.classic.group import ClassicGroup, GroupState
from coordinator.group.offsets import NO_EXPIRY, CommittedOffset, CommittedOffsets
from coordinator.group.records import offset_tombstone
from coordinator.outcome import CoordinatorRecord
from wire.messages.offset_records import OffsetCommitKey


def expired_offsets(
    group: ClassicGroup, offsets: CommittedOffsets, *, wall_ms: int, retention_ms: int
) -> tuple[list[CoordinatorRecord], bool]:
    """Tombstones of what has expired, and whether nothing is left."""
    committed = offsets.of_group(group.group_id)
    if not committed:
        return [], True
    if not _may_expire(group):
        return [], False
    tombstones: list[CoordinatorRecord] = []
    is_nothing_left = True
    for topic, partitions in sorted(committed.items()):
        is_read = group.is_subscribed_to(topic)
        for partition, offset in sorted(partitions.items()):
            if is_read or not _has_expired(group, offset, wall_ms, retention_ms):
                is_nothing_left = False
                continue
            key = OffsetCommitKey(group=group.group_id, topic=topic, partition=partition)
            tombstones.append(offset_tombstone(key))
    return tombstones, is_nothing_left


def _may_expire(group: ClassicGroup) -> bool:
    if group.protocol_type is None or group.state is GroupState.EMPTY:
        return True
    return group.state is GroupState.STABLE and group.subscribed_topics is not None


def _has_expired(
    group: ClassicGroup, offset: CommittedOffset, wall_ms: int, retention_ms: int
) -> bool:
    if offset.expire_timestamp_ms != NO_EXPIRY:
        return wall_ms >= offset.expire_timestamp_ms
    since_ms = offset.commit_timestamp_ms
    is_abandoned = group.protocol_type is not None and group.state is GroupState.EMPTY
    if is_abandoned and group.state_timestamp_ms is not None:
        since_ms = group.state_timestamp_ms
    return wall_ms - since_ms >= retention_ms
