"""OffsetCommit: store how far a group has read.

Versions 2 to 10. The answer leaves once the record on `__consumer_offsets` is as safe as a Produce
with acks=all. Consumers that assign partitions to themselves commit with generation -1; members of
a group with theirs, which also renews their session.

- 2 to 4: a retention time of the client's own. 6: leader epochs (KIP-320). 7: static members.
- 9: errors of the next-generation protocol (KIP-848). 10: topics by id.
"""

from __future__ import annotations

from coordinator.group.shard import GroupShard
from coordinator.outcome import Moment, Outcome
from kbroker.handler import Handler, RequestContext
from kbroker.watch import Deferred
from wire.errors import ErrorCode
from wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)

TOPIC_IDS_SINCE = 10


def handle(
    context: RequestContext, request: OffsetCommitRequest
) -> OffsetCommitResponse | Deferred[OffsetCommitResponse]:
    """Commit what belongs to partitions that exist; the rest is refused one by one."""
    version = context.api_version
    order = request.topics
    refused: dict[int, OffsetCommitResponseTopic] = {}
    known_topics = _known(context, order, refused)
    if not known_topics:
        return OffsetCommitResponse(topics=[refused[place] for place in sorted(refused)])
    known = OffsetCommitRequest(
        group_id=request.group_id,
        generation_id_or_member_epoch=request.generation_id_or_member_epoch,
        member_id=request.member_id,
        group_instance_id=request.group_instance_id,
        retention_time_ms=request.retention_time_ms,
        topics=list(known_topics.values()),
    )

    def commit(shard: GroupShard, now: Moment) -> Outcome[OffsetCommitResponse]:
        outcome = shard.handle_offset_commit(known, version=version, now=now)
        assert outcome.reply is not None, "a commit waits for nobody"
        committed = dict(zip(known_topics, outcome.reply.topics, strict=True))
        return Outcome(outcome.records, _merge(committed, refused))

    return context.services.group_coordinator.write(request.group_id, commit)


def _known(
    context: RequestContext,
    topics: list[OffsetCommitRequestTopic],
    refused: dict[int, OffsetCommitResponseTopic],
) -> dict[int, OffsetCommitRequestTopic]:
    """The topics with their partitions that exist, by place; `refused` gets the others."""
    image = context.services.metadata.image
    known = {}
    for place, topic in enumerate(topics):
        by_id = context.api_version >= TOPIC_IDS_SINCE
        found = image.topics.get(topic.topic_id) if by_id else image.topic_by_name(topic.name)
        missing = [
            each
            for each in topic.partitions
            if found is None or each.partition_index not in found.partitions
        ]
        if missing:
            code = (
                ErrorCode.UNKNOWN_TOPIC_ID
                if by_id and found is None
                else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            )
            refused[place] = OffsetCommitResponseTopic(
                name=topic.name,
                topic_id=topic.topic_id,
                partitions=[
                    OffsetCommitResponsePartition(
                        partition_index=each.partition_index, error_code=code
                    )
                    for each in missing
                ],
            )
        if found is not None and len(missing) < len(topic.partitions):
            known[place] = OffsetCommitRequestTopic(
                name=found.name,
                topic_id=found.topic_id,
                partitions=[
                    each for each in topic.partitions if each.partition_index in found.partitions
                ],
            )
    return known


def _merge(
    committed: dict[int, OffsetCommitResponseTopic], refused: dict[int, OffsetCommitResponseTopic]
) -> OffsetCommitResponse:
    """Put what was refused where the client expects it: with its topic, in the order asked."""
    topics = []
    for place in sorted(committed.keys() | refused.keys()):
        parts = [each[place] for each in (refused, committed) if place in each]
        topic = parts[0]
        topic.partitions = [partition for part in parts for partition in part.partitions]
        topics.append(topic)
    return OffsetCommitResponse(topics=topics)


def error_response(
    request: OffsetCommitRequest, version: int, code: ErrorCode
) -> OffsetCommitResponse:
    """Every partition fails with `code`."""
    return OffsetCommitResponse(
        topics=[
            OffsetCommitResponseTopic(
                name=topic.name,
                topic_id=topic.topic_id,
                partitions=[
                    OffsetCommitResponsePartition(
                        partition_index=each.partition_index, error_code=code
                    )
                    for each in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


HANDLER = Handler(
    request=OffsetCommitRequest,
    versions=range(2, 11),
    handle=handle,
    error_response=error_response,
)
