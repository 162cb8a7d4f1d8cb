"""OffsetForLeaderEpoch: where the records of a leader's epoch end, so that clients notice loss.

Versions 2 to 4 (KIP-101, KIP-279, KIP-320). An epoch that is not known is answered with -1, -1.
"""

from __future__ import annotations

from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode, KafkaError
from wire.messages.offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
)


def handle(
    context: RequestContext, request: OffsetForLeaderEpochRequest
) -> OffsetForLeaderEpochResponse:
    """Answer each partition by itself."""
    response = OffsetForLeaderEpochResponse(throttle_time_ms=0, topics=[])
    for topic in request.topics:
        answers = []
        for asked in topic.partitions:
            try:
                answers.append(_look_up(context, topic.topic, asked))
            except KafkaError as error:
                answers.append(EpochEndOffset(error_code=error.code, partition=asked.partition))
        response.topics.append(OffsetForLeaderTopicResult(topic=topic.topic, partitions=answers))
    return response


def _look_up(context: RequestContext, name: str, asked: OffsetForLeaderPartition) -> EpochEndOffset:
    partition = context.services.replicas.partition(name, asked.partition)
    partition.check_leader(asked.current_leader_epoch)
    epoch, end_offset = partition.end_offset_for_epoch(asked.leader_epoch)
    return EpochEndOffset(
        error_code=0, partition=asked.partition, leader_epoch=epoch, end_offset=end_offset
    )


def error_response(
    request: OffsetForLeaderEpochRequest, version: int, code: ErrorCode
) -> OffsetForLeaderEpochResponse:
    """Every partition asked for fails with `code`."""
    return OffsetForLeaderEpochResponse(
        throttle_time_ms=0,
        topics=[
            OffsetForLeaderTopicResult(
                topic=topic.topic,
                partitions=[
                    EpochEndOffset(error_code=code, partition=asked.partition)
                    for asked in topic.partitions
                ],
            )
            for topic in request.topics
        ],
    )


HANDLER = Handler(
    request=OffsetForLeaderEpochRequest,
    versions=range(2, 5),
    handle=handle,
    error_response=error_response,
)
