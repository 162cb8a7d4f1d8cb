"""The scenarios by name; the first part of a name is the folder of its golden file."""

from tools.record.replay import Scenario
from tools.record.scenarios import (
    admin_cluster,
    admin_partitions,
    admin_records,
    admin_topics,
    configs_brokers,
    configs_describe,
    configs_topics,
    connections,
    fetch,
    fetch_sessions,
    groups,
    list_offsets,
    metadata,
    produce,
    producer,
    topic_settings,
    topics,
)

SCENARIOS: dict[str, Scenario] = {
    **connections.SCENARIOS,
    **metadata.SCENARIOS,
    **topics.SCENARIOS,
    **produce.SCENARIOS,
    **topic_settings.SCENARIOS,
    **producer.SCENARIOS,
    **fetch.SCENARIOS,
    **fetch_sessions.SCENARIOS,
    **list_offsets.SCENARIOS,
    **groups.SCENARIOS,
    **admin_partitions.SCENARIOS,
    **admin_records.SCENARIOS,
    **admin_topics.SCENARIOS,
    **admin_cluster.SCENARIOS,
    **configs_describe.SCENARIOS,
    **configs_topics.SCENARIOS,
    **configs_brokers.SCENARIOS,
}
