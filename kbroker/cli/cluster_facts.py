"""What brokers tell of their cluster, counted: for `kbroker cluster status` (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

from kbroker.cli.topic_names import PartitionFacts, TopicFacts

NOBODY = -1
NO_LEADER, UNDER_MIN_ISR, UNDER_REPLICATED = TROUBLES = (
    "no leader",
    "under min.insync.replicas",
    "under-replicated",
)
"""What may be wrong with a partition, the worst first."""


class BrokerFacts(TypedDict):
    """A broker, and what it holds. `state`: up, fenced (it runs and does not count), or absent."""

    id: int
    address: str | None
    rack: str | None
    leaders: int
    replicas: int
    in_sync: int
    state: str


class TroubledPartition(TypedDict):
    """A partition that lacks a replica or a leader."""

    topic: str
    partition: int
    leader: int | None
    replicas: list[int]
    isr: list[int]
    trouble: str


class ClusterFacts(TypedDict):
    """The whole. `controller` is None where there is none now."""

    cluster_id: str
    controller: int | None
    brokers: list[BrokerFacts]
    topics: int
    partitions: int
    under_replicated: int
    under_min_isr: int
    leaderless: int
    troubled: list[TroubledPartition]


def count_up(
    described: Mapping[str, object],
    topics: Sequence[TopicFacts],
    min_isr: Mapping[str, int],
) -> ClusterFacts:
    """`described` is DescribeCluster's answer; `min_isr` is of each topic, as far as it is known.

    Brokers that hold replicas and are not told of are absent ones.
    """
    partitions = [(topic["name"], each) for topic in topics for each in topic["partitions"]]
    controller = _integer(described.get("controller_id"))
    troubled = [
        _troubled(name, each, trouble)
        for name, each in partitions
        if (trouble := find_trouble(each, min_isr.get(name, 1)))
    ]
    return ClusterFacts(
        cluster_id=str(described.get("cluster_id") or ""),
        controller=None if controller == NOBODY else controller,
        brokers=_count_brokers(_brokers(described), [each for _, each in partitions]),
        topics=len(topics),
        partitions=len(partitions),
        under_replicated=sum(len(each["isr"]) < len(each["replicas"]) for _, each in partitions),
        under_min_isr=sum(
            is_under_min_isr(each, min_isr.get(name, 1)) for name, each in partitions
        ),
        leaderless=sum(each["leader"] == NOBODY for _, each in partitions),
        troubled=troubled,
    )


def find_trouble(partition: PartitionFacts, min_isr: int) -> str | None:
    """What is worst about a partition; None: nothing."""
    if partition["leader"] == NOBODY:
        return NO_LEADER
    if is_under_min_isr(partition, min_isr):
        return UNDER_MIN_ISR
    if len(partition["isr"]) < len(partition["replicas"]):
        return UNDER_REPLICATED
    return None


def is_under_min_isr(partition: PartitionFacts, min_isr: int) -> bool:
    """Whether acks=all is refused. Never more in-sync replicas are asked for than there are."""
    return len(partition["isr"]) < min(min_isr, len(partition["replicas"]))


def _troubled(topic: str, partition: PartitionFacts, trouble: str) -> TroubledPartition:
    leader = partition["leader"]
    return TroubledPartition(
        topic=topic,
        partition=partition["partition"],
        leader=None if leader == NOBODY else leader,
        replicas=partition["replicas"],
        isr=partition["isr"],
        trouble=trouble,
    )


def _count_brokers(
    told: Mapping[int, Mapping[str, object]], partitions: Sequence[PartitionFacts]
) -> list[BrokerFacts]:
    leaders = Counter(each["leader"] for each in partitions if each["leader"] != NOBODY)
    replicas = Counter(id for each in partitions for id in each["replicas"])
    in_sync = Counter(id for each in partitions for id in each["isr"])
    found = []
    for broker_id in sorted({*told, *replicas}):
        broker = told.get(broker_id)
        rack = None if broker is None else broker.get("rack")
        found.append(
            BrokerFacts(
                id=broker_id,
                address=None if broker is None else f"{broker['host']}:{broker['port']}",
                rack=None if rack is None else str(rack),
                leaders=leaders[broker_id],
                replicas=replicas[broker_id],
                in_sync=in_sync[broker_id],
                state=_state(broker),
            )
        )
    return found


def _state(broker: Mapping[str, object] | None) -> str:
    if broker is None:
        return "absent"
    return "fenced" if broker.get("is_fenced") is True else "up"


def _brokers(described: Mapping[str, object]) -> dict[int, Mapping[str, object]]:
    brokers = described.get("brokers")
    assert isinstance(brokers, Iterable)
    return {_integer(each["broker_id"]): each for each in brokers}


def _integer(value: object) -> int:
    return NOBODY if value is None else int(str(value))
