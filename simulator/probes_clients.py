"""Notices situations from what clients are told: errors, and ends of connections.

Counterparts: `probes`, which looks into the broker; `client`, which calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from simulator.situations import Situations
from wire.errors import ErrorCode
from wire.messages.create_topics import CreateTopicsResponse
from wire.messages.delete_topics import DeleteTopicsResponse
from wire.messages.fetch import FetchResponse
from wire.messages.heartbeat import HeartbeatResponse
from wire.messages.incremental_alter_configs import IncrementalAlterConfigsResponse
from wire.messages.join_group import JoinGroupResponse
from wire.messages.metadata import MetadataResponse
from wire.messages.offset_commit import OffsetCommitResponse
from wire.messages.produce import ProduceResponse
from wire.messages.sync_group import SyncGroupResponse
from wire.schema import Response

TOLD: Mapping[tuple[type[Response], ErrorCode], str] = {
    (ProduceResponse, ErrorCode.CORRUPT_MESSAGE): "damaged batch refused",
    (ProduceResponse, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER): "batch out of its turn refused",
    (ProduceResponse, ErrorCode.KAFKA_STORAGE_ERROR): "batch refused by the disk",
    (FetchResponse, ErrorCode.OFFSET_OUT_OF_RANGE): "position out of range",
    (FetchResponse, ErrorCode.FETCH_SESSION_ID_NOT_FOUND): "fetch session lost",
    (FetchResponse, ErrorCode.KAFKA_STORAGE_ERROR): "fetch refused by the disk",
    (JoinGroupResponse, ErrorCode.MEMBER_ID_REQUIRED): "member id given out",
    (JoinGroupResponse, ErrorCode.UNKNOWN_MEMBER_ID): "join of a member that is gone",
    (HeartbeatResponse, ErrorCode.REBALANCE_IN_PROGRESS): "member told to join again",
    (HeartbeatResponse, ErrorCode.UNKNOWN_MEMBER_ID): "session of a member ended",
    (CreateTopicsResponse, ErrorCode.TOPIC_ALREADY_EXISTS): "topic created twice",
    (DeleteTopicsResponse, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION): "topic deleted twice",
    (MetadataResponse, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION): "topic looked up that is gone",
}
TOLD_BY_ANY: Mapping[ErrorCode, str] = {
    ErrorCode.COORDINATOR_NOT_AVAILABLE: "commit or join not durable",
    ErrorCode.NOT_COORDINATOR: "groups not loaded",
    ErrorCode.REQUEST_TIMED_OUT: "change of the metadata not confirmed",
}
SEVERAL = 2


class ClientProbe:
    """What one client tells of. Mutable in what it counts."""

    def __init__(self, situations: Situations) -> None:
        self._saw = situations.saw

    def answered(self, answer: Response) -> None:
        if isinstance(answer, JoinGroupResponse) and answer.members:
            self._saw("leader told of its generation")
            if len(answer.members) >= SEVERAL:
                self._saw("generation of several members")
        for number in dict.fromkeys(codes_of(answer)):
            if number != ErrorCode.NONE:
                code = ErrorCode(number)
                name = TOLD.get((type(answer), code)) or TOLD_BY_ANY.get(code)
                if name is not None:
                    self._saw(name)

    def gave_up(self) -> None:
        """An answer did not come in time."""
        self._saw("request given up")

    def gone(self, in_flight: int) -> None:
        """A connection has ended."""
        if in_flight > 1:
            self._saw("several answers lost")
        elif in_flight:
            self._saw("answer lost")

    def not_reached(self) -> None:
        self._saw("broker not reached")


def codes_of(answer: Response) -> Iterable[int]:
    """Of each part of the answers that are looked at; none of others."""
    if isinstance(answer, ProduceResponse):
        return [each.error_code for topic in answer.responses for each in topic.partition_responses]
    if isinstance(answer, FetchResponse):
        parts = [each.error_code for topic in answer.responses for each in topic.partitions]
        return [answer.error_code, *parts]
    if isinstance(answer, HeartbeatResponse | JoinGroupResponse | SyncGroupResponse):
        return [answer.error_code]
    if isinstance(answer, OffsetCommitResponse):
        return [each.error_code for topic in answer.topics for each in topic.partitions]
    if isinstance(answer, CreateTopicsResponse | MetadataResponse):
        return [each.error_code for each in answer.topics]
    if isinstance(answer, DeleteTopicsResponse | IncrementalAlterConfigsResponse):
        return [each.error_code for each in answer.responses]
    return []
