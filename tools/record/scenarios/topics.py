"""CreateTopics and DeleteTopics."""

from tools.record.player import Player
from tools.record.requests import create_topics, delete_topics, metadata, new_topic
from wire.messages.create_topics import CreateTopicsRequest
from wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState

UNKNOWN_ID = bytes(range(16))


def create_versions(kafka: Player) -> None:
    """Every version creates a topic, refuses to create it again, and validates only."""
    for version in CreateTopicsRequest.VERSIONS:
        topic = new_topic(f"create-{version}", 2)
        dry = create_topics(topic, validate_only=True)
        kafka.send(f"version {version}, validate only", dry, version)
        kafka.send(f"version {version}", create_topics(topic), version)
        kafka.setup_serving(f"create-{version}", 2)
        kafka.send(f"version {version}, again", create_topics(topic), version)
        kafka.send(f"version {version}, validate again", dry, version)


def create_defaults(kafka: Player) -> None:
    """-1 partitions and replicas are the broker's defaults, from version 4 on (KIP-464)."""
    for version in (2, 3, 4, 5):
        topic = new_topic(f"defaults-{version}", -1, -1)
        kafka.send(f"version {version}", create_topics(topic), version)
    kafka.send("partitions alone", create_topics(new_topic("defaults-p", -1, 1)), 5)
    kafka.send("replicas alone", create_topics(new_topic("defaults-r", 4, -1)), 5)


def create_numbers(kafka: Player) -> None:
    """Numbers of partitions and replicas that cannot be."""
    for title, partitions, replicas in (
        ("no partitions", 0, 1),
        ("-2 partitions", -2, 1),
        ("10001 partitions", 10_001, 1),
        ("no replicas", 1, 0),
        ("-2 replicas", 1, -2),
        ("two replicas on one broker", 1, 2),
        ("neither", 0, 0),
    ):
        topic = new_topic("create-numbers", partitions, replicas)
        kafka.send(title, create_topics(topic), 5)
        kafka.send(f"{title}, version 2", create_topics(topic), 2)


def create_names(kafka: Player) -> None:
    """Names: which characters, how long, and those that only differ in '.' and '_'."""
    kafka.setup_offsets_topic()
    for title, name in (
        ("empty", ""),
        ("a dot", "."),
        ("two dots", ".."),
        ("three dots", "..."),
        ("a slash", "a/b"),
        ("a space", "a b"),
        ("not ASCII", "tópico"),
        ("249 characters", "z" * 249),
        ("250 characters", "z" * 250),
        ("all that is allowed", "aZ09._-"),
        ("internal", "__consumer_offsets"),
        ("of the metadata log", "__cluster_metadata"),
    ):
        kafka.send(title, create_topics(new_topic(name), validate_only=True), 4)
    kafka.setup_topic("create.names_collide")
    for name in ("create_names.collide", "create.names.collide", "create_names_collide"):
        kafka.send(f"collision: {name}", create_topics(new_topic(name)), 4)
    kafka.send(
        "collision inside one request",
        create_topics(new_topic("in.one"), new_topic("in_one"), validate_only=True),
        4,
    )


def create_assignments(kafka: Player) -> None:
    """Replicas assigned by hand: they stand in place of the numbers."""
    cases: tuple[tuple[str, int, int, dict[int, list[int]]], ...] = (
        ("one partition", -1, -1, {0: [1]}),
        ("two partitions", -1, -1, {0: [1], 1: [1]}),
        ("with a number of partitions", 2, -1, {0: [1], 1: [1]}),
        ("with a number of replicas", -1, 1, {0: [1]}),
        ("not from 0", -1, -1, {1: [1]}),
        ("with a gap", -1, -1, {0: [1], 2: [1]}),
        ("an unknown broker", -1, -1, {0: [77]}),
        ("a broker twice", -1, -1, {0: [1, 1]}),
        ("no broker", -1, -1, {0: []}),
        ("different lengths", -1, -1, {0: [1], 1: [1, 77]}),
        ("a negative broker", -1, -1, {0: [-1]}),
    )
    for title, partitions, replicas, assignments in cases:
        topic = new_topic(
            f"assigned-{title.replace(' ', '-')}", partitions, replicas, assignments=assignments
        )
        kafka.send(title, create_topics(topic), 5)


def create_configs(kafka: Player) -> None:
    """Configs: good ones, unknown ones, and values that cannot be."""
    cases: tuple[tuple[str, dict[str, str | None]], ...] = (
        ("retention.ms", {"retention.ms": "1000"}),
        ("several", {"cleanup.policy": "compact", "max.message.bytes": "5000"}),
        ("both policies", {"cleanup.policy": "compact,delete"}),
        ("an unknown key", {"no.such.key": "1"}),
        ("a broker's key", {"log.retention.ms": "1"}),
        ("not a number", {"retention.ms": "soon"}),
        ("below the least", {"retention.ms": "-2"}),
        ("max.message.bytes negative", {"max.message.bytes": "-1"}),
        ("segment.bytes too small", {"segment.bytes": "1"}),
        ("not a policy", {"cleanup.policy": "burn"}),
        ("an empty policy", {"cleanup.policy": ""}),
        ("not a boolean", {"unclean.leader.election.enable": "maybe"}),
        ("not a codec", {"compression.type": "rar"}),
        ("zstd", {"compression.type": "zstd"}),
        ("min.insync.replicas 0", {"min.insync.replicas": "0"}),
        ("min.insync.replicas 2", {"min.insync.replicas": "2"}),
        ("message.timestamp.type", {"message.timestamp.type": "LogAppendTime"}),
        ("not a timestamp type", {"message.timestamp.type": "Yesterday"}),
        ("a null value", {"retention.ms": None}),
        ("an empty value", {"retention.ms": ""}),
        ("an empty key", {"": "1"}),
        ("spaces around", {"retention.ms": " 1000 "}),
        ("one good, one bad", {"retention.ms": "1000", "no.such.key": "1"}),
    )
    for title, configs in cases:
        topic = new_topic("create-configs", configs=configs)
        kafka.send(title, create_topics(topic, validate_only=True), 4)
    kafka.send(
        "told in the answer",
        create_topics(new_topic("create-told", configs={"retention.ms": "1000"})),
        5,
    )
    for title, name in (("a topic that is there", "create-told"), ("a bad name", "a/b")):
        null = new_topic(name, configs={"retention.ms": None})
        kafka.send(f"a null value, {title}", create_topics(null, validate_only=True), 4)
        number = new_topic(name, configs={"retention.ms": "soon"})
        kafka.send(f"not a number, {title}", create_topics(number, validate_only=True), 4)


def create_together(kafka: Player) -> None:
    """Several in one request, one twice, none at all, and no time to wait."""
    several = (new_topic("together-a"), new_topic("together-b", 0), new_topic("a/b"))
    kafka.send("good and bad", create_topics(*several), 4)
    twice = (new_topic("together-c"), new_topic("together-d"), new_topic("together-c", 2))
    kafka.send("one twice", create_topics(*twice), 4)
    kafka.send("one twice: the other was made", metadata("together-d"), 4, settled=True)
    kafka.send("one twice: it was not", metadata("together-c"), 4)
    kafka.send("none", create_topics(), 4)
    kafka.send("none, version 7", create_topics(), 7)


def delete_versions(kafka: Player) -> None:
    """Every version deletes a topic by name, and refuses to do it again."""
    for version in DeleteTopicsRequest.VERSIONS:
        name = f"delete-{version}"
        kafka.setup_topic(name)
        kafka.send(f"version {version}", delete_topics(name, version=version), version)
        kafka.setup_gone(name)
        kafka.send(f"version {version}, again", delete_topics(name, version=version), version)
        kafka.send(f"version {version}, gone", metadata(name), 9)


def delete_by_id(kafka: Player) -> None:
    """Version 6 deletes by id or by name, and not by both."""
    topic_id = kafka.setup_topic("delete-by-id")
    kafka.send("by id", delete_topics(topic_id, version=6), 6)
    kafka.setup_gone("delete-by-id")
    kafka.send("by id, again", delete_topics(topic_id, version=6), 6)
    kafka.send("an unknown id", delete_topics(UNKNOWN_ID, version=6), 6)
    kafka.send("id zero", delete_topics(bytes(16), version=6), 6)
    kept_id = kafka.setup_topic("delete-kept")
    both = DeleteTopicsRequest(
        topics=[DeleteTopicState(name="delete-kept", topic_id=kept_id)], timeout_ms=1000
    )
    kafka.send("name and id", both, 6)
    kafka.send("a name and its id", delete_topics("delete-kept", kept_id, version=6), 6)
    kafka.send("a name twice", delete_topics("delete-kept", "delete-kept", version=6), 6)
    kafka.send("an id twice", delete_topics(kept_id, kept_id, version=6), 6)
    kafka.send("is it there", metadata("delete-kept"), 9)


def delete_refused(kafka: Player) -> None:
    """Names that are not there or cannot be; several at once; none."""
    kafka.setup_topic("delete-one")
    for version in (1, 5, 6):
        for title, name in (("unknown", "delete-nowhere"), ("empty", ""), ("a slash", "a/b")):
            kafka.send(f"{title}, version {version}", delete_topics(name, version=version), version)
        kafka.send(f"none, version {version}", delete_topics(version=version), version)
    twice = delete_topics("delete-nowhere", "delete-nowhere", version=5)
    kafka.send("an unknown name twice", twice, 5)
    kafka.send("good and bad", delete_topics("delete-one", "delete-nowhere", version=5), 5)


SCENARIOS = {
    "create_topics/versions": create_versions,
    "create_topics/defaults": create_defaults,
    "create_topics/numbers": create_numbers,
    "create_topics/names": create_names,
    "create_topics/assignments": create_assignments,
    "create_topics/configs": create_configs,
    "create_topics/together": create_together,
    "delete_topics/versions": delete_versions,
    "delete_topics/by_id": delete_by_id,
    "delete_topics/refused": delete_refused,
}
