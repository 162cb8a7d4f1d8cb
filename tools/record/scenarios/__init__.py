"""The scenarios by name; the first part of a name is the folder of its golden file."""

from tools.record.replay import Scenario
from tools.record.scenarios import (
    connections,
    fetch,
    fetch_sessions,
    groups,
    list_offsets,
    metadata,
    produce,
    producer,
    topics,
)

SCENARIOS: dict[str, Scenario] = {
    **connections.SCENARIOS,
    **metadata.SCENARIOS,
    **topics.SCENARIOS,
    **produce.SCENARIOS,
    **producer.SCENARIOS,
    **fetch.SCENARIOS,
    **fetch_sessions.SCENARIOS,
    **list_offsets.SCENARIOS,
    **groups.SCENARIOS,
}
