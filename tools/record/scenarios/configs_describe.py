"""DescribeConfigs."""

from tools.record.config_requests import (
    BROKER,
    DELETE,
    GROUP,
    LOGGER,
    METRICS,
    SET,
    TOPIC,
    change,
    describe,
)
from tools.record.player import Player
from wire.messages.describe_configs import DescribeConfigsRequest

BROKER_KEYS = (
    "node.id",
    "broker.id",
    "broker.rack",
    "auto.create.topics.enable",
    "num.partitions",
    "offsets.topic.num.partitions",
    "offsets.retention.minutes",
    "group.max.session.timeout.ms",
    "group.consumer.assignors",
    "log.flush.interval.ms",
    "log.flush.scheduler.interval.ms",
    "log.retention.ms",
    "log.retention.minutes",
    "log.retention.hours",
    "log.retention.bytes",
    "log.roll.ms",
    "log.roll.hours",
    "log.roll.jitter.ms",
    "log.segment.bytes",
    "log.cleanup.policy",
    "log.cleaner.enable",
    "log.cleaner.backoff.ms",
    "log.cleaner.min.cleanable.ratio",
    "log.cleaner.dedupe.buffer.size",
    "log.message.timestamp.type",
    "message.max.bytes",
    "max.connections",
    "connections.max.idle.ms",
    "compression.type",
    "compression.zstd.level",
    "producer.id.expiration.ms",
    "transaction.max.timeout.ms",
    "transaction.partition.verification.enable",
    "unclean.leader.election.enable",
    "socket.request.max.bytes",
)


def topic_versions(kafka: Player) -> None:
    """Every key of a topic in every version, with synonyms and without."""
    kafka.setup_topic("describe-all", retention_ms="77000000", cleanup_policy="compact,delete")
    for version in DescribeConfigsRequest.VERSIONS:
        kafka.send(f"version {version}", describe((TOPIC, "describe-all")), version)
        kafka.send(
            f"version {version}, synonyms",
            describe((TOPIC, "describe-all"), synonyms=True),
            version,
        )
    kafka.send("documentation", _one_key(documentation=True), 4)
    kafka.send("documentation and synonyms", _one_key(documentation=True, synonyms=True), 3)


def _one_key(*, documentation: bool = False, synonyms: bool = False) -> DescribeConfigsRequest:
    return describe(
        (TOPIC, "describe-all"),
        keys=["retention.ms"],
        documentation=documentation,
        synonyms=synonyms,
    )


def topic_keys(kafka: Player) -> None:
    """Which keys are asked for."""
    kafka.setup_topic("describe-keys", segment_ms="60000")
    topic = TOPIC, "describe-keys"
    for title, keys in (
        ("one", ["segment.ms"]),
        ("none, which is all", []),
        ("one that is not there", ["no.such.key"]),
        ("one that is, one that is not", ["segment.ms", "no.such.key"]),
        ("one twice", ["segment.ms", "segment.ms"]),
        ("a broker's key", ["log.segment.bytes"]),
        ("other letters", ["SEGMENT.MS"]),
        ("an empty name", [""]),
        ("two", ["retention.ms", "segment.ms"]),
    ):
        kafka.send(title, describe(topic, keys=keys, synonyms=True), 4)


def topic_names(kafka: Player) -> None:
    """Topics that cannot be described, and several in one request."""
    kafka.setup_topic("describe-there", max_message_bytes="2000")
    keys = ["max.message.bytes"]
    for title, name in (
        ("unknown", "describe-nowhere"),
        ("empty", ""),
        ("bad letters", "a b"),
        ("dots", ".."),
        ("too long", "z" * 250),
    ):
        kafka.send(title, describe((TOPIC, name), keys=keys), 4)
        kafka.send(f"{title}, version 1", describe((TOPIC, name), keys=keys), 1)
    there = TOPIC, "describe-there"
    kafka.send("two topics", describe(there, (TOPIC, "describe-nowhere"), keys=keys), 4)
    kafka.send("one topic twice", describe(there, there, keys=keys), 4)
    kafka.send("nothing", describe(), 4)
    kafka.send("a topic and a broker", describe(there, (BROKER, "1"), keys=["num.partitions"]), 4)


def internal_topic(kafka: Player) -> None:
    """What the broker sets on the topic of offsets."""
    kafka.setup_offsets_topic()
    keys = ["cleanup.policy", "compression.type", "retention.ms", "min.insync.replicas"]
    kafka.send("offsets", describe((TOPIC, "__consumer_offsets"), keys=keys, synonyms=True), 4)


def broker_keys(kafka: Player) -> None:
    """Keys of a broker: values, types, sources, which may change."""
    for key in BROKER_KEYS:
        kafka.send(key, describe((BROKER, "1"), keys=[key], synonyms=True), 4)
    kafka.send("several", describe((BROKER, "1"), keys=BROKER_KEYS[:6]), 2)


def broker_names(kafka: Player) -> None:
    """Which broker is asked."""
    keys = ["num.partitions"]
    for title, name in (
        ("itself", "1"),
        ("with zeros", "01"),
        ("with a plus", "+1"),
        ("every broker", ""),
        ("another", "2"),
        ("negative", "-1"),
        ("no number", "one"),
        ("a space", " 1"),
        ("too large", "99999999999"),
    ):
        kafka.send(title, describe((BROKER, name), keys=keys, synonyms=True), 4)
    kafka.send("unknown key", describe((BROKER, "1"), keys=["no.such.key"]), 4)
    kafka.send("unknown key of every broker", describe((BROKER, ""), keys=["no.such.key"]), 4)


def groups(kafka: Player) -> None:
    """The keys of a group, which need not exist."""
    kafka.send("all keys", describe((GROUP, "describe-group"), synonyms=True), 4)
    kafka.send("without synonyms", describe((GROUP, "describe-group")), 4)
    kafka.send("one key", describe((GROUP, "any"), keys=["consumer.session.timeout.ms"]), 4)
    kafka.send("unknown key", describe((GROUP, "any"), keys=["session.timeout.ms"]), 4)
    kafka.send("no name", describe((GROUP, "")), 4)


def metrics(kafka: Player) -> None:
    """Subscriptions of client metrics (KIP-714)."""
    kafka.send("unknown", describe((METRICS, "describe-metrics"), synonyms=True), 4)
    kafka.send("no name", describe((METRICS, "")), 4)
    subscription = METRICS, "described"
    kafka.send("set", change(subscription, ("interval.ms", SET, "1000")), 1)
    kafka.setup_until(describe(subscription), 4, lambda text: '"1000"' in text)
    kafka.send("all keys", describe(subscription, synonyms=True), 4)
    kafka.send("one key", describe(subscription, keys=["interval.ms"]), 4)
    kafka.send("unset", change(subscription, ("interval.ms", DELETE, None)), 1)


def kinds(kafka: Player) -> None:
    """Resources of other types."""
    for kind in (0, 1, 3, 5, 64, -1):
        kafka.send(f"type {kind}", describe((kind, "1")), 4)
    kafka.setup_topic("describe-kinds")
    mixed = describe((TOPIC, "describe-kinds"), (3, "x"), keys=["retention.ms"])
    kafka.send("one of them", mixed, 4)


def loggers(kafka: Player) -> None:
    """Whose loggers: every broker has its own, whose names differ."""
    for title, name in (("no name", ""), ("another broker", "2"), ("no number", "one")):
        kafka.send(title, describe((LOGGER, name)), 4)
    kafka.send("unknown logger", describe((LOGGER, "1"), keys=["no.such.logger"]), 4)


SCENARIOS = {
    "configs_describe/topic_versions": topic_versions,
    "configs_describe/topic_keys": topic_keys,
    "configs_describe/topic_names": topic_names,
    "configs_describe/internal_topic": internal_topic,
    "configs_describe/broker_keys": broker_keys,
    "configs_describe/broker_names": broker_names,
    "configs_describe/groups": groups,
    "configs_describe/metrics": metrics,
    "configs_describe/kinds": kinds,
    "configs_describe/loggers": loggers,
}
