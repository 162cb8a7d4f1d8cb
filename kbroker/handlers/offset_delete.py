"""OffsetDelete: forget what a group has committed of some partitions (KIP-496).

Version 0. A partition of a topic that a member is subscribed to stays:
GROUP_SUBSCRIBED_TO_TOPIC. The answer leaves once the tombstones are committed.
"""

from __future__ import annotations

from coordinator.group.shard import GroupShard
from coordinator.outcome import Moment, Outcome
from kbroker.handler import Handler, RequestContext
from kbroker.watch import Deferred
from wire.errors import ErrorCode, KafkaError
from wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)


def handle(
    context: RequestContext, request: OffsetDeleteRequest
) -> OffsetDeleteResponse | Deferred[OffsetDeleteResponse]:
    """Delete what belongs to partitions that exist; the rest is refused one by one."""
    if not request.group_id:
        raise KafkaError(ErrorCode.INVALID_GROUP_ID)
    image = context.services.metadata.image
    known: list[OffsetDeleteRequestTopic] = []
    refused: dict[str, list[OffsetDeleteResponsePartition]] = {}
    for topic in request.topics:
        found = image.topic_by_name(topic.name)
        partitions = frozenset(found.partitions) if found is not None else frozenset()
        there = [each for each in topic.partitions if each.partition_index in partitions]
        refused.setdefault(topic.name, []).extend(
            OffsetDeleteResponsePartition(
                partition_index=each.partition_index,
                error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            )
            for each in topic.partitions
            if each.partition_index not in partitions
        )
        if there:
            known.append(OffsetDeleteRequestTopic(name=topic.name, partitions=there))
    asked = OffsetDeleteRequest(group_id=request.group_id, topics=known)

    def delete(shard: GroupShard, now: Moment) -> Outcome[OffsetDeleteResponse]:
        outcome = shard.handle_offset_delete(asked, now=now)
        assert outcome.reply is not None, "a deletion waits for nobody"
        return Outcome(outcome.records, _merge(outcome.reply, refused))

    return context.services.group_coordinator.write(request.group_id, delete)


def _merge(
    response: OffsetDeleteResponse, refused: dict[str, list[OffsetDeleteResponsePartition]]
) -> OffsetDeleteResponse:
    """Add what was refused, by topic; a group that fails as a whole is told without topics.

    As in Kafka, a topic of which no partition was named is not answered.
    """
    if response.error_code:
        return response
    deleted: dict[str, list[OffsetDeleteResponsePartition]] = {}
    for topic in response.topics:
        deleted.setdefault(topic.name, []).extend(topic.partitions)
    return OffsetDeleteResponse(
        error_code=ErrorCode.NONE,
        topics=[
            OffsetDeleteResponseTopic(name=name, partitions=[*failed, *deleted.get(name, ())])
            for name, failed in refused.items()
            if failed or name in deleted
        ],
    )


def error_response(
    request: OffsetDeleteRequest, version: int, code: ErrorCode
) -> OffsetDeleteResponse:
    """Nothing was deleted."""
    return OffsetDeleteResponse(error_code=code, topics=[])


HANDLER = Handler(
    request=OffsetDeleteRequest,
    versions=range(0, 1),
    handle=handle,
    error_response=error_response,
)
