"""ListOffsets: where a partition begins, ends, and what came after a moment.

Versions 1 to 11. What a consumer may not read yet (above the high watermark, or the last stable
offset with read_committed) is not answered either.

- 4: leader epochs (KIP-320). 5: a new leader says that it does not know the end yet (KIP-207).
- 7: -3, the offset of the largest timestamp (KIP-734). 8: -4, the earliest local offset (KIP-405).
- 9: -5, the newest tiered offset (KIP-1005).
- 11: -6, the oldest offset not yet tiered (KIP-1023). There is no tiered storage: the earliest
  local offset is the log start, and nothing is tiered.
"""

from __future__ import annotations

from kbroker.handler import Handler, RequestContext
from kbroker.replication.partition import Partition
from wire.errors import ErrorCode, KafkaError
from wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)

LATEST = -1
EARLIEST = -2
MAX_TIMESTAMP = -3
EARLIEST_LOCAL = -4
LATEST_TIERED = -5
EARLIEST_PENDING_UPLOAD = -6

SENTINEL_SINCE = {
    LATEST: 0,
    EARLIEST: 0,
    MAX_TIMESTAMP: 7,
    EARLIEST_LOCAL: 8,
    LATEST_TIERED: 9,
    EARLIEST_PENDING_UPLOAD: 11,
}
NOT_AVAILABLE_SINCE = 5
READ_UNCOMMITTED = 0
READ_COMMITTED = 1
CONSUMER = -1


def handle(context: RequestContext, request: ListOffsetsRequest) -> ListOffsetsResponse:
    """Answer each partition by itself."""
    if request.isolation_level not in (READ_UNCOMMITTED, READ_COMMITTED):
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)
    seen: dict[tuple[str, int], int] = {}
    for topic in request.topics:
        for asked in topic.partitions:
            key = (topic.name, asked.partition_index)
            seen[key] = seen.get(key, 0) + 1
    response = ListOffsetsResponse(topics=[])
    for topic in request.topics:
        answers = {}
        for asked in topic.partitions:
            try:
                if seen[topic.name, asked.partition_index] > 1:
                    raise KafkaError(ErrorCode.INVALID_REQUEST)
                answer = _look_up(context, request, topic.name, asked)
            except KafkaError as error:
                answer = ListOffsetsPartitionResponse(
                    partition_index=asked.partition_index, error_code=error.code
                )
            answers[asked.partition_index] = answer
        response.topics.append(
            ListOffsetsTopicResponse(name=topic.name, partitions=list(answers.values()))
        )
    return response


def _look_up(
    context: RequestContext, request: ListOffsetsRequest, name: str, asked: ListOffsetsPartition
) -> ListOffsetsPartitionResponse:
    timestamp = asked.timestamp
    if timestamp < 0 and context.api_version < SENTINEL_SINCE.get(timestamp, 1 << 15):
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION)
    partition = context.services.replicas.partition(name, asked.partition_index)
    partition.check_leader(asked.current_leader_epoch)
    end_offset = _readable_end(partition, request)
    found = _find(partition, timestamp, end_offset)
    near_the_end = timestamp == LATEST or (found is None and timestamp >= MAX_TIMESTAMP)
    if near_the_end and not partition.is_high_watermark_known:
        # All that was committed before its time a new leader knows a little later (KIP-207).
        raise KafkaError(
            ErrorCode.OFFSET_NOT_AVAILABLE
            if context.api_version >= NOT_AVAILABLE_SINCE
            else ErrorCode.LEADER_NOT_AVAILABLE
        )
    answer = ListOffsetsPartitionResponse(partition_index=asked.partition_index, error_code=0)
    if found is not None:
        answer.offset, answer.timestamp, answer.leader_epoch = found
    return answer


def _readable_end(partition: Partition, request: ListOffsetsRequest) -> int:
    if request.replica_id != CONSUMER:
        return partition.log.log_end_offset
    if request.isolation_level == READ_COMMITTED:
        return partition.last_stable_offset
    return partition.high_watermark


def _find(partition: Partition, timestamp: int, end_offset: int) -> tuple[int, int, int] | None:
    """(offset, timestamp, leader epoch), or None where nothing fits."""
    log = partition.log
    if timestamp == LATEST:
        return end_offset, -1, partition.leader_epoch
    if timestamp in (EARLIEST, EARLIEST_LOCAL):
        epoch = log.leader_epochs.epoch_at(log.log_start_offset)
        return log.log_start_offset, -1, -1 if epoch is None else epoch
    if timestamp == LATEST_TIERED:
        return None
    if timestamp == EARLIEST_PENDING_UPLOAD:
        return None
    if timestamp == MAX_TIMESTAMP:
        found = log.offset_of_max_timestamp()
    else:
        found = log.offset_for_timestamp(timestamp)
    if found is None or found[0] >= end_offset:
        return None
    return found


def error_response(
    request: ListOffsetsRequest, version: int, code: ErrorCode
) -> ListOffsetsResponse:
    """Every partition asked for fails with `code`."""
    return ListOffsetsResponse(
        topics=[
            ListOffsetsTopicResponse(
                name=topic.name,
                partitions=[
                    ListOffsetsPartitionResponse(
                        partition_index=asked.partition_index, error_code=code
                    )
                    for asked in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


HANDLER = Handler(
    request=ListOffsetsRequest,
    versions=range(1, 12),
    handle=handle,
    error_response=error_response,
)
