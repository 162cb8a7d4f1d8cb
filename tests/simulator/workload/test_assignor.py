"""Ranges of partitions, and their form on the wire."""

from coordinator.group.subscription import subscribed_topics
from simulator.workload.assignor import (
    assign_ranges,
    decode_assignment,
    encode_assignment,
    encode_subscription,
)


def test_every_partition_has_one_member() -> None:
    assigned = assign_ranges(["b", "a"], {"t": 3, "u": 1})
    assert assigned == {"a": [("t", 0), ("t", 1), ("u", 0)], "b": [("t", 2)]}


def test_assignments_come_back() -> None:
    partitions = [("t", 0), ("t", 2), ("u", 1)]
    assert decode_assignment(encode_assignment(partitions)) == partitions
    assert decode_assignment(b"") == []


def test_the_coordinator_reads_subscriptions() -> None:
    assert subscribed_topics(encode_subscription(["u", "t"])) == {"t", "u"}
