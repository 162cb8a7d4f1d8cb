"""Whom in a cluster a request is for: requests cut by leader, answers put together again (pure).

What is about partitions goes to their leaders, what is about a group to its coordinator, the rest
to anybody. Counterpart: `cluster_client`, which knows the leaders and has the connections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from typing import TypeVar, cast

from wire.errors import ErrorCode
from wire.messages.delete_groups import DeleteGroupsRequest
from wire.messages.delete_records import (
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)
from wire.messages.fetch import (
    FetchableTopicResponse,
    FetchRequest,
    FetchResponse,
    PartitionData,
)
from wire.messages.heartbeat import HeartbeatRequest
from wire.messages.join_group import JoinGroupRequest
from wire.messages.leave_group import LeaveGroupRequest
from wire.messages.list_offsets import (
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from wire.messages.offset_commit import OffsetCommitRequest
from wire.messages.offset_delete import OffsetDeleteRequest
from wire.messages.offset_fetch import OffsetFetchRequest
from wire.messages.produce import (
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceResponse,
)
from wire.messages.sync_group import SyncGroupRequest
from wire.schema import Request, Response, Struct

NOBODY = -1
"""In place of a broker: no leader is known, or none can be reached."""
NO_LEADER = int(ErrorCode.NOT_LEADER_OR_FOLLOWER)

Partition = tuple[str, int]
LeaderOf = Callable[[Partition], int]
TopicT = TypeVar("TopicT")
PartT = TypeVar("PartT")
ResponseT = TypeVar("ResponseT", bound=Response)
MessageT = TypeVar("MessageT", bound=Struct)


def split(request: Request, leader_of: LeaderOf) -> dict[int, Request] | None:
    """Broker -> its part, the brokers in order; None: this is not about partitions."""
    if isinstance(request, ProduceRequest):
        parts = _cut(
            [(each.name, part.index, part) for each in request.topic_data
             for part in each.partition_data],
            leader_of,
        )  # fmt: skip
        return {
            broker: replace(
                request,
                topic_data=[
                    replace(_named(request.topic_data, "name", name), partition_data=mine)
                    for name, mine in topics.items()
                ],
            )
            for broker, topics in parts.items()
        }
    if isinstance(request, FetchRequest):
        return {
            broker: replace(
                request,
                topics=[
                    replace(_named(request.topics, "topic", name), partitions=mine)
                    for name, mine in topics.items()
                ],
            )
            for broker, topics in _cut(
                [(t.topic, part.partition, part) for t in request.topics for part in t.partitions],
                leader_of,
            ).items()
        }
    if isinstance(request, ListOffsetsRequest | DeleteRecordsRequest):
        return _split_named(request, leader_of)
    return None


def _split_named(
    request: ListOffsetsRequest | DeleteRecordsRequest, leader_of: LeaderOf
) -> dict[int, Request]:
    rows = [
        (topic.name, part.partition_index, part)
        for topic in request.topics
        for part in topic.partitions
    ]
    return {
        broker: replace(
            request,
            topics=[
                replace(_named(request.topics, "name", name), partitions=mine)
                for name, mine in topics.items()
            ],
        )
        for broker, topics in _cut(rows, leader_of).items()
    }


def _cut(
    rows: Iterable[tuple[str, int, PartT]], leader_of: LeaderOf
) -> dict[int, dict[str, list[PartT]]]:
    """Broker -> topic -> its parts of a request."""
    found: dict[int, dict[str, list[PartT]]] = {}
    for topic, index, part in rows:
        mine = found.setdefault(leader_of((topic, index)), {})
        mine.setdefault(topic, []).append(part)
    return dict(sorted(found.items()))


def replace(message: MessageT, **changes: object) -> MessageT:
    """A copy with these fields instead."""
    copied = copy(message)
    for name, value in changes.items():
        setattr(copied, name, value)
    return copied


def _named(topics: Sequence[TopicT], attribute: str, name: str) -> TopicT:
    return next(each for each in topics if getattr(each, attribute) == name)


def refused(request: Request) -> Response:
    """What a leader that cannot be reached does not say: every partition is somebody else's."""
    if isinstance(request, ProduceRequest):
        return ProduceResponse(
            responses=[
                TopicProduceResponse(
                    name=topic.name,
                    partition_responses=[
                        PartitionProduceResponse(
                            index=part.index, error_code=NO_LEADER, base_offset=-1, record_errors=[]
                        )
                        for part in topic.partition_data
                    ],
                )
                for topic in request.topic_data
            ]
        )
    if isinstance(request, FetchRequest):
        return FetchResponse(
            responses=[
                FetchableTopicResponse(
                    topic=topic.topic,
                    partitions=[
                        PartitionData(
                            partition_index=part.partition,
                            error_code=NO_LEADER,
                            high_watermark=-1,
                            aborted_transactions=None,
                            records=None,
                        )
                        for part in topic.partitions
                    ],
                )
                for topic in request.topics
            ]
        )
    if isinstance(request, ListOffsetsRequest):
        return ListOffsetsResponse(
            topics=[
                ListOffsetsTopicResponse(
                    name=topic.name,
                    partitions=[
                        ListOffsetsPartitionResponse(
                            partition_index=part.partition_index, error_code=NO_LEADER
                        )
                        for part in topic.partitions
                    ],
                )
                for topic in request.topics
            ]
        )
    assert isinstance(request, DeleteRecordsRequest)
    return DeleteRecordsResponse(
        topics=[
            DeleteRecordsTopicResult(
                name=topic.name,
                partitions=[
                    DeleteRecordsPartitionResult(
                        partition_index=part.partition_index, low_watermark=-1, error_code=NO_LEADER
                    )
                    for part in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def merged(answers: Sequence[ResponseT]) -> ResponseT:
    """One answer out of those to the parts of a request."""
    first = answers[0]
    if len(answers) == 1:
        return first
    whole: Response
    if isinstance(first, ProduceResponse):
        produced = cast("Sequence[ProduceResponse]", answers)
        whole = replace(first, responses=[topic for each in produced for topic in each.responses])
    elif isinstance(first, FetchResponse):
        fetched = cast("Sequence[FetchResponse]", answers)
        error = next((each.error_code for each in fetched if each.error_code), 0)
        topics = [topic for each in fetched for topic in each.responses]
        whole = replace(first, error_code=error, responses=topics)
    else:
        assert isinstance(first, ListOffsetsResponse | DeleteRecordsResponse)
        listed = cast("Sequence[ListOffsetsResponse]", answers)
        whole = replace(
            cast("ListOffsetsResponse", first),
            topics=[topic for each in listed for topic in each.topics],
        )
    return cast(ResponseT, whole)


def group_of(request: Request) -> str:
    """The group whose coordinator the request is for; "": anybody will do."""
    if isinstance(
        request,
        JoinGroupRequest
        | SyncGroupRequest
        | HeartbeatRequest
        | LeaveGroupRequest
        | OffsetCommitRequest
        | OffsetDeleteRequest,
    ):
        return request.group_id
    if isinstance(request, OffsetFetchRequest):
        return request.groups[0].group_id
    if isinstance(request, DeleteGroupsRequest):
        return request.groups_names[0]
    return ""
