"""CreatePartitions, and more names that topics may have or not."""

from collections.abc import Sequence

from tools.record.batches import batch
from tools.record.player import Player
from tools.record.requests import (
    create_topics,
    delete_topics,
    list_offsets,
    metadata,
    new_topic,
    produce,
)
from wire.messages.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)


def grown(
    name: str, count: int, assignments: Sequence[list[int]] | None = None
) -> CreatePartitionsTopic:
    """A topic and the number of partitions that it is to have."""
    return CreatePartitionsTopic(
        name=name,
        count=count,
        assignments=None
        if assignments is None
        else [CreatePartitionsAssignment(broker_ids=brokers) for brokers in assignments],
    )


def create_partitions(
    *topics: CreatePartitionsTopic, validate_only: bool = False, timeout_ms: int = 10_000
) -> CreatePartitionsRequest:
    return CreatePartitionsRequest(
        topics=list(topics), timeout_ms=timeout_ms, validate_only=validate_only
    )


def versions(kafka: Player) -> None:
    """Every version grows a topic, refuses to do it again, and validates only."""
    for version in CreatePartitionsRequest.VERSIONS:
        name = f"grow-{version}"
        kafka.setup_topic(name)
        dry = create_partitions(grown(name, 3), validate_only=True)
        kafka.send(f"version {version}, validate only", dry, version)
        kafka.send(f"version {version}, still as it was", metadata(name), 9)
        wet = create_partitions(grown(name, 3))
        kafka.send(f"version {version}", wet, version)
        kafka.setup_serving(name, 3)
        kafka.send(f"version {version}, again", wet, version)
        kafka.send(f"version {version}, validate again", dry, version)
        smaller = create_partitions(grown(name, 2))
        kafka.send(f"version {version}, smaller", smaller, version)
        kafka.send(f"version {version}, what is there", metadata(name), 9)


def use(kafka: Player) -> None:
    """What was there stays; what is new takes records from its offset 0 on."""
    kafka.setup_topic("grow-use")
    kafka.send("a record before", produce("grow-use", batch("a")), 9)
    kafka.send("grow", create_partitions(grown("grow-use", 4)), 3)
    kafka.setup_serving("grow-use", 4)
    kafka.send("one to a new partition", produce("grow-use", batch("b"), partition=3), 9)
    kafka.send("one to the old", produce("grow-use", batch("c")), 9)
    ends = list_offsets("grow-use", -1, partitions=(0, 1, 2, 3))
    kafka.send("the ends", ends, 6)
    kafka.send("beyond", list_offsets("grow-use", -1, partitions=(4,)), 6)
    kafka.send("grow again", create_partitions(grown("grow-use", 5)), 3)
    kafka.setup_serving("grow-use", 5)
    kafka.send("five", metadata("grow-use"), 12)


def refused(kafka: Player) -> None:
    """Numbers that are no growth, topics that are not there, and the same topic twice."""
    kafka.setup_offsets_topic()
    kafka.setup_topic("grow-refused", 2)
    for title, name, count in (
        ("an unknown topic", "grow-nowhere", 3),
        ("no name", "", 3),
        ("a bad name", "a/b", 3),
        ("as many as it has", "grow-refused", 2),
        ("fewer", "grow-refused", 1),
        ("none", "grow-refused", 0),
        ("-1", "grow-refused", -1),
        ("the least number", "grow-refused", -(2**31)),
        ("the metadata log", "__cluster_metadata", 2),
    ):
        for version in (0, 1, 2, 3):
            request = create_partitions(grown(name, count))
            kafka.send(f"{title}, version {version}", request, version)
    internal = create_partitions(grown("__consumer_offsets", 5), validate_only=True)
    kafka.send("the offsets topic", internal, 3)
    kafka.send("no topics", create_partitions(), 3)
    twice = create_partitions(
        grown("grow-refused", 3), grown("grow-nowhere", 3), grown("grow-refused", 4)
    )
    kafka.send("a topic twice", twice, 3)
    kafka.send("good and bad", create_partitions(grown("grow-refused", 3), grown("", 3)), 3)
    kafka.setup_serving("grow-refused", 3)
    kafka.send("what is there", metadata("grow-refused"), 9)
    kafka.send("no time", create_partitions(grown("grow-refused", 3), timeout_ms=0), 3)


def too_many(kafka: Player) -> None:
    """More partitions than one request may add."""
    kafka.setup_topic("grow-much")
    for title, count in (("10,001", 10_002), ("a million", 1_000_000), ("the most", 2**31 - 1)):
        request = create_partitions(grown("grow-much", count), validate_only=True)
        kafka.send(f"{title} more", request, 3)


def assignments(kafka: Player) -> None:
    """Replicas chosen by hand, one list for each partition that is added."""
    kafka.setup_topic("grow-assigned")
    cases: tuple[tuple[str, int, list[list[int]]], ...] = (
        ("too few", 3, [[1]]),
        ("too many", 3, [[1], [1], [1]]),
        ("none", 3, []),
        ("an empty list", 2, [[]]),
        ("an unknown broker", 2, [[77]]),
        ("a negative broker", 2, [[-1]]),
        ("a broker twice", 2, [[1, 1]]),
        ("more replicas than there are", 2, [[1, 77]]),
        ("good, then bad", 3, [[1], [77]]),
        ("no growth", 1, [[1]]),
        ("less", 0, []),
    )
    for title, count, brokers in cases:
        request = create_partitions(grown("grow-assigned", count, brokers))
        kafka.send(title, request, 3)
        kafka.send(f"{title}, version 1", request, 1)
    good = create_partitions(grown("grow-assigned", 3, [[1], [1]]))
    kafka.send("good", good, 3)
    kafka.setup_serving("grow-assigned", 3)
    kafka.send("good: it is there", metadata("grow-assigned"), 9)


def names(kafka: Player) -> None:
    """Names that are made for good: the longest, strange ones, and those that collide."""
    longest = "n" * 249
    for title, name in (
        ("the longest", longest),
        ("one character", "x"),
        ("a dash first", "-names"),
        ("an underscore first", "_names"),
        ("two underscores", "__names"),
        ("a dot first", ".dotted"),
        ("digits", "0123"),
        ("like a partition", "names-0"),
        ("upper case", "NAMES-CASE"),
        ("lower case", "names-case"),
        ("like a deleted one", "names.delete"),
    ):
        kafka.send(title, create_topics(new_topic(name)), 7)
    kafka.setup_serving(longest)
    kafka.send("the longest grows", create_partitions(grown(longest, 2)), 3)
    kafka.setup_serving(longest, 2)
    kafka.send("the longest takes a record", produce(longest, batch("v"), partition=1), 9)
    for title, name in (
        ("a new line", "a\nb"),
        ("a tab", "a\tb"),
        ("a colon", "a:b"),
        ("a backslash", "a\\b"),
        ("a percent sign", "a%b"),
        ("a star", "a*"),
        ("only a space", " "),
        ("a space behind", "a "),
        ("a zero byte", "a\0b"),
        ("250 characters", "n" * 250),
        ("one dot", "."),
        ("two dots", ".."),
        ("empty", ""),
    ):
        kafka.send(title, create_topics(new_topic(name)), 7)


def collisions(kafka: Player) -> None:
    """'.' and '_' are the same in a metric's name: who comes second is refused."""
    kafka.setup_topic("names.of_a.kind")
    for name in ("names_of.a_kind", "names_of_a_kind", "names.of.a.kind", "names.of_a.kind"):
        kafka.send(f"collides: {name}", create_topics(new_topic(name)), 7)
        dry = create_topics(new_topic(name), validate_only=True)
        kafka.send(f"collides, validate only: {name}", dry, 7)
    kafka.send("near, and free", create_topics(new_topic("names-of-a-kind")), 7)
    kafka.send("delete the first", delete_topics("names.of_a.kind", version=6), 6)
    kafka.setup_gone("names.of_a.kind")
    kafka.send("the name is free", create_topics(new_topic("names_of_a_kind")), 7)
    kafka.send("now the other collides", create_topics(new_topic("names.of_a.kind")), 7)


SCENARIOS = {
    "create_partitions/versions": versions,
    "create_partitions/use": use,
    "create_partitions/refused": refused,
    "create_partitions/too_many": too_many,
    "create_partitions/assignments": assignments,
    "create_topics/made_names": names,
    "create_topics/collisions": collisions,
}
