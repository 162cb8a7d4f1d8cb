"""Changing the settings of brokers, groups, client metrics and loggers, and listing them."""

from tools.record.config_requests import (
    APPEND,
    BROKER,
    DELETE,
    GROUP,
    LOGGER,
    METRICS,
    SET,
    SUBTRACT,
    TOPIC,
    Resource,
    change,
    change_all,
    describe,
    list_resources,
    replace_all,
)
from tools.record.player import Player
from tools.record.requests import create_topics, new_topic

THIS, EVERY = (BROKER, "1"), (BROKER, "")
BAD_BROKER_VALUES = (
    ("message.max.bytes", "x"),
    ("message.max.bytes", "-1"),
    ("log.retention.ms", "0"),
    ("log.retention.ms", "soon"),
    ("log.segment.bytes", "1"),
    ("log.cleanup.policy", "erase"),
    ("compression.type", "brotli"),
    ("min.insync.replicas", "0"),
    ("log.cleaner.min.cleanable.ratio", "2"),
    ("producer.id.expiration.ms", "0"),
    ("unclean.leader.election.enable", "perhaps"),
    ("max.connections", "-1"),
    # What does not change while a broker runs.
    ("node.id", "2"),
    ("num.partitions", "3"),
    ("log.dirs", "/tmp"),
    ("log.retention.hours", "1"),
    ("auto.create.topics.enable", "false"),
    ("group.max.size", "5"),
    ("broker.rack", "r"),
    ("advertised.listeners", "PLAINTEXT://x:1"),
    # What no broker has.
    ("retention.ms", "1"),
    ("ssl.keystore.type", "PEM"),
)


def _shown(kafka: Player, title: str, resource: Resource, *keys: str, contains: str) -> None:
    """Keep what is described once it has the wanted text."""
    request = describe(resource, keys=keys, synonyms=True)
    kafka.setup_until(request, 4, lambda text: contains in text)
    kafka.send(title, request, 4)


def _gone(kafka: Player, resource: Resource, key: str, *, text: str) -> None:
    """Wait until what is described does not have the text any more."""
    kafka.setup_until(describe(resource, keys=[key]), 4, lambda found: text not in found)


def broker_layers(kafka: Player) -> None:
    """What is set for one broker goes over what is set for all, and that over the file."""
    key = "log.segment.bytes"
    kafka.setup_topic("broker-layers")
    topic = TOPIC, "broker-layers"
    kafka.send("for every broker", change(EVERY, (key, SET, "2000000")), 1)
    _shown(kafka, "every broker", EVERY, key, contains='"2000000"')
    _shown(kafka, "this broker", THIS, key, contains='"2000000"')
    _shown(kafka, "a topic", topic, "segment.bytes", contains='"2000000"')
    kafka.send("for this broker", change(THIS, (key, SET, "3000000")), 1)
    _shown(kafka, "this broker, over it", THIS, key, contains='"3000000"')
    _shown(kafka, "a topic, over it", topic, "segment.bytes", contains='"3000000"')
    kafka.send("of a topic", change(topic, ("segment.bytes", SET, "4000000")), 1)
    _shown(kafka, "a topic of its own", topic, "segment.bytes", contains='"4000000"')
    kafka.send("this broker back", change(THIS, (key, DELETE, None)), 1)
    _shown(kafka, "every broker's again", THIS, key, contains='value: "2000000", read_only')
    kafka.send("every broker back", change(EVERY, (key, DELETE, None)), 1)
    _shown(kafka, "the default again", THIS, key, contains='value: "1073741824", read_only')
    kafka.send("of a topic, back", change(topic, ("segment.bytes", DELETE, None)), 1)
    _shown(
        kafka,
        "a topic's default again",
        topic,
        "segment.bytes",
        contains='value: "1073741824", read_only',
    )


def broker_units(kafka: Player) -> None:
    """Keys that stand for one value in several units."""
    kafka.setup_topic("broker-units")
    topic = TOPIC, "broker-units"
    for key, value, of_topic in (
        ("log.retention.ms", "70000000", "retention.ms"),
        ("log.roll.ms", "60000", "segment.ms"),
        ("log.roll.jitter.ms", "5000", "segment.jitter.ms"),
        ("log.flush.interval.ms", "60000", "flush.ms"),
    ):
        kafka.send(f"{key}", change(EVERY, (key, SET, value)), 1)
        _shown(kafka, f"{key}, shown", THIS, key, contains=f'"{value}"')
        _shown(kafka, f"{of_topic}, shown", topic, of_topic, contains=f'"{value}"')
        kafka.send(f"{key} back", change(EVERY, (key, DELETE, None)), 1)
        _gone(kafka, topic, of_topic, text=f'"{value}"')


def broker_values(kafka: Player) -> None:
    """Values that are refused, for one broker and for every broker."""
    for key, value in BAD_BROKER_VALUES:
        for whose, broker in (("", THIS), (", every broker", EVERY)):
            dry = change(broker, (key, SET, value), validate_only=True)
            kafka.send(f"{key}={value}{whose}", dry, 1)


def broker_limits(kafka: Player) -> None:
    """Values that the type allows and the broker does not, or only just."""
    for key, operation, value in (
        ("min.insync.replicas", SET, "2"),
        ("log.cleaner.dedupe.buffer.size", SET, "1"),
        ("log.cleaner.dedupe.buffer.size", SET, "1048576"),
        ("log.cleaner.backoff.ms", SET, "-1"),
        ("log.cleaner.max.compaction.lag.ms", SET, "0"),
        ("log.cleanup.policy", SET, ""),
        ("log.cleanup.policy", APPEND, ""),
        ("log.flush.interval.messages", SET, "0"),
        ("log.flush.interval.ms", SET, "-5"),
        ("log.retention.ms", SET, "-1"),
        ("log.roll.ms", SET, "0"),
        ("log.roll.jitter.ms", SET, "-1"),
        ("log.message.timestamp.after.max.ms", SET, "-1"),
        ("max.connections", SET, "0"),
        ("max.connections.per.ip", SET, "0"),
        ("max.connections.per.ip.overrides", SET, "127.0.0.1:5"),
        ("max.connections.per.ip.overrides", SET, "x"),
        ("message.max.bytes", SET, "104857601"),
        ("transaction.partition.verification.enable", SET, "false"),
        ("unclean.leader.election.enable", SET, "true"),
    ):
        for whose, broker in (("", THIS), (", every broker", EVERY)):
            dry = change(broker, (key, operation, value), validate_only=True)
            kafka.send(f"{operation} {key}={value}{whose}", dry, 1)


def broker_custom(kafka: Player) -> None:
    """Names that nobody knows, and keys that may be set for one broker alone."""
    kafka.send("unknown", change(THIS, ("no.such.key", SET, "1"), validate_only=True), 1)
    kafka.send("unknown, deleted", change(THIS, ("no.such.key", DELETE, None)), 1)
    for key, value in (
        ("listeners", "PLAINTEXT://127.0.0.1:1"),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT"),
        ("listener.name.plaintext.ssl.keystore.type", "PEM"),
    ):
        kafka.send(f"{key} of all", change(EVERY, (key, SET, value), validate_only=True), 1)
    for key, value in (
        ("num.io.threads", "9"),
        ("log.cleaner.threads", "2"),
        ("leader.replication.throttled.rate", "1000"),
        ("follower.replication.throttled.rate", "1000"),
        ("max.connection.creation.rate", "100"),
    ):
        dry = change(THIS, (key, SET, value), validate_only=True)
        kafka.send(f"{key}, validate only", dry, 1)


def broker_operations(kafka: Player) -> None:
    """Lists, nulls, duplicates, several keys."""
    for title, changes in (
        ("append to the default", [("log.cleanup.policy", APPEND, "compact")]),
        ("subtract everything", [("log.cleanup.policy", SUBTRACT, "delete")]),
        ("append to a number", [("message.max.bytes", APPEND, "1")]),
        ("subtract from a number", [("message.max.bytes", SUBTRACT, "1")]),
        ("append what is refused", [("log.cleanup.policy", APPEND, "erase")]),
        ("null", [("message.max.bytes", SET, None)]),
        ("twice", [("message.max.bytes", SET, "1"), ("message.max.bytes", SET, "2")]),
        ("operation 5", [("message.max.bytes", 5, "1")]),
        ("nothing", []),
        ("good and read-only", [("message.max.bytes", SET, "9999"), ("num.partitions", SET, "2")]),
        ("delete what is not set", [("message.max.bytes", DELETE, None)]),
        ("delete what is read-only", [("num.partitions", DELETE, None)]),
    ):
        kafka.send(title, change(THIS, *changes, validate_only=True), 1)
    key = "log.cleanup.policy"
    kafka.send("append", change(EVERY, (key, APPEND, "compact")), 1)
    _shown(kafka, "appended", THIS, key, contains='"delete,compact"')
    kafka.send("append for one, which starts anew", change(THIS, (key, APPEND, "compact")), 1)
    _shown(kafka, "appended for one", THIS, key, contains="config_source: 2")
    kafka.send("one back", change(THIS, (key, DELETE, None)), 1)
    kafka.send("all back", change(EVERY, (key, DELETE, None)), 1)
    kafka.setup_until(describe(THIS, keys=[key]), 4, lambda text: '"delete,compact"' not in text)


def broker_names(kafka: Player) -> None:
    """Which broker's."""
    for title, name in (
        ("another", "2"),
        ("no number", "one"),
        ("negative", "-1"),
        ("with zeros", "01"),
    ):
        dry = change((BROKER, name), ("message.max.bytes", SET, "9999"), validate_only=True)
        kafka.send(title, dry, 1)
        values: dict[str, str | None] = {"message.max.bytes": "9999"}
        kafka.send(
            f"{title}, all at once", replace_all(((BROKER, name), values), validate_only=True), 2
        )


def broker_legacy(kafka: Player) -> None:
    """AlterConfigs of brokers."""
    first: dict[str, str | None] = {"log.retention.bytes": "777", "log.segment.bytes": "5000000"}
    kafka.send("two keys", replace_all((THIS, first)), 2)
    _shown(kafka, "two keys, shown", THIS, *first, contains='"777"')
    kafka.send("one key", replace_all((THIS, {"log.retention.bytes": "778"})), 2)
    _shown(kafka, "one key, shown", THIS, *first, contains='"778"')
    for title, values in (
        ("a bad value", {"message.max.bytes": "x"}),
        ("read-only", {"num.partitions": "3"}),
        ("null", {"message.max.bytes": None}),
    ):
        kafka.send(title, replace_all((THIS, values)), 2)
    kafka.send("nothing", replace_all((THIS, {})), 2)
    kafka.setup_until(describe(THIS, keys=list(first)), 4, lambda text: "source: 2" not in text)


def new_topics_follow(kafka: Player) -> None:
    """A topic that is made after a change shows where its settings come from."""
    kafka.send("changed", change(EVERY, ("log.retention.bytes", SET, "123456")), 1)
    kafka.setup_until(describe(EVERY), 4, lambda text: '"123456"' in text)
    kafka.send("created", create_topics(new_topic("follows"), validate_only=True), 7)
    kafka.send("back", change(EVERY, ("log.retention.bytes", DELETE, None)), 1)
    kafka.setup_until(describe(EVERY), 4, lambda text: '"123456"' not in text)


def groups(kafka: Player) -> None:
    """Settings of groups (KIP-848, KIP-932, KIP-1071)."""
    group = GROUP, "alter-group"
    key = "consumer.session.timeout.ms"
    kafka.send("set", change(group, (key, SET, "50000")), 1)
    _shown(kafka, "shown", group, key, contains='"50000"')
    for title, changes in (
        ("too short", [(key, SET, "1")]),
        ("too long", [(key, SET, "60001")]),
        ("no number", [(key, SET, "x")]),
        ("heartbeat too short", [("consumer.heartbeat.interval.ms", SET, "100")]),
        ("heartbeat too long", [("consumer.heartbeat.interval.ms", SET, "20000")]),
        ("heartbeat", [("consumer.heartbeat.interval.ms", SET, "6000")]),
        ("heartbeat beyond the session", [("consumer.heartbeat.interval.ms", SET, "15000")]),
        ("assignment", [("consumer.assignment.interval.ms", SET, "2000")]),
        ("assignment too long", [("consumer.assignment.interval.ms", SET, "15001")]),
        ("assignment negative", [("consumer.assignment.interval.ms", SET, "-1")]),
        ("unknown key", [("session.timeout.ms", SET, "1")]),
        ("a broker's key", [("group.consumer.session.timeout.ms", SET, "50000")]),
        ("null", [(key, SET, None)]),
        ("append", [(key, APPEND, "1")]),
        ("twice", [(key, SET, "50000"), (key, SET, "50000")]),
        ("good and bad", [(key, SET, "51000"), ("consumer.heartbeat.interval.ms", SET, "1")]),
        ("share offsets", [("share.auto.offset.reset", SET, "earliest")]),
        ("share offsets by duration", [("share.auto.offset.reset", SET, "by_duration:PT1H")]),
        ("share offsets, bad", [("share.auto.offset.reset", SET, "first")]),
        ("share session too short", [("share.session.timeout.ms", SET, "1")]),
        ("share heartbeat too long", [("share.heartbeat.interval.ms", SET, "20000")]),
        ("share lock too long", [("share.record.lock.duration.ms", SET, "70000")]),
        ("share count too high", [("share.delivery.count.limit", SET, "11")]),
        ("share locks too few", [("share.partition.max.record.locks", SET, "99")]),
        ("share isolation", [("share.isolation.level", SET, "read_committed")]),
        ("share isolation, bad", [("share.isolation.level", SET, "serializable")]),
        ("share renewal, bad", [("share.renew.acknowledge.enable", SET, "no")]),
        ("share assignment too long", [("share.assignment.interval.ms", SET, "15001")]),
        ("streams session", [("streams.session.timeout.ms", SET, "50000")]),
        ("streams heartbeat too short", [("streams.heartbeat.interval.ms", SET, "1")]),
        ("streams standby", [("streams.num.standby.replicas", SET, "3")]),
        ("streams delay negative", [("streams.initial.rebalance.delay.ms", SET, "-1")]),
        ("streams assignment", [("streams.assignment.interval.ms", SET, "500")]),
    ):
        kafka.send(title, change(group, *changes, validate_only=True), 1)
    kafka.send("no name", change((GROUP, ""), (key, SET, "50000")), 1)
    kafka.send("everything replaced", replace_all((group, {key: "52000"})), 2)
    _shown(kafka, "replaced", group, key, contains='"52000"')
    kafka.send("replaced with a bad value", replace_all((group, {key: "x"})), 2)
    kafka.send("delete", change(group, (key, DELETE, None)), 1)
    _shown(kafka, "deleted", group, key, contains='"45000"')


def metrics(kafka: Player) -> None:
    """Subscriptions of client metrics (KIP-714)."""
    one = METRICS, "alter-metrics"
    for title, changes in (
        ("interval", [("interval.ms", SET, "1000")]),
        ("interval too short", [("interval.ms", SET, "99")]),
        ("interval too long", [("interval.ms", SET, "3600001")]),
        ("interval, no number", [("interval.ms", SET, "x")]),
        ("metrics", [("metrics", SET, "org.apache.kafka.producer.,org.apache.kafka.consumer.")]),
        ("match", [("match", SET, "client_software_name=apache.*,client_source_port=[0-9]+")]),
        ("match, unknown", [("match", SET, "colour=red")]),
        ("match, no pattern", [("match", SET, "client_id")]),
        ("match, bad pattern", [("match", SET, "client_id=(")]),
        ("unknown key", [("no.such.key", SET, "1")]),
        ("append", [("metrics", APPEND, "org.")]),
        ("append to a number", [("interval.ms", APPEND, "1")]),
        ("null", [("interval.ms", SET, None)]),
    ):
        kafka.send(title, change(one, *changes, validate_only=True), 1)
    kafka.send("no name", change((METRICS, ""), ("interval.ms", SET, "1000")), 1)
    kafka.send("set", change(one, ("interval.ms", SET, "2000"), ("match", SET, "client_id=a")), 1)
    _shown(kafka, "shown", one, contains='"2000"')
    kafka.send("replaced", replace_all((one, {"metrics": "org."})), 2)
    _shown(kafka, "replaced, shown", one, contains='"org."')
    kafka.send("twice the same", change(one, ("metrics", SET, "org.,com.,org.")), 1)
    _shown(kafka, "twice the same, shown", one, contains='"org.,com."')
    kafka.send("deleted", change(one, ("metrics", DELETE, None)), 1)
    _shown(kafka, "deleted, shown", one, contains='"metrics", value: ""')


def loggers(kafka: Player) -> None:
    """Levels of loggers: the root's name is every broker's."""
    mine = LOGGER, "1"
    for title, resource, changes in (
        ("an unknown logger", mine, [("no.such.logger", SET, "INFO")]),
        ("an unknown logger, deleted", mine, [("no.such.logger", DELETE, None)]),
        ("a bad level", mine, [("root", SET, "LOUD")]),
        ("small letters", mine, [("root", SET, "info")]),
        ("null", mine, [("root", SET, None)]),
        ("append", mine, [("root", APPEND, "INFO")]),
        ("subtract", mine, [("root", SUBTRACT, "INFO")]),
        ("operation 9", mine, [("root", 9, "INFO")]),
        ("the root deleted", mine, [("root", DELETE, None)]),
        ("twice", mine, [("root", SET, "INFO"), ("root", SET, "WARN")]),
        ("another broker", (LOGGER, "2"), [("root", SET, "INFO")]),
        ("no broker", (LOGGER, ""), [("root", SET, "INFO")]),
        ("no number", (LOGGER, "one"), [("root", SET, "INFO")]),
        ("good", mine, [("root", SET, "ERROR")]),
    ):
        kafka.send(title, change(resource, *changes, validate_only=True), 1)
    kafka.send("set", change(mine, ("root", SET, "ERROR")), 1)
    kafka.send("shown", describe(mine, keys=["root"], synonyms=True), 4)
    kafka.send("set back", change(mine, ("root", SET, "WARN")), 1)
    kafka.send("shown again", describe(mine, keys=["root"]), 4)
    kafka.send("all at once", replace_all((mine, {"root": "INFO"})), 2)


def several(kafka: Player) -> None:
    """Resources of several types in one request: each by itself."""
    kafka.setup_topic("several")
    resources = change_all(
        ((TOPIC, "several"), [("segment.ms", SET, "60000")]),
        (THIS, [("num.partitions", SET, "2")]),
        ((LOGGER, "1"), [("no.such.logger", SET, "INFO")]),
        ((GROUP, "several"), [("consumer.session.timeout.ms", SET, "1")]),
        ((METRICS, "several"), [("interval.ms", SET, "1000")]),
        validate_only=True,
    )
    kafka.send("each type", resources, 1)


def listed(kafka: Player) -> None:
    """ListConfigResources (KIP-1142); version 0 lists subscriptions of client metrics."""
    kafka.setup_topic("listed")
    kafka.send("metrics", change((METRICS, "listed"), ("interval.ms", SET, "1000")), 1)
    kafka.send("group", change((GROUP, "listed"), ("consumer.session.timeout.ms", SET, "50000")), 1)
    kafka.setup_until(list_resources(GROUP), 1, lambda text: '"listed"' in text)
    kafka.setup_until(list_resources(METRICS), 1, lambda text: '"listed"' in text)
    kafka.send("version 0", list_resources(), 0)
    for title, types in (
        ("metrics and groups", [METRICS, GROUP]),
        ("brokers", [BROKER]),
        ("loggers", [LOGGER]),
        ("brokers and loggers", [LOGGER, BROKER]),
        ("groups", [GROUP]),
        ("groups twice", [GROUP, GROUP]),
        ("type 0", [0]),
        ("type 1", [1]),
        ("type 3", [3]),
        ("a good and a bad type", [GROUP, 5]),
    ):
        kafka.send(title, list_resources(*types), 1)
    kafka.send("metrics back", change((METRICS, "listed"), ("interval.ms", DELETE, None)), 1)
    undo = change((GROUP, "listed"), ("consumer.session.timeout.ms", DELETE, None))
    kafka.send("group back", undo, 1)
    kafka.setup_until(list_resources(GROUP), 1, lambda text: '"listed"' not in text)
    kafka.setup_until(list_resources(METRICS), 1, lambda text: '"listed"' not in text)
    kafka.send("nothing left", list_resources(METRICS, GROUP), 1)


SCENARIOS = {
    "configs_brokers/layers": broker_layers,
    "configs_brokers/units": broker_units,
    "configs_brokers/values": broker_values,
    "configs_brokers/limits": broker_limits,
    "configs_brokers/custom": broker_custom,
    "configs_brokers/operations": broker_operations,
    "configs_brokers/names": broker_names,
    "configs_brokers/legacy": broker_legacy,
    "configs_brokers/new_topics": new_topics_follow,
    "configs_groups/groups": groups,
    "configs_groups/metrics": metrics,
    "configs_groups/loggers": loggers,
    "configs_groups/several": several,
    "configs_groups/listed": listed,
}
