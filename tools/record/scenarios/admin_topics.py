"""DescribeTopicPartitions, ElectLeaders, and reassignments: who has which partition."""

from collections.abc import Sequence

from tools.record.player import Player
from tools.record.requests import metadata
from wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from wire.messages.describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    TopicRequest,
)
from wire.messages.elect_leaders import ElectLeadersRequest, TopicPartitions
from wire.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsTopics,
)

PREFERRED, UNCLEAN = 0, 1


def describe(
    *topics: str, limit: int = 2000, cursor: tuple[str, int] | None = None
) -> DescribeTopicPartitionsRequest:
    return DescribeTopicPartitionsRequest(
        topics=[TopicRequest(name=name) for name in topics],
        response_partition_limit=limit,
        cursor=None if cursor is None else Cursor(topic_name=cursor[0], partition_index=cursor[1]),
    )


def pages(kafka: Player) -> None:
    """Pages of partitions: a limit ends a page, and its cursor begins the next."""
    kafka.setup_topic("pages-a", 3)
    kafka.setup_topic("pages-b", 1)
    kafka.setup_topic("pages-c", 4)
    all_three = ("pages-a", "pages-b", "pages-c")
    kafka.send("all at once", describe(*all_three), 0)
    kafka.send("in another order", describe("pages-c", "pages-a", "pages-b"), 0)
    for limit in (1, 2, 3, 4, 5, 7, 8, 9):
        kafka.send(f"the first {limit}", describe(*all_three, limit=limit), 0)
    for limit in (0, -1, -(2**31)):
        kafka.send(f"a limit of {limit}", describe(*all_three, limit=limit), 0)
    kafka.send("no limit to speak of", describe(*all_three, limit=2**31 - 1), 0)
    for name, index in (
        ("pages-a", 0),
        ("pages-a", 2),
        ("pages-a", 3),
        ("pages-a", 99),
        ("pages-b", 0),
        ("pages-b", 1),
        ("pages-c", 1),
        ("pages-c", -1),
        ("pages-d", 0),
        ("pages-aa", 0),
        ("", 0),
        ("", -1),
    ):
        for limit in (2, 2000):
            kafka.send(
                f"from {name}-{index}, {limit} of them",
                describe(*all_three, limit=limit, cursor=(name, index)),
                0,
            )
    kafka.send("the cursor's topic alone", describe("pages-c", cursor=("pages-c", 2)), 0)
    kafka.send("a cursor before", describe("pages-b", "pages-c", cursor=("pages-a", 0)), 0)
    kafka.send("a cursor behind", describe("pages-a", "pages-b", cursor=("pages-b", 5)), 0)


def topics(kafka: Player) -> None:
    """Topics that are not there, cannot be, or come twice; all topics; internal ones."""
    kafka.setup_offsets_topic()
    kafka.setup_topic("described", 2, min_insync_replicas="1")
    for title, names in (
        ("an unknown topic", ("described-nowhere",)),
        ("no name", ("",)),
        ("a bad name", ("a/b",)),
        ("a dot", (".",)),
        ("a long name", ("d" * 250,)),
        ("a topic twice", ("described", "described")),
        ("good and unknown", ("described", "described-nowhere", "a-described-nowhere")),
        ("the offsets topic", ("__consumer_offsets",)),
        ("the metadata log", ("__cluster_metadata",)),
    ):
        kafka.send(title, describe(*names), 0)
    kafka.send("unknown, with a limit", describe("d-no-a", "d-no-b", "described", limit=1), 0)
    kafka.send("unknown, behind the limit", describe("described", "described-no", limit=2), 0)
    cursor = ("described-nowhere", 0)
    kafka.send("a cursor at an unknown topic", describe(cursor[0], cursor=cursor), 0)
    kafka.only_topics("described", "__consumer_offsets")
    kafka.send("all topics", describe(), 0)
    kafka.send("all from a cursor", describe(cursor=("described", 1)), 0)
    kafka.send("all from an unknown topic", describe(cursor=("describe", 1)), 0)
    kafka.send("all from the end", describe(cursor=("zzzz", 0)), 0)
    kafka.send("all from before partition 0", describe(cursor=("described", -1)), 0)


def elect(
    *topics: tuple[str, Sequence[int]], kind: int = PREFERRED, timeout_ms: int = 10_000
) -> ElectLeadersRequest:
    return ElectLeadersRequest(
        election_type=kind,
        topic_partitions=[
            TopicPartitions(topic=name, partitions=list(partitions)) for name, partitions in topics
        ],
        timeout_ms=timeout_ms,
    )


def elections(kafka: Player) -> None:
    """One broker leads everything already."""
    kafka.setup_topic("elected", 3)
    kafka.setup_offsets_topic()
    kafka.only_topics("elected", "elected-nowhere", "", "a/b", "__consumer_offsets")
    for version in ElectLeadersRequest.VERSIONS:
        kinds = ((PREFERRED, "preferred"), (UNCLEAN, "unclean")) if version else ((0, "preferred"),)
        for kind, word in kinds:

            def ask(
                title: str,
                *asked: tuple[str, Sequence[int]],
                version: int = version,
                kind: int = kind,
                word: str = word,
            ) -> None:
                kafka.send(f"{word}, {title}, version {version}", elect(*asked, kind=kind), version)

            ask("one", ("elected", [0]))
            ask("all of a topic", ("elected", [0, 1, 2]))
            ask("an unknown partition", ("elected", [3, 1]))
            ask("a negative partition", ("elected", [-1]))
            ask("an unknown topic", ("elected-nowhere", [0, 1]))
            ask("no name", ("", [0]))
            ask("a bad name", ("a/b", [0]))
            ask("no partitions", ("elected", []))
            ask("no topics")
            ask("the offsets topic", ("__consumer_offsets", [0]))
            everything = ElectLeadersRequest(
                election_type=kind, topic_partitions=None, timeout_ms=10_000
            )
            kafka.send(f"{word}, everything, version {version}", everything, version)
    kafka.send("a partition twice", elect(("elected", [0, 0])), 2)
    kafka.send("a topic twice", elect(("elected", [0]), ("elected", [1])), 2)
    kafka.send("no time", elect(("elected", [0]), timeout_ms=0), 2)
    for kind in (2, -1):
        kafka.send(f"election type {kind}", elect(("elected", [0]), kind=kind), 2)
        kafka.send(f"election type {kind}, of nothing", elect(kind=kind), 2)
    kafka.send("still there", metadata("elected"), 9)


def alter(
    *topics: tuple[str, dict[int, list[int] | None]],
    may_change_factor: bool = True,
    timeout_ms: int = 10_000,
) -> AlterPartitionReassignmentsRequest:
    """The replicas wanted by partition; None takes a reassignment back."""
    return AlterPartitionReassignmentsRequest(
        timeout_ms=timeout_ms,
        allow_replication_factor_change=may_change_factor,
        topics=[
            ReassignableTopic(
                name=name,
                partitions=[
                    ReassignablePartition(partition_index=index, replicas=replicas)
                    for index, replicas in partitions.items()
                ],
            )
            for name, partitions in topics
        ],
    )


def reassignments(kafka: Player) -> None:
    """On one broker a partition can only stay where it is."""
    topic = "reassigned"
    kafka.setup_topic(topic, 3)
    cases: tuple[tuple[str, str, dict[int, list[int] | None]], ...] = (
        ("stay", topic, {0: [1]}),
        ("all stay", topic, {0: [1], 1: [1], 2: [1]}),
        ("an unknown broker", topic, {0: [77]}),
        ("also an unknown broker", topic, {0: [1, 77]}),
        ("a negative broker", topic, {0: [-1]}),
        ("a broker twice", topic, {0: [1, 1]}),
        ("no broker", topic, {0: []}),
        ("take back", topic, {0: None}),
        ("take back many", topic, {0: None, 2: None, 7: None}),
        ("good and bad", topic, {0: [1], 1: [77], 2: None}),
        ("an unknown partition", topic, {3: [1]}),
        ("a negative partition", topic, {-1: [1]}),
        ("take back of an unknown partition", topic, {3: None}),
        ("an unknown topic", "reassigned-nowhere", {0: [1]}),
        ("an unknown topic and broker", "reassigned-nowhere", {0: [77]}),
        ("take back of an unknown topic", "reassigned-nowhere", {0: None}),
        ("no name", "", {0: [1]}),
        ("no partitions", topic, {}),
        ("no partitions of an unknown topic", "reassigned-nowhere", {}),
    )
    for version in AlterPartitionReassignmentsRequest.VERSIONS:
        for title, name, partitions in cases:
            kafka.send(f"{title}, version {version}", alter((name, partitions)), version)
        kafka.send(f"no topics, version {version}", alter(), version)
        kafka.send(f"no time, version {version}", alter((topic, {0: [1]}), timeout_ms=0), version)
    for title, name, partitions in cases:
        request = alter((name, partitions), may_change_factor=False)
        kafka.send(f"{title}, keep the factor", request, 1)
    kafka.send("no topics, keep the factor", alter(may_change_factor=False), 1)
    kafka.send("a topic twice", alter((topic, {0: [1]}), (topic, {1: [1]})), 1)
    kafka.send("where they are", metadata(topic), 9)


def list_reassignments(kafka: Player) -> None:
    """Nothing is ever on its way."""
    kafka.setup_topic("on-its-way", 2)
    cases: tuple[tuple[str, list[tuple[str, list[int]]] | None], ...] = (
        ("all", None),
        ("one", [("on-its-way", [0])]),
        ("both", [("on-its-way", [0, 1])]),
        ("an unknown partition", [("on-its-way", [2])]),
        ("a negative partition", [("on-its-way", [-1])]),
        ("an unknown topic", [("on-its-way-nowhere", [0])]),
        ("no name", [("", [0])]),
        ("no partitions", [("on-its-way", [])]),
        ("a topic twice", [("on-its-way", [0]), ("on-its-way", [1])]),
        ("no topics", []),
    )
    for title, asked in cases:
        request = ListPartitionReassignmentsRequest(
            timeout_ms=10_000,
            topics=None
            if asked is None
            else [
                ListPartitionReassignmentsTopics(name=name, partition_indexes=partitions)
                for name, partitions in asked
            ],
        )
        kafka.send(title, request, 0)
    kafka.send("no time", ListPartitionReassignmentsRequest(timeout_ms=0, topics=None), 0)


SCENARIOS = {
    "describe_topic_partitions/pages": pages,
    "describe_topic_partitions/topics": topics,
    "elect_leaders/elections": elections,
    "reassignments/alter": reassignments,
    "reassignments/list": list_reassignments,
}
