"""What both brokers are started with, so that they may be compared."""

SETTINGS = {
    "node.id": "1",
    "num.partitions": "1",
    "offsets.topic.num.partitions": "1",
    # Batches in scenarios have fixed timestamps, long past.
    "log.retention.ms": "-1",
}
"""Broker settings, on top of each broker's defaults."""
