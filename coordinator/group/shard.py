"""The groups of one partition of `__consumer_offsets`, as a state machine.

Handlers only read and say which records are to be written; `replay` alone changes state, so that
nothing ever has to be undone. Membership is not here yet: every group is one of consumers that
assign partitions to themselves (Kafka's "simple" group).
"""

from __future__ import annotations

from coordinator.group.offsets import NO_EXPIRY, CommittedOffset, CommittedOffsets
from coordinator.group.records import (
    decode_offset_commit_key,
    decode_offset_commit_value,
    offset_commit_record,
    offset_tombstone,
)
from coordinator.outcome import CoordinatorRecord, Outcome
from wire.errors import ErrorCode, KafkaError
from wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from wire.messages.offset_records import OffsetCommitKey, OffsetCommitValue

GROUP_ID_NOT_FOUND_SINCE = 9
"""Older clients of OffsetCommit expect ILLEGAL_GENERATION for a group that is not there."""

NO_RETENTION_TIME = -1


class GroupShard:
    """State: the offsets committed by this partition's groups."""

    def __init__(self, *, max_metadata_bytes: int) -> None:
        self.offsets = CommittedOffsets()
        self._max_metadata_bytes = max_metadata_bytes

    def handle_offset_commit(
        self, request: OffsetCommitRequest, *, version: int, now_ms: int
    ) -> Outcome[OffsetCommitResponse]:
        """Commit the offsets of topics that exist; KafkaError where the member may not commit."""
        self._check_may_commit(request, version)
        expires_ms = NO_EXPIRY
        if request.retention_time_ms != NO_RETENTION_TIME:
            expires_ms = now_ms + request.retention_time_ms
        records: list[CoordinatorRecord] = []
        response = OffsetCommitResponse(topics=[])
        for topic in request.topics:
            answers = []
            for each in topic.partitions:
                metadata = each.committed_metadata or ""
                code = ErrorCode.NONE
                if len(metadata) > self._max_metadata_bytes:
                    code = ErrorCode.OFFSET_METADATA_TOO_LARGE
                else:
                    key = OffsetCommitKey(
                        group=request.group_id, topic=topic.name, partition=each.partition_index
                    )
                    value = OffsetCommitValue(
                        offset=each.committed_offset,
                        leader_epoch=each.committed_leader_epoch,
                        metadata=metadata,
                        commit_timestamp=now_ms,
                        expire_timestamp=expires_ms,
                        topic_id=topic.topic_id,
                    )
                    records.append(offset_commit_record(key, value))
                answers.append(
                    OffsetCommitResponsePartition(
                        partition_index=each.partition_index, error_code=code
                    )
                )
            response.topics.append(
                OffsetCommitResponseTopic(
                    name=topic.name, topic_id=topic.topic_id, partitions=answers
                )
            )
        return Outcome(tuple(records), response)

    def on_topic_deleted(self, topic: str) -> Outcome[None]:
        """Forget what was committed of a topic that is gone: its name may come back."""
        return Outcome(
            tuple(
                offset_tombstone(OffsetCommitKey(group=group, topic=topic, partition=partition))
                for group, partition in self.offsets.of_topic(topic)
            ),
            None,
        )

    def replay(self, key: bytes, value: bytes | None) -> None:
        """Take one record over. Raises WireError where it cannot be read.

        Kinds of records that are not known here are passed over: a newer broker wrote them.
        """
        place = decode_offset_commit_key(key)
        if place is None:
            return
        if value is None:
            self.offsets.remove(place.group, place.topic, place.partition)
            return
        committed = decode_offset_commit_value(value)
        self.offsets.put(
            place.group,
            place.topic,
            place.partition,
            CommittedOffset(
                offset=committed.offset,
                leader_epoch=committed.leader_epoch,
                metadata=committed.metadata,
                commit_timestamp_ms=committed.commit_timestamp,
                expire_timestamp_ms=committed.expire_timestamp,
                topic_id=committed.topic_id,
            ),
        )

    def _check_may_commit(self, request: OffsetCommitRequest, version: int) -> None:
        generation = request.generation_id_or_member_epoch
        if request.group_id not in self.offsets and generation >= 0:
            if version >= GROUP_ID_NOT_FOUND_SINCE:
                raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND)
            raise KafkaError(ErrorCode.ILLEGAL_GENERATION)
        if generation >= 0:
            # The group has no members: nobody may commit in the name of one.
            raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
