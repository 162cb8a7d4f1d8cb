"""OffsetFetch: how far groups have read.

Versions 1 to 10. A group that is not known has committed nothing: offset -1 and no error, never
GROUP_ID_NOT_FOUND. The answer leaves once all that it tells is committed.

- 2: null topics mean all. 5: leader epochs (KIP-320). 7: `require_stable` (KIP-447). 8: many groups
  (KIP-709). 9: member epochs (KIP-848). 10: topics by id.
"""

from __future__ import annotations

from coordinator.group.offsets import CommittedOffset
from coordinator.group.shard import GroupShard
from kbroker.gathering import gather
from kbroker.handler import Handler, RequestContext
from kbroker.watch import Deferred
from wire.errors import ErrorCode, KafkaError
from wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
)
from wire.schema import NIL_UUID

GROUP_ERRORS_SINCE = 2
GROUPS_SINCE = 8
TOPIC_IDS_SINCE = 10
NO_OFFSET = -1


def handle(
    context: RequestContext, request: OffsetFetchRequest
) -> OffsetFetchResponse | Deferred[OffsetFetchResponse]:
    """Answer each group by itself; wait only where one has commits under way."""
    version = context.api_version
    groups = _groups(request, version)
    return gather(
        [_fetch_group(context, group) for group in groups],
        lambda answers: _shape(version, answers),
        lambda place, code: _failed(groups[place], version, code),
    )


def _groups(request: OffsetFetchRequest, version: int) -> list[OffsetFetchRequestGroup]:
    """Below version 8 a request is about one group."""
    if version >= GROUPS_SINCE:
        return request.groups
    topics = None
    if request.topics is not None:
        topics = [
            OffsetFetchRequestTopics(name=each.name, partition_indexes=each.partition_indexes)
            for each in request.topics
        ]
    return [OffsetFetchRequestGroup(group_id=request.group_id, topics=topics)]


def _fetch_group(
    context: RequestContext, group: OffsetFetchRequestGroup
) -> OffsetFetchResponseGroup | Deferred[OffsetFetchResponseGroup]:
    def read(shard: GroupShard) -> OffsetFetchResponseGroup:
        shard.check_fetch(group.group_id, group.member_id, group.member_epoch)
        return OffsetFetchResponseGroup(
            group_id=group.group_id,
            topics=_all_topics(context, shard, group)
            if group.topics is None
            else [_topic(context, shard, group.group_id, each) for each in group.topics],
        )

    try:
        return context.services.group_coordinator.read(group.group_id, read)
    except KafkaError as error:
        return _failed(group, context.api_version, error.code)


def _topic(
    context: RequestContext, shard: GroupShard, group_id: str, asked: OffsetFetchRequestTopics
) -> OffsetFetchResponseTopics:
    name = asked.name
    image = context.services.metadata.image
    topic_id = image.topic_ids.get(name, NIL_UUID)
    if context.api_version >= TOPIC_IDS_SINCE:
        topic = image.topics.get(asked.topic_id)
        if topic is None:
            return _failed_topic(asked, ErrorCode.UNKNOWN_TOPIC_ID)
        name, topic_id = topic.name, topic.topic_id
    return OffsetFetchResponseTopics(
        name=name,
        topic_id=asked.topic_id,
        partitions=[
            _partition(index, _of_topic(shard.offsets.get(group_id, name, index), topic_id))
            for index in asked.partition_indexes
        ],
    )


def _all_topics(
    context: RequestContext, shard: GroupShard, group: OffsetFetchRequestGroup
) -> list[OffsetFetchResponseTopics]:
    image = context.services.metadata.image
    topics = []
    for name, partitions in sorted(shard.offsets.of_group(group.group_id).items()):
        topic_id = image.topic_ids.get(name)
        if topic_id is None:
            continue  # deleted a moment ago
        told = [
            _partition(index, committed)
            for index, committed in sorted(partitions.items())
            if _of_topic(committed, topic_id) is not None
        ]
        if told:
            topics.append(OffsetFetchResponseTopics(name=name, topic_id=topic_id, partitions=told))
    return topics


def _of_topic(committed: CommittedOffset | None, topic_id: bytes) -> CommittedOffset | None:
    """What was committed, unless in a deleted topic of the same name: a disk that was full, or a
    power cut, may have left it there. Old records do not say which topic they mean."""
    if committed is None or NIL_UUID in (committed.topic_id, topic_id):
        return committed
    return committed if committed.topic_id == topic_id else None


def _partition(index: int, committed: CommittedOffset | None) -> OffsetFetchResponsePartitions:
    if committed is None:
        return OffsetFetchResponsePartitions(
            partition_index=index, committed_offset=NO_OFFSET, metadata="", error_code=0
        )
    return OffsetFetchResponsePartitions(
        partition_index=index,
        committed_offset=committed.offset,
        committed_leader_epoch=committed.leader_epoch,
        metadata=committed.metadata,
        error_code=0,
    )


def _failed(
    group: OffsetFetchRequestGroup, version: int, code: ErrorCode
) -> OffsetFetchResponseGroup:
    """The group with its error; version 1 has only the partitions to tell it by."""
    topics = []
    if version < GROUP_ERRORS_SINCE:
        topics = [_failed_topic(topic, code) for topic in group.topics or ()]
    return OffsetFetchResponseGroup(group_id=group.group_id, topics=topics, error_code=code)


def _failed_topic(asked: OffsetFetchRequestTopics, code: ErrorCode) -> OffsetFetchResponseTopics:
    return OffsetFetchResponseTopics(
        name=asked.name,
        topic_id=asked.topic_id,
        partitions=[
            OffsetFetchResponsePartitions(
                partition_index=index, committed_offset=NO_OFFSET, metadata="", error_code=code
            )
            for index in asked.partition_indexes
        ],
    )


def _shape(version: int, groups: list[OffsetFetchResponseGroup]) -> OffsetFetchResponse:
    """The response in the form of its version; version 1 has an error only in partitions."""
    if version >= GROUPS_SINCE:
        return OffsetFetchResponse(groups=groups)
    group = groups[0]
    return OffsetFetchResponse(
        error_code=group.error_code,
        topics=[
            OffsetFetchResponseTopic(
                name=topic.name,
                partitions=[
                    OffsetFetchResponsePartition(
                        partition_index=each.partition_index,
                        committed_offset=each.committed_offset,
                        committed_leader_epoch=each.committed_leader_epoch,
                        metadata=each.metadata,
                        error_code=each.error_code,
                    )
                    for each in topic.partitions
                ],
            )
            for topic in group.topics
        ],
    )


def error_response(
    request: OffsetFetchRequest, version: int, code: ErrorCode
) -> OffsetFetchResponse:
    """Every group fails with `code`."""
    return _shape(version, [_failed(group, version, code) for group in _groups(request, version)])


HANDLER = Handler(
    request=OffsetFetchRequest,
    versions=range(1, 11),
    handle=handle,
    error_response=error_response,
)
