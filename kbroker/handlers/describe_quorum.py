"""DescribeQuorum: who keeps the cluster's metadata (KIP-595).

Versions 0 to 2. 1: when a voter last fetched (KIP-836). 2: messages, directories, and where the
voters listen (KIP-853).

There is no quorum behind this broker: the metadata is in a store, and one broker, the controller,
decides. Tools of Kafka's ask all the same, about `__cluster_metadata`, and so the controller is
named as the leader and only voter, in its controller epoch; the store's revision that this broker
has seen stands for the log's end. Deliberate deviation: version 2 names the controller's ordinary
address, because it has no other.
"""

from __future__ import annotations

from kbroker.cluster.topic_creation import CLUSTER_METADATA_TOPIC
from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode
from wire.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    Listener,
    Node,
    ReplicaState,
    ResponsePartitionData,
    ResponseTopicData,
)

INT32_MAX = 2**31 - 1
UNKNOWN_PARTITION = "This server does not host this topic-partition."


def handle(context: RequestContext, request: DescribeQuorumRequest) -> DescribeQuorumResponse:
    """The quorum of partition 0 of the metadata; asked about anything else, Kafka knows none."""
    asked = [
        (topic.topic_name, partition.partition_index)
        for topic in request.topics
        for partition in topic.partitions
    ]
    if asked != [(CLUSTER_METADATA_TOPIC, 0)] or len(request.topics) != 1:
        return _each_unknown(request)
    services = context.services
    controller_id = services.controller_id()
    image = services.metadata.image
    topic = ResponseTopicData(
        topic_name=CLUSTER_METADATA_TOPIC,
        partitions=[
            ResponsePartitionData(
                partition_index=0,
                error_code=0,
                leader_id=controller_id,
                leader_epoch=min(image.controller_epoch, INT32_MAX),
                high_watermark=image.revision,
                current_voters=_voters(controller_id, image.revision, services.clock.now_ms()),
                observers=[],
            )
        ],
    )
    return DescribeQuorumResponse(
        error_code=0, topics=[topic], nodes=_nodes(context, controller_id)
    )


def _voters(controller_id: int, revision: int, now_ms: int) -> list[ReplicaState]:
    if controller_id < 0:
        return []
    return [
        ReplicaState(
            replica_id=controller_id,
            log_end_offset=revision,
            last_fetch_timestamp=now_ms,
            last_caught_up_timestamp=now_ms,
        )
    ]


def _nodes(context: RequestContext, controller_id: int) -> list[Node]:
    name = context.connection.listener.name
    return [
        Node(node_id=each.node_id, listeners=[Listener(name=name, host=each.host, port=each.port)])
        for each in context.services.broker_addresses(context.connection)
        if each.node_id == controller_id
    ]


def _each_unknown(request: DescribeQuorumRequest) -> DescribeQuorumResponse:
    return DescribeQuorumResponse(
        error_code=0,
        topics=[
            ResponseTopicData(
                topic_name=topic.topic_name,
                partitions=[
                    ResponsePartitionData(
                        partition_index=partition.partition_index,
                        error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                        error_message=UNKNOWN_PARTITION,
                        leader_id=0,
                        leader_epoch=0,
                        high_watermark=0,
                        current_voters=[],
                        observers=[],
                    )
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ],
    )


def error_response(
    request: DescribeQuorumRequest, version: int, code: ErrorCode
) -> DescribeQuorumResponse:
    """The whole request fails with `code`."""
    return DescribeQuorumResponse(error_code=code, error_message=code.name, topics=[])


HANDLER = Handler(
    request=DescribeQuorumRequest,
    versions=range(0, 3),
    handle=handle,
    error_response=error_response,
)
