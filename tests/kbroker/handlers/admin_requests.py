"""A plain request of every API of administration; `requests.MAKERS` has them with all others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from wire.api_key import ApiKey
from wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from wire.messages.create_acls import AclCreation, CreateAclsRequest
from wire.messages.create_partitions import CreatePartitionsRequest, CreatePartitionsTopic
from wire.messages.delete_acls import DeleteAclsFilter, DeleteAclsRequest
from wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from wire.messages.describe_acls import DescribeAclsRequest
from wire.messages.describe_client_quotas import DescribeClientQuotasRequest
from wire.messages.describe_log_dirs import DescribableLogDirTopic, DescribeLogDirsRequest
from wire.messages.describe_producers import DescribeProducersRequest
from wire.messages.describe_producers import TopicRequest as ProducersTopic
from wire.messages.describe_quorum import DescribeQuorumRequest, PartitionData, TopicData
from wire.messages.describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    TopicRequest,
)
from wire.messages.describe_user_scram_credentials import DescribeUserScramCredentialsRequest
from wire.messages.elect_leaders import ElectLeadersRequest, TopicPartitions
from wire.messages.list_partition_reassignments import ListPartitionReassignmentsRequest
from wire.messages.unregister_broker import UnregisterBrokerRequest
from wire.messages.update_features import FeatureUpdateKey, UpdateFeaturesRequest
from wire.schema import Request

TOPIC, LITERAL, READ, ALLOW = 2, 3, 3, 3


class Target(Protocol):
    """The partition that a request is about."""

    @property
    def name(self) -> str: ...

    @property
    def partition(self) -> int: ...


def create_partitions(
    target: Target, version: int, *, count: int | None = None, validate_only: bool = False
) -> CreatePartitionsRequest:
    """To so many partitions; without a number, to more with each version."""
    topic = CreatePartitionsTopic(
        name=target.name, count=version + 2 if count is None else count, assignments=None
    )
    return CreatePartitionsRequest(topics=[topic], timeout_ms=1000, validate_only=validate_only)


def delete_records(target: Target, version: int, *, offset: int = 0) -> DeleteRecordsRequest:
    partition = DeleteRecordsPartition(partition_index=target.partition, offset=offset)
    topic = DeleteRecordsTopic(name=target.name, partitions=[partition])
    return DeleteRecordsRequest(topics=[topic], timeout_ms=1000)


def describe_topic_partitions(
    target: Target,
    version: int,
    *others: str,
    limit: int = 2000,
    cursor: tuple[str, int] | None = None,
) -> DescribeTopicPartitionsRequest:
    return DescribeTopicPartitionsRequest(
        topics=[TopicRequest(name=name) for name in (target.name, *others)],
        response_partition_limit=limit,
        cursor=None if cursor is None else Cursor(topic_name=cursor[0], partition_index=cursor[1]),
    )


def describe_log_dirs(target: Target, version: int) -> DescribeLogDirsRequest:
    topic = DescribableLogDirTopic(topic=target.name, partitions=[target.partition])
    return DescribeLogDirsRequest(topics=[topic])


def describe_producers(target: Target, version: int) -> DescribeProducersRequest:
    topic = ProducersTopic(name=target.name, partition_indexes=[target.partition])
    return DescribeProducersRequest(topics=[topic])


def elect_leaders(target: Target, version: int, *, kind: int = 0) -> ElectLeadersRequest:
    topic = TopicPartitions(topic=target.name, partitions=[target.partition])
    return ElectLeadersRequest(election_type=kind, topic_partitions=[topic], timeout_ms=1000)


def list_partition_reassignments(target: Target, version: int) -> ListPartitionReassignmentsRequest:
    return ListPartitionReassignmentsRequest(timeout_ms=1000, topics=None)


def alter_partition_reassignments(
    target: Target, version: int, *, replicas: tuple[int, ...] | None = (1,)
) -> AlterPartitionReassignmentsRequest:
    partition = ReassignablePartition(
        partition_index=target.partition, replicas=None if replicas is None else list(replicas)
    )
    topic = ReassignableTopic(name=target.name, partitions=[partition])
    return AlterPartitionReassignmentsRequest(timeout_ms=1000, topics=[topic])


def unregister_broker(
    target: Target, version: int, *, broker_id: int = 77
) -> UnregisterBrokerRequest:
    return UnregisterBrokerRequest(broker_id=broker_id)


def describe_quorum(target: Target, version: int) -> DescribeQuorumRequest:
    topic = TopicData(
        topic_name="__cluster_metadata", partitions=[PartitionData(partition_index=0)]
    )
    return DescribeQuorumRequest(topics=[topic])


def update_features(
    target: Target, version: int, *features: tuple[str, int]
) -> UpdateFeaturesRequest:
    return UpdateFeaturesRequest(
        timeout_ms=1000,
        feature_updates=[
            FeatureUpdateKey(feature=name, max_version_level=level) for name, level in features
        ],
    )


def describe_client_quotas(target: Target, version: int) -> DescribeClientQuotasRequest:
    return DescribeClientQuotasRequest(components=[], strict=False)


def describe_user_scram_credentials(
    target: Target, version: int
) -> DescribeUserScramCredentialsRequest:
    return DescribeUserScramCredentialsRequest(users=None)


def describe_acls(target: Target, version: int) -> DescribeAclsRequest:
    return DescribeAclsRequest(
        resource_type_filter=TOPIC,
        resource_name_filter=target.name,
        pattern_type_filter=LITERAL,
        principal_filter=None,
        host_filter=None,
        operation=READ,
        permission_type=ALLOW,
    )


def create_acls(target: Target, version: int) -> CreateAclsRequest:
    creation = AclCreation(
        resource_type=TOPIC,
        resource_name=target.name,
        resource_pattern_type=LITERAL,
        principal="User:alice",
        host="*",
        operation=READ,
        permission_type=ALLOW,
    )
    return CreateAclsRequest(creations=[creation])


def delete_acls(target: Target, version: int) -> DeleteAclsRequest:
    each = DeleteAclsFilter(
        resource_type_filter=TOPIC,
        resource_name_filter=target.name,
        pattern_type_filter=LITERAL,
        principal_filter=None,
        host_filter=None,
        operation=READ,
        permission_type=ALLOW,
    )
    return DeleteAclsRequest(filters=[each])


ADMIN_MAKERS: dict[ApiKey, Callable[..., Request]] = {
    ApiKey.CREATE_PARTITIONS: create_partitions,
    ApiKey.DELETE_RECORDS: delete_records,
    ApiKey.DESCRIBE_TOPIC_PARTITIONS: describe_topic_partitions,
    ApiKey.DESCRIBE_LOG_DIRS: describe_log_dirs,
    ApiKey.DESCRIBE_PRODUCERS: describe_producers,
    ApiKey.ELECT_LEADERS: elect_leaders,
    ApiKey.LIST_PARTITION_REASSIGNMENTS: list_partition_reassignments,
    ApiKey.ALTER_PARTITION_REASSIGNMENTS: alter_partition_reassignments,
    ApiKey.UNREGISTER_BROKER: unregister_broker,
    ApiKey.DESCRIBE_QUORUM: describe_quorum,
    ApiKey.UPDATE_FEATURES: update_features,
    ApiKey.DESCRIBE_CLIENT_QUOTAS: describe_client_quotas,
    ApiKey.DESCRIBE_USER_SCRAM_CREDENTIALS: describe_user_scram_credentials,
    ApiKey.DESCRIBE_ACLS: describe_acls,
    ApiKey.CREATE_ACLS: create_acls,
    ApiKey.DELETE_ACLS: delete_acls,
}
