"""One module per API; this table is all that is served and all that ApiVersions advertises.

Each module's docstring tells the versions, what each changed, and where we differ from Kafka.
"""

from __future__ import annotations

from kbroker.handler import AnyHandler
from kbroker.handlers import (
    api_versions,
    create_topics,
    delete_groups,
    delete_topics,
    describe_cluster,
    describe_configs,
    describe_groups,
    fetch,
    find_coordinator,
    heartbeat,
    incremental_alter_configs,
    init_producer_id,
    join_group,
    leave_group,
    list_groups,
    list_offsets,
    metadata,
    offset_commit,
    offset_delete,
    offset_fetch,
    offset_for_leader_epoch,
    produce,
    sync_group,
)
from wire.api_key import ApiKey

HANDLERS: dict[ApiKey, AnyHandler] = {
    ApiKey.PRODUCE: produce.HANDLER,
    ApiKey.FETCH: fetch.HANDLER,
    ApiKey.LIST_OFFSETS: list_offsets.HANDLER,
    ApiKey.METADATA: metadata.HANDLER,
    ApiKey.OFFSET_COMMIT: offset_commit.HANDLER,
    ApiKey.OFFSET_FETCH: offset_fetch.HANDLER,
    ApiKey.FIND_COORDINATOR: find_coordinator.HANDLER,
    ApiKey.JOIN_GROUP: join_group.HANDLER,
    ApiKey.HEARTBEAT: heartbeat.HANDLER,
    ApiKey.LEAVE_GROUP: leave_group.HANDLER,
    ApiKey.SYNC_GROUP: sync_group.HANDLER,
    ApiKey.DESCRIBE_GROUPS: describe_groups.HANDLER,
    ApiKey.LIST_GROUPS: list_groups.HANDLER,
    ApiKey.API_VERSIONS: api_versions.HANDLER,
    ApiKey.CREATE_TOPICS: create_topics.HANDLER,
    ApiKey.DELETE_TOPICS: delete_topics.HANDLER,
    ApiKey.INIT_PRODUCER_ID: init_producer_id.HANDLER,
    ApiKey.OFFSET_FOR_LEADER_EPOCH: offset_for_leader_epoch.HANDLER,
    ApiKey.DESCRIBE_CONFIGS: describe_configs.HANDLER,
    ApiKey.DELETE_GROUPS: delete_groups.HANDLER,
    ApiKey.INCREMENTAL_ALTER_CONFIGS: incremental_alter_configs.HANDLER,
    ApiKey.OFFSET_DELETE: offset_delete.HANDLER,
    ApiKey.DESCRIBE_CLUSTER: describe_cluster.HANDLER,
}
