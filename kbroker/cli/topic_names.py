"""Topics and partitions that a command names: they exist, or that is said in one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypedDict

from kbroker.cli.connection import CommandError, explain_code

if TYPE_CHECKING:
    from kafka import TopicPartition
    from kafka.admin import KafkaAdminClient

UNKNOWN_TOPIC = 3
MOST_LISTED = 20


class PartitionFacts(TypedDict):
    """A partition as Metadata tells of it."""

    partition: int
    leader: int
    leader_epoch: int
    replicas: list[int]
    isr: list[int]
    offline: list[int]


class TopicFacts(TypedDict):
    """A topic as Metadata tells of it."""

    name: str
    id: str | None
    internal: bool
    partitions: list[PartitionFacts]


def describe_topics(admin: KafkaAdminClient, names: Sequence[str] | None) -> list[TopicFacts]:
    """The topics of these names, all for None, by name. CommandError for one that does not exist;
    none is created."""
    found = []
    for topic in admin.describe_topics(None if names is None else list(names)):
        code, name = int(topic["error_code"]), str(topic["name"])
        if code == UNKNOWN_TOPIC:
            raise CommandError(f"there is no topic {name}")
        if code:
            raise CommandError(f"topic {name}: {explain_code(code)}")
        found.append(
            TopicFacts(
                name=name,
                id=id_text(str(topic["topic_id"])) if topic["topic_id"] else None,
                internal=bool(topic["is_internal"]),
                partitions=sorted(
                    (
                        PartitionFacts(
                            partition=int(each["partition_index"]),
                            leader=int(each["leader_id"]),
                            leader_epoch=int(each["leader_epoch"]),
                            replicas=list(each["replica_nodes"]),
                            isr=list(each["isr_nodes"]),
                            offline=list(each["offline_replicas"]),
                        )
                        for each in topic["partitions"]
                    ),
                    key=lambda facts: facts["partition"],
                ),
            )
        )
    return sorted(found, key=lambda facts: facts["name"])


def id_text(text: str) -> str:
    """A topic's id as Kafka spells it: URL-safe base64 of its 16 bytes."""
    import base64

    return base64.urlsafe_b64encode(bytes.fromhex(text.replace("-", ""))).decode().rstrip("=")


def split_partition(text: str) -> tuple[str, tuple[int, ...]]:
    """`TOPIC` or `TOPIC:0,2`: the topic, and its partitions (none: all). CommandError."""
    topic, colon, numbers = text.partition(":")
    if not colon:
        return topic, ()
    try:
        return topic, tuple(sorted({int(number) for number in numbers.split(",")}))
    except ValueError:
        raise CommandError(f"{text}: expected TOPIC or TOPIC:PARTITION,...") from None


def find_partitions(admin: KafkaAdminClient, names: Iterable[str]) -> list[TopicPartition]:
    """The partitions that `TOPIC` or `TOPIC:0,2` stand for, in order. CommandError."""
    from kafka import TopicPartition

    wanted = [split_partition(name) for name in names]
    topics = describe_topics(admin, sorted({topic for topic, _ in wanted}))
    existing = {facts["name"]: len(facts["partitions"]) for facts in topics}
    found = set()
    for topic, numbers in wanted:
        for number in numbers or range(existing[topic]):
            if not 0 <= number < existing[topic]:
                raise CommandError(
                    f"topic {topic} has no partition {number}; it has {existing[topic]}"
                )
            found.add(TopicPartition(topic, number))
    return sorted(found)
