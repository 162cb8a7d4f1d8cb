"""OffsetCommit and OffsetDelete: which offsets of a group are to be stored or forgotten.

Handlers only say which records are to be written. After Kafka's `OffsetMetadataManager` and
`ClassicGroup.validateOffsetCommit`.
"""

from __future__ import annotations

from coordinator.group.classic.group import ClassicGroup, GroupState
from coordinator.group.offsets import NO_EXPIRY, CommittedOffsets
from coordinator.group.records import offset_commit_record, offset_tombstone
from coordinator.outcome import CoordinatorRecord, Outcome
from wire.errors import ErrorCode, KafkaError
from wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)
from wire.messages.offset_records import OffsetCommitKey, OffsetCommitValue

GROUP_ID_NOT_FOUND_SINCE = 9
"""Older clients of OffsetCommit expect ILLEGAL_GENERATION for a group that is not there."""

NO_RETENTION_TIME = -1
LAST_MOMENT_MS = (1 << 63) - 1
"""The latest that a record can say; no retention time goes beyond it."""


def check_may_commit(
    group: ClassicGroup | None, request: OffsetCommitRequest, version: int
) -> None:
    """KafkaError where the request does not come from a member of the current generation.

    Without a generation it comes from an administrator, or from a consumer that assigns partitions
    to itself: it may commit while the group has no members.
    """
    generation = request.generation_id_or_member_epoch
    if group is None:
        if generation < 0:
            return
        if version >= GROUP_ID_NOT_FOUND_SINCE:
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND)
        raise KafkaError(ErrorCode.ILLEGAL_GENERATION)
    if generation < 0 and group.state is GroupState.EMPTY:
        return
    group.require_member(request.member_id, request.group_instance_id)
    if generation != group.generation:
        raise KafkaError(ErrorCode.ILLEGAL_GENERATION)
    if group.state is GroupState.COMPLETING_REBALANCE:
        # It knows this generation but cannot own anything in it yet.
        raise KafkaError(ErrorCode.REBALANCE_IN_PROGRESS)


def commit_offsets(
    request: OffsetCommitRequest, *, max_metadata_bytes: int, wall_ms: int
) -> Outcome[OffsetCommitResponse]:
    """Store the offsets of a request that may commit, all but those with too much metadata."""
    expires_ms = NO_EXPIRY
    if request.retention_time_ms != NO_RETENTION_TIME:
        expires_ms = min(wall_ms + request.retention_time_ms, LAST_MOMENT_MS)
    records: list[CoordinatorRecord] = []
    response = OffsetCommitResponse(topics=[])
    for topic in request.topics:
        answers = []
        for each in topic.partitions:
            metadata = each.committed_metadata or ""
            code = ErrorCode.NONE
            if _length(metadata) > max_metadata_bytes:
                code = ErrorCode.OFFSET_METADATA_TOO_LARGE
            else:
                key = OffsetCommitKey(
                    group=request.group_id, topic=topic.name, partition=each.partition_index
                )
                value = OffsetCommitValue(
                    offset=each.committed_offset,
                    leader_epoch=each.committed_leader_epoch,
                    metadata=metadata,
                    commit_timestamp=wall_ms,
                    expire_timestamp=expires_ms,
                    topic_id=topic.topic_id,
                )
                records.append(offset_commit_record(key, value))
            answers.append(
                OffsetCommitResponsePartition(partition_index=each.partition_index, error_code=code)
            )
        response.topics.append(
            OffsetCommitResponseTopic(name=topic.name, topic_id=topic.topic_id, partitions=answers)
        )
    return Outcome(tuple(records), response)


def _length(metadata: str) -> int:
    """As Java counts what `offset.metadata.max.bytes` limits: in units of UTF-16."""
    return len(metadata.encode("utf-16-le")) // 2


def delete_offsets(
    group: ClassicGroup, offsets: CommittedOffsets, request: OffsetDeleteRequest
) -> Outcome[OffsetDeleteResponse]:
    """Forget offsets, but not of topics that members of the group read.

    What members of another protocol read is not known: such a group must have none
    (NON_EMPTY_GROUP).
    """
    if group.state is not GroupState.EMPTY and not group.is_consumer_group:
        raise KafkaError(ErrorCode.NON_EMPTY_GROUP)
    records: list[CoordinatorRecord] = []
    response = OffsetDeleteResponse(error_code=ErrorCode.NONE, topics=[])
    for topic in request.topics:
        is_read = group.is_subscribed_to(topic.name)
        code = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC if is_read else ErrorCode.NONE
        answers = []
        for each in topic.partitions:
            partition = each.partition_index
            answers.append(
                OffsetDeleteResponsePartition(partition_index=partition, error_code=code)
            )
            if not is_read and offsets.get(group.group_id, topic.name, partition) is not None:
                key = OffsetCommitKey(group=group.group_id, topic=topic.name, partition=partition)
                records.append(offset_tombstone(key))
        response.topics.append(OffsetDeleteResponseTopic(name=topic.name, partitions=answers))
    return Outcome(tuple(records), response)


def all_offset_tombstones(group_id: str, offsets: CommittedOffsets) -> list[CoordinatorRecord]:
    """What forgets everything that the group has committed."""
    return [
        offset_tombstone(OffsetCommitKey(group=group_id, topic=topic, partition=partition))
        for topic, partitions in sorted(offsets.of_group(group_id).items())
        for partition in sorted(partitions)
    ]
