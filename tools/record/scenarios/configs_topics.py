"""Changing the settings of topics: IncrementalAlterConfigs and AlterConfigs."""

from tools.record.config_requests import (
    APPEND,
    BROKER,
    DELETE,
    SET,
    SUBTRACT,
    TOPIC,
    Resource,
    change,
    change_all,
    describe,
    replace_all,
)
from tools.record.player import Player
from wire.messages.alter_configs import AlterConfigsRequest
from wire.messages.incremental_alter_configs import (
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

BAD_VALUES = (
    ("retention.ms", "soon"),
    ("retention.ms", ""),
    ("retention.ms", "-2"),
    ("retention.ms", "9223372036854775808"),
    ("retention.ms", "1.5"),
    ("retention.bytes", "x"),
    ("cleanup.policy", "erase"),
    ("cleanup.policy", "delete,erase"),
    ("cleanup.policy", "delete,delete"),
    ("cleanup.policy", "Delete"),
    ("cleanup.policy", ","),
    ("segment.bytes", "13"),
    ("segment.bytes", "1048575"),
    ("segment.bytes", "2147483648"),
    ("segment.ms", "0"),
    ("segment.jitter.ms", "-1"),
    ("max.message.bytes", "-1"),
    ("min.insync.replicas", "0"),
    ("min.cleanable.dirty.ratio", "1.1"),
    ("min.cleanable.dirty.ratio", "half"),
    ("message.timestamp.type", "createtime"),
    ("message.timestamp.after.max.ms", "-1"),
    ("compression.type", "brotli"),
    ("compression.gzip.level", "0"),
    ("compression.gzip.level", "10"),
    ("compression.lz4.level", "18"),
    ("compression.zstd.level", "23"),
    ("preallocate", "yes"),
    ("unclean.leader.election.enable", "1"),
    ("flush.messages", "0"),
    ("flush.ms", "-1"),
    ("index.interval.bytes", "-1"),
    ("min.compaction.lag.ms", "-1"),
    ("max.compaction.lag.ms", "0"),
    ("delete.retention.ms", "-1"),
    ("file.delete.delay.ms", "-1"),
    ("leader.replication.throttled.replicas", "0-1"),
    ("remote.storage.enable", "true"),
    ("local.retention.ms", "-3"),
    ("no.such.key", "1"),
    ("log.retention.ms", "1"),
    ("", "1"),
)
GOOD_VALUES = (
    ("retention.ms", "-1"),
    ("retention.ms", " 5000 "),
    ("retention.ms", "+7"),
    ("cleanup.policy", ""),
    ("cleanup.policy", "compact, delete"),
    ("segment.bytes", "1048576"),
    ("min.cleanable.dirty.ratio", "1e-3"),
    ("preallocate", "TRUE"),
    ("min.insync.replicas", "3"),
    ("leader.replication.throttled.replicas", "*"),
    ("follower.replication.throttled.replicas", "0:1,1:2"),
    ("remote.log.copy.disable", "true"),
    ("local.retention.bytes", "-2"),
    ("message.format.version", "2.8"),
    ("message.timestamp.difference.max.ms", "1000"),
)


def _shown(kafka: Player, title: str, topic: Resource, *keys: str, contains: str) -> None:
    """Keep what is described once it has the wanted text: Kafka applies a change after it has
    answered."""
    request = describe(topic, keys=keys, synonyms=True)
    kafka.setup_until(request, 4, lambda text: contains in text)
    kafka.send(title, request, 4)


def incremental_versions(kafka: Player) -> None:
    """Every version sets, tries, and takes back."""
    kafka.setup_topic("alter-versions")
    topic = TOPIC, "alter-versions"
    for version in IncrementalAlterConfigsRequest.VERSIONS:
        value = str(1000 + version)
        kafka.send(
            f"version {version}, validate only",
            change(topic, ("retention.ms", SET, value), validate_only=True),
            version,
        )
        kafka.send(f"version {version}", change(topic, ("retention.ms", SET, value)), version)
        _shown(kafka, f"version {version}, set", topic, "retention.ms", contains=value)
        kafka.send(
            f"version {version}, delete", change(topic, ("retention.ms", DELETE, None)), version
        )
        _shown(kafka, f"version {version}, deleted", topic, "retention.ms", contains='"-1"')


def incremental_values(kafka: Player) -> None:
    """Values that a key refuses."""
    kafka.setup_topic("alter-bad")
    for key, value in BAD_VALUES:
        kafka.send(f"{key}={value}", change((TOPIC, "alter-bad"), (key, SET, value)), 1)


def incremental_good_values(kafka: Player) -> None:
    """Values at the edge that are taken, and how they are shown."""
    kafka.setup_topic("alter-good")
    topic = TOPIC, "alter-good"
    for key, value in GOOD_VALUES:
        answer = kafka.send(f"{key}={value}", change(topic, (key, SET, value)), 1)
        assert isinstance(answer, IncrementalAlterConfigsResponse)
        if not answer.responses[0].error_code:
            _shown(kafka, f"{key}={value}, shown", topic, key, contains="config_source: 1")
            kafka.send(f"{key}={value}, undone", change(topic, (key, DELETE, None)), 1)
            request = describe(topic, keys=[key])
            kafka.setup_until(request, 4, lambda text: "config_source: 1" not in text)


def incremental_lists(kafka: Player) -> None:
    """APPEND and SUBTRACT."""
    kafka.setup_topic("alter-lists")
    topic = TOPIC, "alter-lists"
    key = "cleanup.policy"
    for title, operation, value, contains in (
        ("append to the default", APPEND, "compact", '"delete,compact"'),
        ("append what is there", APPEND, "delete", '"delete,compact"'),
        ("subtract", SUBTRACT, "delete", '"compact"'),
        ("subtract what is not there", SUBTRACT, "delete", '"compact"'),
        ("append two", APPEND, "delete,compact", '"compact,delete"'),
        ("subtract two", SUBTRACT, "compact,delete", '""'),
        ("append to nothing", APPEND, "delete", '"delete"'),
    ):
        kafka.send(title, change(topic, (key, operation, value)), 1)
        _shown(kafka, f"after {title}", topic, key, contains=contains)
    for title, change_of in (
        ("append what is refused", (key, APPEND, "erase")),
        ("append nothing", (key, APPEND, "")),
        ("append null", (key, APPEND, None)),
        ("subtract null", (key, SUBTRACT, None)),
        ("append to a number", ("retention.ms", APPEND, "1")),
        ("subtract from a text", ("compression.type", SUBTRACT, "gzip")),
        ("append to an unknown key", ("no.such.key", APPEND, "1")),
        ("append to replicas", ("leader.replication.throttled.replicas", APPEND, "0:1")),
    ):
        kafka.send(title, change(topic, change_of), 1)
    kafka.send("twice the same", change(topic, (key, SET, "delete,compact,delete")), 1)
    _shown(kafka, "twice the same, shown", topic, key, contains='"delete,compact"')


def incremental_operations(kafka: Player) -> None:
    """Several changes of one topic, and operations that do not exist."""
    kafka.setup_topic("alter-operations", retention_ms="9000")
    topic = TOPIC, "alter-operations"
    for title, changes in (
        ("nothing", []),
        ("one good, one bad", [("segment.ms", SET, "70000"), ("retention.ms", SET, "x")]),
        ("a key twice", [("segment.ms", SET, "1"), ("segment.ms", SET, "2")]),
        ("set and delete one key", [("segment.ms", SET, "1"), ("segment.ms", DELETE, None)]),
        ("null", [("segment.ms", SET, None)]),
        ("two nulls", [("segment.ms", SET, None), ("retention.ms", SET, None)]),
        ("operation 4", [("segment.ms", 4, "1")]),
        ("operation -1", [("segment.ms", -1, "1")]),
        ("delete with a value", [("file.delete.delay.ms", DELETE, "5")]),
        ("delete what is not set", [("segment.ms", DELETE, None)]),
        ("delete an unknown key", [("no.such.key", DELETE, None)]),
        (
            "lags in conflict",
            [("min.compaction.lag.ms", SET, "9"), ("max.compaction.lag.ms", SET, "5")],
        ),
    ):
        kafka.send(title, change(topic, *changes), 1)
    _shown(kafka, "still", topic, "segment.ms", "retention.ms", contains='"9000"')
    both = change(topic, ("segment.ms", SET, "71000"), ("retention.ms", DELETE, None))
    kafka.send("set one, delete another", both, 0)
    _shown(kafka, "then", topic, "segment.ms", "retention.ms", contains='"71000"')


def incremental_resources(kafka: Player) -> None:
    """Topics that are not there, several resources, resources of other types."""
    kafka.setup_topic("alter-here")
    here, there = (TOPIC, "alter-here"), (TOPIC, "alter-nowhere")
    good, bad = [("segment.ms", SET, "80000")], [("segment.ms", SET, "x")]
    number = [("segment.ms", APPEND, "1")]
    for title, resources in (
        ("none", []),
        ("unknown", [(there, good)]),
        ("unknown, with a bad value", [(there, bad)]),
        ("empty name", [((TOPIC, ""), good)]),
        ("bad letters", [((TOPIC, "a b"), good)]),
        ("unknown, append to a number", [(there, number)]),
        ("empty name, append to a number", [((TOPIC, ""), number)]),
        ("bad letters, append to a number", [((TOPIC, "a b"), number)]),
        ("a group without name, append to a number", [((32, ""), number)]),
        ("metrics without name, append to a number", [((16, ""), number)]),
        ("two topics", [(here, good), (there, good)]),
        ("one good, one bad", [(here, good), ((BROKER, "7"), good)]),
        ("the same topic twice", [(here, good), (here, [("retention.ms", SET, "1")])]),
        ("twice, and another", [(here, good), (here, good), (there, good)]),
        ("type 0", [((0, "x"), good)]),
        ("type 1", [((1, "x"), good)]),
        ("type 3", [((3, "x"), good)]),
        ("type 64", [((64, "x"), good)]),
    ):
        kafka.send(title, change_all(*resources), 1)
        kafka.send(f"{title}, validate only", change_all(*resources, validate_only=True), 1)


def legacy(kafka: Player) -> None:
    """AlterConfigs replaces everything that was set."""
    kafka.setup_topic("replace", retention_ms="5000", segment_ms="60000")
    topic = TOPIC, "replace"
    keys = ("retention.ms", "segment.ms")
    for version in AlterConfigsRequest.VERSIONS:
        value = str(6000 + version)
        only_this: dict[str, str | None] = {"retention.ms": value}
        kafka.send(
            f"version {version}, validate only",
            replace_all((topic, only_this), validate_only=True),
            version,
        )
        kafka.send(f"version {version}", replace_all((topic, only_this)), version)
        _shown(kafka, f"version {version}, shown", topic, *keys, contains=value)
    for title, values in (
        ("a bad value", {"retention.ms": "x"}),
        ("a good and a bad value", {"segment.ms": "60000", "retention.ms": "x"}),
        ("null", {"retention.ms": None}),
        ("an unknown key", {"no.such.key": "1"}),
        ("lags in conflict", {"min.compaction.lag.ms": "9", "max.compaction.lag.ms": "5"}),
    ):
        kafka.send(title, replace_all((topic, values)), 2)
    good: dict[str, str | None] = {"segment.ms": "60000"}
    for title, resources in (
        ("an unknown topic", [((TOPIC, "replace-nowhere"), good)]),
        ("no name", [((TOPIC, ""), good)]),
        ("bad letters", [((TOPIC, "a b"), good)]),
        ("loggers", [((8, "1"), {"root": "INFO"})]),
        ("type 3", [((3, "x"), good)]),
        ("no resources", []),
    ):
        kafka.send(title, replace_all(*resources), 2)
    kafka.send("nothing, which is everything undone", replace_all((topic, {})), 2)
    _shown(kafka, "undone", topic, *keys, contains='"-1"')


SCENARIOS = {
    "configs_topics/incremental_versions": incremental_versions,
    "configs_topics/incremental_values": incremental_values,
    "configs_topics/incremental_good_values": incremental_good_values,
    "configs_topics/incremental_lists": incremental_lists,
    "configs_topics/incremental_operations": incremental_operations,
    "configs_topics/incremental_resources": incremental_resources,
    "configs_topics/legacy": legacy,
}
