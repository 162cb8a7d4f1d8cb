"""One file per API, generated once from the protocol's facts, and the table of them all.

Tools that meet any API (test clients, recorders) look messages up here; importing all of them
costs some 20 ms. `offset_records` declares what the group coordinator stores, which is no API.
"""

from wire.api_key import ApiKey
from wire.messages import (
    alter_configs,
    alter_partition_reassignments,
    api_versions,
    create_acls,
    create_partitions,
    create_topics,
    delete_acls,
    delete_groups,
    delete_records,
    delete_topics,
    describe_acls,
    describe_client_quotas,
    describe_cluster,
    describe_configs,
    describe_groups,
    describe_log_dirs,
    describe_producers,
    describe_quorum,
    describe_topic_partitions,
    describe_user_scram_credentials,
    elect_leaders,
    fetch,
    find_coordinator,
    heartbeat,
    incremental_alter_configs,
    init_producer_id,
    join_group,
    leave_group,
    list_config_resources,
    list_groups,
    list_offsets,
    list_partition_reassignments,
    metadata,
    offset_commit,
    offset_delete,
    offset_fetch,
    offset_for_leader_epoch,
    produce,
    sync_group,
    unregister_broker,
    update_features,
)
from wire.schema import Request, Response

MESSAGES: dict[ApiKey, tuple[type[Request], type[Response]]] = {
    ApiKey.PRODUCE: (produce.ProduceRequest, produce.ProduceResponse),
    ApiKey.FETCH: (fetch.FetchRequest, fetch.FetchResponse),
    ApiKey.LIST_OFFSETS: (list_offsets.ListOffsetsRequest, list_offsets.ListOffsetsResponse),
    ApiKey.METADATA: (metadata.MetadataRequest, metadata.MetadataResponse),
    ApiKey.OFFSET_COMMIT: (offset_commit.OffsetCommitRequest, offset_commit.OffsetCommitResponse),
    ApiKey.OFFSET_FETCH: (offset_fetch.OffsetFetchRequest, offset_fetch.OffsetFetchResponse),
    ApiKey.FIND_COORDINATOR: (
        find_coordinator.FindCoordinatorRequest,
        find_coordinator.FindCoordinatorResponse,
    ),
    ApiKey.JOIN_GROUP: (join_group.JoinGroupRequest, join_group.JoinGroupResponse),
    ApiKey.HEARTBEAT: (heartbeat.HeartbeatRequest, heartbeat.HeartbeatResponse),
    ApiKey.LEAVE_GROUP: (leave_group.LeaveGroupRequest, leave_group.LeaveGroupResponse),
    ApiKey.SYNC_GROUP: (sync_group.SyncGroupRequest, sync_group.SyncGroupResponse),
    ApiKey.DESCRIBE_GROUPS: (
        describe_groups.DescribeGroupsRequest,
        describe_groups.DescribeGroupsResponse,
    ),
    ApiKey.LIST_GROUPS: (list_groups.ListGroupsRequest, list_groups.ListGroupsResponse),
    ApiKey.API_VERSIONS: (api_versions.ApiVersionsRequest, api_versions.ApiVersionsResponse),
    ApiKey.CREATE_TOPICS: (create_topics.CreateTopicsRequest, create_topics.CreateTopicsResponse),
    ApiKey.DELETE_TOPICS: (delete_topics.DeleteTopicsRequest, delete_topics.DeleteTopicsResponse),
    ApiKey.DELETE_RECORDS: (
        delete_records.DeleteRecordsRequest,
        delete_records.DeleteRecordsResponse,
    ),
    ApiKey.INIT_PRODUCER_ID: (
        init_producer_id.InitProducerIdRequest,
        init_producer_id.InitProducerIdResponse,
    ),
    ApiKey.OFFSET_FOR_LEADER_EPOCH: (
        offset_for_leader_epoch.OffsetForLeaderEpochRequest,
        offset_for_leader_epoch.OffsetForLeaderEpochResponse,
    ),
    ApiKey.DESCRIBE_ACLS: (describe_acls.DescribeAclsRequest, describe_acls.DescribeAclsResponse),
    ApiKey.CREATE_ACLS: (create_acls.CreateAclsRequest, create_acls.CreateAclsResponse),
    ApiKey.DELETE_ACLS: (delete_acls.DeleteAclsRequest, delete_acls.DeleteAclsResponse),
    ApiKey.DESCRIBE_CONFIGS: (
        describe_configs.DescribeConfigsRequest,
        describe_configs.DescribeConfigsResponse,
    ),
    ApiKey.ALTER_CONFIGS: (alter_configs.AlterConfigsRequest, alter_configs.AlterConfigsResponse),
    ApiKey.DESCRIBE_LOG_DIRS: (
        describe_log_dirs.DescribeLogDirsRequest,
        describe_log_dirs.DescribeLogDirsResponse,
    ),
    ApiKey.CREATE_PARTITIONS: (
        create_partitions.CreatePartitionsRequest,
        create_partitions.CreatePartitionsResponse,
    ),
    ApiKey.DELETE_GROUPS: (delete_groups.DeleteGroupsRequest, delete_groups.DeleteGroupsResponse),
    ApiKey.ELECT_LEADERS: (elect_leaders.ElectLeadersRequest, elect_leaders.ElectLeadersResponse),
    ApiKey.INCREMENTAL_ALTER_CONFIGS: (
        incremental_alter_configs.IncrementalAlterConfigsRequest,
        incremental_alter_configs.IncrementalAlterConfigsResponse,
    ),
    ApiKey.ALTER_PARTITION_REASSIGNMENTS: (
        alter_partition_reassignments.AlterPartitionReassignmentsRequest,
        alter_partition_reassignments.AlterPartitionReassignmentsResponse,
    ),
    ApiKey.LIST_PARTITION_REASSIGNMENTS: (
        list_partition_reassignments.ListPartitionReassignmentsRequest,
        list_partition_reassignments.ListPartitionReassignmentsResponse,
    ),
    ApiKey.OFFSET_DELETE: (offset_delete.OffsetDeleteRequest, offset_delete.OffsetDeleteResponse),
    ApiKey.DESCRIBE_CLIENT_QUOTAS: (
        describe_client_quotas.DescribeClientQuotasRequest,
        describe_client_quotas.DescribeClientQuotasResponse,
    ),
    ApiKey.DESCRIBE_USER_SCRAM_CREDENTIALS: (
        describe_user_scram_credentials.DescribeUserScramCredentialsRequest,
        describe_user_scram_credentials.DescribeUserScramCredentialsResponse,
    ),
    ApiKey.DESCRIBE_QUORUM: (
        describe_quorum.DescribeQuorumRequest,
        describe_quorum.DescribeQuorumResponse,
    ),
    ApiKey.UPDATE_FEATURES: (
        update_features.UpdateFeaturesRequest,
        update_features.UpdateFeaturesResponse,
    ),
    ApiKey.DESCRIBE_CLUSTER: (
        describe_cluster.DescribeClusterRequest,
        describe_cluster.DescribeClusterResponse,
    ),
    ApiKey.UNREGISTER_BROKER: (
        unregister_broker.UnregisterBrokerRequest,
        unregister_broker.UnregisterBrokerResponse,
    ),
    ApiKey.DESCRIBE_PRODUCERS: (
        describe_producers.DescribeProducersRequest,
        describe_producers.DescribeProducersResponse,
    ),
    ApiKey.LIST_CONFIG_RESOURCES: (
        list_config_resources.ListConfigResourcesRequest,
        list_config_resources.ListConfigResourcesResponse,
    ),
    ApiKey.DESCRIBE_TOPIC_PARTITIONS: (
        describe_topic_partitions.DescribeTopicPartitionsRequest,
        describe_topic_partitions.DescribeTopicPartitionsResponse,
    ),
}
