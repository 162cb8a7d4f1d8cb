"""Where kbroker answers otherwise than Apache Kafka, on purpose; `docs/apis.md` shows this table.

A row says which steps of which scenarios it is about, where in the answer the difference stands
(field names, and names or positions of list elements, joined by dots; empty for the whole answer),
what each broker answers, and why. In all but the reason `*` stands for any text. Whatever differs
and stands in no row fails the replay, and so does a row that no step needs any more.
"""

import re
from dataclasses import dataclass

from tools.record.compare import ABSENT, Difference
from tools.record.text import inline


@dataclass(frozen=True, slots=True)
class Deviation:
    """One row; `kafka` and `ours` are written as in golden files."""

    scenario: str
    step: str
    path: str
    kafka: str
    ours: str
    why: str

    def excuses(self, scenario: str, step: str, difference: Difference) -> bool:
        """Whether this row is about that difference."""
        return all(
            _matches(pattern, text)
            for pattern, text in (
                (self.scenario, scenario),
                (self.step, step),
                (self.path, difference.path),
                (self.kafka, inline(difference.kafka)),
                (self.ours, inline(difference.ours)),
            )
        )


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), text, re.DOTALL) is not None


USABLE_AT_ONCE = "A topic is usable once it is named; Kafka first answers that it is not there."
KAFKA_FAILS = "Kafka fails inside (UNKNOWN_SERVER_ERROR); here the request is answered."
NOT_OPENED = (
    "Records are passed on as they came, behind a sound header and checksum: the broker does not"
    " open batches on their way."
)
TWICE = (
    "Every batch of a request is appended and answered; of two for one partition Kafka drops the"
    " first in silence."
)
NO_TIME = "Who gives a request no time is answered all the same: there is nothing to wait for."
DURABLE = "Durable by default: what was acknowledged is on the disk."
WRITTEN_DEFAULT = (
    "Kafka 4.1 and later writes the default into the cluster's configuration (KIP-966)."
)
UNKNOWN_KEYS = (
    "A key that nobody knows is refused, as at the start; Kafka stores it, and nothing comes of it."
)

DEVIATIONS: tuple[Deviation, ...] = (
    Deviation(
        scenario="connections/api_versions",
        step="*",
        path="api_keys.*",
        kafka="*",
        ours=ABSENT,
        why="Only what is served is advertised: clients use an API as soon as they see its key.",
    ),
    Deviation(
        scenario="connections/api_versions",
        step="*",
        path="*features*",
        kafka="*",
        ours="*",
        why="Transactions of the second version, KIP-848 groups and share groups are not here yet.",
    ),
    Deviation(
        scenario="create_topics/*",
        step="*",
        path="*configs.flush.messages.value",
        kafka='"9223372036854775807"',
        ours='"1"',
        why=DURABLE,
    ),
    Deviation(
        scenario="create_topics/*",
        step="*",
        path="*configs.min.insync.replicas.config_source",
        kafka="3",
        ours="5",
        why=WRITTEN_DEFAULT,
    ),
    Deviation(
        scenario="configs_*",
        step="*",
        path="*configs.flush.messages.*",
        kafka='"9223372036854775807"',
        ours='"1"',
        why=DURABLE,
    ),
    Deviation(
        scenario="configs_*",
        step="*",
        path="*configs.min.insync.replicas.*",
        kafka="*",
        ours="*",
        why=WRITTEN_DEFAULT,
    ),
    Deviation(
        scenario="configs_describe/*",
        step="*",
        path="*.documentation",
        kafka='"*',
        ours='"*',
        why="The words about a key are our own: they tell what it does here.",
    ),
    Deviation(
        scenario="configs_describe/broker_keys",
        step="*",
        path="*configs.node.id.synonyms.*",
        kafka="*",
        ours="*",
        why="A broker is number 1 where nobody says otherwise; in Kafka node.id has no default.",
    ),
    Deviation(
        scenario="configs_describe/broker_keys",
        step="broker.id",
        path="*configs.broker.id.synonyms.*",
        kafka="*",
        ours="*",
        why="broker.id is another name of node.id here, and nothing beside it.",
    ),
    Deviation(
        scenario="configs_describe/broker_keys",
        step="offsets.topic.num.partitions",
        path="*.value",
        kafka='"50"',
        ours='"1"',
        why="A default that suits one node; docs/configs.md lists them.",
    ),
    Deviation(
        scenario="configs_*",
        step="operation *",
        path="responses.*.error_code",
        kafka="UNKNOWN_SERVER_ERROR",
        ours="INVALID_REQUEST",
        why=KAFKA_FAILS,
    ),
    Deviation(
        scenario="configs_*",
        step="operation *",
        path="responses.*.error_message",
        kafka="null",
        ours='"Unknown operation*',
        why=KAFKA_FAILS,
    ),
    Deviation(
        scenario="configs_brokers/*",
        step="unknown",
        path="responses.*",
        kafka="*",
        ours="*",
        why=UNKNOWN_KEYS,
    ),
    Deviation(
        scenario="configs_brokers/values",
        step="retention.ms=1*",
        path="responses.*",
        kafka="*",
        ours="*",
        why=UNKNOWN_KEYS,
    ),
    Deviation(
        scenario="metadata/auto_create",
        step="*",
        path="topics.*.error_code",
        kafka="UNKNOWN_TOPIC_OR_PARTITION",
        ours="NONE",
        why=USABLE_AT_ONCE,
    ),
    Deviation(
        scenario="metadata/auto_create",
        step="*",
        path="topics.*.topic_id",
        kafka="zero",
        ours="<id of *",
        why=USABLE_AT_ONCE,
    ),
    Deviation(
        scenario="metadata/auto_create",
        step="*",
        path="topics.*.partitions.*",
        kafka=ABSENT,
        ours="{error_code: NONE, *",
        why=USABLE_AT_ONCE,
    ),
    Deviation(
        scenario="metadata/auto_create",
        step="a colliding name",
        path="topics.auto_collides.error_code",
        kafka="UNKNOWN_TOPIC_OR_PARTITION",
        ours="INVALID_TOPIC_EXCEPTION",
        why="The topic is made before the answer, so the answer can say why it was not.",
    ),
    Deviation(
        scenario="connections/bad_bodies",
        step="a string that is not UTF-8",
        path="",
        kafka="*",
        ours="closed",
        why="Text that is not UTF-8 is malformed; Kafka replaces it with U+FFFD.",
    ),
    Deviation(
        scenario="produce/damaged_inside",
        step="*",
        path="responses.produce-inside.partition_responses.*.error_code",
        kafka="*",
        ours="NONE",
        why=NOT_OPENED,
    ),
    Deviation(
        scenario="produce/damaged_inside",
        step="*",
        path="responses.produce-inside.partition_responses.*.base_offset",
        kafka="-1",
        ours="0",
        why=NOT_OPENED,
    ),
    Deviation(
        scenario="produce/corrupt",
        step="length enormous",
        path="responses.*.error_code",
        kafka="UNKNOWN_SERVER_ERROR",
        ours="INVALID_RECORD",
        why=KAFKA_FAILS,
    ),
    Deviation(
        scenario="produce/many_partitions",
        step="a partition twice",
        path="responses.produce-twice.partition_responses.1",
        kafka=ABSENT,
        ours="{index: 0, error_code: NONE, base_offset: 1, *",
        why=TWICE,
    ),
    Deviation(
        scenario="produce/many_partitions",
        step="what is there of it",
        path="responses.produce-twice.partitions.0.*",
        kafka="*",
        ours="*",
        why=TWICE,
    ),
    Deviation(
        scenario="find_coordinator/transaction",
        step="*",
        path="*",
        kafka="*",
        ours="*",
        why="Transactions are not here yet.",
    ),
    Deviation(
        scenario="create_partitions/refused",
        step="the offsets topic",
        path="results.__consumer_offsets.error_*",
        kafka="*",
        ours="*",
        why="The offsets topic does not grow: groups would lose what they have committed.",
    ),
    Deviation(
        scenario="create_partitions/too_many",
        step="*",
        path="results.grow-much.error_*",
        kafka="*",
        ours="*",
        why=KAFKA_FAILS,
    ),
    Deviation(
        scenario="create_partitions/refused",
        step="no time",
        path="results.grow-refused.error_*",
        kafka="*",
        ours="*",
        why=NO_TIME,
    ),
    Deviation(
        scenario="elect_leaders/elections",
        step="no time",
        path="*",
        kafka="*",
        ours="*",
        why=NO_TIME,
    ),
    Deviation(
        scenario="reassignments/alter",
        step="no time, version *",
        path="*error_code",
        kafka="REQUEST_TIMED_OUT",
        ours="NONE",
        why=NO_TIME,
    ),
    Deviation(
        scenario="describe_topic_partitions/topics",
        step="no name",
        path="topics.zero.*",
        kafka="*",
        ours="*",
        why=KAFKA_FAILS,
    ),
    Deviation(
        scenario="describe_quorum/quorum",
        step="the metadata, version 2",
        path="nodes.1.listeners.*",
        kafka="*",
        ours="*",
        why="The controller has no listener of its own: clients reach it as they reach the broker.",
    ),
)
