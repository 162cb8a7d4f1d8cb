"""What both brokers are started with, so that they may be compared."""

SETTINGS = {
    "node.id": "1",
    "num.partitions": "1",
    "offsets.topic.num.partitions": "1",
    # Groups need not wait for members that might come, and scenarios not for those that are gone.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "100",
    # A group is full with few connections.
    "group.max.size": "3",
    # Batches in scenarios have fixed timestamps, long past.
    "log.retention.ms": "-1",
}
"""Broker settings, on top of each broker's defaults."""
