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
    topics = _known(context, order, refused)
    if not topics:
        return OffsetCommitResponse(topics=[refused[place] for place in sorted(refused)])
    known = OffsetCommitRequest(
        group_id=request.group_id,
        generation_id_or_member_epoch=request.generation_id_or_member_epoch,
        member_id=request.member_id,
        group_instance_id=request.group_instance_id,
        retention_time_ms=request.retention_time_ms,
        topics=topics,
    )

    def commit(shard: GroupShard, now: Moment) -> Outcome[OffsetCommitResponse]:
        outcome = shard.handle_offset_commit(known, version=version, now=now)
        assert outcome.reply is not None, "a commit waits for nobody"
        return Outcome(outcome.records, _merge(outcome.reply, order, refused))

    return context.services.group_coordinator.write(request.group_id, commit)


def _known(
    context: RequestContext,
    topics: list[OffsetCommitRequestTopic],
    refused: dict[int, OffsetCommitResponseTopic],
) -> list[OffsetCommitRequestTopic]:
    """The topics with their partitions that exist; `refused` gets the others, by place."""
    image = context.services.metadata.image
    known = []
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
            known.append(
                OffsetCommitRequestTopic(
                    name=found.name,
                    topic_id=found.topic_id,
                    partitions=[
                        each
                        for each in topic.partitions
                        if each.partition_index in found.partitions
                    ],
                )
            )
    return known


def _merge(
    response: OffsetCommitResponse,
    order: list[OffsetCommitRequestTopic],
    refused: dict[int, OffsetCommitResponseTopic],
) -> OffsetCommitResponse:
    """Put what was refused where the client expects it: with its topic."""
    if not refused:
        return response
    committed = {topic.topic_id: topic for topic in response.topics}
    committed_names = {topic.name: topic for topic in response.topics}
    topics = []
    for place, asked in enumerate(order):
        answer = committed.get(asked.topic_id) or committed_names.get(asked.name)
        failed = refused.get(place)
        if failed is None:
            assert answer is not None, "a topic is committed or refused"
            topics.append(answer)
            continue
        if answer is not None:
            failed.partitions.extend(answer.partitions)
        topics.append(failed)
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
